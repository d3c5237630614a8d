"""`POST /v1/responses/compact`: a conversation in short, for its client to carry.

The model that the request names writes a summary of all of it; what comes back is what people
said, word for word, one sealed compaction, and the receipts that are state. Sent as the input of
a later request it stands for the whole conversation. Nothing is stored.

Source: Open Responses schema (CompactResponseMethodPublicBody, CompactResource). Above: `app`.
Below: `prepare`, `summary`, `remains`, `sealing`. Not here: how a compaction reads to a model;
that is `items.lower`.
"""

from typing import Literal

from pydantic import Field
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.agents import Agent, Workflow
from antiphon.errors import ConfigurationError, ModelError, RequestError
from antiphon.items import (
    Compaction,
    CreateResponse,
    Ids,
    Input,
    Item,
    Json,
    Maybe,
    Reasoning,
    Short,
    Tier,
    Usage,
    Wire,
    parse_body,
)
from antiphon.models import Model

from .admit import refuse_fields
from .desk import Desk
from .door import Door
from .line import Write
from .manner import Manner
from .prepare import prepare
from .remains import receipts, words
from .sealing import Sealing
from .summary import summarise
from .view import View


class CompactRequest(Wire):
    """The body of POST /v1/responses/compact. Unknown keys are kept and otherwise ignored."""

    model: Maybe[str] = None
    input: Maybe[Input] = None
    previous_response_id: Maybe[str] = None
    instructions: Maybe[str] = None
    conversation: Maybe[str | Json] = None
    prompt_cache_key: Maybe[Short] = None
    prompt_cache_retention: Maybe[str] = None
    service_tier: Maybe[Tier] = None

    def asked(self) -> CreateResponse:
        """The same fields as a request for a response.

        Raises:
            RequestError: No model is named: a default would be a guess about who reads it. Or a
                field asks for what is not done here.
        """
        refuse_fields(self.model_extra or {})
        if not self.model:
            raise RequestError(
                "model: expected the name of the model that writes the summary, got none: "
                "GET /v1/models lists them",
                param="model",
                code="missing_required_parameter",
            )
        return CreateResponse.model_construct(
            **{name: getattr(self, name) for name in CompactRequest.model_fields}
        )


class Compacted(Wire):
    """The compacted conversation.

    Attributes:
        output: What people said, the compaction, and receipts that are state, in this order.
        usage: Tokens of the compaction pass.
    """

    id: str
    object: Literal["response.compaction"] = "response.compaction"
    output: list[Item]
    created_at: int
    usage: Usage = Field(default_factory=Usage)


class Compact:
    """The endpoint.

    Args:
        desk: What responses are made with: who answers, the store, ids and limits.
        manner: How requests are read and answered. Once a line was kept alive, a failure can
            only be told by cutting it, since the answer's head has gone out.
    """

    def __init__(self, desk: Desk, manner: Manner) -> None:
        self._desk = desk
        self._manner = manner

    def routes(self) -> list[Route]:
        """To stand before `/v1/responses/{id}`, which would take `compact` for an id."""
        return [Route("/v1/responses/compact", Door({"POST": self._compact}))]

    async def _compact(self, scope: Scope, receive: Receive, send: Send) -> None:
        manner = self._manner
        principal = await manner.principal(scope)
        caller = manner.caller(scope)
        request = parse_body(CompactRequest, await manner.body(scope, receive)).asked()
        self._check()

        async def work(write: Write) -> None:
            compacted = await compact(
                request, desk=self._desk, principal=principal, view=caller.view(request)
            )
            await write(compacted.to_json())

        release = manner.throttle.take(principal)  # it asks a model, as any response
        try:
            await manner.line(receive, send, streaming=False).answer(work)
        finally:
            release()

    def _check(self) -> None:
        try:
            self._desk.seal.check()
        except ConfigurationError as error:
            raise RequestError(
                f"compaction is not served here: {error}", code="unsupported"
            ) from None


async def compact(request: CreateResponse, *, desk: Desk, principal: str, view: View) -> Compacted:
    """Compact a conversation.

    Args:
        request: Its model writes the summary; its input, after what `previous_response_id` or
            `conversation` leads to, is what is compacted; its instructions are the writer's, too.
        desk: Who answers, the store, ids and limits.
        principal: Who asks.
        view: What this client sees.

    Raises:
        RequestError: Anything that is wrong with the request.
        ModelError: There is no summary, because the model failed to write one.
    """
    model = _writer(desk, request)
    prepared = await prepare(request, desk, principal=principal, view=view)
    conversation = prepared.items
    sealing = desk.sealing(principal)
    ids = desk.new_ids()
    summary, usage = await summarise(
        conversation,
        model=model,
        request=request,
        principal=principal,
        ids=ids,
        clock=desk.clock,
    )
    return Compacted(
        id=ids("resp"),
        created_at=int(desk.clock()),
        usage=usage,
        output=[
            *words(conversation, ids),
            _sealed(summary, sealing, ids),
            *[_shown(item, sealing, view) for item in receipts(conversation, ids)],
        ],
    )


def _writer(desk: Desk, request: CreateResponse) -> Model:
    """The model that writes: the one that is named, or that of the agent which is."""
    who = desk.catalogue.find(request.model)
    if isinstance(who, Workflow):
        raise RequestError(
            f"model: expected a model or an agent to write the summary, got the workflow "
            f"{request.model!r}, which has no model of its own: name another",
            param="model",
            code="unsupported_value",
        )
    return who.model if isinstance(who, Agent) else who


def _sealed(summary: str, sealing: Sealing, ids: Ids) -> Compaction:
    try:
        return sealing.compaction(summary, id=ids.item("compaction"))
    except ValueError as error:
        raise ModelError(
            f"the summary cannot be sealed: {error}", code="summary_too_large"
        ) from error


def _shown(item: Item, sealing: Sealing, view: View) -> Item:
    """A receipt as the client carries it: a thought is always sealed, as it may have come."""
    return sealing.reasoning(item) if isinstance(item, Reasoning) else view.item(item)
