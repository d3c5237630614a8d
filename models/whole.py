"""An item that came whole, told as if it had been streamed: honestly, with one delta a part.

Above: `responses`, for servers that answer with JSON, or end with items they never streamed.
"""

from typing import Any

from antiphon.items import (
    AnnotationAdded,
    ArgumentsDelta,
    ArgumentsDone,
    Event,
    FunctionCall,
    Ids,
    Item,
    ItemAdded,
    ItemDone,
    Message,
    OutputText,
    Part,
    PartAdded,
    PartDone,
    Reasoning,
    ReasoningText,
    Refusal,
    SummaryText,
)

from .passage import (
    Passage,
    ReasoningPassage,
    RefusalPassage,
    SummaryPassage,
    TextPassage,
)


def tell_whole(item: Item, index: int, ids: Ids) -> list[Event]:
    """All events of one item.

    Args:
        item: As it came.
        index: Its `output_index`.
        ids: Names it, where it has no id.
    """
    item_id = item.id or ids.item(item.type or "item")
    item = item.model_copy(update={"id": item_id})
    nothing: dict[str, object] = {}
    events: list[Event] = []
    if isinstance(item, Message):
        nothing = {"content": []}
        parts = [OutputText(text=item.content)] if isinstance(item.content, str) else item.content
        for place, part in enumerate(parts):
            events += _part(part, item_id, index, place)
    elif isinstance(item, Reasoning):
        nothing = {"summary": [], "content": None if item.content is None else []}
        for place, part in enumerate(item.summary):
            events += _part(part, item_id, index, place)
        for place, part in enumerate(item.content or []):
            events += _part(part, item_id, index, place)
    elif isinstance(item, FunctionCall):
        nothing = {"arguments": ""}
        if item.arguments:
            events.append(ArgumentsDelta(item_id=item_id, output_index=index, delta=item.arguments))
        events.append(
            ArgumentsDone(
                item_id=item_id, output_index=index, arguments=item.arguments, name=item.name
            )
        )
    if getattr(item, "status", None) is not None:
        nothing["status"] = "in_progress"
    added = item.model_copy(update=nothing)
    return [
        ItemAdded(output_index=index, item=added),
        *events,
        ItemDone(output_index=index, item=item),
    ]


def tell_end(part: Part, item_id: str, index: int, place: int, *, said: bool) -> list[Event]:
    """The events that close a part which was begun.

    Args:
        part: As it is in the whole item.
        item_id: The item's.
        index: The item's `output_index`.
        place: The part's place in the item.
        said: Whether its whole text was told already.
    """
    at: dict[str, Any] = {"item_id": item_id, "output_index": index, "content_index": place}
    kind = _PASSAGES.get(type(part))
    if kind is None:
        return [PartDone(**at, part=part)]
    passage = kind(item_id, index, place)
    passage.write(_text(part))
    return [*(() if said else (passage.done(),)), passage.closed(part)]


def _text(part: Part) -> str:
    return part.refusal if isinstance(part, Refusal) else getattr(part, "text", "")


_PASSAGES: dict[type[Part], type[Passage]] = {
    OutputText: TextPassage,
    Refusal: RefusalPassage,
    ReasoningText: ReasoningPassage,
    SummaryText: SummaryPassage,
}


def _part(part: Part, item_id: str, index: int, place: int) -> list[Event]:
    kind = _PASSAGES.get(type(part))
    if kind is None:
        return [
            event(item_id=item_id, output_index=index, content_index=place, part=part)
            for event in (PartAdded, PartDone)
        ]
    passage = kind(item_id, index, place)
    events = [passage.added()]
    text = _text(part)
    if isinstance(passage, TextPassage) and isinstance(part, OutputText):
        events.append(passage.write(text, part.logprobs or ()))
        events += [
            AnnotationAdded(
                item_id=item_id,
                output_index=index,
                content_index=place,
                annotation_index=number,
                annotation=annotation,
            )
            for number, annotation in enumerate(part.annotations)
        ]
    elif text:
        events.append(passage.write(text))
    return [*events, passage.done(), passage.closed(part)]
