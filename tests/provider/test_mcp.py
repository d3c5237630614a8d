"""The hosted tool `mcp` over HTTP: listing, calling, streams, filters, and several revisions."""

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from antiphon.models import FunctionCall
from antiphon.tools import MCPServer, MCPServers

from .mcp_serving import Stranger, desk, mcp, of_type, one, post, provider, text
from .serving import EXTENDED, OPENAI, Serve, events_of, exchange, types

pytestmark = pytest.mark.anyio

ADD = [FunctionCall("desk__add", {"a": 20, "b": 22})]
LOOK = [FunctionCall("desk__look", {})]


async def test_a_request_names_a_server_and_its_tools_are_listed_and_called(serving: Serve) -> None:
    with serving(desk().streamable_http_app()) as base:
        app = provider(ADD, "42")
        response = await post(app, mcp(f"{base}/mcp"))
        await app.aclose()
    assert [item["type"] for item in response["output"]] == [
        "mcp_list_tools",
        "mcp_call",
        "message",
    ]
    listing = one(response, "mcp_list_tools")
    assert listing["server_label"] == "desk"
    assert [tool["name"] for tool in listing["tools"]] == ["add", "erase"]
    assert listing["tools"][0]["annotations"] == {"readOnlyHint": True}
    call = one(response, "mcp_call")
    assert (call["name"], call["output"], call["error"]) == ("add", "42", None)
    assert call["arguments"] == '{"a":20,"b":22}'


async def test_an_older_server_is_reached_over_http_and_sse(serving: Serve) -> None:
    with serving(desk().sse_app()) as base:
        app = provider(ADD, "42")
        response = await post(app, mcp(f"{base}/sse"))
        await app.aclose()
    assert one(response, "mcp_call")["output"] == "42"


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_revision_with_a_handshake_is_spoken(serving: Serve, version: str) -> None:
    stranger = Stranger(version=version)
    with serving(stranger) as base:
        app = provider(LOOK, "ok")
        response = await post(app, mcp(base))
        await app.aclose()
    assert one(response, "mcp_call")["output"] == "seen"
    assert stranger.methods()[-1] == "tools/call"


async def test_the_events_of_a_call_are_those_that_clients_know(serving: Serve) -> None:
    with serving(desk().streamable_http_app()) as base:
        app = provider(ADD, "42")
        body = {"model": "m", "input": "go", "stream": True, "tools": [mcp(f"{base}/mcp")]}
        events = events_of((await exchange(app, body, headers=OPENAI)).body)
        await app.aclose()
    assert types(events)[2:12] == [
        "response.output_item.added",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.output_item.done",
        "response.output_item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
        "response.output_item.done",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[2]["item"]["tools"] == []
    assert events[8]["delta"] == '{"a":20,"b":22}'


async def test_the_openai_client_reads_it(serving: Serve) -> None:
    app = provider(ADD, "42")
    with serving(desk().streamable_http_app()) as base, serving(app) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
            tool: Any = mcp(f"{base}/mcp")
            async with client.responses.stream(model="m", input="go", tools=[tool]) as stream:
                final = await stream.get_final_response()
    assert [item.type for item in final.output] == ["mcp_list_tools", "mcp_call", "message"]
    assert final.output_text == "42"


async def test_the_next_request_lists_nothing_again_and_another_definition_does(
    serving: Serve,
) -> None:
    stranger = Stranger()
    with serving(stranger) as base:
        app = provider("hello", LOOK, "ok", "bye")
        first = await post(app, mcp(base))
        second = await post(app, mcp(base), previous_response_id=first["id"])
        only = mcp(base, allowed_tools=["look"])
        third = await post(app, only, previous_response_id=second["id"])
        await app.aclose()
    assert of_type(second, "mcp_list_tools") == []
    assert one(second, "mcp_call")["output"] == "seen"
    assert len(of_type(third, "mcp_list_tools")) == 1
    assert stranger.methods().count("tools/list") == 2
    assert stranger.sessions == 1


async def test_a_client_that_sends_its_items_back_has_nothing_listed_again(serving: Serve) -> None:
    stranger = Stranger()
    with serving(stranger) as base:
        app = provider("hello", LOOK, "ok")
        first = await post(app, mcp(base), store=False)
        items = [{"role": "user", "content": "go"}, *first["output"]]
        again = [*items, {"role": "user", "content": "look"}]
        second = await post(app, mcp(base), input=again, store=False)
        await app.aclose()
    assert of_type(second, "mcp_list_tools") == []
    assert one(second, "mcp_call")["output"] == "seen"


async def test_a_server_that_is_not_there_is_a_failed_listing_and_the_response_goes_on() -> None:
    app = provider("without it")
    response = await post(app, mcp("http://127.0.0.1:9/mcp"))
    await app.aclose()
    listing = one(response, "mcp_list_tools")
    assert listing["tools"] == []
    assert "could not connect" in listing["error"]
    assert response["status"] == "completed"


async def test_tools_are_filtered_by_name_and_by_what_they_say_of_themselves(
    serving: Serve,
) -> None:
    with serving(desk().streamable_http_app()) as base:
        app = provider(*["ok"] * 4)
        url = f"{base}/mcp"
        named = await post(app, mcp(url, allowed_tools=["erase", "none such"]))
        safe = await post(app, mcp(url, allowed_tools={"read_only": True}))
        both = await post(app, mcp(url, allowed_tools={"read_only": True, "tool_names": ["erase"]}))
        rest = await post(app, mcp(url, allowed_tools={"read_only": False}))
        await app.aclose()
    names = [
        [tool["name"] for tool in one(each, "mcp_list_tools")["tools"]]
        for each in (named, safe, both, rest)
    ]
    assert names == [["erase"], ["add"], [], ["erase"]]


async def test_tool_choice_may_demand_a_tool_that_is_listed_only_later(serving: Serve) -> None:
    with serving(desk().streamable_http_app()) as base:
        app = provider(ADD, "42")
        choice = {"type": "mcp", "server_label": "desk", "name": "add"}
        good = await post(app, mcp(f"{base}/mcp"), tool_choice=choice)
        bad = await post(app, mcp(f"{base}/mcp"), tool_choice={**choice, "name": "no"})
        await app.aclose()
    assert one(good, "mcp_call")["output"] == "42"
    assert bad["status"] == "failed"
    assert bad["error"]["code"] == "tool_not_found"


async def test_a_connector_is_a_server_that_the_provider_knows(serving: Serve) -> None:
    inner = MCPServer.in_process("files", desk(), allowed_tools=["add"])
    app = provider(ADD, "42", tools=MCPServers(connectors={"office": inner}))
    tool = {
        "type": "mcp",
        "server_label": "desk",
        "connector_id": "office",
        "require_approval": "never",
    }
    response = await post(app, tool)
    error = await post(app, {**tool, "connector_id": "no"}, status=400)
    taken = await post(app, {**tool, "authorization": "t"}, status=400)
    await app.aclose()
    assert [item["name"] for item in one(response, "mcp_list_tools")["tools"]] == ["add"]
    assert one(response, "mcp_call")["output"] == "42"
    assert error["param"] == "tools[0].connector_id"
    assert error["message"].startswith("tools[0].connector_id: there is no connector 'no'")
    assert taken["param"] == "tools[0].authorization"


async def test_one_label_stands_for_one_server() -> None:
    app = provider()
    url = "http://127.0.0.1:9"
    error = await post(app, mcp(url), mcp(f"{url}/other"), status=400)
    assert error["code"] == "duplicate_tool"
    assert error["param"] == "tools[1].server_label"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_url": None}, "server_url"),
        ({"connector_id": "x"}, "server_url"),
        ({"server_url": "ftp://x.example"}, "server_url"),
        ({"server_url": "https://"}, "server_url"),
        ({"server_url": "https://\u2603.\u2603\u2603/"}, "server_url"),
        ({"server_url": "https://x.example:99999/"}, "server_url"),
        ({"server_url": "https://x.example\\@127.0.0.1/"}, "server_url"),
        ({"allowed_tools": {"names": []}}, "allowed_tools.names"),
        ({"allowed_tools": {"read_only": "yes"}}, "allowed_tools.read_only"),
        ({"allowed_tools": {"tool_names": [1]}}, "allowed_tools.tool_names"),
        ({"require_approval": "sometimes"}, "require_approval"),
        ({"require_approval": {"maybe": {}}}, "require_approval.maybe"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"X-A": "a\nb"}}, "headers.X-A"),
        ({"authorization": "a\r\nb"}, "authorization"),
        ({"authorization": "a", "headers": {"Authorization": "b"}}, "authorization"),
    ],
)
async def test_a_definition_that_cannot_be_is_a_400(fields: dict[str, Any], param: str) -> None:
    error = await post(provider(), mcp("https://x.example", **fields), status=400)
    assert error["param"] == f"tools[0].{param}"


async def test_a_request_s_words_on_a_server_are_read_by_the_model(serving: Serve) -> None:
    with serving(Stranger()) as base:
        app = provider("ok")
        await post(app, mcp(base, server_description="The archive."))
        await app.aclose()
    model: Any = app._desk.catalogue.find("m")  # pyright: ignore[reportPrivateUsage]
    assert model.requests[0].tools[0].description == "[desk: The archive.] Look."


async def test_a_session_that_the_server_forgot_is_opened_anew(serving: Serve) -> None:
    stranger = Stranger()
    with serving(stranger) as base:
        app = provider("hello", LOOK, "ok")
        first = await post(app, mcp(base))
        stranger.known.clear()
        second = await post(app, mcp(base), previous_response_id=first["id"])
        await app.aclose()
    assert one(second, "mcp_call")["output"] == "seen"
    assert stranger.sessions == 2


async def test_images_go_to_clients_that_opted_in_and_back_again(serving: Serve) -> None:
    stranger = Stranger()
    stranger.answers["tools/call"] = text(
        content=[{"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}]
    )
    with serving(stranger) as base:
        app = provider(LOOK, "ok", LOOK, "ok", "again", "and again")
        body = {"model": "m", "input": "go", "tools": [mcp(base)]}
        plain = await post(app, mcp(base))
        opted = json.loads((await exchange(app, body, headers=EXTENDED)).body)
        await post(app, mcp(base), input=plain["output"])
        await post(app, mcp(base), input=opted["output"], store=False)
        await app.aclose()
    assert "antiphon:content" not in one(plain, "mcp_call")
    (shown,) = one(opted, "mcp_call")["antiphon:content"]
    assert shown["image_url"] == "data:image/png;base64,aGVsbG8="
    model: Any = app._desk.catalogue.find("m")  # pyright: ignore[reportPrivateUsage]
    read = [item for each in model.requests for item in each.items if hasattr(item, "output")]
    assert len(read) == 4
    assert all(item.output[0].image_url == shown["image_url"] for item in read)
