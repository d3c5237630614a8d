"""The forms of the tools that clients run and whose items SDKs know: what a model has to write.

Read only when a request declares one. Above: `clients`. Source: the `openai` SDK's classes of
these calls and their actions.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from antiphon.items import (
    ApplyPatchCall,
    ComputerCall,
    FunctionTool,
    Item,
    Json,
    LocalShellCall,
    PatchOperation,
    ShellAction,
    ShellCall,
)

from .clients import Form


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

SHELL: Final = Form(
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

FORMS: Final[Mapping[str, Form]] = {
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


def preview(given: Json) -> Form:
    """One act a call, on a screen whose size the definition says."""
    size = f"{given.get('display_width', '?')} x {given.get('display_height', '?')} pixels"
    told = f"Act once on the user's screen ({given.get('environment', 'a computer')}, {size}); "
    told += "you see it afterwards. Begin with a screenshot."
    zero: Json = {"type": "screenshot"}
    function = _function("computer", told, ["type"], _ACTS)
    return Form("computer_call", function, _ACT, _screen, zero)
