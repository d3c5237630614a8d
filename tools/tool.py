"""`@tool`: a Python function that a model may call, run by whoever runs the loop.

Below: `arguments.py` and `docstring.py`, which read the function once; `function.py`, one call.
Above: agents and providers, to which a `Tool` is one `Offer`.
"""

import functools
import inspect
import math
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar, overload

from pydantic import ValidationError

from antiphon.errors import ToolDefinitionError
from antiphon.items import FunctionCall, FunctionTool

from . import docstring
from .arguments import Arguments, Signature, read_signature
from .function import FunctionRun, Kind, Work
from .gate import Gate, NeedsApproval, gate_of
from .hosted import Scope, Slot

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Tool(Generic[P, R]):
    """A function on the menu, made by `tool`. Called, it is still the function.

    Attributes:
        name: What the model calls it.
        description: What the model reads of it.
        function: Its definition on the wire; `function.parameters` is the JSON schema.
        parallel: Whether its calls may run beside others of the same turn.
        timeout: Seconds that a call may take, or None.
        gate: Says which calls wait for a person's word; None where none do.
    """

    __name__: str

    def __init__(
        self, work: Work, function: FunctionTool, *, parallel: bool, gate: Gate | None
    ) -> None:
        functools.update_wrapper(self, work.function)
        self._work = work
        self.function = function
        self.parallel = parallel
        self.gate = gate

    @property
    def name(self) -> str:
        """What the model calls it."""
        return self._work.name

    @property
    def description(self) -> str | None:
        """What the model reads of it."""
        return self.function.description

    @property
    def item_type(self) -> str:
        """The type of the items that its calls become."""
        return self._work.item_type

    @property
    def timeout(self) -> float | None:
        """Seconds that a call may take."""
        return self._work.timeout

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: no validation, no timeout, no events."""
        return self._work.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    def discreet(self) -> "Tool[P, R]":
        """The same for strangers: of an exception that nobody was meant to read, the type alone."""
        return self._with(discreet=True)

    def bound(self, **arguments: Any) -> "Tool[P, R]":
        """The same with these arguments, which no model fills."""
        return self._with(bound=arguments)

    def _with(self, **changes: Any) -> "Tool[P, R]":
        work = replace(self._work, **changes)
        return Tool(work, self.function, parallel=self.parallel, gate=self.gate)

    def takes(self, arguments: str) -> bool:
        """Whether a call with this JSON text would run, and not fail for its arguments."""
        try:
            self._work.arguments.parse(arguments)
        except ValidationError:
            return False
        return True

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> FunctionRun:
        """A call opens."""
        return FunctionRun(self._work, slot, scope)


@overload
def tool(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    parallel: bool = True,
    strict: bool | None = None,
    needs_approval: NeedsApproval = False,
) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    parallel: bool = True,
    strict: bool | None = None,
    needs_approval: NeedsApproval = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    parallel: bool = True,
    strict: bool | None = None,
    needs_approval: NeedsApproval = False,
) -> Any:
    """Make a tool of a function: `@tool`, `@tool(timeout=5)`, or `tool(instance.method)`.

    The schema comes from the annotations (all that pydantic can describe), descriptions from
    the docstring (Google, NumPy or Sphinx style) or `Annotated[..., Field(description=...)]`.
    One parameter annotated `Context` or `Context[Deps]` gets the run's context.

    An async function is awaited; a plain one runs in a worker thread; an async generator
    yields `Progress` as often as it likes and exactly one other value, its result. Text and
    content parts are given to the model as they are, None as the empty text, all else as JSON.

    `raise ModelRetry(...)` or `ToolFailed(...)` to say to the model what it should know. Of any
    other exception it reads the type and the first 500 characters of the message; the
    traceback goes to the log `antiphon.tools`.

    Args:
        function: What to run.
        name: What the model calls it; else the function's name.
        description: What the model reads; else the docstring's.
        timeout: Seconds that a call may take. A plain function's thread cannot be stopped: the
            call ends in time, and the thread is left behind.
        parallel: Whether its calls may run beside others of the same turn.
        strict: True demands OpenAI's strict schema; None takes it where it can be had; False
            keeps the schema as pydantic writes it.
        needs_approval: Whether a person must approve each call before it runs, or a function
            that says so of the arguments which it names: `lambda amount: amount > 100`.

    Raises:
        ToolDefinitionError: The function cannot be a tool as it stands.
    """
    local = sys._getframe(1).f_locals  # pyright: ignore[reportPrivateUsage]

    def make(made_of: Callable[..., Any]) -> Tool[..., Any]:
        named = name_of(made_of, name)
        signature = read_signature(made_of, named, local)
        return build(
            made_of,
            signature,
            name=named,
            description=description,
            timeout=timeout,
            parallel=parallel,
            strict=strict,
            needs_approval=needs_approval,
        )

    return make if function is None else make(function)


def build(
    function: Callable[..., Any],
    signature: Signature,
    *,
    name: str,
    description: str | None,
    timeout: float | None,
    parallel: bool,
    strict: bool | None,
    needs_approval: NeedsApproval,
    item_type: str = "antiphon:tool_call",
) -> Tool[..., Any]:
    """A tool of a function whose signature was read (see `tool`).

    Args:
        item_type: The type of the items that its calls become.
    """
    kind = _kind(function, name)
    _check_timeout(timeout, name)
    told = docstring.read(function.__doc__, {p.name for p in signature.parameters})
    arguments = Arguments(name, signature.parameters, told.parameters)
    parameters, is_strict = arguments.form(strict, name)
    names = [each.name for each in signature.parameters]
    # A policy looks at what the function will be given: its own defaults, too.
    own = {each.name: each.default for each in signature.parameters if each.optional}
    gate = gate_of(
        needs_approval, name=name, parameters=names, parse=lambda text: own | arguments.parse(text)
    )
    shown = description if description is not None else told.description
    work = Work(name, function, kind, arguments, signature.context, timeout, item_type=item_type)
    return Tool(
        work,
        FunctionTool(name=name, description=shown, parameters=parameters, strict=is_strict),
        parallel=parallel,
        gate=gate,
    )


def _check_timeout(timeout: float | None, name: str) -> None:
    if timeout is not None and not 0 < timeout < math.inf:
        raise ToolDefinitionError(
            f"{name}: expected a timeout above 0 seconds, got {timeout}: leave it out for none"
        )


def name_of(function: Callable[..., Any], given: str | None) -> str:
    """What a model calls a function by.

    Raises:
        ToolDefinitionError: It is no function, or has no name that a model may say.
    """
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise ToolDefinitionError(
            f"expected a function or a bound method, got {function!r}: wrap it in a function"
        )
    name = function.__name__ if given is None else given
    if name == "<lambda>":
        raise ToolDefinitionError("a lambda has no name: give it one, as in `tool(f, name='f')`")
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"expected a name of 1 to 64 letters, digits, `_` or `-`, got {name!r}:"
            " choose another with `name=`"
        )
    return name


def _kind(function: Callable[..., Any], name: str) -> Kind:
    if inspect.isgeneratorfunction(function):
        raise ToolDefinitionError(
            f"{name}: a generator cannot be a tool: return one value, or make it an async"
            " generator that yields Progress and one result"
        )
    if inspect.isasyncgenfunction(function):
        return "stream"
    return "async" if inspect.iscoroutinefunction(function) else "sync"
