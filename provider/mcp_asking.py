"""Asking people: an approval by MCP's elicitation, in both of the ways that the protocol has.

Until 2025-11-25 a server asks its client in the middle of a call. From 2026-07-28 on it answers
the call with what it needs to know, and the host calls again with that; what was said until then
goes to the host and back, sealed. Either way the word that comes of it counts by `consent` alone.

Above: `mcp_call`. Below: `seal`, the SDK's types. Not here: whether anything waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from antiphon.errors import RequestError, ToolFailed
from antiphon.items import BUILT_IN, ApprovalRequest, Item
from antiphon.tools import Asked

from .mcp_offer import HostTool
from .mcp_progress import shown
from .mcp_round import word
from .seal import Seal

MOST_ROUNDS: Final = 8
"""How often people are asked in one call."""

MOST_ASKED: Final = 16
"""Calls that people are asked about at a time."""

MOST_SHOWN: Final = 8000
"""Characters of a call's arguments that a person is shown. Nobody is asked about longer ones."""

_NOTHING: Final[dict[str, Any]] = {"type": "object", "properties": {}}

Context = ServerRequestContext[Any, Any]


class Kept(BaseModel):
    """A call that waits, as its host keeps it for us.

    Attributes:
        tool: The name that was called.
        arguments: With what.
        round: How often people were asked.
        asked: About which requests they are asked now.
        items: The whole conversation so far.
    """

    tool: str
    arguments: str
    round: int
    asked: list[str]
    items: list[Item]

    def to_json(self) -> bytes:
        """As JSON, each item as it writes itself."""
        head = to_json(self.model_dump(exclude={"items"}))
        return b'%s,"items":[%s]}' % (head[:-1], b",".join(item.to_json() for item in self.items))


@dataclass(frozen=True, slots=True)
class People:
    """Whoever sits at a host, as far as one request of it reaches.

    Attributes:
        context: The request.
        seal: Seals what a host keeps.
        principal: Whose it is.
    """

    context: Context
    seal: Seal
    principal: str

    @property
    def modern(self) -> bool:
        """Whether the host is to call again with their words."""
        return self.context.protocol_version in MODERN_PROTOCOL_VERSIONS

    def check(self, tool: HostTool, asked: Sequence[Asked]) -> None:
        """Whether they can be asked about these.

        Raises:
            ToolFailed: They cannot; it says why, and what to do.
        """
        names = ", ".join(sorted({request.name for request in asked}))
        why = f"{tool.name} was not run to its end: {names} needs a person's approval"
        session = self.context.session
        can = session.client_capabilities and session.client_capabilities.elicitation
        if not can or (can.form is None and can.url is not None):
            raise ToolFailed(
                f"{why}, and this host did not declare that it can ask (elicitation, form mode): "
                "use one that does, or let the operator approve it otherwise"
            )
        if not self.modern and not session.can_send_request:
            raise ToolFailed(f"{why}, and this connection takes no question back to the host")
        if len(asked) > MOST_ASKED:
            raise ToolFailed(f"{why}: expected at most {MOST_ASKED} calls that wait at a time")
        if any(len(_pretty(request.arguments)) > MOST_SHOWN for request in asked):
            raise ToolFailed(
                f"{why}, and its arguments are longer than the {MOST_SHOWN:,} characters that a "
                "person can be shown: call it with less"
            )
        if self.modern and not self.seal.available:
            raise ToolFailed(f"{why}, and nothing can be sealed here: pip install cryptography")

    async def ask(self, tool: HostTool, asked: Sequence[Asked]) -> list[Item]:
        """Ask them now, one question after another; their words.

        Raises:
            ToolFailed: The host did not say what they said.
        """
        words: list[Item] = []
        for request in asked:
            question = _question(tool, request)
            try:
                said = await self.context.session.elicit_form(
                    question.message, question.requested_schema, self.context.request_id
                )
            except (MCPError, ValidationError) as error:
                what = error.message if isinstance(error, MCPError) else "its answer is malformed"
                raise ToolFailed(
                    f"{request.name} was not run: its approval was asked for, and the host "
                    f"failed to ask: {shown(what, 200)}"
                ) from error
            words.append(word(request, approve=said.action == "accept"))
        return words

    def require(self, tool: HostTool, asked: Sequence[Asked], kept: Kept) -> InputRequiredResult:
        """The answer that has the host ask them, and call again.

        Raises:
            ToolFailed: What was said so far is more than a host can keep.
        """
        try:
            state = self.seal.seal(kept.to_json(), principal=self.principal, purpose="approval")
        except ValueError as error:
            raise ToolFailed(f"{tool.name}: the call is too long to wait: {error}") from error
        return InputRequiredResult(
            input_requests={
                request.id or "": ElicitRequest(params=_question(tool, request))
                for request in asked
            },
            request_state=state,
        )

    def kept(self, state: str, *, tool: str, arguments: str) -> Kept:
        """What a host brings back.

        Raises:
            MCPError: It is not what was given to it, for this call.
        """
        try:
            data = self.seal.open(
                state, principal=self.principal, purpose="approval", param="requestState"
            )
            kept = Kept.model_validate_json(data)
        except (RequestError, ValidationError, ValueError) as error:
            what = "expected what this server gave you, as it was"
            raise MCPError(INVALID_PARAMS, f"requestState: {what}") from error
        if (kept.tool, kept.arguments) != (tool, arguments):
            raise MCPError(INVALID_PARAMS, "requestState: it belongs to another call")
        return kept

    @staticmethod
    def words(kept: Kept, responses: Mapping[str, object]) -> list[Item]:
        """What they said, as the host tells it; what nobody answered is refused.

        Args:
            kept: The call.
            responses: Answers, by the ids of requests.
        """
        found: list[Item] = []
        for item in kept.items:
            if isinstance(item, Asked) and item.id in kept.asked:
                said = responses.get(item.id or "")
                accepted = isinstance(said, ElicitResult) and said.action == "accept"
                found.append(word(item, approve=accepted))
        return found


def _question(tool: HostTool, request: Asked) -> ElicitRequestFormParams:
    """One call, as a person is asked about it: the arguments are data, and all of them."""
    agent = request.agent if isinstance(request, ApprovalRequest) else None
    who = agent or (tool.name if tool.runnable is not None else "This host")
    message = (
        f"{shown(who, 100)} wants to call {shown(request.name, 100)}{_where(request)} with these "
        "arguments:\n"
        f"{_pretty(request.arguments)}\nAccept to run this call once; decline to refuse it."
    )
    return ElicitRequestFormParams(message=message, requested_schema=_NOTHING)


def _where(request: Asked) -> str:
    """Whose tool it is, where it is not ours."""
    if isinstance(request, ApprovalRequest) or request.server_label == BUILT_IN:
        return ""
    return f" of the MCP server {shown(request.server_label, 100)}"


def _pretty(arguments: str) -> str:
    """Arguments as a person reads them."""
    try:
        text = to_json(from_json(arguments), indent=2).decode()
    except ValueError:
        text = arguments
    return shown(text, len(text))
