"""What came back from a client is bound to the server that it is about: listings and approvals."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.server import MCPServer as Server, Server as Low
from mcp_types import ListToolsResult, Tool

from antiphon.agents import Agent
from antiphon.items import McpListTools, tool_name
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.tools import MCPServer, MCPServers

from .mcp_serving import TOOL, Stranger, desk, mcp, of_type, one, post, provider, wired
from .serving import PATIENCE, Serve, inside

pytestmark = pytest.mark.anyio

ERASE = [FunctionCall("desk__erase", {"path": "a"})]
READ_ONLY: Any = {"read_only": True}


def lent(connector: str, **fields: Any) -> dict[str, Any]:
    """A definition that names a connector, under the same label whichever it is."""
    return {"type": "mcp", "server_label": "desk", "connector_id": connector, **fields}


def word(request: dict[str, Any]) -> list[dict[str, Any]]:
    """A person's yes."""
    asked = request["id"]
    return [{"type": "mcp_approval_response", "approval_request_id": asked, "approve": True}]


def said(*items: Any) -> list[Any]:
    """These, and then something to do."""
    return [*items, {"type": "message", "role": "user", "content": "go on"}]


def eraser(name: str, ran: list[str]) -> Server:
    """A server with one tool, that remembers where it ran."""
    server = Server("desk")

    @server.tool()
    def erase(path: str) -> str:  # pyright: ignore[reportUnusedFunction]
        """Erase a file."""
        ran.append(name)
        return "erased"

    return server


@pytest.mark.parametrize(
    "caution", [{"allowed_tools": READ_ONLY}, {"require_approval": {"never": READ_ONLY}}]
)
@pytest.mark.parametrize("used", [True, False])
async def test_a_listing_that_a_client_wrote_lifts_no_caution_of_the_provider_s(
    caution: dict[str, Any], used: bool
) -> None:
    office = MCPServer.in_process("office", desk(), **caution)
    app = provider("ok", ERASE, "ok", tools=MCPServers(connectors={"office": office}))
    tools = lent("office", require_approval="never")
    listing = one(await post(app, tools), "mcp_list_tools")
    if not used:
        await office.aclose()  # the session that gave the list is over
    read_only = {"readOnlyHint": True}
    erase = {"name": "erase", "input_schema": {"type": "object"}, "annotations": read_only}
    response = await post(app, tools, input=said({**listing, "tools": [erase]}))
    await app.aclose()
    assert len(of_type(response, "mcp_list_tools")) == 1
    assert [call["output"] for call in of_type(response, "mcp_call")] in ([], [None])


async def test_a_listing_that_the_server_gave_is_good_where_its_hints_matter() -> None:
    office = MCPServer.in_process("office", desk(), allowed_tools=READ_ONLY)
    app = provider("ok", "ok", tools=MCPServers(connectors={"office": office}))
    tools = lent("office", require_approval="never")
    first = await post(app, tools)
    second = await post(app, tools, input=said(*first["output"]))
    await app.aclose()
    assert of_type(second, "mcp_list_tools") == []


@pytest.mark.parametrize("caution", [{}, {"allowed_tools": READ_ONLY}])
async def test_what_is_remembered_of_listings_does_not_grow_with_what_clients_ask(
    caution: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.tools.mcp.source.LISTED", 3)
    office = MCPServer.in_process("office", desk(), **caution)
    app = provider(*["ok"] * 9, tools=MCPServers(connectors={"office": office}))
    asked = [lent("office", allowed_tools=["add", f"tool{number}"]) for number in range(8)]
    responses = [await post(app, each) for each in asked]
    again = await post(app, asked[-1], input=said(*responses[-1]["output"]))
    line: Any = office._lines.peek("office")  # pyright: ignore[reportPrivateUsage]
    kept = len(line.listed)
    await app.aclose()
    assert kept == (3 if caution else 0)
    assert of_type(again, "mcp_list_tools") == []


async def test_what_was_approved_for_one_server_does_not_run_at_another() -> None:
    ran: list[str] = []
    known = {name: MCPServer.in_process(name, eraser(name, ran)) for name in ("test", "prod")}
    app = provider(ERASE, "ok", tools=MCPServers(connectors=known))
    first = await post(app, lent("test"))
    given: Any = {
        "previous_response_id": first["id"],
        "input": word(one(first, "mcp_approval_request")),
    }
    second = await post(app, lent("prod"), **given)
    third = await post(
        app,
        lent("prod"),
        previous_response_id=second["id"],
        input=word(one(second, "mcp_approval_request")),
    )
    await app.aclose()
    assert [item["type"] for item in second["output"]] == [
        "mcp_list_tools",
        "mcp_approval_request",
    ]
    assert one(third, "mcp_call")["output"] == "erased"
    assert ran == ["prod"]


@pytest.mark.parametrize(
    ("first", "second", "runs"),
    [
        ({"url": "?team=red"}, {"url": "?team=blue"}, False),
        ({"url": "one"}, {"url": "two"}, False),
        ({"headers": {"X-Team": "red"}}, {"headers": {"X-Team": "blue"}}, False),
        ({"authorization": "old"}, {"authorization": "new"}, True),
        ({"url": "?api_key=old"}, {"url": "?api_key=new"}, True),
    ],
)
async def test_a_word_is_good_for_a_place_whatever_key_opens_it(
    serving: Serve, first: dict[str, Any], second: dict[str, Any], runs: bool
) -> None:
    stranger = Stranger()
    with serving(stranger) as base:

        def definition(url: str = "", **more: Any) -> dict[str, Any]:
            return mcp(f"{base}/{url}", **{"require_approval": "always", **more})

        app = provider([FunctionCall("desk__look", {})], "ok")
        asked = await post(app, definition(**first))
        response = await post(
            app,
            definition(**second),
            previous_response_id=asked["id"],
            input=word(one(asked, "mcp_approval_request")),
        )
        await app.aclose()
    assert (len(of_type(response, "mcp_call")) == 1) is runs
    assert ("tools/call" in stranger.methods()) is runs


@pytest.mark.parametrize(
    "second",
    [{"url": "?team=blue"}, {"headers": {"X-Team": "blue"}}, {"authorization": "b" * 20}],
)
async def test_another_key_is_shown_what_the_server_has_for_it(
    serving: Serve, second: dict[str, Any]
) -> None:
    with serving(Stranger()) as base:

        def definition(url: str = "", **more: Any) -> dict[str, Any]:
            return mcp(f"{base}/{url}", **more)

        app = provider("ok", "ok", "ok")
        first = await post(app, definition())
        same = await post(app, definition(), input=said(*first["output"]))
        other = await post(app, definition(**second), input=said(*first["output"]))
        await app.aclose()
    assert len(of_type(same, "mcp_list_tools")) == 0
    assert len(of_type(other, "mcp_list_tools")) == 1


async def test_two_servers_of_one_name_and_label_do_not_share_a_listing() -> None:
    one_desk, other_desk = desk(), Server("desk")

    @other_desk.tool()
    def only() -> str:  # pyright: ignore[reportUnusedFunction]
        """Only here."""
        return "here"

    async with (
        MCPServer.in_process("desk", one_desk) as first,
        MCPServer.in_process("desk", other_desk) as second,
    ):
        model = ScriptedModel(["done"])
        inner = Agent(name="inner", model=model, tools=[second])
        script = [[FunctionCall("transfer_to_inner", {"reason": "x"})]]
        outer = Agent(name="outer", model=ScriptedModel(script), tools=[first], handoffs=[inner])
        result = await outer.run("go")
    assert [tool.name for tool in model.requests[-1].tools] == ["desk__only"]
    assert sum(isinstance(item, McpListTools) for item in result.items) == 2


@pytest.mark.parametrize(
    ("one_way", "another"),
    [
        ({"env": {"FILES": "/a"}}, {"env": {"FILES": "/b"}}),
        ({"env": {"API_KEY": "a" * 20}}, {"env": {"API_KEY": "b" * 20}}),
        ({"cwd": "/a"}, {"cwd": "/b"}),
        ({"cwd": "/a"}, {}),
        ({"roots": ["/a"]}, {"roots": ["/b"]}),
    ],
)
async def test_a_program_in_another_folder_or_with_other_variables_is_another(
    one_way: dict[str, Any], another: dict[str, Any]
) -> None:
    from antiphon.items import Ids, McpServerTool
    from antiphon.tools import Scope

    definition = McpServerTool(server_label="desk", connector_id="desk")

    def mark(**options: Any) -> str:
        server = MCPServer.stdio("desk", "nowhere", **options)
        _, slot = server.listing(definition, Scope(ids=Ids())).begin(0)
        return slot.item_id[-16:]

    assert mark(**one_way) == mark(**one_way)
    assert mark(**one_way) != mark(**another)


async def test_a_function_of_the_client_s_keeps_its_name_and_the_response_goes_on(
    serving: Serve,
) -> None:
    function = {"type": "function", "name": "desk__look", "parameters": None}
    stranger = Stranger()
    stranger.tools = [TOOL, {**TOOL, "name": "find"}]
    calls = [FunctionCall("desk__find", {}), FunctionCall("desk__look", {})]
    for before, behind in (([], [function]), ([function], [])):
        with serving(stranger) as base:
            app = provider(calls)
            response = await post(app, *before, mcp(base), *behind)
            await app.aclose()
        assert response["status"] == "completed"
        assert one(response, "mcp_call")["name"] == "find"
        assert one(response, "function_call")["name"] == "desk__look"


async def test_two_tools_that_models_would_see_under_one_name_are_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = [f"{'x' * 80}{number}" for number in range(2)]

    async def listed(context: Any, params: Any) -> ListToolsResult:
        form: dict[str, Any] = {"type": "object"}
        return ListToolsResult(tools=[Tool(name=name, input_schema=form) for name in long])

    def short(label: str, name: str) -> str:
        return tool_name(label, name[:80])

    monkeypatch.setattr("antiphon.tools.mcp_call.tool_name", short)  # as where digests collide
    low: Any = Low("desk", on_list_tools=listed)
    model = ScriptedModel(["ok"])
    async with MCPServer.in_process("desk", low) as server:
        result = await Agent(name="clerk", model=model, tools=[server]).run("go")
    assert result.output == "ok"
    assert [tool.name for tool in model.requests[-1].tools] == [short("desk", long[0])]


async def test_servers_that_one_principal_keeps_busy_leave_room_for_another_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antiphon.tools.mcp.line.SHARE", 2)
    monkeypatch.setattr("antiphon.tools.mcp.line.MOST", 3)
    stranger, over = Stranger(), anyio.Event()
    crowd: list[str] = []

    async def slow(message: dict[str, Any], request: Any) -> Any:
        if request.headers["x-who"] == "alice":
            crowd.append(request.url.path)
            await over.wait()
        return {"tools": [TOOL]}

    stranger.answers["tools/list"] = slow
    keys = {"a": "alice", "b": "bob"}
    app = provider("ok", "ok", "ok", "ok", tools=wired(stranger), api_keys=keys)
    found: dict[str, Any] = {}

    async def ask(who: str, *places: str) -> None:
        named = [
            mcp(f"http://desk.test/{place}", server_label=place, headers={"x-who": who})
            for place in places
        ]
        headers = {"authorization": f"Bearer {who[0]}"}
        async with inside(app, headers=headers) as client:
            body = {"model": "m", "input": "go", "tools": named}
            answer = await client.post("/v1/responses", json=body)
        found[places[0]] = [item.get("error") for item in of_type(answer.json(), "mcp_list_tools")]

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "alice", "one", "two")
            while len(crowd) < 2:
                await anyio.lowlevel.checkpoint()
            await ask("alice", "three")
            await ask("bob", "his")
            over.set()
        await ask("alice", "four")
    await app.aclose()
    assert "2 MCP servers of yours are in use" in found["three"][0]
    assert (found["one"], found["his"], found["four"]) == ([None, None], [None], [None])
