"""The view: what one client sees of canonical events, decided once when the response is created.

A plain value, kept with the response: who follows later sees the same stream. It numbers last.

Above: `respond`, `sse`. Not here: bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic_core import to_json

from antiphon.items import (
    BUILT_IN,
    KINDS,
    AgentCall,
    AgentEvent,
    AgentTool,
    ApprovalRequest,
    ArgumentsDelta,
    ArgumentsDone,
    CallStatus,
    CodeInterpreterCall,
    CodeOutputDelta,
    Compaction,
    Content,
    CreateResponse,
    Event,
    FileSearchCall,
    Handoff,
    InputText,
    Item,
    ItemAdded,
    ItemDone,
    Json,
    McpApprovalRequest,
    McpCall,
    McpServerTool,
    Message,
    OutputText,
    ProviderFunction,
    Reasoning,
    ReasoningDelta,
    ReasoningDone,
    Response,
    ResponseEvent,
    ToolCall,
    ToolDefinition,
    ToolProgress,
    UnknownEvent,
    WebSearchCall,
    answer_of,
    handed_to,
    text_of,
)

from .figures import Urls, receipt
from .sealing import Sealing
from .store import listed

Dialect: TypeAlias = Literal["openresponses", "openai"]


@dataclass(frozen=True, slots=True)
class View:
    """What a client sees.

    Attributes:
        dialect: Whose names reasoning events bear.
        extensions: Whether items and events under `antiphon:` are shown as they are.
        include: The parts that the request asked for, as its `include` names them.
        obfuscate: Whether text deltas are padded to hide their length.
        sealing: Seals reasoning that the request asked for encrypted; it is the provider's, and
            is not kept with the response. None shows what a model's server encrypted.
        images: Gives the URLs of images that code has shown; None shows them as data URLs. They
            are the provider's, too.
    """

    dialect: Dialect = "openresponses"
    extensions: bool = False
    include: frozenset[str] = frozenset()
    obfuscate: bool = False
    sealing: Sealing | None = field(default=None, compare=False, repr=False)
    images: Urls | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, request: CreateResponse, *, dialect: Dialect, extensions: bool) -> "View":
        """The view that a request asks for."""
        options = request.stream_options
        return cls(
            dialect=dialect,
            extensions=extensions,
            include=frozenset(request.include or ()),
            obfuscate=bool(options and options.include_obfuscation),
        )

    @classmethod
    def from_data(
        cls,
        data: Mapping[str, Any],
        *,
        sealing: Sealing | None = None,
        images: Urls | None = None,
    ) -> "View":
        """The view that a stored response was created with (see `data`)."""
        include = frozenset[str](data["include"])
        return cls(
            dialect=data["dialect"],
            extensions=data["extensions"],
            include=include,
            obfuscate=data["obfuscate"],
            sealing=sealing,
            images=images if data.get("images") else None,
        )

    @property
    def data(self) -> Json:
        """This view as plain data, to be kept with its response."""
        return {
            "dialect": self.dialect,
            "extensions": self.extensions,
            "include": sorted(self.include),
            "obfuscate": self.obfuscate,
            "images": self.images is not None,
        }

    def item(self, item: Item) -> Item:
        """An item as this client sees it."""
        how = _ITEMS.get(type(item))
        return item if how is None else how(self, item)

    def response(self, response: Response) -> Response:
        """A response as this client sees it."""
        output = [self.item(item) for item in response.output]
        tools = response.tools if self.extensions else _tools(response.tools)
        return response.model_copy(update={"output": output, "tools": tools})

    def page(self, items: Sequence[Item], *, has_more: bool) -> Json:
        """Some items of a list, as the wire has a list."""
        data = [_listed(self.item(item)).model_dump(mode="json") for item in items]
        return listed(data, has_more=has_more)


def _listed(item: Item) -> Item:
    """An item as lists have it: a message with a status, and its text as a part."""
    if not isinstance(item, Message):
        return item
    content = item.content
    if isinstance(content, str):
        said = item.role == "assistant"
        content = [OutputText(text=content) if said else InputText(text=content)]
    return item.model_copy(update={"content": content, "status": item.status or "completed"})


class Viewer:
    """Shows one stream of events: each as the client sees it, numbered from 0 without gaps."""

    __slots__ = ("_number", "view")

    def __init__(self, view: View) -> None:
        self.view: View = view
        self._number = 0

    def show(self, event: Event) -> Event | None:
        """The event as the client sees it, or None where it sees none.

        The event is the client's from here on and may be changed; items and responses inside
        it are shared with whoever folds them, so those are copied.
        """
        how = _EVENTS.get(type(event))
        shown = event if how is None else how(self.view, event)
        if shown is not None:
            vars(shown)["sequence_number"] = self._number  # a pydantic setter costs 3x
            shown.__pydantic_fields_set__.add("sequence_number")
            self._number += 1
        return shown


def _code(view: View, item: CodeInterpreterCall) -> Item:
    if item.outputs is None:
        return item
    if "code_interpreter_call.outputs" not in view.include:
        return item.model_copy(update={"outputs": None})
    return receipt(item, urls=view.images, html=view.extensions)


def _file_search(view: View, item: FileSearchCall) -> Item:
    if item.results is None or "file_search_call.results" in view.include:
        return item
    return item.model_copy(update={"results": None})


def _web_search(view: View, item: WebSearchCall) -> Item:
    shown = item.model_copy()
    if item.action and "web_search_call.action.sources" not in view.include:
        shown.action = {key: value for key, value in item.action.items() if key != "sources"}
    if "web_search_call.results" not in view.include:
        shown.results = None
    return shown


def _reasoning(view: View, item: Reasoning) -> Item:
    if "reasoning.encrypted_content" not in view.include:
        return _unsealed(item)
    return item if view.sealing is None else view.sealing.reasoning(item)


def _unsealed(item: Reasoning) -> Reasoning:
    if item.encrypted_content is None:
        return item
    return item.model_copy(update={"encrypted_content": None})


def _compaction(view: View, item: Compaction) -> Item:
    return item if item.summary is None else item.model_copy(update={"summary": None})


def _mcp_call(view: View, item: McpCall) -> Item:
    if view.extensions or item.content is None:
        return item
    return item.model_copy(update={"content": None})


def _tool_call(view: View, item: ToolCall) -> Item:
    if view.extensions:
        return item
    return McpCall(
        id=item.id,
        status=item.status,
        server_label=BUILT_IN,
        name=item.name,
        arguments=item.arguments,
        output=_plain(item.output),
        error=_error(item.error),
        approval_request_id=item.approval_request_id,
    )


def _agent_call(view: View, item: AgentCall) -> Item:
    if view.extensions:
        return item.model_copy(update={"output": [view.item(one) for one in item.output]})
    return McpCall(
        id=item.id,
        status=item.status,
        server_label=BUILT_IN,
        name=item.name or item.agent,
        arguments="" if item.input is None else _arguments(item.input),
        output=answer_of(item) or _awaited(item),
        error=_error(item.error),
        approval_request_id=item.approval_request_id,
    )


def _awaited(item: AgentCall) -> str | None:
    return f"[waits for approval: {', '.join(item.awaiting)}]" if item.awaiting else None


def _handoff(view: View, item: Handoff) -> Item:
    if view.extensions:
        return item
    return McpCall(
        id=item.id,
        status=item.status,
        server_label=BUILT_IN,
        name=item.name,
        arguments=item.arguments,
        output=handed_to(item.target) if item.error is None else None,
        error=_error(item.error),
    )


def _approval(view: View, item: ApprovalRequest) -> Item:
    if view.extensions:
        return item
    return McpApprovalRequest(
        id=item.id, server_label=BUILT_IN, name=item.name, arguments=item.arguments
    )


def _arguments(given: Any) -> str:
    return to_json({"input": given}).decode()


def _plain(output: Content | None) -> str | None:
    """An output as text; what is no text is named."""
    if output is None or isinstance(output, str):
        return output
    return "\n".join(text_of([part]) or f"[{part.type}]" for part in output)


def _error(error: str | None) -> Json | None:
    """An error in the form of the `openai` SDK's McpToolExecutionError."""
    if error is None:
        return None
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": error}]}


_ITEMS: dict[type[Any], Callable[[View, Any], Item]] = {
    CodeInterpreterCall: _code,
    FileSearchCall: _file_search,
    WebSearchCall: _web_search,
    Reasoning: _reasoning,
    Compaction: _compaction,
    McpCall: _mcp_call,
    ToolCall: _tool_call,
    AgentCall: _agent_call,
    Handoff: _handoff,
    ApprovalRequest: _approval,
}


def _tools(tools: list[ToolDefinition]) -> list[ToolDefinition]:
    """Declared tools in forms that every SDK parses: our own as the built-in MCP server."""
    own = [tool.name for tool in tools if isinstance(tool, ProviderFunction | AgentTool)]
    rest = [
        _connected(tool) for tool in tools if not isinstance(tool, ProviderFunction | AgentTool)
    ]
    if not own:
        return rest
    return [*rest, McpServerTool(server_label=BUILT_IN, allowed_tools=own)]


def _connected(tool: ToolDefinition) -> ToolDefinition:
    """The `openai` SDK knows eight connectors by name, and its classes refuse any other."""
    if isinstance(tool, McpServerTool) and tool.connector_id == BUILT_IN:
        return tool.model_copy(update={"connector_id": None})
    return tool


def _show_response(view: View, event: ResponseEvent) -> Event:
    event.response = view.response(event.response)
    return event


def _show_added(view: View, event: ItemAdded) -> Event:
    """A thought is sealed when it is whole; as it begins there is nothing to seal."""
    item = event.item
    event.item = _unsealed(item) if isinstance(item, Reasoning) else view.item(item)
    return event


def _show_done(view: View, event: ItemDone) -> Event:
    event.item = view.item(event.item)
    return event


def _show_reasoning(view: View, event: ReasoningDelta | ReasoningDone) -> Event:
    if view.dialect == "openai":
        renamed: Any = event.type.replace("response.reasoning.", "response.reasoning_text.")
        event.type = renamed
    return event


def _show_call(view: View, event: CallStatus | ArgumentsDelta | ArgumentsDone) -> Event | None:
    """Ours, and somebody's own, as an MCP call's; none, where those have no such event."""
    if view.extensions or ":" not in event.type:
        return event
    stem, _, step = event.type.rpartition(".")
    written = "_arguments" if stem.endswith("_arguments") else ""
    renamed: Any = f"response.mcp_call{written}.{step}"
    event.type = renamed
    return event if renamed in KINDS else None


def _show_extension(view: View, event: Event) -> Event | None:
    return event if view.extensions else None


def _show_agent_event(view: View, event: AgentEvent) -> Event | None:
    """A sub-agent's event, as the client would see it of a run of its own."""
    if not view.extensions:
        return None
    how = _EVENTS.get(type(event.event))
    inner = event.event if how is None else how(view, event.event.model_copy())
    if inner is None:
        return None
    event.event = inner
    return event


def _show_unknown(view: View, event: UnknownEvent) -> Event | None:
    return event if view.extensions or not event.type.startswith("antiphon:") else None


_EVENTS: dict[type[Any], Callable[[View, Any], Event | None]] = {
    ItemAdded: _show_added,
    ItemDone: _show_done,
    ReasoningDelta: _show_reasoning,
    ReasoningDone: _show_reasoning,
    CallStatus: _show_call,
    ArgumentsDelta: _show_call,
    ArgumentsDone: _show_call,
    CodeOutputDelta: _show_extension,
    ToolProgress: _show_extension,
    AgentEvent: _show_agent_event,
    UnknownEvent: _show_unknown,
}
_EVENTS.update(dict.fromkeys(ResponseEvent.__subclasses__(), _show_response))
