"""A link: how one definition asks one server, with times, retries and words for what went wrong.

A request is repeated on a new session only where it is certain that the server never ran it.
Above: `source`, `tools.mcp_call`. Below: `line` (sessions).
"""

import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
from pydantic import TypeAdapter, ValidationError

from antiphon.errors import ToolFailed
from antiphon.items import Json

from .fault import guard_said, status_of, words
from .line import Line, Lines, Unreachable
from .plain import Plain
from .tools import pages
from .way import Way

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, Tool

log: logging.Logger = logging.getLogger("antiphon.tools.mcp")

_T = TypeVar("_T")

ERROR_LIMIT: Final = 2_000
"""Characters of a server's error that are kept."""


_ENDS: Final = ("Connection closed", "SSE stream")
"""What the SDK says when nothing more comes; servers use its code for errors of their own."""


class Trouble(Exception):
    """A request came to nothing.

    Attributes:
        error: Why, in the form of the `openai` SDK's McpToolCallError.
        why: The same in words.
    """

    def __init__(self, error: Json, why: str) -> None:
        super().__init__(why)
        self.error = error
        self.why = why


def told(why: str) -> Json:
    """An error of the tool's own, or of ours about it."""
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": why}]}


@dataclass(frozen=True, slots=True)
class Link:
    """Asks one server.

    Attributes:
        lines: Where its sessions are.
        key: Which of them.
        way: How to get there.
        timeout: Seconds that a request may take, connecting included.
        plain: Makes its words harmless.
        owner: The principal that its sessions are counted for, where they are one's own.
    """

    lines: Lines
    key: Hashable
    way: Way
    timeout: float
    plain: Plain
    owner: str | None = None

    def current(self) -> Line | None:
        """The open session, if there is one."""
        return self.lines.peek(self.key)

    async def tools(self) -> "list[Tool]":
        """Everything that the server lists now.

        Raises:
            Trouble: It cannot be asked, or does not come to an end.
        """
        return await self._asked("list", pages)

    async def call(
        self, name: str, arguments: dict[str, Any], tell: "ProgressFnT"
    ) -> "CallToolResult":
        """Call a tool.

        Raises:
            Trouble: It did not answer, or not as the protocol wants it.
        """

        async def heard(progress: float, total: float | None, message: str | None) -> None:
            line = self.current()
            if line is not None:
                line.wanted()
            await tell(progress, total, message)

        async def ask(client: "Client") -> "CallToolResult":
            return await _called(client, name, arguments, heard)

        return await self._asked("call", ask)

    async def _asked(self, what: str, ask: "Callable[[Client], Awaitable[_T]]") -> _T:
        with anyio.move_on_after(self.timeout):
            return await self._twice(ask)
        raise self._trouble(None, f"the server took longer than {self.timeout:g} s ({what})")

    async def _twice(self, ask: "Callable[[Client], Awaitable[_T]]") -> _T:
        from mcp.shared.exceptions import MCPError

        async with self._line() as line:
            try:
                return await self._once(line, ask)
            except MCPError as error:
                if guard_said(error).get("known") is not False:  # a session that it has forgotten
                    raise self._refused(line, error) from error
                self.lines.drop(self.key, line)
        async with self._line() as line:
            try:
                return await self._once(line, ask)
            except MCPError as error:
                raise self._refused(line, error) from error

    @asynccontextmanager
    async def _line(self) -> AsyncGenerator[Line, None]:
        try:
            async with self.lines.taken(self.key, self.way, self.owner) as line:
                yield line
        except Unreachable as error:
            raise self._trouble(error.status, f"no session: {error.why}") from error

    async def _once(self, line: Line, ask: "Callable[[Client], Awaitable[_T]]") -> _T:
        """One request; only errors of the protocol come out as they are."""
        client = await line.client()
        try:
            return await ask(client)
        except ToolFailed as error:
            raise self._trouble(None, str(error)) from error
        except ValidationError as error:
            raise self._trouble(
                None, "the server's answer is not what the protocol says"
            ) from error
        except RuntimeError as error:  # the SDK's word for answers that make no sense
            log.warning("an MCP server answered out of turn: %s", type(error).__name__)
            raise self._trouble(None, "the server's answer makes no sense") from error

    def _refused(self, line: Line, error: Any) -> Trouble:
        from mcp_types import CONNECTION_CLOSED

        status = status_of(error)
        ended = line.why is not None or error.message.startswith(_ENDS)
        if error.code == CONNECTION_CLOSED and ended and not guard_said(error):
            self.lines.drop(self.key, line)
            how = "the server hung up" if line.why is None else f"the server was left: {line.why}"
            return self._trouble(None, f"{how}: nobody knows whether the call ran")
        said = self.plain.text(words(error), ERROR_LIMIT)
        if status is not None:
            return self._trouble(status, said)
        return Trouble(
            {"type": "mcp_protocol_error", "code": error.code, "message": said},
            f"the server refused: {said}",
        )

    def _trouble(self, status: int | None, why: str) -> Trouble:
        why = self.plain.text(why, ERROR_LIMIT)
        if status is not None:
            return Trouble({"type": "http_error", "code": status, "message": why}, why)
        return Trouble(told(why), why)


@functools.cache
def _shape() -> TypeAdapter[Any]:
    """What may come of a call; made once, since that takes longer than a call."""
    from mcp_types import CallToolResult, InputRequiredResult

    return TypeAdapter(CallToolResult | InputRequiredResult)


async def _called(
    client: "Client", name: str, arguments: dict[str, Any], progress: "ProgressFnT"
) -> "CallToolResult":
    """Send the request itself, and not through `call_tool`: that checks results against a schema
    of the server's, whose patterns may take for ever.
    """
    from mcp.shared.exceptions import MCPError
    from mcp_types import (
        HEADER_MISMATCH,
        CallToolRequest,
        CallToolRequestParams,
        CallToolResult,
    )

    request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments))

    async def send() -> Any:
        return await client.session.send_request(request, _shape(), progress_callback=progress)

    try:
        result = await send()
    except MCPError as error:
        if error.code != HEADER_MISMATCH:
            raise
        await pages(client)  # some arguments go into headers, which the listing names
        result = await send()
    if not isinstance(result, CallToolResult):
        given: Mapping[str, Any] = result.input_requests or {}
        wanted = sorted({str(each.method) for each in given.values()})
        raise ToolFailed(
            f"the server asks for {' and '.join(wanted) or 'more'} in the middle of a call, and is "
            "refused: servers ask neither people nor models here"
        )
    return result
