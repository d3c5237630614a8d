"""Custom tools: the model writes a text to the client, freely or in a grammar.

A free text streams as it is written. A text of a grammar is checked first, whole: what is not in
the grammar never reaches the client. Above: `clients`. Below: `grammar`.
"""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from antiphon.errors import RequestError
from antiphon.items import (
    CustomInputDelta,
    CustomInputDone,
    CustomTool,
    CustomToolCall,
    Event,
    FunctionCall,
    FunctionTool,
    ItemAdded,
    ItemDone,
    Json,
    tool_name,
)
from antiphon.tools import Slot, StringField

from .grammar import Grammar, grammar_of


@dataclass(frozen=True, slots=True)
class Custom:
    """How calls of one custom tool read.

    Attributes:
        name: Its own name, as the client declared it.
        namespace: The group it was declared in.
        function: What the model sees.
        grammar: What its texts have to be; None where they are free.
    """

    name: str
    namespace: str | None
    function: FunctionTool
    grammar: Grammar | None

    @property
    def item_type(self) -> str:
        """The type of the items that its calls become."""
        return "custom_tool_call"

    @property
    def live(self) -> bool:
        """Whether its calls are told while they are written."""
        return self.grammar is None

    def item(self, call: FunctionCall, slot: Slot, text: str) -> CustomToolCall:
        """The item of a call."""
        return CustomToolCall(
            id=slot.item_id,
            call_id=call.call_id,
            name=self.name,
            input=text,
            namespace=self.namespace,
        )

    def begun(self, call: FunctionCall, slot: Slot) -> Event:
        """The item begins; nothing is known of it."""
        return ItemAdded(output_index=slot.output_index, item=self.item(call, slot, ""))

    async def handed(self, call: FunctionCall, slot: Slot) -> list[Event]:
        """A whole call as the client's.

        Raises:
            ValueError: Its text is not in the grammar; the words are for the model.
        """
        run = CustomRun(self, call, slot)
        if self.grammar is not None:
            await self.grammar.check(input_of(call.arguments))
        return [*run.open(), *run.ready(call.arguments)]


def custom_form(tool: CustomTool, namespace: str | None = None) -> Custom:
    """The form of a custom tool.

    Raises:
        RequestError: Its format is unknown, or its grammar is none.
    """
    given = tool.format or {"type": "text"}
    if given.get("type") not in ("text", "grammar"):
        raise RequestError(
            f"format.type: expected 'text' or 'grammar', got {given.get('type')!r}",
            param="format.type",
            code="invalid_value",
        )
    grammar = grammar_of(given) if given["type"] == "grammar" else None
    words = "The text."
    if grammar is not None:
        words = f"The text, which this {grammar.syntax} grammar describes:\n{grammar.definition}"
    function = FunctionTool(
        name=tool.name if namespace is None else tool_name(namespace, tool.name),
        description=tool.description,
        parameters={
            "type": "object",
            "properties": {"input": {"type": "string", "description": words}},
            "required": ["input"],
            "additionalProperties": False,
        },
    )
    return Custom(tool.name, namespace, function, grammar)


def input_of(arguments: str) -> str:
    """The text that a model wrote: the field of its JSON, or all of it where it is no JSON."""
    try:
        given: Any = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return arguments
    fields = cast("Json", given) if isinstance(given, dict) else {}
    text: object = fields.get("input")
    return text if isinstance(text, str) else arguments


class CustomRun:
    """A call of a custom tool without a grammar: its text streams. It is run by the client.

    It has the steps of any call up to `ready`, which ends it.
    """

    def __init__(self, form: Custom, call: FunctionCall, slot: Slot) -> None:
        self._form = form
        self._call = call
        self._slot = slot
        self._field = StringField("input")
        self._written: list[str] = []

    def open(self) -> Iterable[Event]:
        """The item begins."""
        return (self._form.begun(self._call, self._slot),)

    def write(self, delta: str) -> Iterable[Event]:
        """The part of the text that this fragment holds, if any."""
        return self._show(self._field.feed(delta))

    def ready(self, arguments: str) -> Iterator[Event]:
        """The text is whole, and the client's."""
        written = "".join(self._written)
        text = input_of(arguments)
        if text.startswith(written):
            yield from self._show(text[len(written) :])
        else:  # the field was there twice: the client has read the first
            text = written
        slot = self._slot
        yield CustomInputDone(item_id=slot.item_id, output_index=slot.output_index, input=text)
        item = self._form.item(self._call, slot, text)
        yield ItemDone(output_index=slot.output_index, item=item)

    def refuse(self, reason: str) -> Iterable[Event]:
        """Nobody refuses what was handed to the client."""
        return ()

    async def run(self) -> AsyncIterator[Event]:
        """Nothing runs here."""
        for event in ():
            yield event

    def _show(self, text: str) -> Iterable[Event]:
        if not text:
            return ()
        self._written.append(text)
        slot = self._slot
        return (CustomInputDelta(item_id=slot.item_id, output_index=slot.output_index, delta=text),)
