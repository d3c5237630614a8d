"""Gates: which calls wait for a person's word before they run.

An offer may have a `gate`; the loop asks it once a call's arguments are whole, before the call
begins. A call that has to wait becomes an approval request, which ends the response. Arguments
that do not fit pass: nobody is asked about a call that can only fail.

Above: `tool.py`, `code_interpreter.py` and other offers. Not here: who approves, and what
happens then (`agents.approval`).
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol, TypeAlias, cast

from pydantic import ValidationError

from antiphon.errors import ToolDefinitionError

Said: TypeAlias = bool | Awaitable[bool]


class Policy(Protocol):
    """A function of all arguments, whatever they are."""

    def __call__(self, **arguments: Any) -> Said:
        """Whether this call waits."""
        ...


# By number, and not `Callable[..., Said]`, so that a checker infers a lambda's parameters.
NeedsApproval: TypeAlias = (
    bool
    | Callable[[Any], Said]
    | Callable[[Any, Any], Said]
    | Callable[[Any, Any, Any], Said]
    | Callable[[Any, Any, Any, Any], Said]
    | Policy
)
"""Always, never, or a function of the arguments that it names: `lambda amount: amount > 100`."""


class Gate(Protocol):
    """Says of one call whether it waits."""

    async def __call__(self, arguments: str) -> bool:
        """Whether a person must approve this call first.

        Args:
            arguments: The JSON text, as the model wrote it.
        """
        ...


def gate_of(
    needs_approval: NeedsApproval,
    *,
    name: str,
    parameters: Collection[str],
    parse: Callable[[str], Mapping[str, Any]],
) -> Gate | None:
    """The gate that a policy stands for; None where nothing ever waits.

    Args:
        needs_approval: The policy. A function is given those of the arguments that it names.
        name: The tool's, for errors.
        parameters: The names that arguments may have.
        parse: Validates the JSON text of a call's arguments; raises ValidationError.

    Raises:
        ToolDefinitionError: The policy is no bool and no function of these parameters.
    """
    if needs_approval is False:
        return None
    policy = cast("Callable[..., Said] | bool", needs_approval)
    if policy is not True and not callable(policy):
        raise ToolDefinitionError(
            f"{name}: expected needs_approval to be True, False or a function of the arguments, "
            f"got {policy!r}"
        )
    wanted = None if policy is True else _wanted(policy, name, parameters)

    async def gate(arguments: str) -> bool:
        try:
            values = parse(arguments)
        except ValidationError:
            return False
        if policy is True:
            return True
        if wanted is not None:
            values = {key: value for key, value in values.items() if key in wanted}
        said = policy(**values)
        return bool(await said if inspect.isawaitable(said) else said)

    return gate


def _wanted(
    policy: Callable[..., Any], name: str, parameters: Collection[str]
) -> frozenset[str] | None:
    """The arguments that a policy looks at; None for all of them."""
    taken = inspect.signature(policy).parameters.values()
    wanted = frozenset(
        one.name for one in taken if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    )
    strange = sorted(wanted.difference(parameters))
    if strange:
        raise ToolDefinitionError(
            f"{name}: needs_approval looks at {', '.join(strange)}, but the tool's parameters are "
            f"{', '.join(parameters) or 'none'}: name some of those, as in `lambda amount: ...`"
        )
    return None if any(one.kind is one.VAR_KEYWORD for one in taken) else wanted
