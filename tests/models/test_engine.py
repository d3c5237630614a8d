"""`@model`: what an engine yields becomes canonical events."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from hypothesis import given, strategies as st

from antiphon.errors import ConfigurationError, ModelError, RequestError
from antiphon.items import (
    ArgumentsDelta,
    Completed,
    Event,
    Failed,
    Fold,
    FunctionCall as Call,
    Ids,
    Incomplete,
    Item,
    ItemAdded,
    ItemDone,
    Message,
    Reasoning as Thought,
    ResponseEvent,
    TextDelta,
    fold,
)
from antiphon.models import (
    Engine,
    Failure,
    FunctionCall,
    Model,
    ModelRequest,
    Reasoning,
    Refusal,
    Speech,
    Stop,
    Text,
    Usage,
    model,
)

if TYPE_CHECKING:
    from models.writer import Writer

    from .conftest import Listen
else:
    from antiphon.models.writer import Writer

pytestmark = pytest.mark.anyio

CALL = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]


def says(*pieces: Any) -> Engine:
    @model("engine")
    async def engine(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        for piece in pieces:
            yield piece

    return engine


def statuses(items: list[Item]) -> list[str | None]:
    return [getattr(item, "status", None) for item in items]


async def test_an_engine_is_a_model_under_its_name() -> None:
    engine = says(Text("hi"))
    assert isinstance(engine, Model)
    assert engine.name == "engine"
    await engine.aclose()


async def test_consecutive_texts_are_deltas_of_one_message_as_they_came(listen: "Listen") -> None:
    events = await listen(says(Text("Hel"), Text(""), Text("lo")), ModelRequest(items=[]))
    assert [event.type for event in events] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["Hel", "lo"]
    added = events[0]
    assert isinstance(added, ItemAdded) and isinstance(added.item, Message)
    assert added.item.content == [] and added.item.status == "in_progress"
    assert fold(events).output_text == "Hello"


async def test_a_change_of_kind_closes_the_item_before_it(listen: "Listen") -> None:
    pieces = [Reasoning("hm"), Text("a"), FunctionCall("f", {"x": 1}), Text("b")]
    events = await listen(says(*pieces), ModelRequest(items=[]))
    ends = [
        (type(event), event.output_index)
        for event in events
        if isinstance(event, ItemAdded | ItemDone)
    ]
    assert ends == [(kind, index) for index in range(4) for kind in (ItemAdded, ItemDone)]
    assert [item.type for item in fold(events).output] == [
        "reasoning",
        "message",
        "function_call",
        "message",
    ]


async def test_thought_and_its_summary_are_one_reasoning_item(listen: "Listen") -> None:
    pieces = [Reasoning("raw "), Reasoning("thought"), Reasoning("short", summary=True)]
    events = await listen(says(*pieces), ModelRequest(items=[]))
    (item,) = fold(events).output
    assert isinstance(item, Thought)
    assert item.to_json() == (
        b'{"type":"reasoning","id":"%b","status":"completed",'
        b'"summary":[{"type":"summary_text","text":"short"}],'
        b'"content":[{"type":"reasoning_text","text":"raw thought"}]}' % (item.id or "").encode()
    )


async def test_a_refusal_is_a_part_of_the_message(listen: "Listen") -> None:
    events = await listen(
        says(Text("Well. "), Refusal("I "), Refusal("won't.")), ModelRequest(items=[])
    )
    (item,) = fold(events).output
    assert isinstance(item, Message) and item.text == "Well. I won't."
    assert [part.type for part in item.content if not isinstance(part, str)] == [
        "output_text",
        "refusal",
    ]


async def test_an_object_of_arguments_is_told_whole_and_text_as_it_is(listen: "Listen") -> None:
    pieces = [FunctionCall("f", {"city": "Oslo"}), FunctionCall("g", "not json", call_id="c1")]
    events = await listen(says(*pieces), ModelRequest(items=[]))
    assert [event.type for event in events] == [*CALL, *CALL, "response.completed"]
    first, second = fold(events).output
    assert isinstance(first, Call) and isinstance(second, Call)
    assert first.arguments == '{"city":"Oslo"}' and first.call_id.startswith("call_")
    assert (second.call_id, second.arguments) == ("c1", "not json")


async def test_streamed_arguments_are_told_while_they_are_written() -> None:
    heard = anyio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield '{"code":'
        await heard.wait()
        yield '"1"}'

    with anyio.fail_after(60):
        deltas: list[str] = []
        async for event in says(FunctionCall("f", fragments())).stream(ModelRequest(items=[])):
            if isinstance(event, ArgumentsDelta):
                deltas.append(event.delta)
                heard.set()
    assert deltas == ['{"code":', '"1"}']


async def test_usage_is_counted_on_the_terminal_response(listen: "Listen") -> None:
    events = await listen(says(Text("a"), Usage(7, 5, 3, 2)), ModelRequest(items=[]))
    usage = fold(events).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 5, 12)
    assert usage.input_tokens_details.cached_tokens == 3
    assert usage.output_tokens_details.reasoning_tokens == 2


async def test_a_stop_leaves_what_is_open_incomplete(listen: "Listen") -> None:
    pieces = [Reasoning("done"), Text("cut of"), Stop("max_output_tokens"), Usage(1, 1)]
    events = await listen(says(*pieces), ModelRequest(items=[]))
    response = fold(events).model_copy()
    assert isinstance(events[-1], Incomplete)
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert statuses(response.output) == ["completed", "incomplete"]
    assert response.usage is not None


@pytest.mark.parametrize(
    ("arguments", "status"),
    [('{"a": ', "incomplete"), ('{"a": 1}', "completed"), ({"a": 1}, "completed")],
)
async def test_a_stop_after_a_call_cuts_it_only_if_it_is_not_whole(
    arguments: Any, status: str, listen: "Listen"
) -> None:
    events = await listen(
        says(FunctionCall("f", arguments), Stop("max_output_tokens")), ModelRequest(items=[])
    )
    assert statuses(fold(events).output) == [status]


async def test_a_failure_ends_the_sampling_at_once(listen: "Listen") -> None:
    pieces = [Text("a"), Failure("overloaded", "no room"), Text("never")]
    events = await listen(says(*pieces), ModelRequest(items=[]))
    response = fold(events)
    assert isinstance(events[-1], Failed) and response.error is not None
    assert (response.error.code, response.error.message) == ("overloaded", "no room")
    assert response.output_text == "a" and statuses(response.output) == ["incomplete"]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["plain"], "expected Text, Reasoning, .* got str: wrap it: yield Text"),
        ([None, 3], "expected Text, .* got "),
        ([Text(3)], "expected text; got int"),  # pyright: ignore[reportArgumentType]
        ([FunctionCall("", {})], "with a name"),
        ([FunctionCall("f", 3)], "arguments that are a dict"),  # pyright: ignore[reportArgumentType]
        ([FunctionCall("f", {"a": object()})], "JSON values"),
        ([Stop("content_filter"), Text("more")], "nothing but Usage after Stop"),
    ],
)
async def test_what_is_no_piece_is_refused_with_the_cure(
    pieces: list[Any], said: str, listen: "Listen"
) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        await listen(says(*pieces), ModelRequest(items=[]))
    assert caught.value.code == "bad_engine"


async def test_an_exception_in_an_engine_shows_nothing_but_its_type(listen: "Listen") -> None:
    @model("broken")
    async def broken(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        yield Text("a")
        raise KeyError("secret")

    async def fragments() -> AsyncIterator[str]:
        yield "{"
        raise KeyError("secret")

    for engine in (broken, says(FunctionCall("f", fragments()))):
        said = f"^the engine {engine.name!r} raised KeyError$"
        with pytest.raises(ModelError, match=said) as caught:
            await listen(engine, ModelRequest(items=[]))
        assert caught.value.code == "server_error"
        assert isinstance(caught.value.__cause__, KeyError)


async def test_an_engine_may_raise_our_own_errors(listen: "Listen") -> None:
    @model("strict")
    async def strict(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        raise RequestError("no")
        yield

    with pytest.raises(RequestError, match=r"^no$"):
        await listen(strict, ModelRequest(items=[]))


async def test_closing_the_stream_closes_the_engine() -> None:
    closed = anyio.Event()

    @model("endless")
    async def endless(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        try:
            while True:
                yield Text("more ")
        finally:
            closed.set()

    stream = cast("AsyncGenerator[Event]", endless.stream(ModelRequest(items=[])))
    async with aclosing(stream):
        await anext(stream)
    assert closed.is_set()


def _plain(request: ModelRequest) -> list[Speech]:
    return []


async def _never(request: ModelRequest) -> list[Speech]:
    return []


def _generator(request: ModelRequest) -> Any:
    yield Text("a")


@pytest.mark.parametrize(
    ("function", "got"),
    [(_plain, "plain `def` function"), (_never, "never yields"), (_generator, "plain `def` gen")],
)
def test_only_an_async_generator_function_can_be_a_model(
    function: Callable[..., Any], got: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"got .*{got}.*: make it `async def`"):
        model("engine")(function)


@pytest.mark.parametrize("name", ["", None, _plain])
def test_a_model_has_a_name(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a name"):
        model(name)


PIECES = st.one_of(
    st.builds(Text, st.text(max_size=3)),
    st.builds(Reasoning, st.text(max_size=3), st.booleans()),
    st.builds(Refusal, st.text(max_size=3)),
    st.tuples(st.integers(0, 9), st.text(max_size=3)),  # a fragment of the call at this index
)


@given(st.lists(PIECES, max_size=30), st.sampled_from(["complete", "stop", "fail"]))
def test_whatever_is_said_folds_to_what_was_said_and_in_order(pieces: list[Any], end: str) -> None:
    writer = Writer(ModelRequest(items=[], ids=Ids(seed=1)), model="m")
    events: list[Any] = []
    calls: dict[int, str] = {}
    texts = {Text: "", Reasoning: "", Refusal: ""}
    for piece in pieces:
        if isinstance(piece, tuple):
            key, fragment = cast("tuple[int, str]", piece)
            if key not in calls:
                events += writer.call(key, f"f{key}")
                calls[key] = ""
            calls[key] += fragment
            events += writer.arguments(key, fragment)
            continue
        texts[type(piece)] += piece.text
        if isinstance(piece, Text):
            events += writer.text(piece.text)
        elif isinstance(piece, Reasoning):
            events += writer.reasoning(piece.text, summary=piece.summary)
        else:
            events += writer.refusal(piece.text)
    if end == "complete":
        events += writer.complete()
    else:
        events += writer.stop("x") if end == "stop" else writer.fail("c", "m")

    added = [event.output_index for event in events if isinstance(event, ItemAdded)]
    assert added == list(range(len(added)))
    done: set[int] = set()
    by_deltas = Fold()
    for event in events:
        if not isinstance(event, ResponseEvent):
            assert event.output_index not in done  # a terminal item is never updated
        if isinstance(event, ItemDone):
            draft = by_deltas.drafts[event.output_index].item()
            assert draft.model_copy(update={"status": ""}) == event.item.model_copy(
                update={"status": ""}
            )
            done.add(event.output_index)
        by_deltas.add(event)
    assert done == set(added)
    items = fold(events).output
    assert {item.name: item.arguments for item in items if isinstance(item, Call)} == {
        f"f{key}": text for key, text in calls.items()
    }
    said = "".join(item.text for item in items if isinstance(item, Message))
    assert sorted(said) == sorted(texts[Text] + texts[Refusal])
    assert isinstance(events[-1], Completed if end == "complete" else Incomplete | Failed)
