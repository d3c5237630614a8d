"""Rules about who sees what: versions, the names of reasoning events, extensions.

Above: `provider`. Below: `bench`. Not here: what is said under those names.
"""

from typing import Final

from .bench import AS_CLIENT, Bench, Dialect, Theme
from .errors import refusal
from .line import Stream
from .questions import STREAMS
from .report import expect, same, shown, skip
from .sse import Json, objects
from .stories import kind, stories

dialects: Theme = Theme("dialects, versions, extensions")
_WIRE: Final = "wire 3"
VERSIONS: Final = ("latest", "2026-01-15", "2026-04-24")
_NAMES: Final[dict[Dialect, str]] = {
    "openresponses": "response.reasoning.",
    "openai": "response.reasoning_text.",
}


@dialects.rule("OpenResponses-Version: latest, 2026-01-15 and 2026-04-24 are spoken", _WIRE)
async def versions(bench: Bench) -> None:
    for version in VERSIONS:
        body = bench.body("Say hello.")
        answer = await bench.post(body, headers={"openresponses-version": version})
        same(bench.taken(answer, body).get("status"), "completed", f"{version}: status")


@dialects.rule("any other OpenResponses-Version is a 400 that lists them", _WIRE)
async def unknown_version(bench: Bench) -> None:
    headers = {"openresponses-version": "1999-01-01"}
    error = refusal(await bench.post(bench.body("Hi."), headers=headers), (400,), "1999-01-01")
    missing = [each for each in VERSIONS if each not in str(error.get("message"))]
    expect(not missing, f"expected the versions to be listed, missing {missing}", error)


async def _thought(bench: Bench, dialect: Dialect | None) -> Stream:
    """A stream with raw reasoning, as a client of this dialect sees it.

    Raises:
        Skipped: The model shows none.
    """
    told = await bench.specimen("thought")
    if dialect is not None:
        body = dict(told.asked)
        told = await bench.stream(f"thought, {dialect}", body, headers=AS_CLIENT[dialect])
    if not any(kind(event).startswith(tuple(_NAMES.values())) for event in told.events):
        skip("the model shows no raw reasoning")
    return told


def _check(told: Stream, dialect: Dialect) -> None:
    wrong = [kind(each) for each in told.events if kind(each).startswith(tuple(_NAMES.values()))]
    wrong = [name for name in wrong if not name.startswith(_NAMES[dialect])]
    expect(not wrong, f"expected {_NAMES[dialect]}*, got {shown(wrong[:2])}")


@dialects.rule(
    "a client that says OpenResponses-Version reads response.reasoning.*", f"{_WIRE}; spec"
)
async def standard(bench: Bench) -> None:
    _check(await _thought(bench, "openresponses"), "openresponses")


@dialects.rule("an OpenAI-style client reads response.reasoning_text.*", _WIRE)
async def openai_style(bench: Bench) -> None:
    _check(await _thought(bench, "openai"), "openai")


@dialects.rule("no response mixes the two dialects", _WIRE)
async def never_both(bench: Bench) -> None:
    for dialect in (None, "openresponses", "openai"):
        told = await _thought(bench, dialect)
        found = {
            name
            for name, start in _NAMES.items()
            if any(kind(event).startswith(start) for event in told.events)
        }
        expect(len(found) == 1, f"expected one dialect, got {shown(sorted(found))}")


@dialects.rule("a client that did not opt in sees no extensions", "wire 2: who sees the slug")
async def no_extensions(bench: Bench) -> None:
    async for one in bench.streams():
        for event in one.events:
            expect(":" not in kind(event), f"type: got {shown(kind(event))}", event)
        for story in stories(one):
            for item in (story.added, story.done):
                named = str(item.get("type"))
                expect(":" not in named, f"{story}: type {shown(named)}", item)


@dialects.rule("opting in to extensions leaves the standard as it is", "wire 2; spec, Extending")
async def opted_in(bench: Bench) -> None:
    headers = {"openresponses-extensions": "antiphon"}
    body = bench.body(STREAMS["count"].fields)
    told = await bench.stream("count, extended", body, headers=headers)
    same(told.terminal.get("status"), "completed", "status", told.terminal)
    output = objects(told.terminal.get("output"))
    expect(any(each.get("type") == "message" for each in output), "expected a message", output)
    numbers = [event.get("sequence_number") for event in told.events]
    same(numbers, list(range(len(numbers))), "sequence_number")


@dialects.rule("a client that opted in sees a provider-run function as it is", "wire 2")
async def sees_slug(bench: Bench) -> None:
    await bench.specimen("run")  # skips where nothing is run here
    headers = {"openresponses-extensions": "antiphon"}
    body = bench.body(STREAMS["run"].fields)
    told = await bench.stream("run, extended", body, headers=headers)
    found: list[Json] = [
        each for each in objects(told.terminal.get("output")) if each.get("type") != "message"
    ]
    if not found:
        skip("the model called nothing this time")
    kinds = [str(each.get("type")) for each in found]
    same(kinds, ["antiphon:tool_call"] * len(kinds), "the types of calls", found)
