"""A way to an MCP server, and a session at its end.

A way enters the SDK's client on the stack of whoever will leave it again: the SDK's contexts are
bound to the task that entered them. `mcp` is imported when a way is gone, not before.

Above: `address`, `program` and `in_process`, the three ways that there are; `line`. Below: the
official `mcp` SDK, which speaks every revision of the protocol.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

from .traffic import Traffic, Watch, Watched

if TYPE_CHECKING:
    from mcp.client import Client


class Way(Protocol):
    """How to get to a server."""

    @property
    def secrets(self) -> Sequence[str]:
        """What lets us in."""
        ...

    @property
    def place(self) -> Sequence[str]:
        """Where it leads, without what lets us in."""
        ...

    @property
    def hidden(self) -> Sequence[object]:
        """What else makes it another way; nothing of it is ever seen."""
        ...

    @property
    def slow(self) -> bool:
        """Whether a person may have to do something before there is a connection."""
        ...

    def tokens(self) -> Sequence[str]:
        """What lets us in beside the secrets, by now."""
        ...

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, Traffic | None]":
        """A connected client, which is left when the stack is closed, in this same task."""
        ...


async def speak(
    stack: AsyncExitStack,
    server: Any,
    watch: Watch,
    *,
    mode: str = "auto",
    roots: Sequence[str] = (),
) -> "Client":
    from mcp.client import Client
    from mcp_types import Implementation, ListRootsResult, Root

    async def listed(context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root.model_validate({"uri": each}) for each in roots])

    # No other callbacks: a server that wants sampling or elicitation is refused by the SDK.
    client = Client(
        server,
        mode=mode,
        cache=None,
        list_roots_callback=listed if roots else None,
        client_info=Implementation(name="antiphon", version="1"),
        message_handler=watch.heard,
    )
    return await stack.enter_async_context(client)


async def carried(
    stack: AsyncExitStack,
    transport: Any,
    watch: Watch,
    *,
    traffic: Traffic | None = None,
    **options: Any,
) -> "tuple[Client, Traffic]":
    """A session over a transport of the SDK's; `mode` and `roots` as for `speak`."""
    traffic = traffic or Traffic(watch.ended)
    return await speak(stack, Watched(transport, traffic), watch, **options), traffic
