"""CORS: which web pages may call a provider."""

from typing import Any

import anyio
import pytest

from antiphon.errors import ConfigurationError

from .keeping import ALICE, provider
from .serving import Exchange, exchange

pytestmark = pytest.mark.anyio

PAGE = "https://app.example"
ASKS = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


async def asked(app: Any, **headers: str) -> Exchange:
    return await exchange(app, method="OPTIONS", headers={**ASKS, **headers})


async def test_by_default_no_page_may_call() -> None:
    one = await asked(provider())
    assert one.status == 405
    assert not [name for name in one.headers if name.startswith("access-control")]


async def test_a_page_that_is_named_may_ask_beforehand_without_a_key() -> None:
    one = await asked(provider(cors=[PAGE]))
    assert one.status == 200
    assert one.headers["access-control-allow-origin"] == PAGE
    assert one.headers["access-control-allow-headers"] == ASKS["access-control-request-headers"]
    assert {"POST", "GET", "DELETE"} <= set(one.headers["access-control-allow-methods"].split(", "))
    assert "access-control-allow-credentials" not in one.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.example", "https://app.example:444", "null"]
)
async def test_any_other_page_may_not(origin: str) -> None:
    app = provider(cors=[PAGE])
    assert "access-control-allow-origin" not in (await asked(app, origin=origin)).headers
    headers = {**ALICE, "origin": origin}
    one = await exchange(app, {"input": "x"}, headers=headers)
    assert "access-control-allow-origin" not in one.headers


async def test_answers_and_errors_can_be_read_by_the_page() -> None:
    app = provider(cors=[PAGE])
    for headers, status in ((ALICE, 200), ({}, 401)):
        one = await exchange(app, {"input": "x"}, headers={**headers, "origin": PAGE})
        assert one.status == status
        assert one.headers["access-control-allow-origin"] == PAGE
        assert "x-request-id" in one.headers["access-control-expose-headers"]


async def test_with_keys_every_page_may_be_let_in() -> None:
    one = await asked(provider(cors=["*"]), origin="https://anybody.example")
    assert one.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-private-network" not in one.headers


async def test_a_stream_to_a_page_is_not_gathered() -> None:
    one = Exchange(
        provider(cors=[PAGE]),
        {"input": "x", "stream": True},
        headers={**ALICE, "origin": PAGE},
    )
    one.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: one.sent)  # the head, while nothing else can go out
        assert one.headers["access-control-allow-origin"] == PAGE
        assert one.writes == []
        one.gate.set()
    assert len(one.writes) > 1


async def test_without_keys_a_page_that_is_named_may_call() -> None:
    app = provider(api_keys=None, cors=[PAGE])
    one = await exchange(app, {"input": "x"}, headers={"origin": PAGE})
    assert one.status == 200
    assert one.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    "origins",
    [
        PAGE,
        ["app.example"],
        ["https://app.example/"],
        ["https://App.example"],
        ["https://app.example:443"],
        ["https://app.example:x"],
        ["https://me@app.example"],
        ["https://"],
        ["file://x"],
        ["null"],
        [7],
    ],
)
def test_what_is_no_origin_is_a_mistake(origins: Any) -> None:
    with pytest.raises(ConfigurationError, match="cors: expected"):
        provider(cors=origins)


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://[::1]:8443", "http://a.b"])
def test_what_is_an_origin_is_taken(origin: str) -> None:
    assert provider(cors=[origin]) is not None


def test_without_keys_not_every_page_may_be_let_in() -> None:
    with pytest.raises(ConfigurationError, match="exact origins"):
        provider(api_keys=None, cors=[PAGE, "*"])
