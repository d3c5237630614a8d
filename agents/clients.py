"""Tools that clients run and that are no functions: custom tools, shells, patches, screens.

The model sees each as a function; a call of it becomes the item that its clients know, and ends
the response like any call that is the client's. Where the item cannot be made of what the model
wrote (no JSON, another grammar), nothing reaches the client: the model reads why, and goes on.

Above: `menu` (which puts them there) and `sampling` (which makes the items). Below: `forms` and
`custom`, one for each kind of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, TypeAdapter, ValidationError

from antiphon.items import (
    CustomTool,
    Event,
    FunctionCall,
    FunctionTool,
    Item,
    ItemAdded,
    ItemDone,
    Json,
    ShellTool,
    ToolDefinition,
)
from antiphon.tools import Slot, misfit

from .custom import Custom, custom_form

Make: TypeAlias = Callable[[str, str, str, Json], Item]
"""The item of a call: its id, its call's id, its status, and what the model wrote of it."""

_NAMES: Final = frozenset({"local_shell", "apply_patch", "computer", "computer_use_preview"})


@dataclass(frozen=True, slots=True)
class Form:
    """How calls of one such tool read.

    Attributes:
        item_type: The type of their items.
        function: What the model sees.
        arguments: What the model has to write.
        make: The item that comes of it.
        zero: What stands in the item while nothing is known.
    """

    item_type: str
    function: FunctionTool
    arguments: TypeAdapter[Any]
    make: Make
    zero: Json

    @property
    def live(self) -> bool:
        """Its calls are told when they are whole."""
        return False

    def begun(self, call: FunctionCall, slot: Slot) -> Event:
        """The item begins; nothing is known of it."""
        item = self.make(slot.item_id, call.call_id, "in_progress", self.zero)
        return ItemAdded(output_index=slot.output_index, item=item)

    async def handed(self, call: FunctionCall, slot: Slot) -> list[Event]:
        """A whole call as the client's.

        Raises:
            ValueError: It does not fit; its words are for the model.
        """
        try:
            given: BaseModel = self.arguments.validate_json(call.arguments)
        except ValidationError as error:
            raise ValueError(misfit(error, self.function.name)) from error
        fields = given.model_dump(exclude_none=True)
        item = self.make(slot.item_id, call.call_id, "completed", fields)
        return [self.begun(call, slot), ItemDone(output_index=slot.output_index, item=item)]


ClientForm: TypeAlias = Form | Custom
"""A tool of the client that is no function."""


def form_of(definition: ToolDefinition) -> ClientForm | None:
    """The form of a definition, if it declares a tool that the client runs and is no function.

    Raises:
        RequestError: Its grammar is none; `param` is relative to the definition.
    """
    if isinstance(definition, CustomTool):
        return custom_form(definition)
    local = isinstance(definition, ShellTool) and (definition.environment or {}).get("type")
    if local != "local" and definition.type not in _NAMES:
        return None
    from .forms import FORMS, SHELL, preview  # a dozen classes that few requests need

    if definition.type == "computer_use_preview":
        return preview(definition.model_extra or {})
    return FORMS.get(definition.type, SHELL)
