"""The way to a server object in this process: no program, no network.

Above: whoever has such an object. Below: `way` (a session).
"""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from .traffic import Watch
from .way import speak

if TYPE_CHECKING:
    from mcp.client import Client

log: logging.Logger = logging.getLogger("antiphon.tools.mcp")


@dataclass(frozen=True, slots=True)
class InProcess:
    """A server object in this process (`mcp.server.MCPServer`, or the low-level `Server`)."""

    server: Any
    which: str = field(default_factory=partial(token_hex, 16), repr=False, compare=False)

    @property
    def secrets(self) -> Sequence[str]:
        """None."""
        return ()

    @property
    def place(self) -> Sequence[str]:
        """The server's name."""
        return [str(getattr(self.server, "name", ""))]

    @property
    def hidden(self) -> Sequence[object]:
        """Which object it is: others may have the name, too."""
        return [self.which]

    @property
    def slow(self) -> bool:
        """It is not."""
        return False

    def tokens(self) -> Sequence[str]:
        """None."""
        return ()

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, None]":
        """Begin its lifespan; what goes wrong in there is told to its owner, and nobody else."""
        try:
            return await speak(stack, self.server, watch), None
        except Exception:
            log.warning(
                "the MCP server %s of this process did not begin", *self.place, exc_info=True
            )
            raise
