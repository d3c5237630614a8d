"""Opened: a request that was admitted, and the run that answers it, begun and no further.

Whatever carries the response (HTTP, a WebSocket, a job in the background) begins here, and all
4xx errors come out here. Above: `respond`, `background`. Below: `prepare`, `consent`, `catalogue`.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from antiphon.agents import Agent, Setting, Word, answers
from antiphon.items import Created, CreateResponse, Event, Item, Response
from antiphon.tools import Scope, upload_ids

from .access import note
from .consent import Consent
from .desk import Desk
from .documents import Documents
from .prepare import prepare, said
from .store import Record
from .telemetry import traced
from .uploads import StoredUploads
from .view import View


@dataclass(frozen=True, slots=True)
class Opened:
    """One response, created; the model has not been asked yet.

    Attributes:
        request: The request, whole, its files readable.
        given: Its own input items, as the store keeps them.
        principal: Whose it is.
        view: What its client sees.
        events: The run, behind its first event.
        response: The response as it was created.
        consent: Who checked the words that came with the request.
        words: Those that may count.
    """

    request: CreateResponse
    given: list[Item]
    principal: str
    view: View
    events: AsyncGenerator[Event, None]
    response: Response
    consent: Consent
    words: Sequence[Word]

    @classmethod
    async def of(
        cls, desk: Desk, request: CreateResponse, *, principal: str, view: View
    ) -> "Opened":
        """Admit a request and create its response.

        Raises:
            RequestError: Anything that is wrong with the request.
        """
        view = desk.seen(view, principal)
        prepared = await prepare(request, desk, principal=principal, view=view)
        history, given = prepared.history, prepared.request.items
        model = request.model or desk.catalogue.find(None).name
        consent = Consent(desk.store, desk.clock)
        words = await consent.check(
            [*history, *given],
            history=len(history),
            principal=principal,
            asked_of=[model, *desk.catalogue.team(model)],
        )
        documents = _documents(desk, model, principal)
        before = await documents.read(history, before=True)
        readable = await documents.read(given)
        full = request.model_copy(
            update={"model": model, "input": readable, "store": desk.stores(request)}
        )
        setting = Setting(
            history=before,
            principal=principal,
            ids=desk.new_ids(),
            clock=desk.clock,
            approvals=consent,
            words=words,
            private_urls=desk.private_urls,
            uploads=await StoredUploads.of(desk.files, principal, upload_ids(full.tools or ())),
        )
        await desk.catalogue.check_tools(full, Scope(principal=principal, request=full))
        events = desk.catalogue.serve(full, setting)
        first = cast("Created", await anext(events))
        note(model=model, response_id=first.response.id)
        events = traced(events, request=full, response=first.response, catalogue=desk.catalogue)
        return cls(full, given, principal, view, events, first.response, consent, words)

    async def use(self) -> None:
        """Use up the words that came with the request: from here on its run may act on them.

        Raises:
            RequestError: 409; another request was faster. The run is closed.
        """
        try:
            await self.consent.use(self.words, principal=self.principal)
        except BaseException:
            await self.events.aclose()
            raise

    def record(self, response: Response) -> Record:
        """What the store keeps of it, with the response as it stands."""
        named = self.request.conversation_id
        return Record(self.principal, response, self.given, self.view.data, named)


def _documents(desk: Desk, model: str, principal: str) -> Documents:
    """Reads the files of one request, for whoever answers it."""
    who = desk.catalogue.find(model)
    asked = who.model if isinstance(who, Agent) else who
    takes_files = getattr(asked, "takes_files", True)
    return Documents(desk.files, principal=principal, takes_files=takes_files)


async def reopened(
    desk: Desk, request: CreateResponse, setting: Setting
) -> AsyncGenerator[Event, None]:
    """The rest of a run that another process began.

    Args:
        desk: What it is made with.
        request: The request, whole, as it was then.
        setting: Whose it is, and what was told of it.

    Raises:
        RequestError: What it goes on from is gone, or its model is; also at its first step.
    """
    history = await said(desk.store, request, setting.principal)
    documents = _documents(desk, request.model or "", setting.principal)
    before = await documents.read(history, before=True)
    readable = request.model_copy(update={"input": await documents.read(request.items)})
    consent = Consent(desk.store, desk.clock)
    # What was approved may have run: the words only say which calls have no receipt yet.
    words = [Word(answer) for answer in answers(request.items)]
    named = upload_ids(request.tools or ())
    whole = replace(
        setting,
        history=before,
        approvals=consent,
        words=words,
        private_urls=desk.private_urls,
        uploads=await StoredUploads.of(desk.files, setting.principal, named),
    )
    return desk.catalogue.serve(readable, whole)
