"""Preparing: a parsed request made whole, before anybody is asked.

What is refused is refused here; what was sealed is opened, what is referred to is found, what a
client saw too little of is completed. So every endpoint that takes `input` reads it alike.

Above: `opened`, `compact`, `tokens`. Below: `admit`, `sealing`, `references`, `store`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from antiphon.errors import RequestError
from antiphon.items import CreateResponse, Item

from .admit import admit
from .desk import Desk
from .references import resolve_items
from .store import Store, history, not_found
from .view import View


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that can be served.

    Attributes:
        request: The request; its input is a list of whole items.
        history: What was said before, oldest first: the conversation, or the chain that
            `previous_response_id` ends.
    """

    request: CreateResponse
    history: list[Item]

    @property
    def items(self) -> list[Item]:
        """The conversation: history, and then what the request adds to it."""
        return [*self.history, *self.request.items]


async def prepare(request: CreateResponse, desk: Desk, *, principal: str, view: View) -> Prepared:
    """Admit a request and make its items whole.

    Args:
        request: What is asked.
        desk: Where responses are kept, what opens sealed items, and what a request may have.
        principal: Who asks.
        view: What this client sees, and so how thin its replays may be.

    Raises:
        RequestError: Anything that is wrong with it.
    """
    seen = request
    if desk.figures is not None and isinstance(request.input, list):
        seen = request.model_copy(update={"input": desk.figures.passed(request.input)})
    admit(
        seen,
        private_urls=desk.private_urls,
        stored=desk.stores(request),
        max_items=desk.max_items,
    )
    before = await said(desk.store, request, principal)
    given = await whole(request.items, desk, principal=principal, view=view)
    return Prepared(request.model_copy(update={"input": given}), before)


async def whole(
    items: Sequence[Item], desk: Desk, *, principal: str, view: View, param: str = "input"
) -> list[Item]:
    """Items as a client sends them, made whole: opened, resolved, with their images.

    Args:
        items: What was sent.
        desk: Where responses are kept, and what opens sealed items.
        principal: Who sent them.
        view: What this client sees.
        param: What the list of them is called.

    Raises:
        RequestError: One is sealed by somebody else; a reference points to nothing, or to more
            than a request may hold, as its images may be.
    """
    opened = desk.sealing(principal).opened(items, param=param)
    figures = desk.figures
    seeing = replace(view, images=None if figures is None else figures.sent(opened))
    given = await resolve_items(
        opened,
        desk.store,
        principal=principal,
        view=seeing,
        max_bytes=desk.max_body,
        param=param,
    )
    if figures is None:
        return given
    return figures.restored(given, principal, limit=desk.max_body, param=param)


async def said(store: Store, request: CreateResponse, principal: str) -> list[Item]:
    """What was said before: in the conversation, or in the chain of responses.

    Raises:
        RequestError: 404; it is absent, or another's.
    """
    named = request.conversation_id
    if named is None:
        return await earlier(store, request.previous_response_id, principal)
    found = await store.said(named, principal=principal)
    if found is None:
        raise no_conversation(named, param="conversation")
    return found


def no_conversation(named: str, *, param: str) -> RequestError:
    """What a request is told whose conversation is not there, or not its own."""
    return RequestError(
        f"{param}: there is no conversation {named[:100]!r}: it was never made, has been deleted, "
        "or is not yours",
        param=param,
        code="conversation_not_found",
        status=404,
        type="not_found_error",
    )


async def earlier(store: Store, response_id: str | None, principal: str) -> list[Item]:
    """Everything said up to and including a stored response.

    Raises:
        RequestError: 404; it is absent, another's, or has lost its beginning.
    """
    if response_id is None:
        return []
    record = await store.load(response_id, principal=principal)
    if record is None:
        raise not_found(
            f"there is no stored response {response_id!r}: "
            "it was never stored (store: false), has been deleted, or is not yours"
        )
    if record.response.status in ("queued", "in_progress"):
        raise RequestError(
            f"previous_response_id: {response_id!r} has not ended: wait for it, or cancel it",
            param="previous_response_id",
            code="previous_response_in_progress",
        )
    return await history(store, record)
