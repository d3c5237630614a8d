"""A source: one MCP server as one definition of a request has it: its listing, and its tools.

Above: `mcp.py` (servers of requests), `mcp_server.py` (servers of agents). Below: `mcp_link`,
`mcp_listing`, `mcp_call`. Not here: where servers are, and who may name them.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from antiphon.errors import ToolFailed
from antiphon.items import (
    Event,
    FunctionCall,
    FunctionTool,
    Ids,
    McpApprovalRequest,
    McpListTools,
    McpTool,
    tool_name,
)

from .call import BaseCall
from .gate import Gate
from .hosted import Asked, Call, Offer, Scope, Slot
from .mcp_call import McpRun, arguments_of, schema_of
from .mcp_line import Line
from .mcp_link import Link, Trouble
from .mcp_listing import allowed, digest, digest_of, listed_before, mark_of
from .mcp_policy import Policy
from .text import bounded

_ABOUT_LIMIT: Final = 300

LISTED: Final = 64
"""Definitions of one server whose last listing is remembered."""

RELISTINGS: Final = 8
"""How often a server is asked again in one run, since it said that its tools are others."""


@dataclass(frozen=True, slots=True)
class Source:
    """One server, for one definition.

    Attributes:
        label: What the request calls it.
        link: Asks it.
        policies: What may be called, and what waits; all of them hold.
        mark: A digest of the definition, so that its listings are known again.
        place: Where the server is, and by whose leave: what an approval is good for.
        about: What the request says of it, for the model.
        guarded: Whether somebody else than the client goes by what the server says of its tools:
            a listing of the input counts only where it is what the server said itself.
    """

    label: str
    link: Link
    policies: tuple[Policy, ...]
    mark: str
    place: Sequence[str]
    about: str | None = None
    guarded: bool = False

    def kept(self, tools: Sequence[McpTool]) -> list[McpTool]:
        """The tools that may be called."""
        return [tool for tool in tools if all(each.allows(tool) for each in self.policies)]

    async def tools(self) -> "tuple[list[McpTool], Seen]":
        """What the server lists now, as far as it may be called; and what it had said of changes
        when it was asked.

        Raises:
            Trouble: It cannot be asked.
            ToolFailed: It lists too much.
        """
        before = self.seen()
        found = await self.link.tools()
        kept = self.kept(allowed(found, self.policies[0], self.link.plain))
        line = self.link.current()
        seen = before if before.line is line else Seen(line)
        if line is not None and line.changes == seen.changes:
            self._remember(line, kept)
        return kept, seen

    def stamp(self, tool: McpTool) -> str:
        """What an approval of a call is good for: this tool, at this server."""
        return digest(list(self.place), digest_of(tool))

    def _remember(self, line: Line, kept: Sequence[McpTool]) -> None:
        """What is looked at by `still`, and no more."""
        if not self.guarded and line.changes == 0:
            return
        line.listed.pop(self.mark, None)
        if len(line.listed) >= LISTED:
            del line.listed[next(iter(line.listed))]
        line.listed[self.mark] = _content(kept)

    def seen(self) -> "Seen":
        """What the server has said of changes by now."""
        line = self.link.current()
        return Seen(line, 0 if line is None else line.changes)

    def still(self, listing: McpListTools) -> bool:
        """Whether a listing is as good as a new one: the server has not said otherwise since; and
        where it is guarded, has said just this in the session that there is.
        """
        line = self.link.current()
        if not self.guarded and (line is None or line.changes == 0):
            return True
        return line is not None and line.listed.get(self.mark) == _content(listing.tools)


def _content(tools: Sequence[McpTool]) -> str:
    return digest(*(digest_of(tool) for tool in tools))


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known of a server's changes when it was asked.

    Attributes:
        line: The session.
        changes: How often it had said that its tools are others.
    """

    line: Line | None
    changes: int = 0

    def over(self, line: Line | None) -> bool:
        """Whether it has said so again; of a session that is newer, whether it ever did."""
        return line is not None and line.changes > (self.changes if line is self.line else 0)


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


@dataclass(frozen=True, slots=True)
class McpOffer:
    """One tool of a server, on the menu (see `tools.Offer` and `tools.Asks`).

    Attributes:
        source: The server.
        tool: The tool, as it was listed.
        doubt: Told when the server lists it otherwise by now, or no more.
    """

    source: Source
    tool: McpTool
    doubt: Callable[[], None]

    @property
    def function(self) -> FunctionTool:
        """What the model sees."""
        about = self.source.about
        words = self.tool.description or ""
        if about:
            words = f"[{self.source.label}: {bounded(about, _ABOUT_LIMIT)}] {words}".strip()
        return FunctionTool(
            name=tool_name(self.source.label, self.tool.name),
            description=words or None,
            parameters=schema_of(self.tool),
            strict=False,
        )

    @property
    def item_type(self) -> str:
        """The type of the items that its calls become."""
        return "mcp_call"

    @property
    def parallel(self) -> bool:
        """A session takes any number of requests at once."""
        return True

    @property
    def gate(self) -> Gate | None:
        """Says which calls wait; None where none do."""
        if not any(policy.asks(self.tool) for policy in self.source.policies):
            return None
        return self._waits

    async def _waits(self, arguments: str) -> bool:
        try:
            arguments_of(arguments, self.tool)
        except ToolFailed:
            return False  # nobody is asked about a call that can only fail
        return True

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> McpRun:
        """A call opens."""
        return McpRun(self.source.label, self.tool, self.source.link, slot)

    def ask(self, arguments: str, ids: Ids) -> McpApprovalRequest:
        """The request for one call. Its id ends with a digest of what would be called, where."""
        return McpApprovalRequest(
            id=ids.item("mcp_approval_request") + self.source.stamp(self.tool),
            server_label=self.source.label,
            name=self.tool.name,
            arguments=arguments,
        )

    async def stands(self, request: Asked) -> bool:
        """Whether the tool is still the one that a request was about, at the same server.

        Raises:
            ToolFailed: Nobody can say.
        """
        try:
            found, _ = await self.source.tools()
        except Trouble as trouble:
            raise ToolFailed(
                f"what was approved could not be looked at again: {trouble.why}"
            ) from None
        now = next((tool for tool in found if tool.name == self.tool.name), None)
        if now is None or digest_of(now) != digest_of(self.tool):
            self.doubt()
        return now is not None and self.source.stamp(now) == mark_of(request.id)
