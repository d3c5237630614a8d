"""What a model said, read back from what came of it.

The loop lifts a model's words into items; here they are lowered again: the same texts and
thoughts in the same fragments, and for every call the function call that it came of.

Above: `stand_in`, which says it. Below: `recorded`.
"""

from collections.abc import Iterator
from typing import Final

from pydantic_core import to_json

from antiphon.items import (
    BUILT_IN,
    AgentCall,
    ApprovalRequest,
    ArgumentsDelta,
    ArgumentsDone,
    CodeDone,
    CodeInterpreterCall,
    Completed,
    Event,
    Failed,
    FunctionCall,
    Incomplete,
    Item,
    ItemAdded,
    ItemDone,
    ItemEvent,
    McpApprovalRequest,
    McpCall,
    Response,
    ToolCall,
    Usage,
    lower_one,
    tool_name,
)

from .recorded import RecordedItem, RecordedRun, Turn, is_run_here

_LOOP_S_OWN: Final = ("max_turns", "no_progress", "cancelled", "budget_")
"""How reasons begin for which the loop ends a response, and not the model."""

_WRITTEN: Final = (ToolCall, McpCall, CodeInterpreterCall)
"""Calls whose events tell what the model writes, and when it is whole."""


def spoken(turn: Turn, native: frozenset[str], *, whole: bool) -> list[tuple[int, Event]]:
    """The events of the model's own that came to be this turn, each with the position of what was
    told of it; each is new.

    Args:
        turn: What came of it.
        native: Types of tools that the model runs itself.
        whole: Whether the model ended it; else calls that were closed for it stay unfinished.
    """
    said: list[tuple[int, Event]] = []
    for one in turn.items:
        asked = isinstance(one.item, ApprovalRequest | McpApprovalRequest)
        said += _call(one, whole=whole) if asked or is_run_here(one.item, native) else _words(one)
    said.sort(key=lambda each: each[0])  # what stands at one place stays in order
    return said


def key_of(one: RecordedItem) -> str:
    """The call id under which a model's call is known again when it is begun."""
    return f"recorded_{one.index}"


def function_of(item: Item) -> tuple[str, str]:
    """The name and the arguments by which a model called what became this item."""
    if isinstance(item, AgentCall):
        return item.name or item.agent, _input(item)
    if isinstance(item, ApprovalRequest):
        return item.name, item.arguments
    if isinstance(item, McpApprovalRequest):
        own = item.server_label == BUILT_IN
        return item.name if own else tool_name(item.server_label, item.name), item.arguments
    call = next(iter(lower_one(item, "")), None)
    if isinstance(call, FunctionCall):
        return call.name, call.arguments
    return str(getattr(item, "name", None) or item.type), "{}"


def ending_of(run: RecordedRun, *, usage: Usage | None) -> Event:
    """How the model ended its last turn."""
    end = run.end
    response = end and run.response
    told = Response(id="recorded", usage=usage)
    if not response:
        return Completed(response=told)
    fault, details = response.error, response.incomplete_details
    if fault is not None and fault.code != "tool_choice_unmet":
        return Failed(response=told.model_copy(update={"status": "failed", "error": fault}))
    if details is not None and not is_loop_s_own(details.reason):
        update = {"status": "incomplete", "incomplete_details": details}
        return Incomplete(response=told.model_copy(update=update))
    return Completed(response=told)


def is_loop_s_own(reason: str | None) -> bool:
    """Whether the loop ended a response for this reason."""
    return (reason or "").startswith(_LOOP_S_OWN)


def _words(one: RecordedItem) -> Iterator[tuple[int, Event]]:
    """Text, thoughts, and calls that the caller runs: the events themselves."""
    for told in one.events:
        event = fresh(told.event)
        if isinstance(event, ItemEvent) and isinstance(event.item, FunctionCall):
            event.item = next(iter(lower_one(event.item, "")))  # a namespace goes into the name
        yield told.position, event


def fresh(event: Event) -> Event:
    """A copy of a recorded event, which will get new ids and a new place."""
    new = event.model_copy()
    if isinstance(new, ItemEvent):
        new.item = new.item.model_copy()
    return new


def _call(one: RecordedItem, *, whole: bool) -> Iterator[tuple[int, Event]]:
    """A call that was run here, as the function call that the model made."""
    name, arguments = function_of(one.item)
    place = one.added.position
    call = FunctionCall(call_id=key_of(one), name=name, arguments="", status="in_progress")
    yield place, ItemAdded(output_index=one.index, item=call)
    deltas = [told for told in one.events if isinstance(told.event, ArgumentsDelta)]
    for told in deltas:
        assert isinstance(told.event, ArgumentsDelta)
        yield told.position, _fragment(one, told.event.delta)
    ready = [told for told in one.events if isinstance(told.event, ArgumentsDone | CodeDone)]
    if isinstance(one.item, _WRITTEN) and not ready and one.done is None:
        return  # the model was writing when the recording broke off
    place = max([place, *(told.position for told in (*deltas, *ready))])
    if not deltas and arguments:
        yield place, _fragment(one, arguments)
    status = "incomplete" if one.status == "incomplete" and not whole else "completed"
    done = call.model_copy(update={"arguments": arguments, "status": status})
    yield place, ItemDone(output_index=one.index, item=done)


def _fragment(one: RecordedItem, delta: str) -> Event:
    return ArgumentsDelta(item_id=one.item.id or "", output_index=one.index, delta=delta)


def _input(item: AgentCall) -> str:
    """The arguments of a sub-agent's call. Where they could not be read, the item keeps them."""
    if isinstance(item.input, str) and (item.error or "").startswith('expected {"input"'):
        return item.input
    return to_json({"input": "" if item.input is None else item.input}).decode()
