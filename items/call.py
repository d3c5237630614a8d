"""Calls that somebody runs: the client's functions, and what the provider ran in their stead.

Source: Open Responses schema (FunctionCall, FunctionCallOutput). The items under the slug
`antiphon:` are ours; `provider.view` shows them to other clients in forms they know.
"""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from .names import ReceiptType
from .part import Content
from .usage import Usage
from .wire import Anything, Maybe, Wire

if TYPE_CHECKING:
    from .item import Item

CallId: TypeAlias = Annotated[str, Field(min_length=1)]


class FunctionCall(Wire):
    """The model asks for a function; `arguments` is its JSON text, as written."""

    type: Literal["function_call"] = "function_call"
    id: Maybe[str] = None
    call_id: CallId
    name: Annotated[str, Field(min_length=1)]
    arguments: str
    status: Maybe[str] = None
    namespace: Maybe[str] = None


class FunctionCallOutput(Wire):
    """What the function gave: text, or parts."""

    type: Literal["function_call_output"] = "function_call_output"
    id: Maybe[str] = None
    call_id: CallId
    output: Content
    status: Maybe[str] = None


class CustomToolCall(Wire):
    """The model calls a client's tool with free text."""

    type: Literal["custom_tool_call"] = "custom_tool_call"
    id: Maybe[str] = None
    call_id: CallId
    name: str
    input: str
    namespace: Maybe[str] = None


class CustomToolCallOutput(Wire):
    """What a custom tool gave."""

    type: Literal["custom_tool_call_output"] = "custom_tool_call_output"
    id: Maybe[str] = None
    call_id: CallId
    output: Content


class ToolCall(Wire):
    """A function that the provider (or `Agent.run`) ran itself: a full receipt.

    Status is in_progress, completed, incomplete or failed; `error` is what the model was told
    when it failed. `approval_request_id` names the request by which a person approved (or
    refused) the call.

    A hosted tool of a provider's own has such receipts under a type of its own
    (`acme:units_call`), with any fields beside these. `name`, `arguments` and `output` (or
    `error`) are what the model said and read, whatever the type.
    """

    type: ReceiptType = "antiphon:tool_call"
    id: Maybe[str] = None
    status: str
    name: str
    arguments: str
    output: Content | None = None
    error: str | None = None
    approval_request_id: Maybe[str] = None


class AgentCall(Wire):
    """A sub-agent's run: its input, its own items, what it used, how it ended.

    `name` is what the caller's model called, where that is not the agent's own name; `error` is
    what the caller was told when it failed or ended early. A run in which a call waits for a
    person ends `completed` with the ids of the requests in `awaiting`; the run that goes on
    from there is another item, whose `continues` is the id of this one.
    """

    type: Literal["antiphon:agent_call"] = "antiphon:agent_call"
    id: Maybe[str] = None
    status: str
    agent: str
    name: Maybe[str] = None
    input: Anything = None
    output: Annotated[list["Item"], Field(fail_fast=True)] = Field(default_factory=list["Item"])
    usage: Usage | None = None
    error: str | None = None
    awaiting: Maybe[Annotated[list[str], Field(max_length=1000)]] = None
    continues: Maybe[str] = None
    approval_request_id: Maybe[str] = None


class Handoff(Wire):
    """The conversation went over from one agent to another, which owns it from here on.

    `error` is what the model was told when it could not.
    """

    type: Literal["antiphon:handoff"] = "antiphon:handoff"
    id: Maybe[str] = None
    status: str
    source: str
    target: str
    name: str
    arguments: str
    error: str | None = None
    approval_request_id: Maybe[str] = None


class ApprovalRequest(Wire):
    """A provider-run call waits for a person's word; `agent` is the sub-agent that makes it."""

    type: Literal["antiphon:approval_request"] = "antiphon:approval_request"
    id: Maybe[str] = None
    name: str
    arguments: str
    agent: Maybe[str] = None


class ApprovalResponse(Wire):
    """A person's word on an approval request."""

    type: Literal["antiphon:approval_response"] = "antiphon:approval_response"
    id: Maybe[str] = None
    approval_request_id: str
    approve: bool
    reason: str | None = None
