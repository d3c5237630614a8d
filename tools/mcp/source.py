"""A source: one MCP server as one definition of a request has it, and what it listed.

Above: `tools.mcp_listing` and `tools.mcp_call`, which make items of it. Below: `link`, `tools`,
`mark`. Not here: where servers are, and who may name them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from antiphon.items import McpListTools, McpTool

from .line import Line
from .link import Link
from .mark import digest, digest_of
from .policy import Policy
from .tools import allowed

LISTED: Final = 64
"""Definitions of one server whose last listing is remembered."""


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
