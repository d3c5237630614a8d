"""Whatever a server sends, the laws hold: its events doubled, lost, shuffled or misnamed."""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import anyio
import httpx2
from hypothesis import given, settings, strategies as st

from antiphon.agents import loop
from antiphon.items import (
    CreateResponse,
    Event,
    Ids,
    Item,
    ItemAdded,
    ItemDone,
    Json,
    Response,
    ResponseEvent,
    Within,
    fold,
    parse_event,
)
from antiphon.models import (
    ChatModel,
    FunctionCall as Call,
    Model,
    ModelRequest,
    Reasoning,
    Refusal,
    ResponsesModel,
    ScriptedModel,
    Speech,
    Text,
    Usage,
)
from antiphon.tools import tool

from .kit import TERMINAL, still

LAW = settings(deadline=None, max_examples=150)
Ran: TypeAlias = list[str]
"""The names of the calls that a tool was run for."""

# --- what a server says -------------------------------------------------------

NAMES = st.sampled_from(["mine", "mine", "theirs", "nobodys"])
PIECES: st.SearchStrategy[Speech] = st.one_of(
    st.sampled_from(["a", "grün", "🌊"]).map(Text),
    st.builds(Reasoning, st.just("hm"), st.booleans()),
    st.just(Refusal("no")),
    st.builds(Call, NAMES, st.sampled_from([{"text": "x"}, "{", {}, '{"text":"y"}'])),
    st.builds(Call, st.just("mine"), st.just({"text": "z"})),
    st.just(Usage(1, 2)),
)


@st.composite
def responses(draw: st.DrawFn) -> list[Json]:
    """The events of a Responses server that does all right."""
    pieces = draw(st.lists(PIECES, min_size=1, max_size=4))
    model = ScriptedModel([pieces], fragment=draw(st.sampled_from([None, 2])))
    request = ModelRequest(items=[], ids=Ids(seed=1))

    async def tell() -> list[Event]:
        return [event async for event in model.stream(request)]

    events = anyio.run(tell)
    told: list[Json] = [json.loads(event.to_json()) for event in events]
    if draw(st.booleans()):
        output = [event["item"] for event in told if event["type"] == "response.output_item.done"]
        told[-1]["response"]["output"] = output
    return told


@st.composite
def chunks(draw: st.DrawFn) -> list[Json]:
    """The chunks of a Chat Completions server that does all right."""
    deltas: list[Json] = [{"role": "assistant", "content": text} for text in draw(WORDS)]
    for index, name in enumerate(draw(st.lists(NAMES, max_size=3))):
        head: Json = {"index": index, "id": f"c{index}", "type": "function"}
        deltas.append({"tool_calls": [head | {"function": {"name": name, "arguments": ""}}]})
        for fragment in draw(st.sampled_from([["{}"], ['{"text":', '"x"}'], ['{"text":"y"}']])):
            arguments: Json = {"function": {"arguments": fragment}}
            deltas.append({"tool_calls": [{"index": index} | arguments]})
    said: list[Json] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    said.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return [*said, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}]


WORDS = st.lists(st.sampled_from(["a", "b"]), max_size=2)

# --- what becomes of it on the way ---------------------------------------------

PLACE = st.integers(0, 40)
NAMED = {"id", "item_id", "call_id"}
WRONGS = ["again", "shift", "double", "drop", "move", "id", "place", "class"]
PLACES = {"output_index", "index", "content_index", "summary_index"}


def renamed(value: Any, fields: set[str], to: object) -> Any:
    """The same with those fields changed, wherever they are."""
    if isinstance(value, dict):
        inner = cast("Json", value)
        return {
            name: to if name in fields else renamed(one, fields, to) for name, one in inner.items()
        }
    if isinstance(value, list):
        return [renamed(one, fields, to) for one in cast("list[Any]", value)]
    return value


def shifted(event: Json, by: int) -> Json:
    """The same, further on."""
    place = event.get("output_index")
    return event | {"output_index": place + by} if isinstance(place, int) else event


@st.composite
def mutated(draw: st.DrawFn, whole: st.SearchStrategy[list[Json]]) -> list[Json]:
    """A few things gone wrong."""
    events = copy.deepcopy(draw(whole))
    for _ in range(draw(st.integers(0, 5))):
        if not events:
            break
        at, to = draw(PLACE) % len(events), draw(PLACE) % len(events)
        what = draw(st.sampled_from(WRONGS))
        if what == "double":
            events.insert(to, events[at])
        elif what == "again":
            events[-1:-1] = copy.deepcopy(events[at:-1])
        elif what == "shift":
            events = [shifted(event, to % 4) for event in events]
        elif what == "drop":
            del events[at]
        elif what == "move":
            events.insert(to, events.pop(at))
        elif what == "id":
            field, name = draw(st.sampled_from(sorted(NAMED))), draw(st.sampled_from("xy"))
            events[at] = renamed(events[at], {field}, name)
        elif what == "place":
            field = draw(st.sampled_from(sorted(PLACES)))
            events[at] = renamed(events[at], {field}, draw(st.integers(0, 3)))
        elif isinstance(events[at].get("item"), dict):
            item: Json = {"type": "message", "role": "assistant", "content": []}
            events[at] = events[at] | {"item": item | {"id": events[at]["item"].get("id")}}
    return events


# --- running -------------------------------------------------------------------


def server(kind: type[Any], *turns: Sequence[Json]) -> tuple[Model, httpx2.AsyncClient]:
    """A model whose server says these, one turn for each time it is asked."""
    left = [list(turn) for turn in turns]

    def answer(request: httpx2.Request) -> httpx2.Response:
        turn = left.pop(0) if len(left) > 1 else left[0]
        body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in turn)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return kind("m", base_url="http://up/v1", http_client=client, retries=0), client


TOOLS = [{"type": "antiphon:function", "name": "mine"}, {"type": "function", "name": "theirs"}]
ASKED = CreateResponse.model_validate({"model": "m", "input": "go", "tools": TOOLS})


def run(kind: type[Any], *turns: Sequence[Json]) -> tuple[list[Event], Ran]:
    """All events of a run, and the texts that the tool was run with."""
    ran: Ran = []

    @tool
    async def mine(text: str = "") -> str:
        """Run here."""
        ran.append(text)
        return "done"

    async def play() -> list[Event]:
        model, client = server(kind, *turns)
        told = loop(ASKED, model=model, tools=[mine], ids=Ids(seed=7), clock=still, max_turns=4)
        async with client:
            with anyio.fail_after(60):
                return [event async for event in told]

    return anyio.run(play), ran


def check(events: Sequence[Event]) -> Response:
    """The laws that no server can break."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [isinstance(event, TERMINAL) for event in events] == [False] * (len(events) - 1) + [True]
    added: list[Item] = []
    done: set[int] = set()
    for event in events:
        if isinstance(event, ItemAdded):
            assert event.output_index == len(added), "added out of order"
            added.append(event.item)
        elif isinstance(event, ItemDone):
            assert event.output_index not in done, "done twice"
            assert event.item.id == added[event.output_index].id
            assert event.item.type == added[event.output_index].type
            done.add(event.output_index)
        elif isinstance(event, Within):
            assert event.output_index < len(added), "never added"
            assert event.output_index not in done, f"{event.type} after done"
    assert done == set(range(len(added))), "left open"
    last = events[-1]
    assert isinstance(last, ResponseEvent)
    assert fold(events).model_dump() == last.response.model_dump()
    read = [parse_event(event.to_json()) for event in events]
    assert fold(read).model_dump() == last.response.model_dump()
    if last.response.error is not None:
        assert not last.response.error.message.startswith("internal error"), last.response.error
    return last.response


def calls(value: Any, is_call: Callable[[Json], bool]) -> set[tuple[Any, ...]]:
    """What the calls in a stream are called."""
    found: set[tuple[Any, ...]] = set()
    if isinstance(value, dict):
        fields = cast("Json", value)
        if is_call(fields):
            found.add(tuple(fields.get(name) for name in ("index", "id", "call_id")))
        value = list(fields.values())
    if isinstance(value, list):
        for inner in cast("list[Any]", value):
            found |= calls(inner, is_call)
    return found


END_RESPONSES: list[Json] = [
    {
        "type": "response.completed",
        "response": {
            "status": "completed",
            "output": [{"type": "message", "id": "end", "role": "assistant", "content": []}],
        },
    }
]
END_CHAT: list[Json] = [{"choices": [{"delta": {"content": "end"}, "finish_reason": "stop"}]}]


@LAW
@given(mutated(responses()))
def test_no_stream_of_a_responses_server_breaks_a_law(events: list[Json]) -> None:
    told, ran = run(ResponsesModel, events, END_RESPONSES)
    check(told)
    assert len(ran) <= len(calls(events, lambda one: one.get("type") == "function_call"))


@LAW
@given(mutated(chunks()))
def test_no_stream_of_a_chat_server_breaks_a_law(events: list[Json]) -> None:
    told, ran = run(ChatModel, events, END_CHAT)
    check(told)
    assert len(ran) <= len(calls(events, lambda one: "name" in one.get("function", {})))


@settings(LAW, max_examples=40)
@given(responses(), chunks())
def test_a_stream_that_is_in_order_never_fails_a_run(events: list[Json], said: list[Json]) -> None:
    for kind, turn, end in ((ResponsesModel, events, END_RESPONSES), (ChatModel, said, END_CHAT)):
        response = check(run(kind, turn, end)[0])
        assert response.status == "completed", response.error
