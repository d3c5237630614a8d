"""Rules about functions that the client runs: calls, outputs, and what tool_choice demands.

Above: `provider`. Below: `bench`. Not here: the events of a call (`items`), and
tools that the provider runs (`hosted`). A model need not call; a provider must obey.
"""

from typing import Any, Final

from .bench import Bench, Theme
from .questions import ASK_WEATHER, TIME, TRIES, WEATHER, calls
from .report import Broken, expect, same, shown, skip
from .sse import Json, obj, objects, parse

tools: Theme = Theme("functions and tool_choice")
_CHOICE: Final = "spec, tool_choice; wire 6"
FORECAST: Final = "18 degrees and fog"


@tools.rule(
    "asked for the weather, a model with get_weather calls it", "public suite: tool-calling"
)
async def calls_weather(bench: Bench) -> None:
    await bench.specimen("call")


async def call_of(bench: Bench) -> tuple[Json, list[Json]]:
    """The call of get_weather and the whole output in which it stands.

    Raises:
        Skipped: The model does not call.
    """
    try:
        told = await bench.specimen("call")
    except Broken as error:
        skip(f"there is no call to look at: {error.why}")
    output = objects(told.terminal.get("output"))
    found = calls(output, "get_weather")
    if not found:
        skip("the terminal response has no call to look at")
    return found[0], output


@tools.rule("the call's arguments are the function's: a location", "spec, Tool Calling")
async def arguments(bench: Bench) -> None:
    call, _ = await call_of(bench)
    try:
        given = obj(parse(call.get("arguments", "")))
    except ValueError as error:
        raise Broken(f"arguments: {error}", call) from error
    place = given.get("location")
    expect(isinstance(place, str) and place, f"location: expected a place, got {shown(place)}")


@tools.rule(
    "a call's output goes back with the whole history, and an answer comes", "spec, Tool Calling"
)
async def answered(bench: Bench) -> None:
    call, output = await call_of(bench)
    given = {
        "type": "function_call_output",
        "call_id": call.get("call_id"),
        "output": FORECAST,
    }
    question = {"type": "message", "role": "user", "content": ASK_WEATHER}
    told = await bench.respond([question, *output, given], tools=[WEATHER])
    same(told.get("status"), "completed", "status", told)
    messages = [each for each in objects(told.get("output")) if each.get("type") == "message"]
    if not messages:
        skip("the model called once more instead of answering")


@tools.rule("two calls in one turn have call_ids of their own", "wire 6")
async def parallel(bench: Bench) -> None:
    told = await bench.specimen("calls")
    ids = [call.get("call_id") for call in calls(objects(told.terminal.get("output")))]
    expect(len(set(ids)) == len(ids), f"expected different call_ids, got {shown(ids)}")


@tools.rule("parallel_tool_calls: false gives at most one call a turn", _CHOICE)
async def one_at_a_time(bench: Bench) -> None:
    told = await bench.respond(
        "What's the weather like in Paris and Tokyo? Ask for both at once.",
        tools=[WEATHER],
        parallel_tool_calls=False,
    )
    found = calls(objects(told.get("output")))
    expect(len(found) <= 1, f"expected at most 1 call, got {len(found)}", found)


async def _chosen(bench: Bench, choice: Any, asked: str = ASK_WEATHER) -> list[Json]:
    """The calls under a tool_choice."""
    told = await bench.respond(asked, tools=[WEATHER, TIME], tool_choice=choice)
    return calls(objects(told.get("output")))


async def _obeys(bench: Bench, choice: Any, asked: str) -> list[Json]:
    """The calls under a choice that demands some.

    Raises:
        Skipped: The provider says that the model would not.
    """
    for _ in range(TRIES):
        told = await bench.respond(asked, tools=[WEATHER, TIME], tool_choice=choice)
        found = calls(objects(told.get("output")))
        if found:
            return found
        expect(
            told.get("status") != "completed",
            f"tool_choice {shown(choice)}: expected a call or an end that is not `completed`",
            told.get("output"),
        )
    skip("the model would not call, and the provider says so")


def _names(found: list[Json]) -> list[str]:
    return sorted({str(call.get("name")) for call in found})


@tools.rule("tool_choice none: nothing is called", _CHOICE)
async def choice_none(bench: Bench) -> None:
    found = await _chosen(bench, "none")
    expect(not found, f"expected no call, got {len(found)}", found)


@tools.rule("tool_choice required: something is called", _CHOICE)
async def choice_required(bench: Bench) -> None:
    await _obeys(bench, "required", "Say hello.")


@tools.rule("tool_choice of one function: it is called, and no other", _CHOICE)
async def choice_one(bench: Bench) -> None:
    choice = {"type": "function", "name": "get_time"}
    found = await _obeys(bench, choice, ASK_WEATHER)
    same(_names(found), ["get_time"], "the names that were called", found)


@tools.rule("allowed_tools: no other function is called", "spec, allowed_tools; wire 6")
async def allowed(bench: Bench) -> None:
    choice = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "get_time"}],
    }
    found = await _chosen(bench, choice)
    others = [call.get("name") for call in found if call.get("name") != "get_time"]
    expect(not others, f"expected at most get_time, got {shown(others)}", found)


@tools.rule("allowed_tools in mode required: one of them is called", "spec, allowed_tools; wire 6")
async def allowed_required(bench: Bench) -> None:
    choice = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "get_time"}],
    }
    found = await _obeys(bench, choice, ASK_WEATHER)
    same(_names(found), ["get_time"], "the names that were called", found)


@tools.rule("a tool_choice of a function that is not declared is a 400", "wire 5, wire 6")
async def choice_unknown(bench: Bench) -> None:
    choice = {"type": "function", "name": "get_nothing"}
    answer = await bench.post(bench.body("Hi.", tools=[WEATHER], tool_choice=choice))
    expect(answer.status in (400, 422), f"expected 400, got {answer.status}", answer.body)


@tools.rule("without tools nothing is called", "spec, tool_choice")
async def no_tools(bench: Bench) -> None:
    found = calls(objects((await bench.respond(ASK_WEATHER)).get("output")))
    expect(not found, f"expected no call, got {len(found)}", found)
