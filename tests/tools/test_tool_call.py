"""A call of a `@tool` function: arguments, execution, results and failures, as events."""

import logging
import threading
from collections.abc import Callable
from contextvars import ContextVar
from datetime import date
from functools import wraps
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel, Field, field_validator

from antiphon.errors import ModelRetry, ToolFailed
from antiphon.items import ToolCall
from antiphon.testing.tool import begin, check_offer, play
from antiphon.tools import Context, Scope, tool

from .receipts import Colour, Pair, Point, failure, receipt

pytestmark = pytest.mark.anyio


@tool
async def greet(name: str, times: int = 1) -> str:
    """Greet."""
    return f"hello {name} " * times


async def test_it_keeps_the_conformance_of_offers() -> None:
    item = await check_offer(greet, '{"name": "Ada", "times": 2}')
    assert item.to_json() == (
        b'{"type":"antiphon:tool_call","id":"item_1","status":"completed","name":"greet",'
        b'"arguments":"{\\"name\\": \\"Ada\\", \\"times\\": 2}",'
        b'"output":"hello Ada hello Ada ","error":null}'
    )


async def test_the_events_of_a_call_come_in_this_order() -> None:
    events = await play(greet, '{"name":"A"}', cuts=6)
    assert [event.type for event in events] == [
        "response.output_item.added",
        "antiphon:tool_call.in_progress",
        "antiphon:tool_call_arguments.delta",
        "antiphon:tool_call_arguments.delta",
        "antiphon:tool_call_arguments.done",
        "antiphon:tool_call.completed",
        "response.output_item.done",
    ]


async def test_a_refused_call_is_not_executed() -> None:
    ran: list[int] = []

    @tool
    def note(a: int) -> None:
        ran.append(a)

    assert await failure(note, {"a": 1}, refuse="not allowed") == "not allowed"
    assert ran == []


# --- arguments


async def test_arguments_come_as_the_python_types_of_the_signature() -> None:
    seen: list[Any] = []

    @tool
    def take(when: date, colour: Colour, point: Point, pair: Pair, rest: tuple[int, ...]) -> None:
        seen.extend([when, colour, point, pair, rest])

    given = {
        "when": "2026-11-20",
        "colour": "red",
        "point": {"x": 1},
        "pair": {"a": 1, "b": 2},
        "rest": [1, 2],
    }
    assert (await receipt(take, given)).status == "completed"
    assert seen == [date(2026, 11, 20), Colour.RED, Point(x=1), Pair(1, 2), (1, 2)]


async def test_what_is_left_out_is_the_functions_own_default() -> None:
    marker = object()
    seen: list[Any] = []

    @tool
    def take(a: Any = marker, b: int = 3, c: int = Field(4), d: int = 5) -> None:
        seen.extend([a, b, c, d])

    await receipt(take, {"d": 6})
    assert seen[0] is marker
    assert seen[1:] == [3, 4, 6]


async def test_null_stands_for_a_default_where_it_can_mean_nothing_else() -> None:
    @tool
    def take(a: int = 1, b: int | None = 2) -> list[int | None]:
        return [a, b]

    assert (await receipt(take, {"a": None, "b": None})).output == "[1,null]"


async def test_null_for_a_parameter_without_default_is_an_error() -> None:
    @tool
    def take(a: int, b: int = 2) -> None: ...

    assert "- a: " in await failure(take, {"a": None, "b": None})


async def test_no_arguments_at_all_are_an_empty_object() -> None:
    @tool
    def now() -> str:
        return "noon"

    assert (await receipt(now, "")).output == "noon"
    assert (await receipt(now, " \n")).output == "noon"


async def test_arguments_that_do_not_fit_are_explained_field_by_field() -> None:
    error = await failure(greet, {"times": "2", "extra": 1})
    assert error == (
        "The arguments of `greet` do not fit:\n"
        "- name: Field required\n"
        '- times: Input should be a valid integer (got "2")\n'
        "- extra: Extra inputs are not permitted\n"
        "Call it again with arguments that fit."
    )


async def test_a_fault_deep_inside_is_named_by_its_path() -> None:
    @tool
    def take(points: list[Point]) -> None: ...

    assert "- points.1.x: " in await failure(take, {"points": [{"x": 1}, {"x": "one"}]})


async def test_the_explanation_is_bounded() -> None:
    @tool
    def take(numbers: list[int]) -> None: ...

    error = await failure(take, {"numbers": ["x" * 100] * 1_000})
    assert "and 990 more" in error
    assert len(error) < 4_000


@pytest.mark.parametrize("broken", ["{", '{"name": "A"', "name", '{"a": "\\ud800"}'])
async def test_arguments_that_are_not_json_are_said_to_be_so(broken: str) -> None:
    assert (await failure(greet, broken)).startswith("The arguments of `greet` are not JSON: ")


async def test_arguments_nested_without_end_are_an_error() -> None:
    @tool
    def take(a: Any) -> None: ...

    assert "not JSON" in await failure(take, '{"a": ' + "[" * 50_000, cuts=10_000)


async def test_infinities_are_not_numbers() -> None:
    @tool
    def take(a: float) -> None: ...

    assert "finite" in await failure(take, '{"a": 1e999}')


async def test_a_validator_of_the_user_speaks_to_the_model() -> None:
    class Even(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def _even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("expected an even number")
            return value

    @tool
    def take(even: Even) -> None: ...

    assert "- even.n: expected an even number (got 3)" in await failure(take, {"even": {"n": 3}})


async def test_a_field_may_ask_for_lax_reading() -> None:
    @tool
    def take(a: Annotated[int, Field(strict=False)]) -> int:
        return a

    assert (await receipt(take, {"a": "5"})).output == "5"


# --- execution


async def test_a_context_is_made_of_the_scope() -> None:
    @tool
    async def ask(a: int, ctx: Context[dict[str, int]], b: int) -> list[Any]:
        return [a + b + ctx.deps["c"], ctx.principal, ctx.response_id, ctx.call_id, len(ctx.items)]

    scope = Scope(principal="ada", response_id="resp_1", deps={"c": 3}, items=[greet_item()])
    item = await receipt(ask, {"a": 1, "b": 2}, scope=scope)
    assert item.output == '[6,"ada","resp_1","item_1",1]'
    direct = await ask(1, Context({"c": 3}, principal="me"), 2)
    assert direct == [6, "me", "", "", 0]


def greet_item() -> ToolCall:
    return ToolCall(status="completed", name="greet", arguments="{}")


async def test_a_plain_function_runs_in_a_thread_with_the_callers_context_variables() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("here")
    threads: list[threading.Thread] = []

    @tool
    def where() -> str:
        threads.append(threading.current_thread())
        return variable.get()

    assert (await receipt(where)).output == "here"
    assert threads[0] is not threading.current_thread()


async def test_a_bound_method_runs_on_its_instance() -> None:
    class Shop:
        name = "baker"

        async def price(self, thing: str) -> str:
            return f"{self.name}: {thing}"

    assert (await receipt(tool(Shop().price), {"thing": "bread"})).output == "baker: bread"


async def test_an_async_function_behind_a_plain_decorator_is_awaited() -> None:
    def plain(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @tool
    @plain
    async def answer(a: int) -> int:
        return a + 1

    assert (await receipt(answer, {"a": 1})).output == "2"


async def test_an_async_tool_over_time_is_stopped_and_says_so() -> None:
    stopped: list[bool] = []

    @tool(timeout=0.01)
    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(True)

    with anyio.fail_after(60):
        assert await failure(slow) == "`slow` took longer than its 0.01 seconds and was stopped"
    assert stopped


async def test_a_plain_tool_over_time_is_left_behind() -> None:
    release = threading.Event()

    @tool(timeout=0.01)
    def slow() -> None:
        release.wait(10)

    try:
        with anyio.fail_after(60):
            assert "took longer than its 0.01 seconds" in await failure(slow)
    finally:
        release.set()


async def test_a_timeout_error_of_the_tool_itself_is_not_taken_for_ours() -> None:
    @tool(timeout=5)
    async def connect() -> None:
        raise TimeoutError("no answer from the port")

    assert await failure(connect) == "`connect` failed: TimeoutError: no answer from the port"


async def test_cancellation_passes_through() -> None:
    begun = anyio.Event()
    ended: list[str] = []

    @tool
    async def wait() -> None:
        begun.set()
        await anyio.sleep_forever()

    async def drive() -> None:
        call = begin(wait)
        call.ready("{}")
        async for event in call.run():
            ended.append(event.type)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drive)
            await begun.wait()
            tasks.cancel_scope.cancel()
    assert ended == []


# --- failures


@pytest.mark.parametrize("kind", [ModelRetry, ToolFailed])
async def test_words_for_the_model_are_given_as_they_are(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    @tool
    async def choose(a: int) -> None:
        raise kind("choose a larger number")

    assert await failure(choose, {"a": 1}) == "choose a larger number"
    assert not caplog.records


async def test_a_failure_without_words_still_says_something() -> None:
    @tool
    async def choose() -> None:
        raise ModelRetry()

    assert await failure(choose) == "the tool gave up without saying why"


async def test_an_unexpected_exception_is_named_and_logged_with_its_place_and_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tool
    def divide(a: int) -> float:
        raise ZeroDivisionError("x" * 600 + "\ud800")

    with caplog.at_level(logging.ERROR, "antiphon.tools"):
        error = await failure(divide, {"a": 1})
    assert error.startswith("`divide` failed: ZeroDivisionError: " + "x" * 500 + "\n[truncated")
    (record,) = caplog.records
    assert f"ZeroDivisionError < {__file__}:" in record.getMessage()
    assert "xxx" not in caplog.text


async def test_a_stop_iteration_in_a_plain_function_is_a_failure() -> None:
    @tool
    def first() -> int:
        return next(iter(()))

    with anyio.fail_after(60):
        assert "StopIteration" in await failure(first)
