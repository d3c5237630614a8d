"""Events of shell calls: commands as the model writes them, output as it is printed.

Source: the `openai` SDK's ResponseShellCall... classes. They are looked up like all others
(`kinds.KINDS`). Ours say the item's id, too, in each of them.
"""

# An event class narrows `type` to its own name; nobody assigns another class's name to it.
# pyright: reportIncompatibleVariableOverride=false

from typing import Literal

from .event import Within
from .kinds import register
from .part import ListOf
from .shell import ShellOutput
from .wire import Maybe, Wire


class ShellEvent(Within):
    """An event about one command of a shell call, or about its output.

    OpenAI's own leave the item's id out of those about commands.
    """

    item_id: str = ""
    command_index: int


class ShellCommandAdded(ShellEvent):
    """A command begins."""

    type: Literal["response.shell_call_command.added"] = "response.shell_call_command.added"
    command: str


class ShellCommandDelta(ShellEvent):
    """More of a command, live, as the model writes it."""

    type: Literal["response.shell_call_command.delta"] = "response.shell_call_command.delta"
    delta: str


class ShellCommandDone(ShellEvent):
    """A command, whole."""

    type: Literal["response.shell_call_command.done"] = "response.shell_call_command.done"
    command: str


class ShellPrinted(Wire):
    """What a command has printed just now."""

    stdout: Maybe[str] = None
    stderr: Maybe[str] = None


class ShellOutputDelta(ShellEvent):
    """A command prints."""

    type: Literal["response.shell_call_output_content.delta"] = (
        "response.shell_call_output_content.delta"
    )
    delta: ShellPrinted


class ShellOutputDone(ShellEvent):
    """A command has ended: what it printed, and how."""

    type: Literal["response.shell_call_output_content.done"] = (
        "response.shell_call_output_content.done"
    )
    output: ListOf[ShellOutput]


register(ShellEvent)
