"""What comes from an MCP server over its session: counted, so that none fills the memory or keeps
us busy for ever, and its end told.

Above: the ways, `line`. Below: the SDK's streams of messages.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from .stdio import TooMuch

if TYPE_CHECKING:
    from mcp.client.session import IncomingMessage

FLOOD: Final = 20_000
"""Messages that a server may send between two requests of ours; it is left when it sends more."""

PROGRESS: Final = 100_000
"""Words of progress that were asked for, and do not count there; likewise: half a minute's work."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of a session.

    Attributes:
        ended: The server hung up; or was left, which the words say.
        changed: It says that its tools are others now.
    """

    ended: Callable[[str | None], None]
    changed: Callable[[], None]

    async def heard(self, message: "IncomingMessage") -> None:
        """A notification of the server's."""
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self.changed()


class Traffic:
    """The messages that come from a server, as its session reads them: counted, and their end told.

    Attributes:
        over: Whether the server hung up, or was left.
    """

    def __init__(self, ended: Callable[[str | None], None]) -> None:
        self.over: bool = False
        self.messages: Any = None
        self._ended = ended
        self._unasked = 0
        self._progress = 0
        self._left: str | None = None
        self._reading = anyio.CancelScope()

    def asked(self) -> None:
        """A request goes out."""
        self._unasked = self._progress = 0

    def wanted(self) -> None:
        """One that came was progress of a request of ours, which asks for it."""
        self._unasked = max(0, self._unasked - 1)
        self._progress += 1

    def leave(self, why: str) -> None:
        """Read no more, and say why at once: whoever waits may hear of the end by another way."""
        self._left = self._left or why
        self._end(why)
        self._reading.cancel()

    @property
    def last_context(self) -> Any:
        """Which the SDK looks for on what it reads from."""
        return getattr(self.messages, "last_context", None)

    def __aiter__(self) -> "Traffic":
        return self

    async def __anext__(self) -> Any:
        self._unasked += 1
        try:
            if self._unasked > FLOOD:
                raise TooMuch(f"it sent {FLOOD} messages that nobody asked for")
            if self._progress > PROGRESS:
                raise TooMuch(f"it told its progress {PROGRESS} times")
            if self._left is None:
                with anyio.CancelScope() as self._reading:
                    return await self.messages.__anext__()
            raise TooMuch(self._left or "it was left")
        except TooMuch as error:
            self._end(str(error))
            raise StopAsyncIteration from None
        except BaseException:
            self._end(None)
            raise

    def _end(self, why: str | None) -> None:
        self.over = True
        self._ended(why)

    async def receive(self) -> Any:
        """The next one."""
        return await self.messages.receive()

    async def aclose(self) -> None:
        """Read no more."""
        await self.messages.aclose()

    async def __aenter__(self) -> "Traffic":
        return self

    async def __aexit__(self, *how: object) -> None:
        await self.aclose()


class Watched:
    """A transport of the SDK's whose messages pass through `Traffic`."""

    def __init__(self, transport: AbstractAsyncContextManager[Any], traffic: Traffic) -> None:
        self._transport = transport
        self._traffic = traffic

    async def __aenter__(self) -> Any:
        self._traffic.messages, writing = await self._transport.__aenter__()
        return self._traffic, writing

    async def __aexit__(self, *how: Any) -> Any:
        return await self._transport.__aexit__(*how)
