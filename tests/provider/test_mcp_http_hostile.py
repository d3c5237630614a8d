"""/mcp and those who mean no good: web pages, floods, endless sessions."""

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from antiphon.provider import Provider
from antiphon.tools import tool

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
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", ""])
async def test_pages_of_other_origins_are_refused(keys: dict[str, str] | None, origin: str) -> None:
    app = Provider(tools=[weather], api_keys=keys)
    asked = hello(origin=origin, authorization="Bearer sk-ann")
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


@pytest.mark.parametrize("version", ["2025-06-18", "2026-07-28"])
async def test_nothing_is_left_of_hosts_that_ended_their_sessions(version: str) -> None:
    app = Provider(tools=[weather], api_keys=lambda key: key)
    sessions: Any = app._mcp.sessions  # pyright: ignore[reportPrivateUsage]
    sessions._quiet = 0.0
    before = len(asyncio.all_tasks())
    for number in range(20):
        key = {"authorization": f"Bearer user-{number}"}
        if version == "2025-06-18":
            opened = await exchange(app, **hello(**key))
            known = {**key, "mcp-session-id": opened.headers["mcp-session-id"]}
            ended = await exchange(app, b"", method="DELETE", path="/mcp", headers=known)
        else:
            headers = {**ACCEPT, **key, "mcp-protocol-version": version}
            ended = await exchange(app, rpc("nothing"), headers=headers, path="/mcp")
        assert ended.status in (200, 400, 404)
    with anyio.fail_after(PATIENCE):
        while sessions._halls or len(asyncio.all_tasks()) > before + 1:  # one is of a library's
            await anyio.lowlevel.checkpoint()
    await app.aclose()


async def test_a_host_whose_session_is_open_is_not_forgotten_when_it_is_quiet() -> None:
    app = Provider(tools=[weather])
    sessions: Any = app._mcp.sessions  # pyright: ignore[reportPrivateUsage]
    sessions._quiet = 0.0
    opened = await exchange(app, **hello())
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    known = {**ACCEPT, "mcp-session-id": opened.headers["mcp-session-id"]}
    listed = await exchange(app, rpc("tools/list"), headers=known, path="/mcp")
    await app.aclose()
    assert b"weather" in listed.body


async def test_there_is_no_stream_without_a_call() -> None:
    refused = await exchange(Provider(tools=[weather]), b"", method="GET", path="/mcp")
    assert (refused.status, refused.headers["allow"]) == (405, "DELETE, POST")


async def test_arguments_that_json_cannot_say_are_refused() -> None:
    ran: list[object] = []

    @tool
    def take(value: Any) -> str:
        """Takes anything."""
        ran.append(value)
        return "taken"

    app = Provider(tools=[take])
    async with inside(app) as http:
        headers = {**ACCEPT, "content-type": "application/json"}
        opened = await http.post("/mcp", content=hello()["body"], headers=headers)
        known = {**headers, "mcp-session-id": opened.headers["mcp-session-id"]}
        for value in (b"NaN", b"1e999", b'"\\ud800"'):
            body = rpc("tools/call", {"name": "take", "arguments": {"value": "@"}})
            answer = await http.post("/mcp", content=body.replace(b'"@"', value), headers=known)
            assert '"code":-32602' in answer.text or '"code":-32700' in answer.text, answer.text
        fine = await http.post("/mcp", content=body, headers=known)
    await app.aclose()
    assert "taken" in fine.text
    assert ran == ["@"]


async def test_where_no_session_can_be_kept_a_request_fails_and_the_next_one_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Provider(tools=[weather])

    def broken(self: object) -> Any:
        raise OSError("no more files")

    with monkeypatch.context() as patched:
        patched.setattr(StreamableHTTPSessionManager, "run", broken)
        failed = await exchange(app, **hello())
    served = await exchange(app, **hello())
    await app.aclose()
    assert (failed.status, served.status) == (500, 200)
