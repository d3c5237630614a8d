"""A hosted tool of a provider's own over real HTTP: seen, stored, sent back, approved, cut off."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from antiphon.agents import Agent
from antiphon.items import Event, Response, fold, parse_event
from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.provider import MemoryStore, Provider, SqlStore, Store
from tests.tools.own_tools import Held, Tally, units

from .serving import (
    BUILT_IN,
    EXTENDED,
    PATIENCE,
    Exchange,
    event_of,
    events_of,
    inside,
    serve,
    types,
)

pytestmark = pytest.mark.anyio

MARATHON = {"value": 26.2, "source": "mi", "target": "km"}
CALL = FunctionCall("acme__units", MARATHON)
ASK: dict[str, Any] = {"input": "How far?", "tools": [{"type": "acme:units", "digits": 1}]}
TALLY: dict[str, Any] = {"input": "Count.", "tools": [{"type": "acme:tally"}]}


def provider(*said: Any, **options: Any) -> tuple[Provider, ScriptedModel]:
    script = ScriptedModel([*said])
    return Provider(models=[script], tools=[units, units.tool, Tally()], **options), script


class Client:
    """Speaks to a provider over a socket."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def ask(self, body: dict[str, Any], *, status: int = 200, extended: bool = True) -> Any:
        headers = EXTENDED if extended else {}
        answer = await self.http.post("/v1/responses", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["error"]

    async def stream(self, body: dict[str, Any], *, extended: bool) -> list[dict[str, Any]]:
        headers = EXTENDED if extended else {}
        answer = await self.http.post(
            "/v1/responses", json={**body, "stream": True}, headers=headers
        )
        return events_of(answer.content)


@asynccontextmanager
async def over_http(app: Provider) -> AsyncGenerator[Client]:
    with serve(app) as url:
        async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as http:
            yield Client(http)


def read_by(script: ScriptedModel, turn: int) -> list[bytes]:
    return [item.to_json() for item in script.requests[turn].items]


# --- who sees what -----------------------------------------------------------


async def test_who_asked_for_extensions_sees_the_receipt_and_its_own_events() -> None:
    app, _ = provider(CALL, "42.2 km.")
    async with over_http(app) as client:
        events = await client.stream(ASK, extended=True)
    assert types(events)[2:9] == [
        "response.output_item.added",
        "acme:units_call.in_progress",
        "acme:units_call_arguments.delta",
        "acme:units_call_arguments.done",
        "acme:units_call.progress",
        "acme:units_call.completed",
        "response.output_item.done",
    ]
    item = events[8]["item"]
    assert item == {
        "type": "acme:units_call",
        "id": events[2]["item"]["id"],
        "status": "completed",
        "name": "acme__units",
        "arguments": json.dumps(MARATHON, separators=(",", ":")),
        "output": "42.2 km",
        "error": None,
    }


async def test_who_did_not_sees_an_mcp_call_and_no_word_of_ours() -> None:
    app, _ = provider(CALL, "42.2 km.")
    async with over_http(app) as client:
        events = await client.stream(ASK, extended=False)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert types(events)[2:8] == [
        "response.output_item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
        "response.output_item.done",
    ]
    item = events[7]["item"]
    assert (item["type"], item["server_label"], item["name"], item["output"]) == (
        "mcp_call",
        "antiphon",
        "acme__units",
        "42.2 km",
    )
    assert not [event for event in events if ":" in event["type"]]


@pytest.mark.parametrize("extended", [True, False])
async def test_the_json_answer_is_the_fold_of_the_stream(extended: bool) -> None:
    app, _ = provider(CALL, "42.2 km.", CALL, "42.2 km.")
    async with over_http(app) as client:
        events = await client.stream(ASK, extended=extended)
        whole = await client.ask(ASK, extended=extended)
    parsed: list[Event] = [parse_event(json.dumps(event).encode()) for event in events]
    folded = json.loads(fold(parsed).to_json())
    assert folded == events[-1]["response"]

    def without_ids(response: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**item, "id": None} for item in response["output"]]

    assert without_ids(folded) == without_ids(whole)
    assert Response.model_validate(whole).output_text == "42.2 km."


async def test_steps_of_its_own_go_to_those_who_asked_and_to_nobody_else() -> None:
    said = [FunctionCall("acme__tally", {"text": "a b\na"}), "Two."]
    app, _ = provider(*said, *said)
    async with over_http(app) as client:
        events = await client.stream(TALLY, extended=True)
        plain = await client.stream(TALLY, extended=False)
    told = [event["counts"] for event in events if event["type"] == "acme:tally_call.counted"]
    assert told == [{"a": 1, "b": 1}, {"a": 2, "b": 1}]
    assert events[-1]["response"]["output"][0]["counts"] == {"a": 2, "b": 1}
    assert not [event for event in plain if "count" in event["type"]]
    assert "counts" not in plain[-1]["response"]["output"][0]


# --- what is stored, and what comes back (law 3) -----------------------------


@pytest.mark.parametrize("kind", [MemoryStore, SqlStore])
async def test_what_is_stored_is_the_receipt_whoever_asked(kind: type[Any], tmp_path: Any) -> None:
    store: Store = MemoryStore()
    if kind is SqlStore:
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/own.db")
    app, _ = provider(CALL, "42.2 km.", store=store)
    async with over_http(app) as client:
        first = await client.ask(ASK, extended=False)
        path = f"/v1/responses/{first['id']}"
        stored = (await client.http.get(path, headers=EXTENDED)).json()
        shown = (await client.http.get(path)).json()
    assert first["output"][0]["type"] == shown["output"][0]["type"] == "mcp_call"
    assert (stored["output"][0]["type"], stored["output"][0]["output"]) == (
        "acme:units_call",
        "42.2 km",
    )


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("way", ["input", "get", "previous", "stateless"])
async def test_the_model_reads_of_a_replay_what_it_read_then(way: str, extended: bool) -> None:
    app, script = provider(CALL, "42.2 km.", "As I said.")
    async with over_http(app) as client:
        kept = {"store": False} if way == "stateless" else {}
        first = await client.ask({**ASK, **kept}, extended=extended)
        said = first["output"]
        if way == "get":
            headers = EXTENDED if extended else {}
            got = await client.http.get(f"/v1/responses/{first['id']}", headers=headers)
            said = got.json()["output"]
        again = [{"role": "user", "content": "How far?"}, *said, {"role": "user", "content": "?"}]
        more = {"previous_response_id": first["id"], "input": "?"} if way == "previous" else {}
        await client.ask({**ASK, "input": again, **more, **kept}, extended=extended)
    then, now = read_by(script, 1), read_by(script, 2)
    assert len(then) == 3 and b'"42.2 km"' in then[2]
    assert now[: len(then)] == then
    assert len(now) == len(then) + 2


async def test_a_provider_that_does_not_have_the_tool_reads_its_receipt_all_the_same() -> None:
    app, first = provider(CALL, "42.2 km.")
    other = ScriptedModel(["I see."])
    async with over_http(app) as client:
        said = (await client.ask(ASK))["output"]
    async with over_http(Provider(models=[other])) as client:
        await client.ask({"input": [{"role": "user", "content": "How far?"}, *said]})
    assert read_by(other, 0)[:3] == read_by(first, 1)


# --- what a request may demand -----------------------------------------------


async def test_a_definition_that_cannot_be_served_is_a_400_before_anything_exists() -> None:
    app, script = provider(CALL)
    async with over_http(app) as client:
        tools = [{"type": "acme:units", "digits": "few"}]
        error = await client.ask({"input": "x", "tools": tools}, status=400)
    assert error["param"] == "tools[0].digits"
    assert script.requests == []


async def test_tool_choice_and_allowed_tools_know_it_by_its_type() -> None:
    app, script = provider(CALL, "ok", FunctionCall("acme__tally", {"text": "a"}), "ok")
    tools = [{"type": "acme:units"}, {"type": "acme:tally"}]
    choice = {"type": "acme:units"}
    only = {"type": "allowed_tools", "mode": "auto", "tools": [choice]}
    async with over_http(app) as client:
        await client.ask({**ASK, "tools": tools, "tool_choice": choice})
        second = await client.ask({**ASK, "tools": tools, "tool_choice": only})
    asked: Any = script.requests[0].tool_choice
    assert asked.name == "acme__units"
    call = second["output"][0]
    assert (call["type"], call["status"]) == ("acme:tally_call", "failed")
    assert "may not be called now" in call["error"]


async def test_calls_over_max_tool_calls_are_not_run_and_the_model_is_told() -> None:
    app, script = provider([CALL, CALL, CALL], "Once was enough.")
    async with over_http(app) as client:
        response = await client.ask({**ASK, "max_tool_calls": 1})
    assert response["status"] == "completed"
    calls = response["output"][:3]
    assert [call["type"] for call in calls] == ["acme:units_call"] * 3
    assert [call["status"] for call in calls] == ["completed", "failed", "failed"]
    assert len(read_by(script, 1)) == 7


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("approve", [True, False])
async def test_a_call_that_a_person_must_approve_waits_for_the_word(
    extended: bool, approve: bool
) -> None:
    far = FunctionCall("acme__units", {"value": 2e6, "source": "km", "target": "m"})
    app, script = provider(far, "Done.")
    async with over_http(app) as client:
        first = await client.ask(ASK, extended=extended)
        (asked,) = first["output"]
        slug = "antiphon:" if extended else "mcp_"
        assert (asked["type"], asked["name"]) == (f"{slug}approval_request", "acme__units")
        word = {
            "type": f"{slug}approval_response",
            "approval_request_id": asked["id"],
            "approve": approve,
        }
        going_on = {**ASK, "previous_response_id": first["id"], "input": [word]}
        call, _ = (await client.ask(going_on, extended=extended))["output"]
    assert call["type"] == ("acme:units_call" if extended else "mcp_call")
    assert call["approval_request_id"] == asked["id"]
    assert call["status"] == ("completed" if approve else "failed")
    assert call["output"] == ("2000000000.0 m" if approve else None)
    assert len(read_by(script, 1)) == 3


async def test_sdks_that_name_no_types_have_the_function_of_the_built_in_server() -> None:
    app, _ = provider(CALL, "42 km.")
    async with over_http(app) as client:
        response = await client.ask({"input": "How far?", "tools": [BUILT_IN]})
    assert response["output"][0]["type"] == "acme:units_call"
    assert response["output"][0]["output"] == "42.165 km"


async def test_a_client_s_own_function_of_its_name_comes_before_a_default() -> None:
    script = ScriptedModel(["ok", "ok"])
    app = Provider(models=[script], tools=[units], default_tools=[{"type": "acme:units"}])
    own = {"type": "function", "name": "acme__units", "description": "mine"}
    async with over_http(app) as client:
        await client.ask({"input": "x", "tools": [own]})
        await client.ask({"input": "x"})
    described = [[tool.description for tool in asked.tools] for asked in script.requests]
    assert described == [["mine"], ["Convert a length from one unit to another."]]


async def test_inside_a_sub_agent_s_run_it_is_told_and_kept_as_anywhere() -> None:
    reader = Agent(name="reader", model=ScriptedModel([CALL, "42.165 km."]), tools=[units])
    lead = ScriptedModel([FunctionCall("reader", {"input": "How far?"}), "Far."])
    chief = Agent(name="chief", model=lead, tools=[reader.as_tool(description="Reads.")])
    async with over_http(Provider(agents=[chief])) as client:
        events = await client.stream({"model": "chief", "input": "x"}, extended=True)
    inner = [event["event"]["type"] for event in events if "event" in event]
    assert "acme:units_call_arguments.delta" in inner and "acme:units_call.completed" in inner
    parsed: list[Event] = [parse_event(json.dumps(event).encode()) for event in events]
    assert json.loads(fold(parsed).to_json()) == events[-1]["response"]
    kept = events[-1]["response"]["output"][0]["output"]
    assert [item["type"] for item in kept] == ["acme:units_call", "message"]


# --- cut off -----------------------------------------------------------------


async def test_cancelling_closes_the_call_and_stops_the_work() -> None:
    held = Held()
    script = ScriptedModel([[Text("Wait."), FunctionCall("acme__held", {"minutes": 3})]])
    app = Provider(models=[script], tools=[held.tool])
    body = {"input": "x", "tools": [{"type": "acme:held"}]}
    async with over_http(app) as client:
        first = await client.ask({**body, "background": True})
        async with httpx2.AsyncClient(base_url=client.http.base_url, timeout=PATIENCE) as other:
            while not held.begun.is_set():  # another thread's event: asked for, not waited on
                got = await other.get(f"/v1/responses/{first['id']}", headers=EXTENDED)
                assert got.json()["status"] in ("queued", "in_progress")
            cancelled = await other.post(f"/v1/responses/{first['id']}/cancel", headers=EXTENDED)
    message, call = cancelled.json()["output"]
    assert cancelled.json()["status"] == "cancelled"
    assert message["status"] == "completed"
    assert (call["type"], call["status"]) == ("acme:held_call", "incomplete")
    assert call["arguments"] == '{"minutes":3}'
    assert held.ended.is_set()


@pytest.mark.parametrize("extended", [True, False])
async def test_a_client_that_leaves_ends_the_call_as_it_stood(extended: bool) -> None:
    held = Held()
    script = ScriptedModel([FunctionCall("acme__held", {"minutes": 3})])
    app = Provider(models=[script], tools=[held.tool])
    body = {"input": "x", "tools": [{"type": "acme:held"}], "stream": True}
    one = Exchange(app, body, headers=EXTENDED if extended else {})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        with anyio.fail_after(PATIENCE):
            await held.begun.wait()
            one.leave()
            await held.ended.wait()
    created = event_of(one.writes[0].split(b"\n\n")[0])
    async with inside(app) as client:
        path = f"/v1/responses/{created['response']['id']}"
        stored = (await client.get(path, headers=EXTENDED)).json()
    assert (stored["status"], stored["output"][0]["status"]) == ("cancelled", "incomplete")
    assert stored["output"][0]["type"] == "acme:held_call"
