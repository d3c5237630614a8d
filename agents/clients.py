"""Tools that clients run and that are no functions: custom tools, shells, patches, screens.

The model sees each as a function; a call of it becomes the item that its clients know, and ends
the response like any call that is the client's. Where the item cannot be made of what the model
wrote (no JSON, another grammar), nothing reaches the client: the model reads why, and goes on.

Above: `menu` (which puts them there) and `sampling` (which makes the items). Below: `grammar`.
Source: the `openai` SDK's tool classes, and the items that answer them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from antiphon.items import (
    ApplyPatchCall,
    ComputerCall,
    CustomTool,
    Event,
    FunctionCall,
    FunctionTool,
    Item,
    ItemAdded,
    ItemDone,
    Json,
    LocalShellCall,
    PatchOperation,
    ShellAction,
    ShellCall,
    ShellTool,
    ToolDefinition,
)
from antiphon.tools import Slot, misfit

from .custom import Custom, custom_form

Make: TypeAlias = Callable[[str, str, str, Json], Item]
"""The item of a call: its id, its call's id, its status, and what the model wrote of it."""


class _Strict(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", strict=True)


class _Exec(_Strict):
    command: Annotated[list[str], Field(min_length=1)]
    env: dict[str, str] = {}
    timeout_ms: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None
    working_directory: str | None = None


class _Commands(_Strict):
    commands: Annotated[list[str], Field(min_length=1)]
    timeout_ms: Annotated[int, Field(ge=1)] | None = None
    max_output_length: Annotated[int, Field(ge=1)] | None = None


class _Written(_Strict):
    type: Literal["create_file", "update_file"]
    path: Annotated[str, Field(min_length=1)]
    diff: str


class _Deleted(_Strict):
    type: Literal["delete_file"]
    path: Annotated[str, Field(min_length=1)]


class _Point(_Strict):
    x: int
    y: int


class _Keys(_Strict):
    keys: list[str] | None = None


class _Click(_Keys):
    type: Literal["click"]
    button: Literal["left", "right", "wheel", "back", "forward"] = "left"
    x: int
    y: int


class _At(_Keys):
    type: Literal["double_click", "move"]
    x: int
    y: int


class _Scroll(_Keys):
    type: Literal["scroll"]
    x: int
    y: int
    scroll_x: int = 0
    scroll_y: int = 0


class _Drag(_Keys):
    type: Literal["drag"]
    path: Annotated[list[_Point], Field(min_length=1)]


class _Press(_Strict):
    type: Literal["keypress"]
    keys: Annotated[list[str], Field(min_length=1)]


class _Type(_Strict):
    type: Literal["type"]
    text: str


class _Still(_Strict):
    type: Literal["screenshot", "wait"]


_Act: TypeAlias = Annotated[
    _Click | _At | _Scroll | _Drag | _Press | _Type | _Still, Field(discriminator="type")
]


class _Acts(_Strict):
    actions: Annotated[list[_Act], Field(min_length=1, max_length=100)]


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
    if isinstance(definition, ShellTool):
        kind: object = (definition.environment or {}).get("type")
        return _SHELL if kind == "local" else None
    if definition.type == "computer_use_preview":
        return _preview(definition.model_extra or {})
    return _FORMS.get(definition.type)


def _shell(item_id: str, call_id: str, status: str, given: Json) -> Item:
    return ShellCall(
        id=item_id,
        call_id=call_id,
        status=status,
        action=ShellAction.model_validate(given),
        environment={"type": "local"},
    )


def _local_shell(item_id: str, call_id: str, status: str, given: Json) -> Item:
    action = {"type": "exec", **given}
    return LocalShellCall(id=item_id, call_id=call_id, status=status, action=action)


def _patch(item_id: str, call_id: str, status: str, given: Json) -> Item:
    operation = PatchOperation.model_validate(given)
    return ApplyPatchCall(id=item_id, call_id=call_id, status=status, operation=operation)


def _screen(item_id: str, call_id: str, status: str, given: Json) -> Item:
    actions = given.get("actions")
    return ComputerCall(
        id=item_id,
        call_id=call_id,
        status=status,
        actions=actions,
        action=None if actions is not None else given,
    )


def _function(
    name: str, description: str, required: Sequence[str], properties: Json
) -> FunctionTool:
    """Flat on purpose: many model servers take no unions at the top of a schema."""
    return FunctionTool(
        name=name,
        description=description,
        parameters={"type": "object", "properties": properties, "required": list(required)},
    )


_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "integer"}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_ACTS: Json = {
    "type": {
        "type": "string",
        "enum": [
            *("click", "double_click", "move", "scroll", "drag"),
            *("keypress", "type", "screenshot", "wait"),
        ],
    },
    "x": _NUMBER,
    "y": _NUMBER,
    "button": {"type": "string", "enum": ["left", "right", "wheel", "back", "forward"]},
    "scroll_x": _NUMBER,
    "scroll_y": _NUMBER,
    "keys": {**_TEXTS, "description": "For keypress; or those held meanwhile."},
    "text": {**_TEXT, "description": "For type."},
    "path": {
        "type": "array",
        "description": "For drag: the points to go through.",
        "items": {"type": "object", "properties": {"x": _NUMBER, "y": _NUMBER}},
    },
}

_SHELL = Form(
    "shell_call",
    _function(
        "shell",
        "Run shell commands on the user's machine, in order. You read what each prints.",
        ["commands"],
        {"commands": _TEXTS, "timeout_ms": _NUMBER, "max_output_length": _NUMBER},
    ),
    TypeAdapter(_Commands),
    _shell,
    {"commands": []},
)

_FORMS: Mapping[str, Form] = {
    "local_shell": Form(
        "local_shell_call",
        _function(
            "local_shell",
            "Run one command on the user's machine: a program and its arguments, as a list.",
            ["command"],
            {
                "command": _TEXTS,
                "working_directory": _TEXT,
                "timeout_ms": _NUMBER,
                "env": {"type": "object", "additionalProperties": _TEXT},
                "user": _TEXT,
            },
        ),
        TypeAdapter(_Exec),
        _local_shell,
        {"command": [], "env": {}},
    ),
    "apply_patch": Form(
        "apply_patch_call",
        _function(
            "apply_patch",
            "Create, update or delete one file of the user's. `diff` holds lines that begin with "
            "a blank (kept), + (added) or - (removed), with @@ before each place that changes; of "
            "a file that is created, every line begins with +.",
            ["type", "path"],
            {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": _TEXT,
                "diff": {**_TEXT, "description": "For all but delete_file."},
            },
        ),
        TypeAdapter(Annotated[_Written | _Deleted, Field(discriminator="type")]),
        _patch,
        {"type": "update_file", "path": "", "diff": ""},
    ),
    "computer": Form(
        "computer_call",
        _function(
            "computer",
            "Act on the user's screen; you see it afterwards. Begin with a screenshot.",
            ["actions"],
            {
                "actions": {
                    "type": "array",
                    "items": {"type": "object", "properties": _ACTS, "required": ["type"]},
                }
            },
        ),
        TypeAdapter(_Acts),
        _screen,
        {"actions": []},
    ),
}

_ACT: TypeAdapter[Any] = TypeAdapter(_Act)


def _preview(given: Json) -> Form:
    """One act a call, on a screen whose size the definition says."""
    size = f"{given.get('display_width', '?')} x {given.get('display_height', '?')} pixels"
    told = f"Act once on the user's screen ({given.get('environment', 'a computer')}, {size}); "
    told += "you see it afterwards. Begin with a screenshot."
    zero: Json = {"type": "screenshot"}
    function = _function("computer", told, ["type"], _ACTS)
    return Form("computer_call", function, _ACT, _screen, zero)
