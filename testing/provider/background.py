"""Rules about runs in the background: queued, polled, watched again, cancelled.

Above: `provider`. Below: `bench`. Not here: what the response says.
"""

from typing import Any, Final

import anyio

from .bench import MISSING, Bench, Theme
from .errors import BAD, NOWHERE, refusal
from .line import Answer, Stream
from .questions import COUNT, LONG_COUNT
from .report import expect, one_of, same, shown, skip
from .shapes import ResponseObject, fault
from .sse import Json, obj
from .stories import is_terminal, kinds

background: Theme = Theme("background and cancel")
_WIRE: Final = "wire 6: background"
_OPEN: Final = ("queued", "in_progress")
_FIRST, _SLOWEST = 0.02, 1.0  # seconds between two looks at a response


async def begun(bench: Bench, asked: str, **fields: Any) -> Json:
    """A response that runs in the background.

    Raises:
        Skipped: The provider does not do that.
    """
    body = bench.body(asked, background=True, **fields)
    answer = await bench.post(body)
    if 400 <= answer.status < 500:
        skip(answer.absent)
    return bench.taken(answer, body)


async def ended(bench: Bench, response_id: str) -> Json:
    """The response when it has ended.

    Raises:
        Broken: It does not, in the time that an answer may take.
    """
    pause, last = _FIRST, ""
    with anyio.move_on_after(bench.line.seconds):
        while True:
            answer = await bench.line.ask("GET", f"/responses/{response_id}")
            told = bench.taken(answer, None)
            last = str(told.get("status"))
            if last not in _OPEN:
                return told
            await anyio.sleep(pause)
            pause = min(2 * pause, _SLOWEST)
    raise bench.line.lost(
        f"expected an end within {bench.line.seconds:g} seconds, got status {shown(last)}"
    )


@background.rule("background: true is answered at once: queued or in_progress, no output", _WIRE)
async def at_once(bench: Bench) -> None:
    told = await begun(bench, LONG_COUNT)
    wrong = fault(ResponseObject, told)
    expect(wrong is None, str(wrong), wrong.got if wrong else None)
    same(told.get("background"), True, "background")
    one_of(told.get("status"), _OPEN, "status", told)
    same(told.get("output"), [], "output")
    await bench.line.ask("POST", f"/responses/{told['id']}/cancel")


@background.rule("a background response can be polled to its end", _WIRE)
async def polled(bench: Bench) -> None:
    told = await begun(bench, COUNT)
    end = await ended(bench, told["id"])
    same(end.get("status"), "completed", "status", end)
    same(end.get("id"), told["id"], "id")
    expect(end.get("output"), "output: expected an item, got none", end)


@background.rule("background with store: false is a 400", "design 9")
async def not_unstored(bench: Bench) -> None:
    await bench.once("begun", lambda: begun(bench, COUNT))
    answer = await bench.post(bench.body(COUNT, background=True, store=False))
    refusal(answer, BAD, "background: true, store: false")


async def _cancel(bench: Bench, response_id: str) -> Answer:
    answer = await bench.line.ask("POST", f"/responses/{response_id}/cancel")
    if answer.status in MISSING:
        skip(answer.absent)
    return answer


@background.rule("a cancelled response is `cancelled`, and stays so", "wire 6; law 4")
async def cancelled(bench: Bench) -> None:
    told = await begun(bench, LONG_COUNT)
    answer = await _cancel(bench, told["id"])
    expect(answer.status == 200, f"expected 200, got {answer}")
    status = answer.json.get("status")
    if status == "completed":
        skip("the answer was whole before it could be cancelled")
    same(answer.json.get("id"), told["id"], "id", answer.body)
    one_of(status, ("cancelled", *_OPEN), "status", answer.body)
    end = await ended(bench, told["id"])
    same(end.get("status"), "cancelled", "status", end)
    wrong = fault(ResponseObject, end)
    expect(wrong is None, str(wrong), wrong.got if wrong else None)
    left = [item for item in end["output"] if item.get("status") == "in_progress"]
    expect(not left, f"expected no open items, got {len(left)}", left)


@background.rule("cancelling twice gives the same cancelled response", "openai: idempotent")
async def cancelled_twice(bench: Bench) -> None:
    told = await begun(bench, LONG_COUNT)
    await _cancel(bench, told["id"])
    end = await ended(bench, told["id"])
    if end.get("status") == "completed":
        skip("the answer was whole before it could be cancelled")
    again = await _cancel(bench, told["id"])
    expect(again.status == 200, f"expected 200, got {again}")
    same(again.json.get("status"), "cancelled", "status", again.body)


@background.rule("what is not in the background cannot be cancelled: 400", "openai: cancel")
async def not_cancellable(bench: Bench) -> None:
    told = await bench.respond("Say hello.", store=True)
    if told.get("store") is False:
        skip("the provider stores nothing: its response says store: false")
    answer = await _cancel(bench, told["id"])
    refusal(answer, (400, 409, 422), "cancelling a response that has ended")


@background.rule("an unknown response cannot be cancelled: 404", "spec, Errors")
async def unknown(bench: Bench) -> None:
    told = await begun(bench, COUNT)  # skips where nothing can be cancelled
    await _cancel(bench, told["id"])
    answer = await bench.line.ask("POST", f"/responses/{NOWHERE}/cancel")
    refusal(answer, (404,), "cancelling an unknown response")


# --- watching again -----------------------------------------------------------


async def watched(bench: Bench) -> Stream:
    """A background response, watched from its beginning.

    Raises:
        Skipped: The provider does not do that.
    """
    body = bench.body(COUNT, background=True)
    answer = await bench.post({**body, "stream": True})
    if 400 <= answer.status < 500:
        skip(answer.absent)
    expect(answer.status == 200, f"expected 200, got {answer}", body)
    return Stream.of("background", body, answer)


async def _again(bench: Bench, response_id: object, query: str) -> Stream:
    path = f"/responses/{response_id}?stream=true{query}"
    answer = await bench.line.ask("GET", path)
    if answer.status in (400, *MISSING):
        skip(answer.absent)
    expect(answer.status == 200, f"expected 200, got {answer}")
    same(answer.kind, "text/event-stream", "content-type")
    return Stream.of("again", {}, answer)


@background.rule("a background response can be watched as it runs, to its end", _WIRE)
async def streams(bench: Bench) -> None:
    told: Stream = await bench.once("watched", lambda: watched(bench))
    same(kinds(told.events[:1]), ["response.created"], "its first event", told.events[:1])
    numbers = [event.get("sequence_number") for event in told.events]
    same(numbers, list(range(len(numbers))), "sequence_number")
    ends = [at for at, event in enumerate(told.events) if is_terminal(event)]
    same(ends, [len(told.events) - 1], "the places of the terminal event", told.events[-1:])
    same(told.terminal.get("background"), True, "background")


@background.rule("starting_after=N gives what came after N, the very same events", _WIRE)
async def resumed(bench: Bench) -> None:
    told: Stream = await bench.once("watched", lambda: watched(bench))
    name = told.terminal.get("id")
    for number in (0, len(told.events) // 2):
        again = await _again(bench, name, f"&starting_after={number}")
        same(again.events, told.events[number + 1 :], f"the events after {number}")
        done = bool(again.frames) and again.frames[-1].done
        expect(done, "expected [DONE] last", again.frames[-1:] and again.frames[-1].raw)


@background.rule("stream=true alone gives all events again", _WIRE)
async def from_the_start(bench: Bench) -> None:
    told: Stream = await bench.once("watched", lambda: watched(bench))
    again = await _again(bench, told.terminal.get("id"), "")
    same(again.events, told.events, "the events")


@background.rule("a client that leaves does not end a background run", _WIRE)
async def left_alone(bench: Bench) -> None:
    first: Stream = await bench.once("watched", lambda: watched(bench))
    await _again(bench, first.terminal.get("id"), "")  # skips where nothing can be watched again
    told = await begun(bench, COUNT)
    with anyio.move_on_after(_FIRST):  # look, and leave
        await bench.line.ask("GET", f"/responses/{told['id']}?stream=true")
    end = await ended(bench, told["id"])
    same(end.get("status"), "completed", "status", obj(end))
