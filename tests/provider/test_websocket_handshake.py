"""Who may open a WebSocket: decided before it is open, and refused as an HTTP request is."""

import json
from typing import Any

import pytest
from starlette.types import ASGIApp

from antiphon.models import ScriptedModel
from antiphon.provider import Provider

from .keeping import ALICE, BOB, KEYS
from .websocketing import Talk, end, fault, said, socketed, talking

pytestmark = pytest.mark.anyio

HERE = ("127.0.0.1", 5000)
STRANGER = ("203.0.113.7", 5000)


def app(**options: Any) -> ASGIApp:
    return socketed(Provider(models=[ScriptedModel(["yes"], repeat=True)], **options))


def refused(talk: Talk) -> tuple[int, dict[str, Any]]:
    """Status and error of a handshake that was refused."""
    head, body = talk.sent
    assert head["type"] == "websocket.http.response.start"
    assert body["type"] == "websocket.http.response.body"
    return head["status"], json.loads(body["body"])["error"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer sk-wrong"}, {"authorization": "sk-a"}, {"api-key": "sk-a"}],
)
async def test_without_a_known_key_nothing_is_opened(headers: dict[str, str]) -> None:
    async with talking(app(api_keys=KEYS), headers=headers) as talk:
        status, error = refused(talk)
    assert (status, error["code"]) == (401, "invalid_api_key")


async def test_a_refusal_has_the_headers_that_http_has() -> None:
    async with talking(app(api_keys=KEYS)) as talk:
        headers = dict(talk.sent[0]["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"www-authenticate"] == b"Bearer"


async def test_a_server_that_cannot_refuse_as_http_closes() -> None:
    async with talking(app(api_keys=KEYS), extensions={}) as talk:
        assert talk.sent == [{"type": "websocket.close", "code": 1008, "reason": "invalid_api_key"}]


async def test_a_key_opens_it_from_anywhere() -> None:
    page = {**ALICE, "origin": "https://app.example", "host": "api.example"}
    async with talking(app(api_keys=KEYS), headers=page, client=STRANGER) as talk:
        assert said(await talk.answer()) == "yes"


async def test_what_one_principal_stores_another_does_not_go_on_from() -> None:
    provider = app(api_keys=KEYS)
    async with (
        talking(provider, headers=ALICE) as alice,
        talking(provider, headers=BOB) as bob,
    ):
        first = await alice.answer()
        after = {"previous_response_id": end(first)["id"]}
        assert fault(await bob.answer(**after)) == (400, "previous_response_not_found")
        assert said(await alice.answer(**after)) == "yes"


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (STRANGER, {}),
        (HERE, {"host": "evil.example"}),
        (HERE, {"origin": "https://evil.example"}),
        (HERE, {"origin": "http://localhost.evil.example"}),
        (HERE, {"origin": "http://192.168.0.7:3000"}),
        (HERE, {"origin": "null"}),
        (HERE, {"origin": "http://["}),
        (HERE, {"origin": ""}),
        (HERE, {"origin": "localhost"}),
    ],
)
async def test_without_keys_only_this_machine_opens_it(
    client: tuple[str, int], headers: dict[str, str]
) -> None:
    async with talking(app(), client=client, headers=headers) as talk:
        status, error = refused(talk)
    assert (status, error["code"]) == (403, "local_only")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1:8000"},
        {"origin": "http://localhost:3000"},
        {"origin": "https://127.0.0.1"},
        {"origin": "http://[::1]:8000"},
    ],
)
async def test_without_keys_this_machine_opens_it(headers: dict[str, str]) -> None:
    async with talking(app(), headers=headers) as talk:
        assert said(await talk.answer()) == "yes"


@pytest.mark.parametrize(("version", "spoken"), [("2026-04-24", True), ("1999-01-01", False)])
async def test_a_version_that_is_not_spoken_is_refused(version: str, spoken: bool) -> None:
    async with talking(app(), headers={"openresponses-version": version}) as talk:
        if spoken:
            assert said(await talk.answer()) == "yes"
        else:
            status, error = refused(talk)
            assert (status, error["code"]) == (400, "unsupported_version")
            assert "2026-01-15" in error["message"]
