"""Conformance of tools: any `Offer` and `HostedTool`, held to the grammar of calls.

`play` drives one call as the loop does; `check_call_events` says whether its events are a call's;
`check_offer` and `check_hosted_tool` put a tool through every way that a call can go.
They raise AssertionError with what was expected and what came. Source: the Protocols of
`antiphon.tools` and Open Responses, "Streaming" (added first, done last, terminal for ever).
"""

from collections.abc import Sequence

from antiphon.items import (
    ITEM,
    ArgumentsDone,
    CallStatus,
    CodeDone,
    Event,
    Fold,
    FunctionCall,
    Item,
    ItemAdded,
    ItemDone,
    ItemEvent,
    ToolDefinition,
    Within,
    lower_one,
    parse_event,
)
from antiphon.tools import Call, HostedTool, Offer, Scope, Slot

SLOT = Slot("item_1", 3)
"""The slot of the calls that the checks open."""

TERMINAL = frozenset({"completed", "failed", "incomplete"})


async def play(
    offer: Offer,
    arguments: str,
    *,
    scope: Scope | None = None,
    slot: Slot = SLOT,
    cuts: int = 7,
    refuse: str | None = None,
) -> list[Event]:
    """One call from its opening to its receipt, as the loop drives it.

    Args:
        offer: What is called.
        arguments: The model's JSON, as it would write it.
        scope: The run around the call.
        slot: Where the call stands in the output.
        cuts: Characters in each fragment of the arguments.
        refuse: A reason for which the call is refused instead of run.
    """
    call = begin(offer, scope=scope, slot=slot)
    events = list(call.open())
    for at in range(0, len(arguments), cuts):
        events += call.write(arguments[at : at + cuts])
    events += call.ready(arguments)
    if refuse is not None:
        return [*events, *call.refuse(refuse)]
    return events + [event async for event in call.run()]


def begin(offer: Offer, *, scope: Scope | None = None, slot: Slot = SLOT) -> Call:
    """A call of this offer, not opened yet."""
    named = FunctionCall(call_id="call_1", name=offer.function.name, arguments="")
    call = offer.begin(named, slot, scope or Scope())
    assert isinstance(call, Call), f"expected a Call, got {call!r}"
    return call


def check_call_events(events: Sequence[Event], *, slot: Slot = SLOT) -> Item:
    """These are the events of one whole call; returns its receipt.

    Raises:
        AssertionError: `added` is not first, or `done` not last; either comes twice; an event
            is of another slot, or not readable from its own JSON; the item changes its id or
            type; its status is not terminal, or disagrees with the last status event; the fold
            gives anything but the receipt; a model would read nothing of it, or something else
            of its replay.
    """
    added, done = events[0], events[-1]
    assert isinstance(added, ItemAdded), f"expected ItemAdded first, got {added!r}"
    assert isinstance(done, ItemDone), f"expected ItemDone last, got {done!r}"
    assert sum(isinstance(event, ItemEvent) for event in events) == 2, "an item event comes twice"
    for event in events:
        _check_slot(event, slot)
        again = parse_event(event.to_json())
        assert again == event, f"expected {event!r} from its own JSON, got {again!r}"
    opened, item = added.item, done.item
    assert _status(opened) == "in_progress", f"expected in_progress, got {opened!r}"
    assert item.type == opened.type, f"expected a {opened.type}, got a {item.type}"
    assert _status(item) in TERMINAL, f"expected a terminal status, got {item!r}"
    _check_steps(events, item)
    _check_fold(events, slot, item)
    read = lower_one(item, "call")
    assert len(read) == 2, f"expected a call and its output for the model to read, from {item!r}"
    again = lower_one(ITEM.validate_json(item.to_json()), "call")
    assert again == read, f"expected a replay to read {read!r}, got {again!r}"
    return item


def _status(item: Item) -> object:
    return getattr(item, "status", None)


def _check_slot(event: Event, slot: Slot) -> None:
    if isinstance(event, ItemEvent):
        bears = (event.item.id, event.output_index)
    else:
        assert isinstance(event, Within), f"expected an event inside the item, got {event!r}"
        bears = (event.item_id, event.output_index)
    assert bears == (slot.item_id, slot.output_index), f"expected {slot}, got {event!r}"


def _check_steps(events: Sequence[Event], item: Item) -> None:
    told = [event for event in events if isinstance(event, CallStatus) and not event.model_extra]
    steps = [
        event.type.rpartition(".")[2] for event in told
    ]  # others may come as often as they like
    assert steps[:1] == ["in_progress"], f"expected in_progress as the first step, got {steps}"
    assert len(steps) == len(set(steps)), f"expected every step once, got {steps}"
    ends = [step for step in steps if step in TERMINAL]
    assert ends == steps[-len(ends) :] if ends else True, f"expected no step after {ends}"
    assert ends in ([], [_status(item)]), f"expected the end {_status(item)}, got {ends}"
    assert ends or _status(item) != "completed", "expected a `completed` step before the receipt"


def _check_fold(events: Sequence[Event], slot: Slot, item: Item) -> None:
    """The deltas say what their `done` says, `done` what the receipt says, and the fold all."""
    fold = Fold()
    for event in events:
        if isinstance(event, ArgumentsDone | CodeDone):
            field, whole = (
                ("code", event.code) if isinstance(event, CodeDone) else _arguments(event)
            )
            told = "".join(fold.drafts[slot.output_index].fields.get(field, ()))
            assert told == whole, f"expected the {field} {told!r} of the deltas, got {whole!r}"
            assert getattr(item, field) == whole, f"expected {field} {whole!r} in {item!r}"
        fold.add(event)
    assert fold.output == [item], f"expected the fold {item!r}, got {fold.output!r}"


def _arguments(event: ArgumentsDone) -> tuple[str, str]:
    return "arguments", event.arguments


async def check_offer(offer: Offer, arguments: str, *, scope: Scope | None = None) -> Item:
    """Every way that a call can go; returns the receipt of the one that ran.

    Args:
        offer: The tool.
        arguments: JSON with which a call of it completes.
        scope: The run around the calls.
    """
    assert isinstance(offer, Offer), f"expected an Offer, got {offer!r}"
    for cuts in (1, 5, max(1, len(arguments))):
        ran = check_call_events(await play(offer, arguments, scope=scope, cuts=cuts))
        assert _status(ran) == "completed", f"expected a completed call, got {ran!r}"
        assert ran.type == offer.item_type, f"expected a {offer.item_type}, got {ran.type}"
    reason = "not today, says the law"
    refused = check_call_events(await play(offer, arguments, scope=scope, refuse=reason))
    assert _status(refused) == "failed", f"expected a refused call to fail, got {refused!r}"
    assert reason in _read(refused), f"expected the reason to reach the model, got {refused!r}"
    for broken in ("", "{", '{"', "[]", "null", "words", '{"a": "\\ud800'):
        item = check_call_events(await play(offer, broken, scope=scope))
        assert _status(item) in TERMINAL, item
    cut = check_call_events(await play(offer, arguments[:-1], scope=scope))
    assert _status(cut) == "failed", f"expected cut arguments to fail, got {cut!r}"
    assert len(_read(cut)) > len("Error: "), f"expected words for the model, got {cut!r}"
    return ran


def _read(item: Item) -> str:
    """What a model reads of the outcome."""
    return lower_one(item, "call")[-1].to_json().decode()


async def check_hosted_tool(
    tool: HostedTool, definition: ToolDefinition, arguments: str, *, scope: Scope | None = None
) -> list[Item]:
    """The offers of a definition, each checked with these arguments; then the tool is closed."""
    assert isinstance(tool, HostedTool), f"expected a HostedTool, got {tool!r}"
    assert definition.type == tool.type, f"expected a {tool.type}, got a {definition.type}"
    offers = tool.offers(definition, scope or Scope())
    names = [offer.function.name for offer in offers]
    assert len(names) == len(set(names)), f"expected different names, got {names}"
    items = [await check_offer(offer, arguments, scope=scope) for offer in offers]
    await tool.aclose()
    await tool.aclose()  # a second time does nothing
    return items
