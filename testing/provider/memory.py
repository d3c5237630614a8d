"""Rules about what a provider keeps: continuing, retrieving, deleting, paging, replaying.

Above: `provider`. Below: `bench`. Not here: background runs, and conversations.
"""

from typing import Any, Final

from .bench import MISSING, Bench, Theme
from .errors import GONE, refusal
from .questions import ASK_WEATHER, TRIES, WEATHER
from .report import expect, same, shown, skip
from .shapes import OneItem, ResponseObject, fault
from .sse import Json, obj, objects
from .tools import FORECAST, call_of

memory: Theme = Theme("continuation and what is kept")
_CHAIN: Final = "spec, previous_response_id; wire 6"
MY_NAME: Final = "My name is Alice. Remember it."
WHAT_NAME: Final = "What is my name?"


async def kept(bench: Bench, asked: str = "Say hello.", **fields: Any) -> Json:
    """A response that is stored.

    Raises:
        Skipped: The provider says that it stores nothing.
    """
    told = await bench.respond(asked, store=True, **fields)
    if told.get("store") is False:
        skip("the provider stores nothing: its response says store: false")
    return told


def text_of(told: Json) -> str:
    """All text of a response."""
    items = [each for each in objects(told.get("output")) if each.get("type") == "message"]
    parts = [part for item in items for part in objects(item.get("content"))]
    return "".join(str(part.get("text", "")) for part in parts)


@memory.rule("a response continues from previous_response_id, and says so", _CHAIN)
async def continues(bench: Bench) -> None:
    first = await kept(bench)
    told = await bench.respond("And again.", previous_response_id=first["id"])
    same(told.get("status"), "completed", "status", told)
    same(told.get("previous_response_id"), first["id"], "previous_response_id")
    expect(told.get("id") != first["id"], "id: expected a new one, got the first one's")


@memory.rule("what was said before is known when a response continues", _CHAIN)
async def remembers(bench: Bench) -> None:
    given = [{"role": "user", "content": text} for text in (MY_NAME, WHAT_NAME)]
    if "alice" not in text_of(await bench.respond(given)).lower():
        skip("the model does not repeat a name even when the whole history is sent")
    said: list[str] = []
    for _ in range(TRIES):
        first = await kept(bench, MY_NAME)
        told = await bench.respond(WHAT_NAME, previous_response_id=first["id"])
        said.append(text_of(told))
        if "alice" in said[-1].lower():
            return
    expect(False, f"expected the name Alice, got {shown(said)}")


@memory.rule("instructions are not carried over", "wire 6")
async def forgets_instructions(bench: Bench) -> None:
    first = await kept(bench, instructions="Always be brief.")
    told = await bench.respond("And again.", previous_response_id=first["id"])
    same(told.get("instructions"), None, "instructions of the second response")


@memory.rule("a call's output continues from the response that made the call", _CHAIN)
async def output_continues(bench: Bench) -> None:
    await call_of(bench)  # skips where the model does not call
    for _ in range(TRIES):
        first = await kept(bench, ASK_WEATHER, tools=[WEATHER])
        made = [each for each in objects(first.get("output")) if each.get("call_id")]
        if made:
            break
    else:
        skip("the model did not call get_weather")
    given = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": FORECAST}
        for call in made
    ]
    told = await bench.respond(given, previous_response_id=first["id"], tools=[WEATHER])
    same(told.get("status"), "completed", "status", told)


@memory.rule("a whole output, sent back as input, is taken", "spec, Items; law 3: lossless replay")
async def replays(bench: Bench) -> None:
    async for one in bench.streams():
        output = objects(one.terminal.get("output"))
        outputs = [
            {"type": "function_call_output", "call_id": each["call_id"], "output": FORECAST}
            for each in output
            if each.get("type") == "function_call" and each.get("call_id")
        ]
        given = one.asked.get("input")
        question: Json = {"role": "user", "content": given}
        body = {**one.asked, "input": [question, *output, *outputs, {"role": "user", **_AND}]}
        body.pop("stream", None)
        body.pop("max_output_tokens", None)
        answer = await bench.post(body)
        expect(answer.status == 200, f"{one.name!r}: {answer}", body["input"])


_AND: Final = {"content": "Thank you."}


@memory.rule("a stored response can be had again, as it was", "wire 2; GET /responses/{id}")
async def retrieved(bench: Bench) -> None:
    first = await kept(bench, metadata={"kit": "kept"})
    answer = await bench.line.ask("GET", f"/responses/{first['id']}")
    if answer.status in (405, 501):
        skip(answer.absent)
    told = bench.taken(answer, None)
    wrong = fault(ResponseObject, told)
    expect(wrong is None, str(wrong), wrong.got if wrong else None)
    for name in sorted({*told, *first}):
        same(told.get(name), first.get(name), name)


@memory.rule("a streamed response is stored before its last event is sent", "wire 6")
async def stored_in_time(bench: Bench) -> None:
    end = (await bench.specimen("count")).terminal
    if end.get("store") is False:
        skip("the provider stores nothing: its response says store: false")
    answer = await bench.line.ask("GET", f"/responses/{end.get('id')}")
    if answer.status in (405, 501):
        skip(answer.absent)
    same(bench.taken(answer, None).get("output"), end.get("output"), "output")


@memory.rule("store: false is kept to: said, not to be had, not to be continued", "wire 4, wire 9")
async def not_stored(bench: Bench) -> None:
    told = await bench.respond("Say hello.", store=False)
    same(told.get("store"), False, "store")
    answer = await bench.line.ask("GET", f"/responses/{told['id']}")
    refusal(answer, (404, 405), "GET of a response with store: false")
    answer = await bench.post(bench.body("And again.", previous_response_id=told["id"]))
    refusal(answer, GONE, "continuing a response with store: false")


@memory.rule("a deleted response is gone: 404, for GET, DELETE and continuing", "wire 9")
async def deleted(bench: Bench) -> None:
    first = await kept(bench)
    path = f"/responses/{first['id']}"
    answer = await bench.line.ask("DELETE", path)
    if answer.status in (405, 501):
        skip(answer.absent)
    expect(answer.status == 200, f"expected 200, got {answer}")
    same(answer.json.get("deleted"), True, "deleted", answer.body)
    same(answer.json.get("id"), first["id"], "id", answer.body)
    for method in ("GET", "DELETE"):
        refusal(await bench.line.ask(method, path), (404,), f"{method} of a deleted response")
    again = bench.body("And again.", previous_response_id=first["id"])
    refusal(await bench.post(again), GONE, "continuing a deleted response")


@memory.rule("an item_reference stands for a stored item", "wire 4")
async def referred(bench: Bench) -> None:
    first = await kept(bench)
    named: list[Json] = [{"type": "item_reference", "id": first["output"][-1]["id"]}]
    body = bench.body([*named, {"role": "user", "content": "Say it again."}])
    answer = await bench.post(body)
    same(bench.taken(answer, body).get("status"), "completed", "status")


# --- input_items --------------------------------------------------------------


async def _listed(bench: Bench, query: str = "") -> Json:
    """The input items of a response with three of them, in pages.

    Raises:
        Skipped: They are not offered.
    """
    given = [{"role": "user", "content": text} for text in ("One.", "Two.", "Three.")]
    first = await bench.once("three", lambda: bench.respond(given, store=True))
    if first.get("store") is False:
        skip("the provider stores nothing: its response says store: false")
    answer = await bench.line.ask("GET", f"/responses/{first['id']}/input_items{query}")
    if answer.status in MISSING:
        skip(answer.absent)
    expect(answer.status == 200, f"expected 200, got {answer}")
    return answer.json


def said(listed: Json) -> list[str]:
    """The texts of a page of messages, in parts or not."""
    contents = [each.get("content") for each in objects(listed.get("data"))]
    return [
        content
        if isinstance(content, str)
        else "".join(str(part.get("text", "")) for part in objects(content))
        for content in contents
    ]


@memory.rule(
    "input_items lists a response's input as whole items: id, type, content in parts",
    "openai: GET /responses/{id}/input_items (ResponseInputMessageItem)",
)
async def input_items(bench: Bench) -> None:
    listed = await _listed(bench, "?order=asc")
    same(listed.get("object"), "list", "object", listed)
    same(listed.get("has_more"), False, "has_more", listed)
    items = objects(listed.get("data"))
    for item in items:
        wrong = fault(OneItem, {"item": {"status": "completed", **item}})
        expect(wrong is None, str(wrong), item)
    same(said(listed), ["One.", "Two.", "Three."], "the texts of its items", listed)
    same(listed.get("first_id"), items[0]["id"], "first_id")
    same(listed.get("last_id"), items[-1]["id"], "last_id")


@memory.rule("input_items are newest first, unless asked otherwise", "openai: order, default desc")
async def newest_first(bench: Bench) -> None:
    same(said(await _listed(bench)), ["Three.", "Two.", "One."], "the texts of its items")


@memory.rule("input_items come in pages: limit, after, has_more", "openai: limit, after")
async def paged(bench: Bench) -> None:
    page = await _listed(bench, "?order=asc&limit=2")
    same(said(page), ["One.", "Two."], "the texts of the first page", page)
    same(page.get("has_more"), True, "has_more", page)
    rest = await _listed(bench, f"?order=asc&limit=2&after={page.get('last_id')}")
    same(said(rest), ["Three."], "the texts of the second page", rest)
    same(obj(rest).get("has_more"), False, "has_more", rest)
