"""Rules about items in a stream: their life, and the sequence of each type's events.

Above: `provider`. Below: `bench`, `stories`. Not here: the envelope. Each rule
is tried on every item of every specimen.
"""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from .bench import Bench, Theme
from .report import Broken, expect, filled, one_of, same, shown, skip
from .shapes import OneItem, fault
from .sse import Json, obj, objects, parse
from .stories import ADDED, DONE, Story, kind, kinds, of_kind, stories

items: Theme = Theme("items")
_LIFE: Final = "spec, Items are streamable; wire 1"
_ENDS: Final = ("completed", "incomplete", "failed")
_HOSTED: Final = re.compile(
    r"(code_interpreter|file_search|web_search|image_generation|computer|mcp|shell|local_shell|"
    r"apply_patch|custom_tool|function)_call(_output)?|mcp_(list_tools|approval_request|"
    r"approval_response)|message|reasoning|compaction"
)
_PLAIN: Final = ("reasoning", "compaction", "mcp_list_tools", "mcp_approval_request")
"""Types whose classes have no status in the schema, or in any client."""


async def tales(bench: Bench, *types: str) -> AsyncIterator[Story]:
    """Every item of these types in every specimen; of all types where none is given.

    Raises:
        Skipped: There is none.
    """
    none = True
    async for one in bench.streams():
        for story in stories(one):
            if not types or story.type in types:
                none = False
                yield story
    if none:
        skip(f"no specimen has an item of type {' or '.join(types)}")


@items.rule("every item is added once and finished once", _LIFE)
async def once_each(bench: Bench) -> None:
    async for story in tales(bench):
        for name in (ADDED, DONE):
            same(len(story.of(name)), 1, f"{story}: the number of {name}", story.of(name))


@items.rule("items are added in the order of output_index, from 0 on", "wire 1")
async def in_order(bench: Bench) -> None:
    async for one in bench.streams():
        added = [event.get("output_index") for event in of_kind(one, ADDED)]
        same(added, list(range(len(added))), f"{one.name!r}: output_index of added items")


@items.rule("an item's id is the same in all of its events, and no other item's", "wire 1")
async def stable_ids(bench: Bench) -> None:
    async for one in bench.streams():
        owners: dict[object, int] = {}
        for story in stories(one):
            for event in story.events:
                given = obj(event.get("item")) if "item" in event else event
                name = given.get("id" if "item" in event else "item_id")
                same(name, story.added.get("id"), f"{story}: its id in {kind(event)}", event)
                owner = owners.setdefault(name, story.index)
                same(owner, story.index, f"{story}: the item that has its id", event)


@items.rule("an added item is in progress, with zero values where nothing is known", _LIFE)
async def zero_values(bench: Bench) -> None:
    zeros: Json = {"arguments": "", "content": [], "summary": [], "code": "", "outputs": None}
    async for story in tales(bench):
        status = story.added.get("status", "in_progress")
        same(status, "in_progress", f"{story}: status when added", story.added)
        for name, zero in zeros.items():
            if name in story.added and story.type != "mcp_approval_request":
                same(story.added[name], zero, f"{story}: {name} when added", story.added)


@items.rule("type, role, name and call_id of an item never change", _LIFE)
async def stay_themselves(bench: Bench) -> None:
    async for story in tales(bench):
        for name in ("type", "role", "name", "call_id", "server_label", "container_id"):
            if name in story.added and story.done:
                same(story.done.get(name), story.added[name], f"{story}: {name}", story.done)


@items.rule("a finished item is never touched again", "spec, Items are state machines")
async def finished(bench: Bench) -> None:
    async for story in tales(bench):
        ends = [at for at, event in enumerate(story.events) if kind(event) == DONE]
        later = story.events[ends[0] + 1 :] if ends else []
        expect(not later, f"{story}: {kinds(later)} came after it was finished", later[:1])


@items.rule("a finished item has an end: completed, incomplete or failed", "wire 1; spec, Items")
async def has_end(bench: Bench) -> None:
    async for story in tales(bench):
        one_of(story.done.get("status", "completed"), _ENDS, f"{story}: status", story.done)


@items.rule("id, type and status stand on every item, added and done", "spec, Extending Items")
async def named(bench: Bench) -> None:
    async for story in tales(bench):
        for item in (story.added, story.done):
            for name in ("id", "type", "status"):
                if name == "status" and story.type in _PLAIN:
                    continue
                filled(item.get(name), f"{story}: {name}", item)


@items.rule("every item has its fields, each of its type", "schema, ItemField")
async def shaped(bench: Bench) -> None:
    async for story in tales(bench):
        for item in (story.added, story.done):
            wrong = fault(OneItem, {"item": item})
            expect(wrong is None, f"{story}: {wrong}", item)


@items.rule("item types that no client knows bear a provider's prefix", "spec, Extending Items")
async def prefixed(bench: Bench) -> None:
    async for story in tales(bench):
        known = _HOSTED.fullmatch(story.type) is not None or ":" in story.type
        what = f"{story}: type: expected one that clients know, or a prefix"
        expect(known, f"{what}, got {shown(story.type)}", story.added)


# --- content parts ------------------------------------------------------------

_PARTS: Final = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
"""The field of each part type that its deltas fill."""


_DEFAULT: Final = {"message": "response.output_text", "reasoning": "response.reasoning"}


def _label(events: Sequence[Json], default: str) -> str:
    """What the delta and done events of a part are called."""
    found = [
        kind(each).rpartition(".")[0]
        for each in events
        if kind(each).endswith((".delta", ".done")) and "part" not in each
    ]
    return found[0] if found else default


def _check_parts(story: Story) -> None:
    """The order of the events of each content part."""
    open_one: int | None = None
    for index in story.indexes("content_index"):
        mine = story.picked(story.inside, content_index=index)
        label = _label(mine, _DEFAULT[story.type])
        order = ["response.content_part.added"]
        middle = (f"{label}.delta", "response.output_text.annotation.added")
        got = [kind(each) for each in mine if kind(each) not in middle]
        order += [f"{label}.done", "response.content_part.done"]
        same(got, order, f"{story}, part {index}: its events beside deltas", mine[-1])
        between = [kind(each) for each in mine[1:-2]]
        loose = [each for each in between if each not in middle]
        expect(not loose, f"{story}, part {index}: {loose} among the deltas", mine)
    for event in story.inside:
        if "content_index" not in event:
            continue
        at = event["content_index"]
        if kind(event) == "response.content_part.added":
            expect(open_one is None, f"{story}: part {at} begins while {open_one} is open", event)
            open_one = at
        elif kind(event) == "response.content_part.done":
            open_one = None
    indexes = story.indexes("content_index")
    same(indexes, list(range(len(indexes))), f"{story}: content_index of its parts")


@items.rule(
    "a message's text lives in parts: part added, deltas, text done, part done",
    "spec, Items are streamable; wire 2",
)
async def message_parts(bench: Bench) -> None:
    async for story in tales(bench, "message"):
        expect(story.indexes("content_index"), f"{story}: expected a content part", story.done)
        _check_parts(story)


@items.rule("a message's deltas, joined, are the text of its done event", "wire 2")
async def message_deltas(bench: Bench) -> None:
    async for story in tales(bench, "message"):
        for name, field in (("output_text", "text"), ("refusal", "refusal")):
            for event in story.of(f"response.{name}.done"):
                joined = story.joined(
                    f"response.{name}.delta", content_index=event.get("content_index", -1)
                )
                same(event.get(field), joined, f"{story}: {field} of response.{name}.done", event)


def _check_whole(story: Story, field: str = "content", key: str = "content_index") -> None:
    """Each part's done event, its text's done event and the finished item say the same."""
    parts = objects(story.done.get(field))
    ends = [each for each in story.inside if kind(each).endswith("_part.done")]
    ends = [each for each in ends if key in each]
    same([each.get("part") for each in ends], parts, f"{story}: its parts when finished")
    for event in ends:
        part = obj(event.get("part"))
        name = _PARTS.get(str(part.get("type")), "text")
        texts = [each for each in story.picked(story.inside, **{key: event[key]}) if name in each]
        for told in texts:
            same(part.get(name), told[name], f"{story}: {name} of its part", event)


@items.rule("a finished message holds its parts as they were finished", "wire 2")
async def message_whole(bench: Bench) -> None:
    async for story in tales(bench, "message"):
        _check_whole(story)


@items.rule("text events carry a list of logprobs", "wire 2: openai-python demands it")
async def logprobs(bench: Bench) -> None:
    async for story in tales(bench, "message"):
        for event in story.of("response.output_text.delta", "response.output_text.done"):
            got = event.get("logprobs")
            right = isinstance(got, list)
            expect(right, f"{kind(event)}: logprobs: expected a list, got {shown(got)}", event)


@items.rule("annotations are told one by one as they stand in the finished text", "wire 2")
async def annotations(bench: Bench) -> None:
    found = False
    async for story in tales(bench, "message"):
        for index, part in enumerate(objects(story.done.get("content"))):
            events = story.picked(
                story.of("response.output_text.annotation.added"), content_index=index
            )
            told = [each.get("annotation") for each in events]
            same(told, part.get("annotations", []), f"{story}: annotations of part {index}")
            found = found or bool(told)
    if not found:
        skip("no specimen has an annotation")


# --- function calls -----------------------------------------------------------

_ARGUMENTS: Final = "response.function_call_arguments"


@items.rule("a function call is added with its name and call_id, arguments empty", "wire 2; spec")
async def call_added(bench: Bench) -> None:
    async for story in tales(bench, "function_call"):
        for name in ("name", "call_id"):
            filled(story.added.get(name), f"{story}: {name} when added", story.added)
        same(story.added.get("arguments"), "", f"{story}: arguments when added", story.added)


@items.rule("a function call's events: argument deltas, then arguments.done, once", "wire 2")
async def call_order(bench: Bench) -> None:
    async for story in tales(bench, "function_call"):
        got = [kind(each) for each in story.inside]
        if not story.whole and f"{_ARGUMENTS}.done" not in got:
            continue
        wanted = [*[f"{_ARGUMENTS}.delta"] * (len(got) - 1), f"{_ARGUMENTS}.done"]
        same(got, wanted, f"{story}: its events", story.inside[-1:])


@items.rule("argument deltas, joined, are the arguments of done and of the finished call", "wire 2")
async def call_deltas(bench: Bench) -> None:
    async for story in tales(bench, "function_call"):
        joined = story.joined(f"{_ARGUMENTS}.delta")
        for event in story.of(f"{_ARGUMENTS}.done"):
            same(event.get("arguments"), joined, f"{story}: arguments of done", event)
        same(story.done.get("arguments"), joined, f"{story}: arguments when finished", story.done)


@items.rule("arguments.done names the function", "wire 2: openai-python demands it")
async def call_named(bench: Bench) -> None:
    async for story in tales(bench, "function_call"):
        for event in story.of(f"{_ARGUMENTS}.done"):
            same(event.get("name"), story.added.get("name"), f"{story}: name in done", event)


@items.rule("a finished call's arguments are a JSON object", "spec, Tool Calling")
async def call_json(bench: Bench) -> None:
    async for story in tales(bench, "function_call"):
        text = story.done.get("arguments")
        try:
            value = parse(text) if isinstance(text, str) else None
        except ValueError as error:
            what = f"{story}: arguments: expected a JSON object, got {shown(text)}"
            raise Broken(what, story.done) from error
        what = f"{story}: arguments: expected a JSON object, got {shown(text)}"
        expect(isinstance(value, dict), what, story.done)


# --- reasoning ----------------------------------------------------------------

_RAW: Final = ("response.reasoning", "response.reasoning_text")


@items.rule("raw reasoning lives in parts: part added, deltas, done, part done", "wire 2; spec")
async def reasoning_parts(bench: Bench) -> None:
    async for story in tales(bench, "reasoning"):
        _check_parts(story)


@items.rule("raw reasoning's deltas, joined, are its done event and the finished part", "wire 2")
async def reasoning_deltas(bench: Bench) -> None:
    async for story in tales(bench, "reasoning"):
        for label in _RAW:
            for event in story.of(f"{label}.done"):
                at = event.get("content_index", -1)
                joined = story.joined(f"{label}.delta", content_index=at)
                same(event.get("text"), joined, f"{story}: text of {label}.done", event)
        _check_whole(story)


@items.rule("a reasoning summary's events: part added, deltas, text done, part done", "wire 2")
async def summary_order(bench: Bench) -> None:
    base = "response.reasoning_summary"
    async for story in tales(bench, "reasoning"):
        for index in story.indexes("summary_index"):
            mine = story.picked(story.inside, summary_index=index)
            got = kinds(mine)
            deltas = [f"{base}_text.delta"] * (len(got) - 3)
            wanted = [f"{base}_part.added", *deltas, f"{base}_text.done", f"{base}_part.done"]
            same(got, wanted, f"{story}, summary {index}: its events", mine[-1])
            joined = story.joined(f"{base}_text.delta", summary_index=index)
            for event in story.picked(story.of(f"{base}_text.done"), summary_index=index):
                same(event.get("text"), joined, f"{story}: text of the summary", event)
        _check_whole(story, "summary", "summary_index")
