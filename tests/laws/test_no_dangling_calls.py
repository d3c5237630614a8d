"""Law 4: whatever cuts a run, nothing is left open, and its end says the true reason."""

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import assume, example, given, strategies as st
from pydantic_core import to_json

from antiphon.errors import ModelError
from antiphon.items import (
    CodeInterpreterCall,
    Event,
    Failed,
    FunctionCall as FunctionCallItem,
    Ids,
    Incomplete,
    ReasoningDone,
    Response,
    TextDone,
    ToolCall,
)
from antiphon.models import FunctionCall as Call, Reasoning, Speech, Stop, Text, Usage
from antiphon.provider import MemoryStore, Provider

from .kit import Hesitant, body, check_answered, check_whole, play, play_until, request
from .paper import Count, PaperSandboxes, kit
from .scripts import BREAKS, CALLS, FRAGMENTS, LAW, Script, scripted, scripts


async def whole(events: Sequence[Event]) -> Response:
    """Every item is closed, and a replay has an output for each call."""
    response = check_whole(events)
    await check_answered(response.output)
    return response


def check_cancelled(events: Sequence[Event], response: Response) -> None:
    """The end of a cancelled run says so; what was finished before keeps its own status."""
    assert isinstance(events[-1], Incomplete)
    assert response.status == "cancelled"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "cancelled"
    for item in response.output:
        if isinstance(item, ToolCall) and item.status == "incomplete":
            assert item.error == "cancelled"


@LAW
@given(script=scripts(), fragment=FRAGMENTS)
def test_a_run_that_ends_by_itself(script: Script, fragment: int | None) -> None:
    async def law() -> None:
        model = Hesitant(scripted(script, fragment))
        response = await whole(await play(request(), model))
        assert response.status in ("completed", "incomplete")
        assert all(model.closed)

    anyio.run(law)


@LAW
@given(script=scripts(), fragment=FRAGMENTS, at=st.integers(0, 40), error=BREAKS)
def test_a_model_that_breaks_off(
    script: Script, fragment: int | None, at: int, error: Exception | None
) -> None:
    async def law() -> None:
        model = Hesitant(scripted(script, fragment), breaks=at, error=error)
        events = await play(request(), model)
        response = await whole(events)
        assert all(model.closed)
        if isinstance(events[-1], Failed):
            assert response.status == "failed" and response.error is not None
            known = error.code if isinstance(error, ModelError) else "server_error"
            assert response.error.code == ("stream_cut" if error is None else known)
            assert "a bug" not in response.error.message, "nobody's exceptions are shown"

    anyio.run(law)


@LAW
@given(script=scripts(), fragment=FRAGMENTS, at=st.integers(0, 60))
def test_a_scope_that_is_cancelled_at_any_event(
    script: Script, fragment: int | None, at: int
) -> None:
    async def law() -> None:
        model = Hesitant(scripted(script, fragment))
        events = await play_until(request(), model, at=at)
        response = await whole(events)
        assert all(model.closed)
        if response.status != "completed":  # one that was over before it could notice
            assume(response.status == "cancelled")
            check_cancelled(events, response)

    anyio.run(law)


@LAW
@given(before=st.lists(CALLS, max_size=2), after=st.lists(CALLS, max_size=2), fragment=FRAGMENTS)
@example(before=[], after=[], fragment=None)
def test_a_scope_that_is_cancelled_while_a_tool_runs(
    before: list[Call], after: list[Call], fragment: int | None
) -> None:
    async def law() -> None:
        count = Count()
        turn = [*before, Call("forever", {"text": "x"}), *after]
        model = scripted([[*turn, Usage(3, 4)]], fragment)
        events = await play_until(request(), model, deps=count, when=lambda: count.waiting)
        response = await whole(events)
        check_cancelled(events, response)
        waiting = response.output[len(before)]
        assert isinstance(waiting, ToolCall)
        assert (waiting.status, waiting.arguments) == ("incomplete", '{"text":"x"}')
        assert response.usage is not None and response.usage.output_tokens == 4

    anyio.run(law)


@LAW
@given(before=st.lists(CALLS, max_size=2), after=st.lists(CALLS, max_size=2), fragment=FRAGMENTS)
@example(before=[], after=[], fragment=None)
def test_a_scope_that_is_cancelled_while_code_runs(
    before: list[Call], after: list[Call], fragment: int | None
) -> None:
    async def law() -> None:
        backend = PaperSandboxes()
        turn = [*before, Call("code_interpreter", {"code": "wait"}), *after]
        events = await play_until(
            request(),
            scripted([[*turn]], fragment),
            tools=kit(backend),
            when=lambda: backend.waiting,
        )
        response = await whole(events)
        check_cancelled(events, response)
        waiting = response.output[len(before)]
        assert isinstance(waiting, CodeInterpreterCall)
        assert (waiting.status, waiting.code) == ("incomplete", "wait")
        begun = [line for line in backend.log if line.startswith("begin")]
        ended = [line for line in backend.log if line.startswith("end")]
        assert len(begun) == len(ended), "a sandbox was not handed back"

    anyio.run(law)


@LAW
@given(calls=st.lists(CALLS, min_size=1, max_size=3), at=st.integers(0, 60))
def test_a_scope_that_is_cancelled_while_its_calls_run_leaves_no_sandbox_behind(
    calls: list[Call], at: int
) -> None:
    async def law() -> None:
        backend = PaperSandboxes()
        events = await play_until(
            request(), scripted([[*calls], [Text("x")]]), at=at, tools=kit(backend)
        )
        await whole(events)
        begun = [line.removeprefix("begin ") for line in backend.log if line.startswith("begin")]
        ended = [line.removeprefix("end ") for line in backend.log if line.startswith("end")]
        assert sorted(begun) == sorted(ended)

    anyio.run(law)


@LAW
@given(
    calls=st.lists(CALLS, max_size=3),
    last=CALLS,
    reason=st.sampled_from(["max_output_tokens", "content_filter"]),
    fragment=FRAGMENTS,
)
def test_a_turn_that_is_cut_by_tokens_runs_none_of_its_calls(
    calls: list[Call], last: Call, reason: Any, fragment: int | None
) -> None:
    async def law() -> None:
        count = Count()
        backend = PaperSandboxes()
        model = scripted([[*calls, last, Stop(reason)]], fragment)
        events = await play(request(), model, deps=count, tools=kit(backend))
        response = await whole(events)
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == reason
        assert not count.ran and not backend.log
        for item in response.output:
            assert getattr(item, "status", "") == "incomplete"
            if isinstance(item, ToolCall):
                assert item.error == reason

    anyio.run(law)


@pytest.mark.parametrize(
    ("piece", "done"), [(Text("a"), TextDone), (Reasoning("a"), ReasoningDone)]
)
def test_a_text_that_was_told_whole_before_the_cut_is_not_told_again(
    piece: Speech, done: type[Event]
) -> None:
    """The model breaks off between the text's own end and its part's."""

    async def law() -> None:
        told = await play(request(), Hesitant(scripted([[piece]]), breaks=4))
        assert [type(event) for event in told].count(done) == 1

    anyio.run(law)


def test_a_client_that_sends_no_output_for_a_call_still_gets_a_whole_context() -> None:
    async def law() -> None:
        response = check_whole(
            await play(request(), scripted([[Call("ask", {}), Call("crm__find", {})]]))
        )
        calls = [item for item in response.output if isinstance(item, FunctionCallItem)]
        assert len(calls) == 2
        await check_answered(response.output)

    anyio.run(law)


@pytest.mark.parametrize("stage", ["begin", "open", "write", "ready"])
def test_a_tool_that_breaks_before_it_runs_fails_the_response_with_its_items_closed(
    stage: str,
) -> None:
    class Fragile:
        """An offer whose call breaks at one stage."""

        def __init__(self) -> None:
            self.inner: Any = kit()[0]

        @property
        def function(self) -> Any:
            return self.inner.function

        item_type = "antiphon:tool_call"
        parallel = True

        def begin(self, call: Any, slot: Any, scope: Any) -> Any:
            if stage == "begin":
                raise LookupError("broke")
            made = self.inner.begin(call, slot, scope)

            def broke(*_: Any) -> Any:
                raise LookupError("broke")

            setattr(made, stage, broke)
            return made

    async def law() -> None:
        asked = request(tools=[{"type": "antiphon:function", "name": "echo"}])
        script = [[Text("hm"), Call("echo", {"text": "x"})]]
        response = await whole(await play(asked, scripted([*script]), tools=[Fragile()]))
        assert response.status == "failed"
        assert response.error is not None and response.error.code == "server_error"

    anyio.run(law)


@pytest.mark.parametrize("stream", [True, False])
@LAW
@given(before=st.lists(CALLS, max_size=2), after=st.lists(CALLS, max_size=2))
def test_a_client_that_leaves_while_code_runs_leaves_a_whole_response_in_the_store(
    stream: bool, before: list[Call], after: list[Call]
) -> None:
    async def law() -> None:
        backend = PaperSandboxes()
        store = MemoryStore()
        turn = [*before, Call("code_interpreter", {"code": "wait"}), *after]
        app = Provider(
            models=[scripted([turn])],
            tools=kit(backend),
            store=store,
            new_ids=lambda: Ids(seed=7),
        )
        await leave_while(app, backend, body(stream=stream))
        record = await store.load(Ids(seed=7)("resp"), principal="local")
        assert record is not None and record.response.status == "cancelled"
        details = record.response.incomplete_details
        assert details is not None and details.reason == "cancelled"
        output = record.response.output
        assert [item for item in output if getattr(item, "status", "") == "incomplete"]
        assert not [item for item in output if getattr(item, "status", "") == "in_progress"]
        await check_answered(output)

    anyio.run(law)


async def leave_while(app: Provider, backend: PaperSandboxes, sent: dict[str, Any]) -> None:
    """Ask over ASGI, and hang up while a cell waits."""
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": to_json(sent), "more_body": False}
        await backend.waiting.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/responses",
        "raw_path": b"/v1/responses",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    with anyio.fail_after(60):
        await app(scope, receive, send)
