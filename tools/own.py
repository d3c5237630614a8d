"""`hosted_tool`: a hosted tool of a provider's own, of a type that no SDK knows.

    @hosted_tool("acme:units")
    async def units(value: float, source: Unit, target: Unit) -> str:
        "Convert a length."

    Provider(..., tools=[units])              # a request declares {"type": "acme:units"}

A call is an item `acme:units_call`: a receipt with the name, the arguments and the output that the
model said and read, so that it replays in a process that has never heard of the tool. Clients that
did not ask for extensions see it as an `mcp_call`.

Below: `tool.py`, whose functions these are. Not here: tools whose items or events are like no
function's; those fulfil `hosted.HostedTool` themselves, with `offer.py` and `call.py`.
"""

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from antiphon.errors import RequestError, ToolDefinitionError
from antiphon.items import ToolDefinition, is_own, own_function

from .arguments import read_signature
from .gate import NeedsApproval
from .hosted import Scope
from .tool import Tool, build, name_of

P = ParamSpec("P")
R = TypeVar("R")


class _NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OwnTool(Generic[P, R]):
    """A hosted tool made by `hosted_tool`. Called, it is still the function.

    Attributes:
        type: The type of the definitions that ask for it.
    """

    __name__: str

    def __init__(
        self,
        type: str,  # noqa: A002  (the wire's own word)
        made: Tool[P, R],
        options: type[BaseModel],
        wanted: str | None,
    ) -> None:
        functools.update_wrapper(self, made)
        self.type: str = type
        self._tool = made
        self._options = options
        self._wanted = wanted

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: no validation, no timeout, no events."""
        return self._tool(*args, **kwargs)

    def __repr__(self) -> str:
        return f"OwnTool({self.type!r})"

    @property
    def tool(self) -> Tool[P, R]:
        """The function for whoever declares no type: as a tool of the provider's built-in MCP
        server, which all SDKs can name. Its items are the same.

        Raises:
            ToolDefinitionError: There are options that a definition has to give.
        """
        try:
            return self._with({})
        except ValidationError as error:
            raise ToolDefinitionError(f"{self.type}: {_refused(error).message}") from None

    def offers(self, definition: ToolDefinition, scope: Scope) -> tuple[Tool[P, R]]:
        """The function, bound to what the definition says.

        Raises:
            RequestError: The definition is of another type, or says what is no option.
        """
        if definition.type != self.type:
            raise RequestError(
                f"expected a definition of type {self.type}, got {definition.type!r}", param="type"
            )
        try:
            return (self._with(definition.model_extra or {}),)
        except ValidationError as error:
            raise _refused(error) from None

    async def aclose(self) -> None:
        """Nothing is held: what the function uses is its provider's to close."""

    def _with(self, given: Mapping[str, Any]) -> Tool[P, R]:
        options = self._options.model_validate_json(to_json(given))
        return self._tool if self._wanted is None else self._tool.bound(**{self._wanted: options})


def hosted_tool(
    type: str,  # noqa: A002
    *,
    options: "type[BaseModel] | None" = None,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    parallel: bool = True,
    strict: bool | None = None,
    needs_approval: NeedsApproval = False,
) -> Callable[[Callable[P, R]], OwnTool[P, R]]:
    """Make a hosted tool of a function: `@hosted_tool("acme:units")`.

    The function is one as `tool` takes it, with what it may yield and raise. Its calls become items
    of the type with `_call` behind it.

    Args:
        type: The type of the definitions that ask for it: a slug of one's own, a colon, a name.
        options: What a definition may say beside its type; the one parameter that is annotated
            with this class gets it. Without it a definition may say nothing more.
        name: What the model calls it; else `acme__units` for `acme:units`.
        description: As for `tool`.
        timeout: As for `tool`.
        parallel: As for `tool`.
        strict: As for `tool`.
        needs_approval: As for `tool`.

    Raises:
        ToolDefinitionError: The type is not one of one's own, or the function cannot be a tool.
    """
    local = sys._getframe(1).f_locals  # pyright: ignore[reportPrivateUsage]
    if not is_own(type) or type.startswith("antiphon:"):
        raise ToolDefinitionError(
            f"expected a type under a slug of your own, such as 'acme:units', got {type!r}"
        )

    def make(function: Callable[..., Any]) -> OwnTool[..., Any]:
        named = name_of(function, own_function(type) if name is None else name)
        signature = read_signature(function, named, local, options)
        made = build(
            function,
            signature,
            name=named,
            description=description,
            timeout=timeout,
            parallel=parallel,
            strict=strict,
            needs_approval=needs_approval,
            item_type=f"{type}_call",
        )
        return OwnTool(type, made, options or _NoOptions, signature.options)

    return make


def _refused(error: ValidationError) -> RequestError:
    fault = error.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(step) for step in fault["loc"])
    what = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        what = "there is no such option: leave it out"
    return RequestError(f"{path}: {what}", param=path or None, code="invalid_value")
