"""Markers in the model's words become citations: whole, in their places, however they come."""

import re
import time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from antiphon.agents import loop
from antiphon.items import (
    AnnotationAdded,
    Event,
    FileCitation,
    Fold,
    FunctionCall as FunctionCallItem,
    FunctionTool,
    Ids,
    Item,
    ItemAdded,
    ItemDone,
    LogProb,
    Message,
    OutputText,
    PartAdded,
    PartDone,
    TextDelta,
    TextDone,
    ToolDefinition,
    UrlCitation,
)
from antiphon.models import FunctionCall, Model, ScriptedModel, Stop, Text
from antiphon.testing.tool import check_call_events, play as play_call
from antiphon.tools import Scope, Slot, WebResult, WebSearch

from .kit import Raw, asked, end_of, play

pytestmark = pytest.mark.anyio

ASKED = {"tools": [{"type": "web_search"}]}
FOUND = [WebResult("https://www.a.example/x?y=(1)", "A"), WebResult("https://b.example/", "B")]
A, B = "([a.example](https://www.a.example/x?y=%281%29))", "([b.example](https://b.example/))"
SEARCHED = FunctionCall("web_search", {"type": "search", "query": "q"})


async def search(query: str) -> list[WebResult]:
    return FOUND


TOOLS = [WebSearch(search=search, open_page=False)]


async def answered(*said: Any, fragment: int | None = None) -> list[Event]:
    """The events of a run that searches, and then says this."""
    model = ScriptedModel([SEARCHED, [*said]], fragment=fragment)
    return await play(asked(**ASKED), model, TOOLS)


def shown(events: list[Event]) -> str:
    return "".join(event.delta for event in events if isinstance(event, TextDelta))


def cited(events: list[Event]) -> OutputText:
    """The answer's text, which every event of it tells alike."""
    message = end_of(events).output[-1]
    assert isinstance(message, Message) and isinstance(message.content[0], OutputText)
    part = message.content[0]
    (done,) = [event for event in events if isinstance(event, TextDone)]
    (closed,) = [event for event in events if isinstance(event, PartDone)]
    told = [event for event in events if isinstance(event, AnnotationAdded)]
    assert done.text == part.text == shown(events)
    assert closed.part == part
    assert [event.annotation for event in told] == part.annotations
    assert [event.annotation_index for event in told] == list(range(len(told)))
    return part


def spans(part: OutputText) -> list[tuple[str, str]]:
    return [
        (one.url, part.text[one.start_index : one.end_index])
        for one in part.annotations
        if isinstance(one, UrlCitation)
    ]


@pytest.mark.parametrize("fragment", [None, 1, 2, 3, 5, 11])
async def test_a_marker_becomes_a_link_and_an_annotation_on_it(fragment: int | None) -> None:
    part = cited(await answered(Text("Yes [cite:1]. Or no [cite:2]!"), fragment=fragment))
    assert part.text == f"Yes {A}. Or no {B}!"
    assert spans(part) == [(FOUND[0].url, A), (FOUND[1].url, B)]
    assert [one.title for one in part.annotations if isinstance(one, UrlCitation)] == ["A", "B"]


@pytest.mark.parametrize("marker", ["[cite:1, 2]", "[cite:1,2]", "[cite: 1, cite:2]"])
async def test_several_in_one_marker_are_annotated_one_by_one(marker: str) -> None:
    part = cited(await answered(Text(f"Both {marker}."), fragment=2))
    assert part.text == f"Both {A} {B}."
    assert spans(part) == [(FOUND[0].url, A), (FOUND[1].url, B)]


async def test_a_marker_that_was_never_minted_is_dropped() -> None:
    part = cited(await answered(Text("Sure [cite:7] and [cite:1, 9]."), fragment=4))
    assert part.text == f"Sure  and {A}."
    assert spans(part) == [(FOUND[0].url, A)]


async def test_indexes_count_characters_and_not_bytes() -> None:
    part = cited(await answered(Text("Größe 🦊 [cite:2]"), fragment=1))
    assert spans(part) == [(FOUND[1].url, B)]


@pytest.mark.parametrize("text", ["a[0] [b](c) [cite] [cit", "[c", "x [", "[cites: 1]", "[[cite"])
async def test_other_brackets_stay_as_they_are(text: str) -> None:
    assert cited(await answered(Text(text), fragment=1)).text == text.removesuffix("[cite")


@pytest.mark.parametrize("text", ["So [cite:1", "So [cite:", "So [cite"])
async def test_half_a_marker_at_the_end_is_not_shown(text: str) -> None:
    events = await answered(Text(text), Stop("max_output_tokens"), fragment=3)
    assert shown(events) == "So "
    assert end_of(events).status == "incomplete"
    assert end_of(events).output_text == "So "


async def test_text_without_brackets_comes_in_the_fragments_that_the_model_made() -> None:
    events = await answered(Text("one two three"), fragment=4)
    deltas = [event.delta for event in events if isinstance(event, TextDelta)]
    assert deltas == ["one ", "two ", "thre", "e"]


async def test_without_a_tool_that_cites_words_pass_untouched() -> None:
    events = await play(asked(), ScriptedModel(["See [cite:1]."]))
    assert shown(events) == "See [cite:1]."


async def test_an_annotation_follows_the_words_it_stands_on() -> None:
    events = await answered(Text("Yes [cite:1] so."), fragment=7)
    kinds = [type(event) for event in events]
    first = kinds.index(AnnotationAdded)
    assert A in "".join(event.delta for event in events[:first] if isinstance(event, TextDelta))
    assert kinds.index(TextDone) > first


async def test_what_the_model_reads_next_is_what_was_shown() -> None:
    model = ScriptedModel([SEARCHED, ["See [cite:1].", FunctionCall("nowhere", {})], "ok"])
    await play(asked(**ASKED), model, TOOLS)
    said = [item for item in model.requests[-1].items if isinstance(item, Message)]
    assert said[-1].text == f"See {A}."


async def test_a_later_answer_may_cite_what_an_earlier_one_found() -> None:
    first = end_of(await answered(Text("See [cite:1].")))
    model = ScriptedModel(["As said [cite:2]."])
    given = [item.model_dump() for item in first.output]
    events = await play(asked([*given, {"role": "user", "content": "?"}], **ASKED), model, TOOLS)
    assert spans(cited(events)) == [(FOUND[1].url, B)]


async def test_the_same_page_found_again_keeps_its_marker_and_new_ones_go_on_counting() -> None:
    first = end_of(await answered(Text("See [cite:1].")))
    more = WebSearch(search=_third, open_page=False)
    given = [item.model_dump() for item in first.output]
    model = ScriptedModel([SEARCHED, "[cite:3][cite:2]"])
    events = await play(asked(given, **ASKED), model, [more])
    assert [url for url, _ in spans(cited(events))] == ["https://c.example/", FOUND[1].url]


async def _third(query: str) -> list[WebResult]:
    return [FOUND[1], WebResult("https://c.example/", "C")]


@given(
    pieces=st.lists(st.sampled_from(["[", "cite:", "1]", "2", ", ", "]", "word ", "[cite:1]"])),
    cuts=st.lists(st.integers(1, 9), min_size=1),
)
async def test_however_words_are_cut_the_same_is_shown(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    whole = cited(await answered(Text(text + ".")))
    fragments: list[Any] = []
    rest = text + "."
    while rest:
        size = cuts[len(fragments) % len(cuts)]
        fragments.append(Text(rest[:size]))
        rest = rest[size:]
    events = await answered(*fragments)
    assert cited(events) == whole
    assert not re.search(r"\[cite: ?\d{1,9}(, ?(cite: ?)?\d{1,9}){0,15}\]", whole.text)
    assert all(part in (A, B) for _, part in spans(whole))


# --- events as foreign servers give them


def raw(*events: Event) -> Raw:
    search = [
        ItemAdded(output_index=0, item=call()),
        ItemDone(output_index=0, item=call('{"type":"search","query":"q"}')),
    ]
    return Raw(search, events)


def call(arguments: str = "") -> FunctionCallItem:
    return FunctionCallItem(id="x", call_id="c", name="web_search", arguments=arguments)


def message(*content: OutputText) -> Message:
    return Message(id="m", role="assistant", status="completed", content=[*content])


PLACE: dict[str, Any] = {"item_id": "m", "output_index": 0, "content_index": 0}
NATIVE = UrlCitation(url="https://n.example", title="N", start_index=13, end_index=17)


async def run(model: Model) -> list[Event]:
    events = loop(asked(**ASKED), model=model, tools=TOOLS, ids=Ids(seed=1))
    return [event async for event in events]


async def test_annotations_of_the_models_own_server_move_with_the_text() -> None:
    part = OutputText(text="See [cite:2] here.", annotations=[NATIVE])
    events = await run(
        raw(
            ItemAdded(output_index=0, item=message()),
            PartAdded(**PLACE, part=OutputText(text="")),
            TextDelta(**PLACE, delta="See [cite:2] here"),
            AnnotationAdded(**PLACE, annotation_index=0, annotation=NATIVE),
            TextDelta(**PLACE, delta="."),
            TextDone(**PLACE, text="See [cite:2] here."),
            PartDone(**PLACE, part=part),
            ItemDone(output_index=0, item=message(part)),
        )
    )
    assert spans(cited(events)) == [(FOUND[1].url, B), ("https://n.example", "here")]


async def test_a_message_that_comes_whole_is_read_whole() -> None:
    part = OutputText(text="See [cite:2].")
    events = await run(
        raw(
            ItemAdded(output_index=0, item=message()),
            ItemDone(output_index=0, item=message(part)),
        )
    )
    final = end_of(events).output[-1]
    assert isinstance(final, Message) and final.text == f"See {B}."
    fold = Fold()
    for event in events:
        fold.add(event)
    assert fold.output[-1] == final


async def test_log_probabilities_of_held_words_come_with_the_next() -> None:
    def token(text: str) -> LogProb:
        return LogProb(token=text, logprob=-1.0)

    part = OutputText(text="a [cite:2] b")
    events = await run(
        raw(
            ItemAdded(output_index=0, item=message()),
            PartAdded(**PLACE, part=OutputText(text="")),
            TextDelta(**PLACE, delta="a ", logprobs=[token("a ")]),
            TextDelta(**PLACE, delta="[cite", logprobs=[token("[cite")]),
            TextDelta(**PLACE, delta=":2] b", logprobs=[token(":2] b")]),
            TextDone(**PLACE, text=part.text),
            PartDone(**PLACE, part=part),
            ItemDone(output_index=0, item=message(part)),
        )
    )
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert [event.delta for event in deltas] == ["a ", f"{B} b"]
    assert [[one.token for one in event.logprobs] for event in deltas] == [
        ["a "],
        ["[cite", ":2] b"],
    ]


class FileFinder:
    """A tool whose citations vanish from the text, and leave an index."""

    type = "web_search"
    function = FunctionTool(name="find")
    item_type = "web_search_call"
    parallel = True

    def __init__(self) -> None:
        self.inner = TOOLS[0]

    def offers(self, definition: ToolDefinition, scope: Scope) -> Any:
        scope.citations.wake()
        scope.citations.mint(
            "", lambda start, end: FileCitation(file_id="f", filename="a.md", index=start)
        )
        return self.inner.offers(definition, scope)

    async def aclose(self) -> None: ...


async def test_a_marker_may_vanish_and_leave_its_index() -> None:
    model = ScriptedModel(["Yes [cite:1]."], fragment=3)
    events = await play(asked(**ASKED), model, [FileFinder()])
    part = cited(events)
    assert part.text == "Yes ."
    assert part.annotations == [FileCitation(file_id="f", filename="a.md", index=4)]


async def test_calls_of_two_turns_share_the_pages_of_the_request() -> None:
    (offer,) = TOOLS[0].offers(definition({"type": "web_search"}), scope := Scope())
    for slot in (Slot("item_1", 0), Slot("item_2", 1)):
        events = await play_call(offer, '{"type":"search","query":"q"}', scope=scope, slot=slot)
        item: Any = check_call_events(events, slot=slot)
        assert [one["cite"] for one in item.results] == ["[cite:1]", "[cite:2]"]


def definition(data: dict[str, Any]) -> ToolDefinition:
    return (asked(tools=[data]).tools or [])[0]


async def test_a_run_that_goes_on_in_another_process_knows_what_it_had_found() -> None:
    first = end_of(await answered(Text("See [cite:1].")))
    items: list[Item] = []
    scope = Scope(items=items)
    TOOLS[0].offers(definition({"type": "web_search"}), scope)
    items.extend(first.output)  # as they come, when the run was begun already
    found = scope.citations.find(2)
    assert found is not None and found.text == B
    assert scope.citations.mint("", found.annotate) == "[cite:3]"


async def test_a_citation_of_a_server_s_own_costs_no_more_where_there_are_thousands() -> None:
    async def cost(count: int) -> float:
        at: Any = {"item_id": "m", "output_index": 0, "content_index": 0}
        own = [
            UrlCitation(url=f"https://{number}.example", start_index=0, end_index=1, title="")
            for number in range(count)
        ]
        whole = OutputText(text="So.", annotations=[*own])
        said = Message(id="m", role="assistant", content=[whole])
        told = [
            AnnotationAdded(**at, annotation_index=number, annotation=one)
            for number, one in enumerate(own)
        ]
        events: list[Event] = [
            ItemAdded(output_index=0, item=said.model_copy(update={"content": []})),
            PartAdded(**at, part=OutputText(text="")),
            TextDelta(**at, delta="So."),
            *told,
            TextDone(**at, text="So."),
            PartDone(**at, part=whole),
            ItemDone(output_index=0, item=said),
        ]
        began = time.process_time()
        answer = await play(asked(**ASKED), Raw(events), TOOLS)
        took = time.process_time() - began
        assert cited(answer).annotations == own
        return took

    assert await cost(2400) < 30 * await cost(300), "eight times as many: 64 times if each met each"
