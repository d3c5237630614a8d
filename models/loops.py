"""Things that belong to one event loop, such as connections: one for each loop that asks.

`Agent.run_sync` starts a loop for every run, and a pooled connection of a loop that has ended
is dead. So each loop gets its own, and gives it back when it ends.

Above: `transport`. Not here: what the things are.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Generic, Protocol, TypeVar

from anyio.lowlevel import current_token


class Closable(Protocol):
    """Something that is closed."""

    async def aclose(self) -> None:
        """Close it."""
        ...


T = TypeVar("T", bound=Closable)


class PerLoop(Generic[T]):
    """Makes a thing for each event loop on first use.

    Args:
        make: Makes one.

    Each is held by an asynchronous generator, because loops close these as they end
    (`shutdown_asyncgens`, with which `asyncio.run` and `anyio.run` end): nothing leaks where
    nobody calls `aclose`.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._held: dict[object, tuple[T, AsyncGenerator[T, None]]] = {}

    async def get(self) -> T:
        """This loop's own."""
        token = current_token()
        held = self._held.get(token)
        if held is None:
            holder = self._hold(token)
            held = self._held[token] = (await anext(holder), holder)  # never lets go before
        return held[0]

    async def aclose(self) -> None:
        """Close this loop's own; other loops close theirs when they end."""
        held = self._held.get(current_token())
        if held is not None:
            await held[1].aclose()

    async def _hold(self, token: object) -> AsyncGenerator[T, None]:
        thing = self._make()
        try:
            yield thing
        finally:
            self._held.pop(token, None)
            await thing.aclose()
