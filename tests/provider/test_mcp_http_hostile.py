"""/mcp and those who mean no good: web pages, floods, endless sessions."""

from typing import Any

import anyio
import pytest

from antiphon.provider import Provider

from .hosting import ACCEPT, hello, rpc, weather
from .serving import PATIENCE, Exchange, exchange, inside

pytestmark = pytest.mark.anyio


async def test_without_keys_only_this_machine_is_served() -> None:
    refused = await exchange(Provider(tools=[weather]), **hello(), client=("192.0.2.1", 5000))
    assert refused.status == 403


async def test_without_keys_a_name_that_was_bound_to_this_machine_is_refused() -> None:
    refused = await exchange(Provider(tools=[weather]), **hello(host="evil.example"))
    assert refused.status == 403


@pytest.mark.parametrize("keys", [None, {"sk-ann": "ann"}])
async def test_pages_of_other_origins_are_refused(keys: dict[str, str] | None) -> None:
    app = Provider(tools=[weather], api_keys=keys)
    asked = hello(origin="https://evil.example", authorization="Bearer sk-ann")
    refused = await exchange(app, **asked)
    assert refused.status == 403 and b"origin" in refused.body


async def test_pages_of_its_own_and_of_named_origins_are_served() -> None:
    app = Provider(tools=[weather], cors=["https://app.example"])
    own = await exchange(app, **hello(origin="http://localhost"))
    named = await exchange(app, **hello(origin="https://app.example"))
    await app.aclose()
    assert (own.status, named.status) == (200, 200)
    assert "mcp-session-id" in named.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{" + b" " * 2000 + b"}", {}, 413),
        (b"{no json", {}, 400),
        (b"[" * 1900, {}, 400),
        (b"[]", {}, 400),
        (b'"text"', {}, 400),
        (b"{}", {}, 400),
        (rpc("initialize"), {"content-type": "text/plain"}, 415),
        (rpc("initialize"), {"accept": "text/html"}, 406),
        (rpc("tools/list"), {}, 400),
        (rpc("tools/list"), {"mcp-session-id": "never-made"}, 404),
        (rpc("tools/list"), {"mcp-protocol-version": "1999-01-01"}, 400),
        (b"[" * 1900, {"mcp-protocol-version": "2026-07-28"}, 400),
        (b"\xff\xfe", {"mcp-protocol-version": "2026-07-28"}, 400),
    ],
)
async def test_what_is_no_message_is_refused_and_leaves_no_session(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    app = Provider(tools=[weather], max_body=2000)
    api: Any = app._mcp  # pyright: ignore[reportPrivateUsage]
    api.sessions._most = 1
    refused = await exchange(app, body, headers={**ACCEPT, **headers}, path="/mcp")
    assert refused.status == status
    assert (await exchange(app, **hello())).status == 200  # there is room still
    await app.aclose()


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    app = Provider(tools=[weather], body_seconds=0.01)

    class Slow(Exchange):
        async def _receive(self) -> Any:
            await anyio.sleep_forever()

    slow = Slow(app, **hello())
    with anyio.fail_after(PATIENCE):
        await slow.run()
    assert slow.status == 408


async def test_sessions_are_bounded_for_each_principal_and_end_when_they_are_ended() -> None:
    app = Provider(tools=[weather], api_keys={"sk-ann": "ann", "sk-bob": "bob"})
    app._mcp.sessions._most = 2  # pyright: ignore[reportPrivateUsage]
    ann, bob = {"authorization": "Bearer sk-ann"}, {"authorization": "Bearer sk-bob"}
    opened = [await exchange(app, **hello(**ann)) for _ in range(3)]
    assert [each.status for each in opened] == [200, 200, 503]
    assert (await exchange(app, **hello(**bob))).status == 200
    known = {**ann, "mcp-session-id": opened[0].headers["mcp-session-id"]}
    ended = await exchange(app, b"", method="DELETE", path="/mcp", headers=known)
    assert ended.status == 200
    assert (await exchange(app, **hello(**ann))).status == 200
    await app.aclose()


async def test_sessions_that_nobody_uses_end_by_themselves() -> None:
    app = Provider(tools=[weather])
    sessions = app._mcp.sessions  # pyright: ignore[reportPrivateUsage]
    sessions._most, sessions._idle = 1, 0.05  # pyright: ignore[reportPrivateUsage]
    first = await exchange(app, **hello())
    with anyio.fail_after(PATIENCE):
        while (await exchange(app, **hello())).status != 200:
            await anyio.lowlevel.checkpoint()
    known = {**ACCEPT, "mcp-session-id": first.headers["mcp-session-id"]}
    gone = await exchange(app, rpc("tools/list"), headers=known, path="/mcp")
    await app.aclose()
    assert gone.status == 404


async def test_there_is_no_stream_without_a_call() -> None:
    refused = await exchange(Provider(tools=[weather]), b"", method="GET", path="/mcp")
    assert (refused.status, refused.headers["allow"]) == (405, "DELETE, POST")


async def test_arguments_that_json_cannot_say_are_refused() -> None:
    app = Provider(tools=[weather])
    async with inside(app) as http:
        headers = {**ACCEPT, "content-type": "application/json"}
        opened = await http.post("/mcp", content=hello()["body"], headers=headers)
        known = {**headers, "mcp-session-id": opened.headers["mcp-session-id"]}
        for value in (b"NaN", b"1e999", b'"\\ud800"'):
            body = rpc("tools/call", {"name": "weather", "arguments": {"city": "@"}})
            answer = await http.post("/mcp", content=body.replace(b'"@"', value), headers=known)
            assert "21.5" not in answer.text
    await app.aclose()
