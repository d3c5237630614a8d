"""One call of an MCP server's tool: an `mcp_call` item from the model's first word to its receipt.

Above: `mcp_source`. Below: `mcp_link` (asks), `mcp_content` (what came). Not here: who may call.
"""

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from pydantic_core import from_json

from antiphon.errors import ToolFailed
from antiphon.items import Event, Json, McpCall, McpTool, ToolProgress

from .call import ArgumentsCall, DeltaName, DoneName
from .hosted import Slot
from .mcp_content import Output, output_of
from .mcp_link import Link, Trouble, told

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_AT_ONCE: Final = 16
"""Progress that waits to be told; more of it is dropped, since newer words replace older ones."""


def arguments_of(given: str, tool: McpTool) -> dict[str, Any]:
    """The arguments of a call, as far as they can be judged here; the server has the last word.

    Only the outermost object is looked at: a stranger's schema may hold patterns and references
    that take for ever.

    Raises:
        ToolFailed: They do not fit; the model is told how.
    """
    try:
        found: object = from_json(given or "{}", allow_inf_nan=False)
    except ValueError as error:
        raise ToolFailed(f"the arguments of {tool.name} are not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ToolFailed(f"the arguments of {tool.name} have to be a JSON object")
    arguments = cast("dict[str, Any]", found)
    schema = schema_of(tool)
    needed: object = schema.get("required")
    if isinstance(needed, list):
        names = [name for name in cast("list[object]", needed) if isinstance(name, str)]
        missing = [name for name in names if name not in arguments]
        if missing:
            raise ToolFailed(f"{tool.name} needs {', '.join(missing[:10])}: call it again")
    fields: object = schema.get("properties")
    if schema.get("additionalProperties") is False and isinstance(fields, dict):
        strange = [name for name in arguments if name not in fields]
        if strange:
            known = ", ".join(list(cast("Json", fields))[:20])
            raise ToolFailed(f"{tool.name} takes no {', '.join(strange[:10])}, but: {known}")
    return arguments


def schema_of(tool: McpTool) -> Json:
    """The JSON schema of a tool's arguments; of any object, where the server says nothing."""
    given: object = tool.input_schema
    return cast("Json", given) if isinstance(given, dict) else {"type": "object"}


class McpRun(ArgumentsCall):
    """One call.

    Args:
        label: The server's, as the request has it.
        tool: What is called, as it was listed.
        link: Asks the server.
        slot: Its place in the output.
    """

    steps: ClassVar[str] = "response.mcp_call"
    delta: ClassVar[DeltaName] = "response.mcp_call_arguments.delta"
    done: ClassVar[DoneName] = "response.mcp_call_arguments.done"

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
        output = output_of(result, self._link.plain)
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
