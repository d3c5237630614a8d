"""The tools of one MCP server in one run, and the item that tells of them: `mcp_list_tools`.

They are known from the input, or the server is asked. Above: `mcp_servers` (servers of requests),
`mcp_server` (servers of agents). Below: `mcp` (the protocol), `mcp_call` (what becomes of a tool).
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import ClassVar, Final

from antiphon.errors import ToolFailed
from antiphon.items import Event, McpListTools, McpTool

from .call import BaseCall
from .hosted import Call, Offer, Scope, Slot
from .mcp import Seen, Source, Trouble, listed_before
from .mcp_call import McpOffer

RELISTINGS: Final = 8
"""How often a server is asked again in one run, since it said that its tools are others."""


class McpListing:
    """A server's tools in one run: known from the input, or asked for (see `tools.Listing`).

    Args:
        source: The server.
        scope: The run.
    """

    def __init__(self, source: Source, scope: Scope) -> None:
        self._source = source
        self._scope = scope
        self._left = RELISTINGS
        self._doubted = False
        self._seen = source.seen()
        before = listed_before(scope.items, source.label, source.mark)
        fresh = before is not None and source.still(before)
        self._tools: list[McpTool] | None = list(before.tools) if before and fresh else None

    @property
    def label(self) -> str:
        """What the request calls it."""
        return self._source.label

    @property
    def known(self) -> bool:
        """Whether nobody has to be asked: also not again, since the server said that its tools
        are others.
        """
        if self._tools is None or self._doubted:
            return False
        return self._left == 0 or not self._seen.over(self._source.link.current())

    @property
    def offers(self) -> Sequence[Offer]:
        """What may be called; nothing before it is known, or when it could not be."""
        source = self._source
        return [McpOffer(source, tool, self._doubt) for tool in source.kept(self._tools or ())]

    def begin(self, output_index: int) -> "tuple[Call, Slot]":
        """Ask, as an item of the response."""
        item_id = self._scope.ids.item("mcp_list_tools") + self._source.mark
        slot = Slot(item_id, output_index)
        return _Asking(self._source, self._take, slot), slot

    def _doubt(self) -> None:
        """It was found to be another list by now."""
        self._doubted = True

    def _take(self, tools: list[McpTool], seen: Seen) -> None:
        self._left -= self._tools is not None
        self._tools, self._seen, self._doubted = tools, seen, False


class _Asking(BaseCall):
    """An `mcp_list_tools` item in the making."""

    steps: ClassVar[str] = "response.mcp_list_tools"

    def __init__(
        self, source: Source, take: Callable[[list[McpTool], Seen], None], slot: Slot
    ) -> None:
        super().__init__(slot)
        self._source = source
        self._take = take
        self._tools: list[McpTool] = []
        self._error: str | None = None

    def item(self, status: str) -> McpListTools:
        """The listing; it has no status of its own."""
        return McpListTools(
            id=self.slot.item_id,
            server_label=self._source.label,
            tools=self._tools,
            error=self._error,
        )

    def write(self, delta: str) -> Iterable[Event]:
        """No model writes it."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """Likewise."""
        return ()

    def fail(self, reason: str) -> Iterable[Event]:
        """There are no tools; the response goes on without."""
        self._error = reason
        self._take([], self._source.seen())
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """Ask the server."""
        try:
            self._tools, seen = await self._source.tools()
        except Trouble as trouble:
            ended = self.fail(trouble.why)
        except ToolFailed as error:
            ended = self.fail(str(error))
        else:
            self._take(self._tools, seen)
            ended = self.end("completed")
        for event in ended:
            yield event
