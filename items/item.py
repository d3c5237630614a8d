"""`Item`: the unit of state. One union of everything that can stand in the list.

Unknown types are kept whole (`UnknownItem`), so what a newer peer sent goes back unharmed.
"""

from typing import Annotated, Any, Final, TypeAlias, cast, get_args

from pydantic import Discriminator, Field, Tag, TypeAdapter

from .call import (
    AgentCall,
    ApprovalRequest,
    ApprovalResponse,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Handoff,
    ToolCall,
)
from .hosted import (
    CodeInterpreterCall,
    ComputerCall,
    ComputerCallOutput,
    FileSearchCall,
    ImageGenerationCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    WebSearchCall,
)
from .message import Compaction, ItemReference, Message, Reasoning
from .names import is_function, is_receipt
from .part import ListOf
from .shell import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    LocalShellCall,
    LocalShellCallOutput,
    ShellCall,
    ShellCallOutput,
)
from .wire import AS_IT_IS, UNKNOWN, Json, Maybe, Wire, tags_of, type_of


class UnknownItem(Wire):
    """An item of a type that this version does not know, kept as it came."""

    type: str
    id: Maybe[str] = None
    status: Maybe[str] = None


_TAGS = tags_of(
    "message",
    "reasoning",
    "item_reference",
    "compaction",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "code_interpreter_call",
    "file_search_call",
    "web_search_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "shell_call",
    "shell_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "antiphon:tool_call",
    "antiphon:agent_call",
    "antiphon:handoff",
    "antiphon:approval_request",
    "antiphon:approval_response",
)
_TAGS["compaction_summary"] = "<compaction>"
_RECEIPT = _TAGS["antiphon:tool_call"]


def _tag(value: Any) -> str | None:
    """`type` decides; real clients omit it on messages, and the schema allows so on references."""
    kind = type_of(value)
    if kind is not None:
        return _TAGS.get(kind) or (_RECEIPT if _tells_all(value, kind) else UNKNOWN)
    if isinstance(value, ItemReference):
        return "<item_reference>"
    fields = cast("Json", value) if isinstance(value, dict) else {}
    if fields.get("type") is not None:
        return None
    return "<message>" if "role" in fields else "<item_reference>" if "id" in fields else None


def _tells_all(value: Any, kind: str) -> bool:
    """Whether an item of an unknown type is the receipt of a call: it says what was asked, and what
    came of it, in fields that a model may read. Anything else of that type stays unknown.
    """
    if not isinstance(value, dict):
        return isinstance(value, ToolCall)
    fields = cast("Json", value)
    output: object = fields.get("output")
    parts = cast("list[object]", output) if isinstance(output, list) else []
    return (
        is_receipt(kind)
        and all(isinstance(fields.get(each), str) for each in ("status", "name", "arguments"))
        and is_function(fields["name"])
        and all(isinstance(fields.get(each), str | None) for each in _OPTIONAL)
        and isinstance(output, str | list | None)
        and all(type_of(part) is not None for part in parts)
    )


_OPTIONAL = ("error", "approval_request_id")

Item: TypeAlias = Annotated[
    Annotated[Message, Tag("<message>")]
    | Annotated[Reasoning, Tag("<reasoning>")]
    | Annotated[ItemReference, Tag("<item_reference>")]
    | Annotated[Compaction, Tag("<compaction>")]
    | Annotated[FunctionCall, Tag("<function_call>")]
    | Annotated[FunctionCallOutput, Tag("<function_call_output>")]
    | Annotated[CustomToolCall, Tag("<custom_tool_call>")]
    | Annotated[CustomToolCallOutput, Tag("<custom_tool_call_output>")]
    | Annotated[CodeInterpreterCall, Tag("<code_interpreter_call>")]
    | Annotated[FileSearchCall, Tag("<file_search_call>")]
    | Annotated[WebSearchCall, Tag("<web_search_call>")]
    | Annotated[ImageGenerationCall, Tag("<image_generation_call>")]
    | Annotated[ComputerCall, Tag("<computer_call>")]
    | Annotated[ComputerCallOutput, Tag("<computer_call_output>")]
    | Annotated[McpListTools, Tag("<mcp_list_tools>")]
    | Annotated[McpCall, Tag("<mcp_call>")]
    | Annotated[McpApprovalRequest, Tag("<mcp_approval_request>")]
    | Annotated[McpApprovalResponse, Tag("<mcp_approval_response>")]
    | Annotated[ShellCall, Tag("<shell_call>")]
    | Annotated[ShellCallOutput, Tag("<shell_call_output>")]
    | Annotated[LocalShellCall, Tag("<local_shell_call>")]
    | Annotated[LocalShellCallOutput, Tag("<local_shell_call_output>")]
    | Annotated[ApplyPatchCall, Tag("<apply_patch_call>")]
    | Annotated[ApplyPatchCallOutput, Tag("<apply_patch_call_output>")]
    | Annotated[ToolCall, Tag("<antiphon:tool_call>")]
    | Annotated[AgentCall, Tag("<antiphon:agent_call>")]
    | Annotated[Handoff, Tag("<antiphon:handoff>")]
    | Annotated[ApprovalRequest, Tag("<antiphon:approval_request>")]
    | Annotated[ApprovalResponse, Tag("<antiphon:approval_response>")]
    | Annotated[UnknownItem, Tag("<?>")],
    Discriminator(_tag),
    AS_IT_IS,
]
"""Any Open Responses item: hosted ones, our own, and unknown ones included."""


# List first: its faults are told first, and no discriminator makes a Python copy of it all.
Input: TypeAlias = Annotated[
    Annotated[list[Item], Field(fail_fast=True), Tag("<list>")]
    | Annotated[str, Field(max_length=10_485_760), Tag("<text>")],
    Field(union_mode="left_to_right"),
    AS_IT_IS,
]
"""What a request brings: a user's text, or a list of items."""

# A sub-agent's run holds items: the union holds itself, and is complete only here.
AgentCall.model_rebuild(_types_namespace={"Item": Item})

ITEM: TypeAdapter[Item] = TypeAdapter(Item)
ITEMS: TypeAdapter[list[Item]] = TypeAdapter(ListOf[Item])

ITEM_TYPES: Final = frozenset(get_args(one)[0] for one in get_args(get_args(Item)[0]))
"""The classes of all items: what is one of these has been validated."""


def items_of(given: str | list[Item]) -> list[Item]:
    """The items that an input stands for: a text is one user message."""
    return [Message(role="user", content=given)] if isinstance(given, str) else given
