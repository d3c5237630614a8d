"""Items of the tools that act on a machine: shell, local shell, apply patch.

Source: the `openai` SDK's classes (response_function_shell_tool_call, ... apply_patch ...).
"""

from typing import Annotated, Literal

from pydantic import Field

from .part import ListOf
from .wire import Json, Maybe, Wire


class ShellAction(Wire):
    """Commands to run in order; time in milliseconds, length in characters."""

    commands: ListOf[str]
    timeout_ms: int | None = None
    max_output_length: int | None = None


class ShellCall(Wire):
    """The model runs shell commands."""

    type: Literal["shell_call"] = "shell_call"
    id: Maybe[str] = None
    call_id: Annotated[str, Field(min_length=1)]
    status: Maybe[str] = None
    action: ShellAction
    environment: Json | None = None


class ShellOutcome(Wire):
    """How one command ended: `exit` with its code, or `timeout`."""

    type: Literal["exit", "timeout"]
    exit_code: Maybe[int] = None


class ShellOutput(Wire):
    """What one command printed, and how it ended."""

    stdout: str
    stderr: str
    outcome: ShellOutcome


class ShellCallOutput(Wire):
    """What the commands of one shell call gave, in order."""

    type: Literal["shell_call_output"] = "shell_call_output"
    id: Maybe[str] = None
    call_id: Annotated[str, Field(min_length=1)]
    status: Maybe[str] = None
    max_output_length: int | None = None
    output: ListOf[ShellOutput]


class LocalShellCall(Wire):
    """The model asks the client to run one command on its own machine."""

    type: Literal["local_shell_call"] = "local_shell_call"
    id: Maybe[str] = None
    call_id: Annotated[str, Field(min_length=1)]
    status: Maybe[str] = None
    action: Json


class LocalShellCallOutput(Wire):
    """What the client's command printed (`id` is the call's)."""

    type: Literal["local_shell_call_output"] = "local_shell_call_output"
    id: Maybe[str] = None
    call_id: Maybe[str] = None
    output: str
    status: Maybe[str] = None


class PatchOperation(Wire):
    """One change to one file; `diff` for all but a deletion."""

    type: Literal["create_file", "update_file", "delete_file"]
    path: str
    diff: Maybe[str] = None


class ApplyPatchCall(Wire):
    """The model asks the client to change a file."""

    type: Literal["apply_patch_call"] = "apply_patch_call"
    id: Maybe[str] = None
    call_id: Annotated[str, Field(min_length=1)]
    status: Maybe[str] = None
    operation: PatchOperation


class ApplyPatchCallOutput(Wire):
    """How the change went: completed or failed, with words."""

    type: Literal["apply_patch_call_output"] = "apply_patch_call_output"
    id: Maybe[str] = None
    call_id: Annotated[str, Field(min_length=1)]
    status: Literal["completed", "failed"]
    output: str | None = None
