"""Rules about streams: the bytes, the envelope of a response, and that they say what JSON says.

Above: `provider`. Below: `bench`, `stories`. Not here: what happens inside an
item. Each rule is tried on every specimen.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from pydantic import ValidationError

from antiphon.items import Response, fold, parse_event

from .bench import Bench, Theme
from .line import Stream
from .report import Broken, expect, one_of, same, shown, skip
from .shapes import ResponseObject, fault
from .shapes_events import EVENTS, event_fault
from .sse import Json, obj, objects
from .stories import ADDED, DONE, is_terminal, kind, kinds, of_kind, stories

stream: Theme = Theme("the stream")
_SSE: Final = "spec, Streaming HTTP Responses; wire 1"
_BEGIN: Final = ("response.created", "response.queued", "response.in_progress")


@stream.rule("stream: true is answered with 200, text/event-stream and events", _SSE)
async def streams(bench: Bench) -> None:
    count = await bench.specimen("count")
    assert count.answer is not None
    same(count.answer.kind, "text/event-stream", "content-type")


async def _count(bench: Bench) -> Stream:
    try:
        return await bench.specimen("count")
    except Broken as error:
        skip(f"there is no stream to look at: {error.why}")


@stream.rule("a frame is one event line, one data line of JSON and a blank line, \\n only", _SSE)
async def frames(bench: Bench) -> None:
    async for one in bench.streams():
        expect(not one.told.crlf, f"{one.name!r}: expected \\n alone, got \\r")
        expect(not one.told.rest, f"{one.name!r}: the last frame has no blank line", one.told.rest)
        for frame in one.frames:
            if frame.done:
                continue
            fields = [name for name in frame.fields if name not in ("", "id", "retry")]
            same(fields, ["event", "data"], f"{one.name!r}: the lines of a frame", frame.raw)
            expect(frame.event is not None, "data: expected a JSON object", frame.raw)


@stream.rule("the event line says the event's type", _SSE)
async def event_names(bench: Bench) -> None:
    async for one in bench.streams():
        for frame in one.frames:
            if frame.event is not None:
                same(frame.name, frame.event.get("type"), "event", frame.raw)


@stream.rule("no frame has an id", _SSE)
async def no_ids(bench: Bench) -> None:
    async for one in bench.streams():
        for frame in one.frames:
            expect("id" not in frame.fields, "expected no `id:` line, got one", frame.raw)


@stream.rule("the stream ends with data: [DONE], said once, and then it is closed", _SSE)
async def done_last(bench: Bench) -> None:
    async for one in bench.streams():
        places = [at for at, frame in enumerate(one.frames) if frame.done]
        last = one.frames[-1].raw if one.frames else b""
        same(places, [len(one.frames) - 1], f"{one.name!r}: the places of [DONE]", last)
        ended = one.answer is not None and one.answer.ended
        expect(ended, "expected the body's end after [DONE], and the line stayed open")


@stream.rule("every event has its fields, each of its type", "schema, ...StreamingEvent")
async def shaped(bench: Bench) -> None:
    async for one in bench.streams():
        for event in one.events:
            wrong = event_fault(event)
            expect(wrong is None, f"{one.name!r}, {kind(event)}: {wrong}", event)


@stream.rule("sequence_number counts 0, 1, 2 ... without gaps", "wire 1; spec, Extending events")
async def numbered(bench: Bench) -> None:
    async for one in bench.streams():
        for at, event in enumerate(one.events):
            same(event.get("sequence_number"), at, f"{one.name!r}: sequence_number", event)


@stream.rule("event types that the standard lacks bear a provider's prefix", "spec, Extending")
async def prefixed(bench: Bench) -> None:
    async for one in bench.streams():
        for event in one.events:
            known = kind(event) in EVENTS or kind(event) == "error"
            what = f"{one.name!r}: type: expected one that clients know, or a prefix"
            expect(known or ":" in kind(event), f"{what}, got {shown(kind(event))}", event)


@stream.rule("response.created comes first, and once", "wire 1")
async def created_first(bench: Bench) -> None:
    async for one in bench.streams():
        places = [at for at, each in enumerate(one.events) if kind(each) == "response.created"]
        same(places, [0], f"{one.name!r}: the places of response.created", one.events[0])


@stream.rule("response.in_progress comes next, before any item", "wire 1; spec, Streaming")
async def then_in_progress(bench: Bench) -> None:
    async for one in bench.streams():
        begin = list(takewhile(_BEGIN.__contains__, kinds(one.events)))
        expected = [list(_BEGIN), [_BEGIN[0], _BEGIN[2]]]
        wanted = f"{one.name!r}: expected {' and '.join(expected[1])} first"
        expect(begin in expected, f"{wanted}, got {' and '.join(begin)}", one.events[1:2])
        again = [each for each in one.events[len(begin) :] if kind(each) in _BEGIN]
        expect(not again, f"{one.name!r}: expected it once", again)


@stream.rule("the response is begun with empty output, queued or in_progress", "wire 1")
async def begun_empty(bench: Bench) -> None:
    async for one in bench.streams():
        for event in of_kind(one, *_BEGIN):
            response = obj(event.get("response"))
            same(response.get("output"), [], f"{one.name!r}, {kind(event)}: output", event)
            right = ("queued", "in_progress") if kind(event) != _BEGIN[2] else ("in_progress",)
            one_of(response.get("status"), right, f"{one.name!r}, {kind(event)}: status", event)


@stream.rule("events of the response carry it whole", "wire 1; schema")
async def carried_whole(bench: Bench) -> None:
    async for one in bench.streams():
        for event in one.events:
            if "response" in event:
                wrong = fault(ResponseObject, event["response"])
                got = wrong.got if wrong else None
                expect(wrong is None, f"{one.name!r}, {kind(event)}: {wrong}", got)


@stream.rule("the response's id is the same from first to last", "wire 1")
async def one_response(bench: Bench) -> None:
    async for one in bench.streams():
        ids = {obj(each.get("response")).get("id") for each in one.events if "response" in each}
        expect(len(ids) == 1, f"{one.name!r}: expected one id, got {shown(sorted(map(str, ids)))}")


@stream.rule("exactly one terminal event comes, and it comes last", "wire 1")
async def one_end(bench: Bench) -> None:
    async for one in bench.streams():
        places = [at for at, event in enumerate(one.events) if is_terminal(event)]
        what = f"{one.name!r}: the places of the terminal event"
        same(places, [len(one.events) - 1], what, one.events[-1])


@stream.rule("the terminal event's name is its response's status", "wire 1; spec, Streaming")
async def end_says_status(bench: Bench) -> None:
    async for one in bench.streams():
        for event in filter(is_terminal, one.events):
            status = obj(event.get("response")).get("status")
            named = kind(event).removeprefix("response.")
            right = (named, "cancelled") if named == "incomplete" else (named,)
            one_of(status, right, f"{one.name!r}, {kind(event)}: status", event)


@stream.rule("the terminal response's output is every finished item, in order", "wire 1")
async def output_full(bench: Bench) -> None:
    async for one in bench.streams():
        done = {each.index: each.done for each in stories(one) if each.done}
        wanted = [done[index] for index in sorted(done)]
        output = one.terminal.get("output")
        expect(output, f"{one.name!r}: expected items in the output, got {shown(output)}")
        same(output, wanted, f"{one.name!r}: output", output)


@stream.rule("fold(events) is the terminal response", "law 1: the events alone tell everything")
async def folds(bench: Bench) -> None:
    async for one in bench.streams():
        try:
            events = [parse_event(frame.data or b"") for frame in one.frames if frame.event]
            told = fold(events)
            ended = Response.model_validate(one.terminal)
        except (ValidationError, ValueError) as error:
            raise Broken(f"{one.name!r}: {str(error).splitlines()[0]}") from error
        same(told.model_dump(mode="json"), ended.model_dump(mode="json"), f"{one.name!r}: fold")


@stream.rule("the JSON answer and the streamed one have the same fields", "law 1; schema")
async def as_json(bench: Bench) -> None:
    whole, told = await bench.hello(), (await _count(bench)).terminal
    same(sorted(whole), sorted(told), "the fields of the response")
    same(_fields_of(whole), _fields_of(told), "the fields of a message")


def _fields_of(response: Json) -> Sequence[str]:
    items = objects(response.get("output"))
    messages = [item for item in items if item.get("type") == "message"]
    return sorted(messages[-1]) if messages else []


@stream.rule("each item is added before it is finished, and nothing else is", "spec, Streaming")
async def nothing_stray(bench: Bench) -> None:
    async for one in bench.streams():
        for event in one.events:
            about = "output_index" in event or "item_id" in event
            if about and ":" not in kind(event):
                index = event.get("output_index")
                whole = isinstance(index, int) and not isinstance(index, bool)
                expect(whole, f"output_index: got {shown(index)}", event)
        for story in stories(one):
            first = kind(story.events[0])
            same(first, ADDED, f"{story}: its first event", story.events[0])
            last = kind(story.events[-1])
            same(last, DONE, f"{story}: its last event", story.events[-1])


@stream.rule("stream: false is one JSON answer", "spec, HTTP Responses")
async def not_streamed(bench: Bench) -> None:
    answer = await bench.post(bench.body("Say hello.", stream=False))
    same(answer.kind, "application/json", "content-type")
    same(answer.json.get("object"), "response", "object")
