"""MCP servers that lie, hang, flood and die: the response always ends, and says the truth."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.server import Server
from mcp_types import CallToolResult, ListToolsResult, Tool
from starlette.responses import Response, StreamingResponse

from antiphon.models import FunctionCall
from antiphon.tools import MCPServer, MCPServers

from .mcp_serving import TOOL, Stranger, frame, mcp, of_type, one, post, provider, streamed, text
from .serving import PATIENCE, Serve, inside

pytestmark = pytest.mark.anyio

LOOK = [FunctionCall("desk__look", {})]
FORM: dict[str, Any] = {"type": "object", "properties": {}}


async def served(
    serving: Serve, stranger: Stranger, *turns: Any, seconds: float = PATIENCE, **fields: Any
) -> dict[str, Any]:
    """A response about such a server, and then the provider is closed in time."""
    with serving(stranger) as base:
        app = provider(*(turns or (LOOK, "ok")), tools=MCPServers(timeout=seconds))
        response = await post(app, mcp(base, **fields))
        with anyio.fail_after(PATIENCE):
            await app.aclose()
    return response


def listed(response: dict[str, Any]) -> str:
    """What a failed listing says."""
    listing = one(response, "mcp_list_tools")
    assert listing["tools"] == []
    assert response["status"] == "completed"
    return str(listing["error"])


def failed(response: dict[str, Any]) -> str:
    """What a failed call says."""
    call = one(response, "mcp_call")
    assert (call["status"], call["output"]) == ("failed", None)
    assert response["status"] == "completed"
    return str(call["error"])


async def test_ten_thousand_tools_are_refused_and_the_named_ones_are_not(serving: Serve) -> None:
    stranger = Stranger()
    stranger.tools = [{**TOOL, "name": f"tool{n}"} for n in range(10_000)]
    everything = await served(serving, stranger, "ok")
    assert "more than 512 tools" in listed(everything)
    some = await served(serving, stranger, "ok", allowed_tools=["tool7", "tool9999"])
    assert len(one(some, "mcp_list_tools")["tools"]) == 2


async def test_five_hundred_tools_are_listed_and_called(serving: Serve) -> None:
    stranger = Stranger()
    stranger.tools = [{**TOOL, "name": f"tool{n}"} for n in range(500)]
    response = await served(serving, stranger, [FunctionCall("desk__tool499", {})], "ok")
    assert len(one(response, "mcp_list_tools")["tools"]) == 500
    assert one(response, "mcp_call")["output"] == "seen"


async def test_a_list_that_never_ends_is_a_failed_listing(serving: Serve) -> None:
    stranger = Stranger()

    async def pages(message: dict[str, Any], request: Any) -> Any:
        given: dict[str, Any] = message.get("params") or {}
        cursor = int(given.get("cursor", 0))
        return {"tools": [{**TOOL, "name": f"t{cursor}"}], "nextCursor": str(cursor + 1)}

    stranger.answers["tools/list"] = pages
    assert "does not end" in listed(await served(serving, stranger, "ok"))


async def test_a_cursor_that_comes_again_is_the_end(serving: Serve) -> None:
    stranger = Stranger()

    async def same(message: dict[str, Any], request: Any) -> Any:
        return {"tools": [TOOL], "nextCursor": "again"}

    stranger.answers["tools/list"] = same
    assert "does not end" in listed(await served(serving, stranger, "ok"))
    assert stranger.methods().count("tools/list") == 2


@pytest.mark.parametrize("method", ["initialize", "tools/list", "tools/call"])
async def test_a_server_that_does_not_answer_is_left_in_time(serving: Serve, method: str) -> None:
    stranger = Stranger()
    gone = anyio.Event()

    async def hang(message: dict[str, Any], request: Any) -> Any:
        await gone.wait()

    stranger.answers[method] = hang
    with anyio.fail_after(PATIENCE):
        with serving(stranger) as base:
            app = provider(LOOK, "ok", tools=MCPServers(timeout=1))
            try:
                response = await post(app, mcp(base))
            finally:
                stranger.answers.clear()
                gone.set()
            await app.aclose()
    said = failed(response) if method == "tools/call" else listed(response)
    assert "1 s" in said


async def _endless() -> AsyncGenerator[str, None]:
    number = 0
    while True:
        number += 1
        params = {"progressToken": 3, "progress": number, "message": "x" * 1000}
        yield frame({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        await anyio.lowlevel.checkpoint()


async def _one_line() -> AsyncGenerator[str, None]:
    yield "data: "
    while True:
        yield "x" * 65536
        await anyio.lowlevel.checkpoint()


async def _comments() -> AsyncGenerator[str, None]:
    while True:
        yield ": still here\n"
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("chunks", [_endless, _one_line, _comments])
async def test_a_stream_that_never_ends_ends_the_call(serving: Serve, chunks: Any) -> None:
    stranger = Stranger()
    stranger.answers["tools/call"] = streamed(chunks)
    assert failed(await served(serving, stranger, seconds=1))


async def _rubbish() -> AsyncGenerator[str, None]:
    yield "event: message\ndata: {not json\n\n"


async def _nothing() -> AsyncGenerator[str, None]:
    for chunk in ():
        yield chunk


async def _for_nobody() -> AsyncGenerator[str, None]:
    strange: list[Any] = [None, "77", True, [], {}]
    for odd in strange:
        yield frame({"jsonrpc": "2.0", "id": odd, "result": {}})


@pytest.mark.parametrize("chunks", [_rubbish, _nothing, _for_nobody])
async def test_a_stream_that_makes_no_sense_fails_the_call_alone(
    serving: Serve, chunks: Any
) -> None:
    stranger = Stranger()
    stranger.answers["tools/call"] = streamed(chunks)
    response = await served(serving, stranger, LOOK, "ok")
    assert failed(response)


BODIES: list[tuple[int, str, bytes]] = [
    (200, "application/json", b"{"),
    (200, "application/json", b'{"jsonrpc":"2.0"}'),
    (200, "application/json", b'{"jsonrpc":"2.0","id":99,"result":{}}'),
    (200, "application/json", b"[" * 100_000),
    (200, "application/json", b"\xff\xfe"),
    (200, "text/html", b"<h1>hello</h1>"),
    (202, "application/json", b""),
    (401, "text/plain", b"no"),
    (500, "text/plain", b"oops"),
    (500, "application/json", b'{"error":"oops"}'),
    (302, "text/plain", b""),
]


@pytest.mark.parametrize(("status", "kind", "body"), BODIES)
async def test_an_answer_that_makes_no_sense_fails_the_call_alone(
    serving: Serve, status: int, kind: str, body: bytes
) -> None:
    stranger = Stranger()
    answers = 0

    async def once(message: dict[str, Any], request: Any) -> Any:
        nonlocal answers
        answers += 1
        if answers > 1:
            return {"content": [{"type": "text", "text": "well again"}]}
        return Response(body, status, media_type=kind)

    stranger.answers["tools/call"] = once
    seconds = 1.5 if b"99" in body else PATIENCE  # what is for nobody is waited for all the same
    response = await served(serving, stranger, LOOK, LOOK, "ok", seconds=seconds)
    first, second = of_type(response, "mcp_call")
    assert first["status"] == "failed"
    assert first["error"]["type"] in (
        "http_error",
        "mcp_protocol_error",
        "mcp_tool_execution_error",
    )
    if status in (401, 500) and kind == "text/plain":
        assert first["error"] == {
            "type": "http_error",
            "code": status,
            "message": f"it answered with HTTP {status}",
        }
    assert second["output"] == "well again"


RESULTS: list[Any] = [
    None,
    [],
    {"content": "text"},
    {"content": [{"type": "hologram"}]},
    {"content": [{"type": "text"}]},
    {"content": None, "isError": "no"},
    {"resultType": "input_required", "inputRequests": {}},
]


@pytest.mark.parametrize("result", RESULTS)
async def test_a_result_of_another_shape_fails_the_call(serving: Serve, result: Any) -> None:
    stranger = Stranger()

    async def odd(message: dict[str, Any], request: Any) -> Any:
        return result

    stranger.answers["tools/call"] = odd
    assert failed(await served(serving, stranger))


async def test_a_schema_that_takes_for_ever_is_not_checked(serving: Serve) -> None:
    slow = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    stranger = Stranger()
    stranger.tools = [{**TOOL, "inputSchema": slow, "outputSchema": slow}]
    stranger.answers["tools/call"] = text("x", structuredContent={"a": "a" * 60 + "!"})
    call = [FunctionCall("desk__look", {"a": "a" * 60 + "!"})]
    response = await served(serving, stranger, call, "ok")
    assert one(response, "mcp_call")["status"] == "completed"


async def test_tools_that_no_model_could_call_are_left_out(serving: Serve) -> None:
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(60):
        deep = {"type": "object", "properties": {"a": deep}}
    stranger = Stranger()
    stranger.tools = [
        TOOL,
        {**TOOL, "description": "again"},
        {**TOOL, "name": ""},
        {**TOOL, "name": "n" * 300},
        {**TOOL, "name": "deep", "inputSchema": deep},
        {**TOOL, "name": "wide", "inputSchema": {"type": "object", "x": "y" * 70_000}},
        {**TOOL, "name": "long", "description": "z" * 100_000},
    ]
    response = await served(serving, stranger, "ok")
    tools = one(response, "mcp_list_tools")["tools"]
    assert [tool["name"] for tool in tools] == ["look", "long"]
    assert tools[0]["description"] == "Look."
    assert len(tools[1]["description"]) < 9_000


@pytest.mark.parametrize("approval", ["never", "always"])
@pytest.mark.parametrize("needed", [[["x"]], [{}], [None, 7]])
async def test_a_schema_that_needs_what_is_no_name_is_called_all_the_same(
    needed: Any, approval: str
) -> None:
    schema = {"type": "object", "required": needed}
    ran: list[str] = []

    async def listed(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="look", input_schema=schema)])

    async def called(context: Any, params: Any) -> CallToolResult:
        ran.append(params.name)
        return CallToolResult(content=[])

    low: Any = Server("desk", on_list_tools=listed, on_call_tool=called)
    tools = MCPServers(connectors={"desk": MCPServer.in_process("desk", low)})
    app = provider(LOOK, "ok", tools=tools)
    named = {"type": "mcp", "server_label": "desk", "connector_id": "desk"}
    response = await post(app, {**named, "require_approval": approval})
    await app.aclose()
    asked = of_type(response, "mcp_approval_request")
    assert (ran, len(asked)) == ((["look"], 0) if approval == "never" else ([], 1))


async def test_a_result_without_end_is_cut_and_said_to_be(serving: Serve) -> None:
    stranger = Stranger()
    stranger.answers["tools/call"] = text("x" * 3_000_000)
    output = one(await served(serving, stranger), "mcp_call")["output"]
    assert len(output) < 1_100_000
    assert "truncated" in output


async def test_a_compressed_answer_is_refused_before_it_is_unpacked(serving: Serve) -> None:
    async def bomb(message: dict[str, Any], request: Any) -> Any:
        return Response(
            b"\x1f\x8b", headers={"content-encoding": "gzip"}, media_type="application/json"
        )

    stranger = Stranger()
    stranger.answers["tools/call"] = bomb
    assert "compressed" in failed(await served(serving, stranger))


async def test_a_server_that_asks_for_a_person_is_refused_plainly(serving: Serve) -> None:
    stranger = Stranger()
    refusals: list[Any] = []
    answered = anyio.Event()

    async def chunks() -> AsyncGenerator[str, None]:
        params = {"message": "Your password?", "requestedSchema": FORM}
        yield frame({"jsonrpc": "2.0", "id": 500, "method": "elicitation/create", "params": params})
        with anyio.fail_after(PATIENCE):
            await answered.wait()
        yield frame({"jsonrpc": "2.0", "id": 3, "result": {"content": []}})

    class Listening(Stranger):
        async def _answer(self, request: Any) -> Response:
            if request.method == "POST":
                message = await request.json()
                if message.get("id") == 500:
                    refusals.append(message.get("error"))
                    answered.set()
                    return Response(status_code=202)
            return await super()._answer(request)

    stranger = Listening()
    stranger.answers["tools/call"] = streamed(chunks)
    response = await served(serving, stranger)
    assert one(response, "mcp_call")["status"] == "completed"
    assert "not supported" in refusals[0]["message"]


async def test_a_client_that_leaves_cancels_the_call_there(serving: Serve) -> None:
    stranger = Stranger()
    begun = anyio.Event()
    over = anyio.Event()

    async def hang(message: dict[str, Any], request: Any) -> Any:
        begun.set()
        await over.wait()
        return {"content": []}

    stranger.answers["tools/call"] = hang
    with serving(stranger) as base:
        app = provider(LOOK, "ok", LOOK, "ok")
        body = {"model": "m", "input": "go", "tools": [mcp(base)], "stream": True}
        async with inside(app) as client, anyio.create_task_group() as tasks:

            async def ask() -> None:
                await client.post("/v1/responses", json=body)

            tasks.start_soon(ask)
            with anyio.fail_after(PATIENCE):
                while not begun.is_set():  # set by the server's own thread
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(PATIENCE):
            while not stranger.cancelled.is_set():
                await anyio.lowlevel.checkpoint()
        over.set()
        stranger.answers.clear()
        response = await post(app, mcp(base))
        await app.aclose()
    assert response["status"] == "completed"
    assert stranger.sessions == 1


async def test_a_server_that_dies_in_the_middle_of_a_call_fails_it(serving: Serve) -> None:
    stranger = Stranger()

    async def dies(message: dict[str, Any], request: Any) -> Any:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b'{"jsonrpc":'
            raise ConnectionResetError

        headers = {"content-length": "1000"}
        return StreamingResponse(chunks(), headers=headers, media_type="application/json")

    stranger.answers["tools/call"] = dies
    assert "broke" in failed(await served(serving, stranger))
