"""`POST /v1/responses/input_tokens`: how many tokens a request would be, before it is made.

The request goes through the very loop that would serve it, to a model that only listens: so what
is counted is what the model's server would read, with the tools, history and opened items that
this provider adds. The count is that server's own. Where nobody has the tokenizer the answer is a
400: an estimate would be taken for a count.

Source: the `openai` SDK's `responses.input_tokens.count`. Above: `app`. Below: `prepare`,
`catalogue`, `models.Counts`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from pydantic_core import to_json
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.agents import Agent, Setting, Workflow, drive
from antiphon.errors import ModelError, RequestError
from antiphon.items import (
    ApprovalResponse,
    Completed,
    CreateResponse,
    Event,
    Failed,
    McpApprovalResponse,
    Response,
)
from antiphon.models import Counts, Model, ModelRequest
from antiphon.tools import upload_ids

from .desk import Desk
from .documents import Documents
from .door import Door
from .line import Write
from .manner import Manner
from .prepare import prepare
from .uploads import StoredUploads
from .view import View

_CURE: Final = "ask it of a model behind a Responses server that counts, or read the usage of a run"


class InputTokens:
    """The endpoint.

    Args:
        desk: What responses are made with: who answers, the store, ids and limits.
        manner: How requests are read and answered.
    """

    def __init__(self, desk: Desk, manner: Manner) -> None:
        self._desk = desk
        self._manner = manner

    def routes(self) -> list[Route]:
        """To stand before `/v1/responses/{id}`, which would take `input_tokens` for an id."""
        return [Route("/v1/responses/input_tokens", Door({"POST": self._count}))]

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        manner = self._manner
        principal = await manner.principal(scope)
        caller = manner.caller(scope)
        request = CreateResponse.parse(await manner.body(scope, receive))

        async def work(write: Write) -> None:
            number = await count(
                request, desk=self._desk, principal=principal, view=caller.view(request)
            )
            await write(to_json({"object": "response.input_tokens", "input_tokens": number}))

        release = manner.throttle.take(principal)  # a model's server is asked
        try:
            await manner.line(receive, send, streaming=False).answer(work)
        finally:
            release()


async def count(request: CreateResponse, *, desk: Desk, principal: str, view: View) -> int:
    """The tokens of input that the first sampling of a request would be.

    Args:
        request: As it would be sent to be answered.
        desk: Who answers, the store, ids and limits.
        principal: Who asks.
        view: What this client sees.

    Raises:
        RequestError: Anything that is wrong with the request; `unsupported` where the model's
            tokens cannot be counted.
        ModelError: The model's server could not be asked.
    """
    model, counts = _counting(desk, request)
    prepared = await prepare(request, desk, principal=principal, view=view)
    _refuse_approvals(prepared.request)
    takes_files: bool = getattr(model, "takes_files", True)
    documents = Documents(desk.files, principal=principal, takes_files=takes_files)
    history = await documents.read(prepared.history, before=True)
    readable = await documents.read(prepared.request.items)
    asked = prepared.request.model_copy(update={"input": readable})
    ear = _Ear(model)
    setting = Setting(
        history=history,
        principal=principal,
        ids=desk.new_ids(),
        clock=desk.clock,
        private_urls=desk.private_urls,
        uploads=await StoredUploads.of(desk.files, principal, upload_ids(asked.tools or ())),
    )
    heard = await _heard(ear, drive(desk.catalogue.seat(asked, ear), setting))
    try:
        return await counts.count(heard)
    except ModelError as error:
        if error.code != "cannot_count":
            raise
        raise _unsupported(f"model: {error.message}") from error


async def _heard(ear: "_Ear", events: AsyncGenerator[Event, None]) -> ModelRequest:
    """What the model would have been asked first; nothing after that is waited for.

    Raises:
        ModelError: The run broke before it was asked.
    """
    fault = None
    async with aclosing(events):
        async for event in events:
            if ear.heard is not None:
                return ear.heard
            if isinstance(event, Failed):
                fault = event.response.error
    if ear.heard is not None:
        return ear.heard
    message = fault.message if fault else "the run ended before its model was asked"
    raise ModelError(message, code=fault.code if fault else "server_error")


class _Ear:
    """A model that says nothing, in the place of one that would; it keeps what it was asked."""

    def __init__(self, model: Model) -> None:
        self.native: frozenset[str] = frozenset(getattr(model, "native", ()))
        self.name: str = model.name
        self.heard: ModelRequest | None = None

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        self.heard = request
        yield Completed(response=Response(id=""))

    async def aclose(self) -> None:
        """Nothing is held."""


def _counting(desk: Desk, request: CreateResponse) -> tuple[Model, Counts]:
    """The model that is named, if it counts."""
    who = desk.catalogue.find(request.model)
    if isinstance(who, Agent | Workflow):
        raise _unsupported(
            f"model: {who.name!r} is an agent or a workflow, which may ask several models"
        )
    if not isinstance(who, Counts):
        raise _unsupported(f"model: the tokens of {who.name!r} cannot be counted here")
    return who, who


def _refuse_approvals(request: CreateResponse) -> None:
    """An approved call runs before the model is asked, and to count is not to run."""
    for at, item in enumerate(request.items):
        if isinstance(item, ApprovalResponse | McpApprovalResponse):
            raise RequestError(
                f"input[{at}]: expected what a model reads, got an approval, after which a call "
                "would run first: count without it",
                param=f"input[{at}]",
                code="unsupported",
            )


def _unsupported(why: str) -> RequestError:
    return RequestError(f"{why}: {_CURE}", param="model", code="unsupported")
