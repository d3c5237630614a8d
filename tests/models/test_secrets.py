"""What a server is told and nobody else stays so, whatever the server repeats of it."""

import base64
from typing import Any

import httpx2
import pytest

from antiphon.errors import ModelError
from antiphon.models import ModelRequest, ResponsesModel, Upstream

pytestmark = pytest.mark.anyio

WAYS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "in the query": ("https://host/v1?api-key=pa55/word", {}, ["pa55/word", "pa55%2Fword"]),
    "as a password": (
        "https://me:pa55@host/v1",
        {},
        ["pa55", base64.b64encode(b"me:pa55").decode()],
    ),
    "as the beginning of another": (
        "https://host/v1",
        {"api_key": "abc", "headers": {"X-Api-Key": "abcdef"}},
        ["abc", "def"],
    ),
    "in a header of another scheme": (
        "https://host/v1",
        {"headers": {"Authorization": "bearer t0ken"}},
        ["t0ken"],
    ),
}


def repeating(*, words: str = "") -> httpx2.AsyncClient:
    """A client of a server that repeats all that it was told."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        told = " ".join(value for _, value in request.headers.items())
        return httpx2.Response(400, json={"error": {"message": f"{request.url} {told} {words}"}})

    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))


@pytest.mark.parametrize("way", WAYS)
async def test_no_credential_comes_back_from_a_model(way: str) -> None:
    url, more, secrets = WAYS[way]
    model = ResponsesModel("m", base_url=url, http_client=repeating(), retries=0, **more)
    with pytest.raises(ModelError) as refused:
        await anext(aiter(model.stream(ModelRequest([]))))
    assert "***" in refused.value.message
    assert not [secret for secret in secrets if secret in refused.value.message]


@pytest.mark.parametrize("way", ["in the query", "as a password"])
async def test_no_credential_comes_back_from_a_list_of_models(way: str) -> None:
    url, _, secrets = WAYS[way]
    upstream = Upstream(url, http_client=repeating(), api_key="k3y")
    with pytest.raises(ModelError) as refused:
        await upstream.names()
    assert not [secret for secret in [*secrets, "k3y"] if secret in refused.value.message]
