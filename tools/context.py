"""What a tool may know of the run that calls it, and how it tells how far it has come.

Above: the functions of users. Below: `Scope`, from which the loop lets a context be made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from typing_extensions import TypeVar

from antiphon.items import Item

from .hosted import Scope, Slot

Deps = TypeVar("Deps", default=None)


class Context(Generic[Deps]):
    """The run around one call. Annotate any one parameter of a tool with it.

    The model never sees that parameter. Make one yourself to call a tool as a plain function.

    Attributes:
        deps: What `Agent.run(deps=...)` was given.
        principal: Whose run it is.
        response_id: The response that is being made.
        items: The effective input and everything finished so far; do not change it.
        call_id: The id of the call's own item.
    """

    __slots__ = ("call_id", "deps", "items", "principal", "response_id")

    def __init__(
        self,
        deps: Deps,
        *,
        principal: str = "local",
        response_id: str = "",
        items: Sequence[Item] = (),
        call_id: str = "",
    ) -> None:
        self.deps: Deps = deps
        self.principal: str = principal
        self.response_id: str = response_id
        self.items: Sequence[Item] = items
        self.call_id: str = call_id

    def __repr__(self) -> str:
        return f"Context(deps={self.deps!r}, principal={self.principal!r}, ...)"


def context_of(scope: Scope, slot: Slot) -> Context[object]:
    """The context of the call in this slot."""
    return Context(
        scope.deps,
        principal=scope.principal,
        response_id=scope.response_id,
        items=scope.items,
        call_id=slot.item_id,
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """Yielded by an async-generator tool: how far it has come.

    Attributes:
        message: Words for whoever watches; the model does not read them.
        fraction: Between 0 and 1, where it is known.
    """

    message: str
    fraction: float | None = None
