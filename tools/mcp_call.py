"""A tool of an MCP server on the menu, and its calls: `mcp_call` items from the model's first word
to the receipt, and the `mcp_approval_request`s of those that wait.

Above: `mcp_listing`. Below: `mcp` (asks the server, and reads what came). Not here: who may call.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from antiphon.errors import ToolFailed
from antiphon.items import (
    Event,
    FunctionCall,
    FunctionTool,
    Ids,
    Json,
    McpApprovalRequest,
    McpCall,
    McpTool,
    ToolProgress,
    bounded,
    tool_name,
)

from .call import ArgumentsCall
from .gate import Gate
from .hosted import Asked, Scope, Slot
from .mcp import (
    Link,
    Output,
    Source,
    Trouble,
    arguments_of,
    digest_of,
    mark_of,
    output_of,
    schema_of,
    told,
)
from .result import RESULT_LIMIT

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_ABOUT_LIMIT: Final = 300

_AT_ONCE: Final = 16
"""Progress that waits to be told; more of it is dropped, since newer words replace older ones."""


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

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> "McpRun":
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


class McpRun(ArgumentsCall):
    """One call.

    Args:
        label: The server's, as the request has it.
        tool: What is called, as it was listed.
        link: Asks the server.
        slot: Its place in the output.
    """

    steps: ClassVar[str] = "response.mcp_call"

    def __init__(self, label: str, tool: McpTool, link: Link, slot: Slot) -> None:
        super().__init__(slot)
        self._label = label
        self._tool = tool
        self._link = link
        self._output: Output | None = None
        self._error: Json | None = None

    def item(self, status: str) -> McpCall:
        """The receipt so far."""
        output = self._output
        return McpCall(
            id=self.slot.item_id,
            status=status,
            server_label=self._label,
            name=self._tool.name,
            arguments=self.arguments,
            output=output and output.text,
            content=output and output.parts,
            error=self._error,
        )

    def fail(self, reason: str) -> Iterable[Event]:
        """It fails, and the model reads why."""
        return self._fail(told(reason))

    def _fail(self, error: Json) -> Iterable[Event]:
        self._error = error
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """Ask the server; what it says of its progress is told meanwhile."""
        try:
            given = arguments_of(self.arguments, self._tool)
        except ToolFailed as error:
            for event in self.fail(str(error)):
                yield event
            return
        left: GeneratorExit | None = None
        send, receive = anyio.create_memory_object_stream[Event](_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ask, given, send)
            with receive:
                try:
                    async for event in receive:
                        yield event
                except GeneratorExit as error:
                    left = error  # raised outside: a task group would put it into a group
                    tasks.cancel_scope.cancel()
        if left is not None:
            raise left
        for event in self.end("completed" if self._error is None else "failed"):
            yield event

    async def _ask(self, given: dict[str, Any], send: MemoryObjectSendStream[Event]) -> None:
        async def heard(progress: float, total: float | None, message: str | None) -> None:
            try:
                send.send_nowait(self._progress(progress, total, message))
            except (anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
                return

        with send:
            try:
                self._take(await self._link.call(self._tool.name, given, heard))
            except Trouble as trouble:
                self._error = trouble.error

    def _take(self, result: "CallToolResult") -> None:
        output = output_of(result, self._link.plain, RESULT_LIMIT)
        if output.failed:
            self._error = told(output.text or "the tool failed without saying why")
        else:
            self._output = output

    def _progress(self, done: float, total: float | None, message: str | None) -> ToolProgress:
        fraction = min(1.0, max(0.0, done / total)) if total and total > 0 else None
        return ToolProgress(
            item_id=self.slot.item_id,
            output_index=self.slot.output_index,
            message=self._link.plain.text(message or "", 1_000),
            fraction=fraction,
        )
