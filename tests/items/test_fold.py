"""The laws of `fold`: events are the whole story, whole or cut, and nothing is ever changed."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel

from antiphon.items import (
    AgentCall,
    AnnotationAdded,
    ArgumentsDelta,
    ArgumentsDone,
    BaseEvent,
    CallStatus,
    CodeDelta,
    CodeDone,
    CodeInterpreterCall,
    Completed,
    Created,
    Event,
    Fault,
    FileCitation,
    Fold,
    FunctionCall,
    Incomplete,
    IncompleteDetails,
    InProgress,
    Item,
    ItemAdded,
    ItemDone,
    Logs,
    McpCall,
    Message,
    OutputText,
    Part,
    PartAdded,
    PartDone,
    Reasoning,
    ReasoningDelta,
    ReasoningDone,
    ReasoningText,
    Refusal,
    RefusalDelta,
    RefusalDone,
    Response,
    SummaryDelta,
    SummaryDone,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryText,
    TextDelta,
    TextDone,
    UnknownEvent,
    UrlCitation,
    Usage,
    around,
    fold,
)

LAW = settings(deadline=None, max_examples=150)
Telling = Callable[[int], list[Event]]
"""The events of one item from added to done, once its place is known."""

PIECES = st.lists(st.text(min_size=1, max_size=6), max_size=5)
CITATIONS = st.lists(
    st.builds(FileCitation, file_id=st.text(max_size=4), filename=st.just("a.md"), index=st.just(0))
    | st.builds(
        UrlCitation,
        url=st.text(max_size=4),
        start_index=st.just(0),
        end_index=st.just(1),
        title=st.just("t"),
    ),
    max_size=3,
)


def whole(index: int, item: Item, inner: list[Event], **zero: Any) -> list[Event]:
    """The events of one item: added with zero values, what is said of it, done."""
    begun = cast("Any", item).model_copy(update={"status": "in_progress", **zero})
    return [
        ItemAdded(output_index=index, item=begun),
        *inner,
        ItemDone(output_index=index, item=item),
    ]


@st.composite
def messages(draw: st.DrawFn) -> Telling:
    said = draw(st.lists(st.tuples(st.booleans(), PIECES, CITATIONS), min_size=1, max_size=3))

    def telling(index: int) -> list[Event]:
        events: list[Event] = []
        content: list[Part] = []
        for number, (refused, pieces, citations) in enumerate(said):
            at: Any = {"item_id": f"msg_{index}", "output_index": index, "content_index": number}
            text = "".join(pieces)
            part = Refusal(refusal=text)
            if refused:
                inner: list[Event] = [RefusalDelta(**at, delta=each) for each in pieces]
                events += [PartAdded(**at, part=Refusal(refusal="")), *inner]
                events += [RefusalDone(**at, refusal=text), PartDone(**at, part=part)]
                content.append(part)
                continue
            final = OutputText(text=text, annotations=[*citations])
            inner = [TextDelta(**at, delta=each) for each in pieces]
            inner += [
                AnnotationAdded(**at, annotation_index=i, annotation=each)
                for i, each in enumerate(citations)
            ]
            events += [PartAdded(**at, part=OutputText(text="")), *inner]
            events += [TextDone(**at, text=text), PartDone(**at, part=final)]
            content.append(final)
        item = Message(id=f"msg_{index}", role="assistant", status="completed", content=content)
        return whole(index, item, events, content=[])

    return telling


@st.composite
def reasonings(draw: st.DrawFn) -> Telling:
    thoughts, summaries = draw(st.lists(PIECES, max_size=2)), draw(st.lists(PIECES, max_size=2))

    def telling(index: int) -> list[Event]:
        events: list[Event] = []
        for number, pieces in enumerate(thoughts):
            at: Any = {"item_id": f"rs_{index}", "output_index": index, "content_index": number}
            thought = ReasoningText(text="".join(pieces))
            events.append(PartAdded(**at, part=ReasoningText(text="")))
            events += [ReasoningDelta(**at, delta=each) for each in pieces]
            events += [ReasoningDone(**at, text=thought.text), PartDone(**at, part=thought)]
        for number, pieces in enumerate(summaries):
            at = {"item_id": f"rs_{index}", "output_index": index, "summary_index": number}
            summary = SummaryText(text="".join(pieces))
            events.append(SummaryPartAdded(**at, part=SummaryText(text="")))
            events += [SummaryDelta(**at, delta=each) for each in pieces]
            events += [SummaryDone(**at, text=summary.text), SummaryPartDone(**at, part=summary)]
        item = Reasoning(
            id=f"rs_{index}",
            status="completed",
            content=[ReasoningText(text="".join(each)) for each in thoughts],
            summary=[SummaryText(text="".join(each)) for each in summaries],
        )
        return whole(index, item, events, content=[], summary=[])

    return telling


@st.composite
def calls(draw: st.DrawFn) -> Telling:
    kind, pieces = draw(st.sampled_from(["function", "mcp", "code"])), draw(PIECES)

    def telling(index: int) -> list[Event]:
        at: Any = {"item_id": f"call_{index}", "output_index": index}
        text = "".join(pieces)
        own: Any = {"id": f"call_{index}", "status": "completed"}
        if kind == "code":
            steps = cast(
                "list[Any]",
                [
                    f"response.code_interpreter_call.{step}"
                    for step in ("in_progress", "interpreting", "completed")
                ],
            )
            logs = [Logs(logs=text)]
            code = CodeInterpreterCall(**own, container_id="c", code=text, outputs=[*logs])
            inner: list[Event] = []
            inner.append(CallStatus(**at, type=steps[0]))
            inner += [CodeDelta(**at, delta=each) for each in pieces]
            inner += [CodeDone(**at, code=text), CallStatus(**at, type=steps[1])]
            inner.append(CallStatus(**at, type=steps[2]))
            return whole(index, code, inner, code="", outputs=None)
        name = f"response.{'function' if kind == 'function' else 'mcp'}_call_arguments"
        more, end = cast("Any", f"{name}.delta"), cast("Any", f"{name}.done")
        inner = [ArgumentsDelta(**at, type=more, delta=each) for each in pieces]
        inner.append(ArgumentsDone(**at, type=end, arguments=text))
        if kind == "function":
            asked = FunctionCall(**own, call_id=f"c{index}", name="f", arguments=text)
            return whole(index, asked, inner, arguments="")
        ran = McpCall(**own, server_label="s", name="f", arguments=text, output=text)
        return whole(index, ran, inner, arguments="", output=None)

    return telling


def interleave(draw: st.DrawFn, stories: list[list[Event]]) -> list[Event]:
    """Tell all stories at once; items are still added in order of `output_index`."""
    events: list[Event] = []
    waiting, running = list(reversed(stories)), list[list[Event]]()
    while waiting or running:
        begin = not running or (waiting and draw(st.booleans()))
        if begin and waiting:
            running.append(list(waiting.pop()))
            events.append(running[-1].pop(0))
            continue
        story = running[draw(st.integers(0, len(running) - 1))]
        events.append(story.pop(0))
        if not story:
            running.remove(story)
    return events


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """A whole, well-formed stream, numbered; its terminal event carries no output."""
    tellings = draw(st.lists(messages() | reasonings() | calls(), max_size=4))
    response = Response(id="resp_1", model="m", status="in_progress")
    usage = Usage(input_tokens=draw(st.integers(0, 9)), total_tokens=9)
    inner = interleave(draw, [telling(index) for index, telling in enumerate(tellings)])
    cut = draw(st.booleans())
    ending = response.model_copy(
        update={
            "status": "incomplete" if cut else "completed",
            "usage": usage,
            "incomplete_details": IncompleteDetails(reason="max_output_tokens") if cut else None,
        }
    )
    end = Incomplete(response=ending) if cut else Completed(response=ending)
    events: list[Event] = [Created(response=response), InProgress(response=response), *inner, end]
    for number, event in enumerate(events):
        event.sequence_number = number
    return events


def done_items(events: list[Event]) -> list[Item]:
    done = [event for event in events if isinstance(event, ItemDone)]
    return [event.item for event in sorted(done, key=lambda event: event.output_index)]


def said(item: Item) -> dict[str, Any]:
    """What deltas tell of an item; the rest comes only with its end."""
    told = cast("BaseModel", item).model_dump()
    return {name: told.get(name) for name in ("type", "id", "code", "arguments")} | {
        name: told.get(name) or [] for name in ("content", "summary")
    }


@LAW
@given(events=streams())
def test_the_output_is_what_the_done_events_say(events: list[Event]) -> None:
    assert fold(events).output == done_items(events)


@LAW
@given(events=streams())
def test_a_stream_without_any_done_event_folds_to_all_that_was_said(events: list[Event]) -> None:
    done = (ItemDone, PartDone, SummaryPartDone, TextDone, RefusalDone, ReasoningDone, SummaryDone)
    cut = [
        event
        for event in events
        if not isinstance(event, (*done, ArgumentsDone, CodeDone, Completed, Incomplete))
    ]
    folded = fold(cut)
    assert folded.status == "in_progress"
    assert [said(item) for item in folded.output] == [said(item) for item in done_items(events)]
    assert {item.status for item in cast("list[Any]", folded.output)} <= {"in_progress"}


@LAW
@given(events=streams())
def test_a_stream_without_deltas_folds_to_what_the_done_events_say(events: list[Event]) -> None:
    deltas = (TextDelta, RefusalDelta, ReasoningDelta, SummaryDelta, ArgumentsDelta, CodeDelta)
    ends = (ItemDone, PartDone, SummaryPartDone)
    folded = fold([event for event in events if not isinstance(event, (*deltas, *ends))])
    assert [said(item) for item in folded.output] == [said(item) for item in done_items(events)]


@LAW
@given(events=streams())
def test_every_prefix_folds_and_tells_more_and_more(events: list[Event]) -> None:
    state, texts = Fold(), list[str]()
    for number, event in enumerate(events):
        state.add(event)
        sofar = state.response
        assert sofar == fold(events[: number + 1])
        assert len(sofar.output) == sum(isinstance(e, ItemAdded) for e in events[: number + 1])
        texts.append(sofar.output_text)
    for index, item in enumerate(done_items(events)):
        assert state.output[index] == item
    assert all(len(later) >= len(sooner) for sooner, later in pairwise(texts))


@LAW
@given(events=streams(), forged=st.booleans())
def test_the_terminal_envelope_is_taken_and_its_output_is_not(
    events: list[Event], forged: bool
) -> None:
    end = events[-1]
    assert isinstance(end, Completed | Incomplete)
    if forged:
        end.response.output = [Message(role="assistant", content="never said")]
    folded = fold(events)
    assert folded.model_copy(update={"output": end.response.output}) == end.response
    assert folded.output == done_items(events)


@LAW
@given(events=streams())
def test_neither_events_nor_earlier_responses_change_while_folding(events: list[Event]) -> None:
    before = [event.to_json() for event in events]
    state, handed = Fold(), list[tuple[Response, bytes]]()
    for event in events:
        state.add(event)
        handed.append((state.response, state.response.to_json()))
    assert [event.to_json() for event in events] == before
    assert [response.to_json() for response, _ in handed] == [told for _, told in handed]


@LAW
@given(events=streams())
def test_what_a_fold_does_not_know_passes(events: list[Event]) -> None:
    noise = UnknownEvent(type="new:event", sequence_number=1)
    noisy = [each for event in events for each in (event, noise)]
    assert fold(noisy) == fold(events)


def test_without_a_response_there_is_nothing_to_fold() -> None:
    with pytest.raises(ValueError, match=r"response\.created"):
        fold([])


def test_an_event_about_an_item_that_was_never_added_is_an_error() -> None:
    created = Created(response=Response(id="resp_1"))
    stray = TextDelta(item_id="msg_1", output_index=3, content_index=0, delta="x")
    with pytest.raises(ValueError, match=r"output_index 3"):
        fold([created, stray])


def test_parts_that_were_never_announced_are_made_from_their_deltas() -> None:
    at: Any = {"item_id": "i", "output_index": 0}
    begun = Message(id="i", role="assistant", status="in_progress", content=[])
    folded = fold(
        [
            Created(response=Response(id="resp_1")),
            ItemAdded(output_index=0, item=begun),
            TextDelta(**at, content_index=0, delta="Hel"),
            TextDelta(**at, content_index=0, delta="lo"),
            RefusalDelta(**at, content_index=1, delta="No"),
        ]
    )
    assert cast("Message", folded.output[0]).content == [
        OutputText(text="Hello"),
        Refusal(refusal="No"),
    ]


def test_a_failed_response_keeps_what_was_said_before() -> None:
    begun = FunctionCall(id="fc_1", call_id="c", name="f", arguments="", status="in_progress")
    fault = Fault(code="server_error", message="gone")
    end: BaseEvent = Created(response=Response(id="r", status="failed", error=fault))
    folded = fold(
        [
            Created(response=Response(id="r")),
            ItemAdded(output_index=0, item=begun),
            ArgumentsDelta(item_id="fc_1", output_index=0, delta='{"a'),
            end,
        ]
    )
    assert folded.error == fault
    assert cast("FunctionCall", folded.output[0]).arguments == '{"a'


@pytest.mark.parametrize("itself", [True, False])
def test_a_run_inside_is_folded_once_by_itself_or_else_by_the_run_around_it(itself: bool) -> None:
    said = Message(id="m", role="assistant", status="in_progress", content=[])
    inside: list[Event] = [
        Created(response=Response(id="r")),
        ItemAdded(output_index=0, item=said),
        PartAdded(item_id="m", output_index=0, content_index=0, part=OutputText(text="")),
        TextDelta(item_id="m", output_index=0, content_index=0, delta="Hel"),
        TextDelta(item_id="m", output_index=0, content_index=0, delta="lo"),
    ]
    outer, own = Fold(), Fold()
    outer.add(Created(response=Response(id="r")))
    outer.follow(0, own)
    outer.add(ItemAdded(output_index=0, item=AgentCall(status="in_progress", agent="a")))
    for event in inside:
        if itself:
            own.add(event)
        outer.add(around(event, "ac", 0))
    call = outer.output[0]
    assert isinstance(call, AgentCall)
    assert [item.text for item in call.output if isinstance(item, Message)] == ["Hello"]
