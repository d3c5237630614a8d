"""`main`: from a command line to an exit code.

Above: the console script. Below: `parser`, and the module of the command that was asked for.
Not here: what any command does.
"""

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, cast

from antiphon.errors import AntiphonError, ConfigurationError

from .options import (
    ChatOptions,
    CheckOptions,
    ConformanceOptions,
    DemoOptions,
    FilesOptions,
    McpOptions,
    Options,
    ReplayOptions,
    RunOptions,
    SandboxOptions,
    ServeOptions,
    TraceOptions,
)
from .parser import build_parser, parse
from .prose import harmless

FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141

_COMMANDS: Final[dict[type[Options], str]] = {
    DemoOptions: "demo",
    ChatOptions: "chat",
    ServeOptions: "serve",
    McpOptions: "mcp",
    CheckOptions: "check",
    ConformanceOptions: "conformance",
    RunOptions: "run",
    ReplayOptions: "replay",
    TraceOptions: "trace",
    SandboxOptions: "sandbox",
    FilesOptions: "files",
}
"""What each command is asked to do, and the module and the function that do it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: The arguments, without the program's name; None takes this process's own.

    Returns:
        0 all is well; 1 it failed; 2 it was asked wrongly; 3 it waits for somebody; 130 it was
        interrupted; 141 nobody reads its output any more.

    Raises:
        SystemExit: Help or the version was printed (0), or the arguments make no sense (2).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets `?`, no crash
    given = build_parser().parse_args(argv)
    try:
        code = run(parse(given))
        sys.stdout.flush()  # so that a closed pipe is met here
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more as it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        return told(error, debug=given.debug)


def run(options: Options) -> int:
    """Run a command; its module is imported only now."""
    name = _COMMANDS[type(options)]
    module = import_module(f".{name}", __package__)
    command: Callable[[Options], int] = getattr(module, name)
    return command(options)


def told(error: Exception, *, debug: bool) -> int:
    """Say what went wrong on stderr, in one line; the exit code."""
    cause = _alone(error)
    if debug:
        traceback.print_exception(error)
    if isinstance(cause, AntiphonError):
        _say(f"antiphon: {cause}")
        return USAGE if isinstance(cause, ConfigurationError) else FAILED
    hint = "" if debug else " (antiphon --debug shows the traceback)"
    _say(f"antiphon: unexpected {type(cause).__name__}: {_first_line(cause)}{hint}")
    return FAILED


def _alone(error: Exception) -> Exception:
    """The one error in a group of one, as task groups raise it."""
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    return _alone(group.exceptions[0]) if len(group.exceptions) == 1 else group


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["it did not say why"])[0]


def _say(line: str) -> None:
    sys.stderr.write(f"{harmless(line)}\n")  # a server's words may be in it
