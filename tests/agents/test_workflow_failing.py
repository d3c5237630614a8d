"""Workflows that fail or are broken off: every item is closed, and who is to know is told."""

from contextlib import aclosing
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, chain, run, workflow
from antiphon.errors import RunError, ScriptError
from antiphon.items import (
    AgentEvent,
    Completed,
    Event,
    Failed,
    Incomplete,
    ItemDone,
    TextDelta,
    fold,
)
from antiphon.models import Failure, ScriptedModel, Stop, Text

from .kit import end_of
from .working import calls_of, hanging, speaker, told

pytestmark = pytest.mark.anyio


# --- failures ----------------------------------------------------------------


async def test_a_child_s_failure_can_be_caught_and_its_item_says_so() -> None:
    caught: list[RunError] = []

    @workflow
    async def careful(text: str) -> str:
        try:
            await run(Agent(name="bad", model=ScriptedModel([[Failure("full", "no room")]])), text)
        except RunError as error:
            caught.append(error)
        return (await run(speaker("good"), text)).output

    result = await careful.run("x")
    bad, good = calls_of(result.response.output)
    assert (bad.status, bad.error, good.status) == ("failed", "no room", "completed")
    assert str(caught[0]) == "bad failed: no room"
    assert caught[0].response.status == "failed"


async def test_a_child_that_is_cut_raises_and_keeps_what_it_said() -> None:
    cut = Agent(name="cut", model=ScriptedModel([[Text("A ti"), Stop("max_output_tokens")]]))
    response = (await failing(cut)).response
    call = calls_of(response.output)[0]
    assert (call.status, call.error) == ("failed", "it ended early: max_output_tokens")
    assert [getattr(item, "text", "") for item in call.output] == ["A ti"]


async def failing(agent: Agent[str]) -> RunError:
    """How a workflow fails whose child fails."""

    @workflow
    async def careless(text: str) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, agent, text)
        return "never"

    with pytest.raises(RunError) as raised:
        await careless.run("x")
    return raised.value


async def test_a_failure_that_nobody_catches_fails_the_response_with_its_own_words() -> None:
    broken = Agent(name="bad", model=ScriptedModel([[Failure("full", "no room")]]))
    error = await failing(broken)
    assert str(error) == "careless failed: bad failed: no room"
    assert error.response.error.code == "workflow_failed"
    assert error.response.error.message == "bad failed: no room"


async def test_an_exception_ends_the_response_failed_and_the_log_says_where_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @workflow
    async def broken(text: str) -> str:
        await run(speaker("a"), text)
        raise ValueError("postgresql://admin:hidden@host")

    events = await told(broken)
    last = events[-1]
    assert isinstance(last, Failed)
    assert last.response.error is not None
    assert last.response.error.code == "workflow_failed"
    assert last.response.error.message == "internal error: ValueError"
    assert f"ValueError < {__file__}:" in caplog.text
    assert "hidden" not in caplog.text
    assert calls_of(last.response.output)[0].status == "completed"


async def test_an_answer_that_cannot_be_json_fails_the_response() -> None:
    @workflow
    async def odd(text: str) -> Any:
        return {"lock": object()}

    end = end_of(await told(odd))
    assert end.status == "failed"
    assert end.error is not None
    assert "PydanticSerializationError" in end.error.message


async def test_a_request_that_a_child_cannot_serve_is_a_run_error_in_the_function() -> None:
    picky = speaker("picky", options={"tool_choice": "required"})
    error = await failing(picky)
    call = calls_of(error.response.output)[0]
    assert call.status == "failed"
    assert (call.error or "").startswith("tool_choice demands a call")
    assert str(error) == f"careless failed: picky failed: {call.error}"


async def test_a_script_that_runs_out_is_the_test_s_error_not_the_run_s() -> None:
    @workflow
    async def short(text: str) -> str:
        return (await run(Agent(name="mute", model=ScriptedModel([])), text)).output

    with pytest.raises(ScriptError):
        await short.run("x")


async def test_a_function_that_is_cancelled_from_inside_fails_the_response() -> None:
    @workflow
    async def cancelled(text: str) -> str:
        raise anyio.get_cancelled_exc_class()

    with anyio.fail_after(60):
        end = end_of(await told(cancelled))
    assert end.status == "failed"
    assert end.error is not None
    assert end.error.message == "AntiphonError: it was cancelled from inside"


# --- breaking off ------------------------------------------------------------


async def test_cancelling_closes_every_item_before_the_cancellation_goes_on() -> None:
    started = anyio.Event()

    @workflow
    async def slow(text: str) -> str:
        await run(speaker("quick"), text)
        return (await run(hanging(started), text)).output

    heard_of: list[Event] = []

    async def watch() -> None:
        async with aclosing(slow.stream("go")) as events:
            async for event in events:
                heard_of.append(event)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await started.wait()
            tasks.cancel_scope.cancel()
    last = heard_of[-1]
    assert isinstance(last, Incomplete)
    assert last.response.status == "cancelled"
    quick, hung = calls_of(last.response.output)
    assert (quick.status, hung.status, hung.error) == ("completed", "incomplete", "cancelled")
    assert [getattr(item, "status", "") for item in hung.output] == ["completed", "incomplete"]
    assert fold(heard_of).output == last.response.output
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == 15


async def test_a_run_that_the_function_gives_up_is_closed_and_the_function_goes_on() -> None:
    started = anyio.Event()

    @workflow
    async def patient(text: str) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, hanging(started), text)
            await started.wait()
            tasks.cancel_scope.cancel()
        return (await run(speaker("quick"), text)).output

    with anyio.fail_after(60):
        events = await told(patient)
    hung, quick = calls_of(end_of(events).output)
    assert (hung.status, hung.error, quick.status) == ("incomplete", "cancelled", "completed")
    done = [e.output_index for e in events if isinstance(e, ItemDone)]
    assert done == [0, 1, 2]
    assert end_of(events).output_text == "quick spoke"


async def test_a_reader_that_leaves_ends_the_function() -> None:
    started, ended = anyio.Event(), anyio.Event()

    @workflow
    async def slow(text: str) -> str:
        try:
            return (await run(hanging(started), text)).output
        finally:
            ended.set()

    events = slow.stream("go")
    with anyio.fail_after(60):
        async for event in events:
            if isinstance(event, AgentEvent) and isinstance(event.event, TextDelta):
                break
        await events.aclose()
    assert ended.is_set()


async def wide(text: str) -> str:
    """Two at a time, one of them a chain with a tool, then a third."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, chain(speaker("a"), speaker("b"), name="line"), text)
        tasks.start_soon(run, speaker("c"), text)
    return (await run(speaker("d"), text)).output


async def test_wherever_a_run_is_cancelled_every_item_is_closed_and_the_fold_holds() -> None:
    one = workflow(wide)
    whole = len(await told(one))
    assert whole > 60
    for place in range(2, whole):
        heard_of: list[Event] = []
        with anyio.CancelScope() as scope:
            async with aclosing(one.stream("go")) as events:
                async for event in events:
                    heard_of.append(event)
                    if len(heard_of) == place:
                        scope.cancel()
        last = heard_of[-1]
        answering = place > whole - 7  # from here on nothing waits any more
        assert isinstance(last, Completed if answering else Incomplete), place
        assert fold(heard_of) == end_of(heard_of)
        assert [event.sequence_number for event in heard_of] == list(range(len(heard_of)))
        assert all(getattr(item, "status", "") != "in_progress" for item in end_of(heard_of).output)


async def test_wherever_a_reader_leaves_nothing_goes_on_and_no_group_is_raised() -> None:
    inside: list[str] = []

    @workflow
    async def watched(text: str) -> str:
        inside.append(text)
        try:
            return await wide(text)
        finally:
            inside.remove(text)

    whole = len(await told(watched))
    left_inside = 0
    others = set(anyio.get_running_tasks())
    for place in range(1, whole):
        events = watched.stream("go")
        for _ in range(place):
            await anext(events)
        left_inside += bool(inside)
        await events.aclose()
        assert inside == [], place
        assert set(anyio.get_running_tasks()) == others, place
    assert left_inside > whole // 2
