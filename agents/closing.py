"""Closing: the events that finish an item which was cut short (law 4, no dangling calls).

Above: `telling`. Below: `items.Draft`, which knows what was said and what was already finished.
"""

from collections.abc import Iterator
from typing import Any, Final

from antiphon.items import (
    AgentCall,
    ArgumentsDone,
    CodeDone,
    CodeInterpreterCall,
    CustomInputDone,
    CustomToolCall,
    Draft,
    Event,
    FunctionCall,
    Handoff,
    ImageGenerationCall,
    Item,
    ItemDone,
    McpCall,
    McpListTools,
    OutputText,
    PartDone,
    Passage,
    ReasoningDone,
    ReasoningText,
    Refusal,
    RefusalDone,
    ShellCall,
    ShellCommandDone,
    SummaryDone,
    SummaryPartDone,
    SummaryText,
    TextDone,
    ToolCall,
    WebSearchCall,
)

_REASONED: Final = (AgentCall, Handoff, McpCall, McpListTools, ToolCall, WebSearchCall)
"""Items that have a place for why they were cut."""


def closing(draft: Draft, index: int, reason: str) -> Iterator[Event]:
    """The events that finish one open item: its texts, its parts, itself as incomplete.

    Args:
        draft: The item in the making.
        index: Its output index.
        reason: Why it was cut; kept on items that have a place for it.
    """
    item = _closed_inside(draft, reason)
    item_id = item.id or ""
    for position, passage in sorted(draft.summary.items()):
        if not passage.closed:
            yield from _summary(passage, item_id, index, position)
    for position, passage in sorted(draft.parts.items()):
        if not passage.closed:
            yield from _part(passage, item_id, index, position)
    yield from _written(draft, item, item_id, index)
    yield ItemDone(output_index=index, item=_unfinished(item, reason))


def _summary(passage: Passage, item_id: str, index: int, position: int) -> Iterator[Event]:
    part = passage.finished()
    text = part.text if isinstance(part, SummaryText) else ""
    if not passage.told:
        yield SummaryDone(item_id=item_id, output_index=index, summary_index=position, text=text)
    yield SummaryPartDone(item_id=item_id, output_index=index, summary_index=position, part=part)


def _part(passage: Passage, item_id: str, index: int, position: int) -> Iterator[Event]:
    part = passage.finished()
    at: dict[str, Any] = {"item_id": item_id, "output_index": index, "content_index": position}
    if passage.told:
        pass  # only its part is open
    elif isinstance(part, Refusal):
        yield RefusalDone(**at, refusal=part.refusal)
    elif isinstance(part, ReasoningText):
        yield ReasoningDone(**at, text=part.text)
    elif isinstance(part, OutputText):
        yield TextDone(**at, text=part.text)
    yield PartDone(**at, part=part)


def _written(draft: Draft, item: Item, item_id: str, index: int) -> Iterator[Event]:
    """What the model was writing when it was cut: arguments, code, or a custom input."""
    at: dict[str, Any] = {"item_id": item_id, "output_index": index}
    if isinstance(item, FunctionCall | McpCall | ToolCall) and "arguments" not in draft.closed:
        slug = "" if isinstance(item, ToolCall) else "response."
        kind: Any = f"{slug}{item.type}_arguments.done"
        name = item.name if isinstance(item, FunctionCall) else None
        yield ArgumentsDone(**at, type=kind, arguments=item.arguments, name=name)
    elif isinstance(item, CodeInterpreterCall) and "code" not in draft.closed:
        yield CodeDone(**at, code=item.code or "")
    elif isinstance(item, CustomToolCall) and "input" not in draft.closed:
        yield CustomInputDone(**at, input=item.input)
    elif isinstance(item, ShellCall):
        for number, command in enumerate(item.action.commands):
            if f"commands[{number}]" not in draft.closed:
                yield ShellCommandDone(**at, command_index=number, command=command)


def _closed_inside(draft: Draft, reason: str) -> Item:
    """The item as it stands; what a sub-agent left open in it is unfinished, too."""
    item = draft.item()
    child = draft.child
    if child is None:
        return item
    inner = [child.drafts[index] for index in sorted(child.drafts)]
    output = [one.whole or _unfinished(_closed_inside(one, reason), reason) for one in inner]
    used = child.envelope and child.envelope.usage  # what it used until it was cut, if it said so
    return item.model_copy(update={"output": output, "usage": used})


def _unfinished(item: Item, reason: str) -> Item:
    update: dict[str, object] = {}
    if "status" in type(item).model_fields:
        update["status"] = "incomplete"
    if isinstance(item, _REASONED):
        update["error"] = reason
    elif isinstance(item, ImageGenerationCall):
        update["error"] = {"message": reason}
    return item.model_copy(update=update)
