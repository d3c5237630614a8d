"""Rules about tools that the provider runs: each call is a full and truthful receipt.

Above: `provider`. Below: `bench`, `items`. Not here: functions of the client.
"""

from typing import Final

from .bench import Bench, Theme
from .items import tales
from .questions import ASK_CODE, CODE, INTERPRETER, TWO_CODES
from .report import Broken, Skipped, expect, filled, same, shown, skip
from .shapes_events import STEPS
from .sse import Json, objects
from .stories import Story, kind, stories_of

hosted: Theme = Theme("tools that the provider runs")
_CODE: Final = "wire 2: code_interpreter_call"
_CALL: Final = "response.code_interpreter_call"
_RESULT: Final = "1025"
_CELL: Final = "code_interpreter_call"


async def _cells(bench: Bench) -> list[Story]:
    """The code that ran.

    Raises:
        Skipped: There is no code interpreter, or the model does not use it.
    """
    try:
        told = await bench.specimen("code")
    except Broken as error:
        skip(f"there is no call to look at: {error.why}")
    cells = list(stories_of(told, "code_interpreter_call"))
    if not cells:
        skip("the code went to the client, as a function call")
    return cells


@hosted.rule("a code interpreter that is offered runs code, and the response completes", _CODE)
async def runs(bench: Bench) -> None:
    told = await bench.specimen("code")
    same(told.terminal.get("status"), "completed", "status", told.terminal)


@hosted.rule("code events: in_progress, code live, code done, interpreting, completed", _CODE)
async def order(bench: Bench) -> None:
    for story in await _cells(bench):
        got = [kind(each) for each in story.inside if kind(each) != f"{_CALL}_code.delta"]
        steps = [f"{_CALL}.{step}" for step in STEPS["code_interpreter_call"]]
        wanted = [steps[0], f"{_CALL}_code.done", steps[1], steps[2]]
        if story.done.get("status") != "completed":
            wanted = wanted[: len(got)]
        same(got, wanted, f"{story}: its events", story.inside[-1])
        places = [at for at, each in enumerate(story.inside) if kind(each).endswith("code.delta")]
        expect(places, f"{story}: expected the code in deltas, got none", story.inside)
        same(places, list(range(1, len(places) + 1)), f"{story}: the places of its deltas")


@hosted.rule("code deltas, joined, are the code of done and of the finished call", _CODE)
async def code(bench: Bench) -> None:
    for story in await _cells(bench):
        joined = story.joined(f"{_CALL}_code.delta")
        for event in story.of(f"{_CALL}_code.done"):
            same(event.get("code"), joined, f"{story}: code of done", event)
        same(story.done.get("code"), joined, f"{story}: code when finished", story.done)
        expect(CODE in joined, f"{story}: expected {CODE}, got {shown(joined)}", story.done)


@hosted.rule("a call is added with its container, no code and no outputs", _CODE)
async def begun(bench: Bench) -> None:
    for story in await _cells(bench):
        filled(story.added.get("container_id"), f"{story}: container_id when added", story.added)
        same(story.added.get("code"), "", f"{story}: code when added", story.added)
        same(story.added.get("outputs", 0), None, f"{story}: outputs when added", story.added)


@hosted.rule("the receipt holds what the code printed, when include asks for outputs", _CODE)
async def outputs(bench: Bench) -> None:
    for story in await _cells(bench):
        if story.done.get("status") != "completed":
            skip(f"the call is {shown(story.done.get('status'))}")
        logs = "".join(str(each.get("logs", "")) for each in objects(story.done.get("outputs")))
        expect(_RESULT in logs, f"{story}: expected {_RESULT}, got {shown(logs)}", story.done)


@hosted.rule("without include, outputs are null", _CODE)
async def no_outputs(bench: Bench) -> None:
    await _cells(bench)
    told = await bench.respond(ASK_CODE, tools=[INTERPRETER])
    items = objects(told.get("output"))
    ran = [each for each in items if each.get("type") == "code_interpreter_call"]
    if not ran:
        skip("the model ran no code this time")
    for item in ran:
        same(item.get("outputs", 0), None, "outputs", item)


@hosted.rule("what the provider runs is never shown as a function call", "wire 2")
async def not_a_function(bench: Bench) -> None:
    some = False
    for name in ("code", "run"):
        try:
            told = await bench.specimen(name)
        except (Broken, Skipped):
            continue
        some = True
        items = objects(told.terminal.get("output"))
        found = [each for each in items if each.get("type") == "function_call"]
        expect(not found, f"{name!r}: expected no function call, got {len(found)}", found)
    if not some:
        skip("nothing is run here")


@hosted.rule("a receipt goes back as input, and an answer comes", "spec, Extending tools; law 3")
async def replayed(bench: Bench) -> None:
    cells = await _cells(bench)
    question: Json = {"role": "user", "content": ASK_CODE}
    given = [question, *(story.done for story in cells), {"role": "user", "content": "Thanks."}]
    told = await bench.respond(given, tools=[INTERPRETER])
    same(told.get("status"), "completed", "status", told)


@hosted.rule("max_tool_calls: no more calls run than it says, and the response completes", "wire 6")
async def at_most(bench: Bench) -> None:
    await _cells(bench)
    for limit in (2, 1):
        told = await bench.respond(TWO_CODES, tools=[INTERPRETER], max_tool_calls=limit)
        same(told.get("status"), "completed", "status", told)
        calls = [each for each in objects(told.get("output")) if each.get("type") == _CELL]
        ran = [each for each in calls if each.get("status") == "completed"]
        expect(len(ran) <= limit, f"expected at most {limit} completed, got {len(ran)}", calls)
        if len(ran) < limit:
            skip("the model did not make two calls when it might have")


@hosted.rule("mcp_call events: in_progress, arguments, done, completed or failed", "wire 2")
async def mcp_order(bench: Bench) -> None:
    async for story in tales(bench, "mcp_call"):
        base = "response.mcp_call"
        got = [kind(each) for each in story.inside if kind(each) != f"{base}_arguments.delta"]
        end = f"{base}.{'failed' if story.done.get('status') == 'failed' else 'completed'}"
        wanted = [f"{base}.in_progress", f"{base}_arguments.done", end]
        same(got, wanted, f"{story}: its events", story.inside[-1])
        joined = story.joined(f"{base}_arguments.delta")
        for event in story.of(f"{base}_arguments.done"):
            same(event.get("arguments"), joined, f"{story}: arguments of done", event)
        same(story.done.get("arguments"), joined, f"{story}: arguments when finished", story.done)


@hosted.rule("an mcp_call is a receipt: server, name, arguments, and output or error", "wire 2")
async def mcp_receipt(bench: Bench) -> None:
    async for story in tales(bench, "mcp_call"):
        for name in ("server_label", "name"):
            filled(story.done.get(name), f"{story}: {name}", story.done)
        failed = story.done.get("status") == "failed"
        came = story.done.get("error" if failed else "output")
        expect(came is not None, f"{story}: expected what came of it, got null", story.done)
