"""Consent: a person's word, bound to exactly one call and to whoever was asked.

For each call that waits the store keeps a row: the request's id, the principal, and a digest of
who asks, the tool and its arguments. A word counts once, for that call and no other, whatever
the client sends along. Above: `opened`. Below: `agents.approval` (what waits), `store`.
"""

from collections.abc import Sequence
from typing import Final

from antiphon.agents import (
    Word,
    answers,
    digest_of,
    name_of,
    place_of,
    request_in,
    same_call,
)
from antiphon.errors import RequestError
from antiphon.items import (
    ApprovalResponse,
    Clock,
    Item,
    McpApprovalResponse,
    Message,
)
from antiphon.tools import Asked, Scope

from .store import Approval, Store

EXPIRES: Final = 7 * 24 * 3600.0
"""Seconds for which a call waits."""


class Consent:
    """Keeps what is asked, and checks what is answered (see `tools.Approvals`).

    Args:
        store: Where the rows are.
        clock: Gives seconds since 1970.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def ask(self, request: Asked, scope: Scope) -> None:
        """A call waits: keep what it is, before anybody is asked."""
        await self._store.ask(
            Approval(
                id=request.id or "",
                principal=scope.principal,
                digest=digest_of(scope.path, name_of(request), request.arguments),
                expires_at=self._clock() + EXPIRES,
            )
        )

    async def check(
        self, items: Sequence[Item], *, history: int, principal: str, asked_of: Sequence[str]
    ) -> list[Word]:
        """The words of a request that count now, each found good.

        Args:
            items: The whole effective input.
            history: How many of them came before the request's own input; words there are spent.
            principal: Who answers.
            asked_of: The name that the request is sent to, and those of its agent's team.

        Raises:
            RequestError: 404 for what was not asked of this principal, or is asked no longer;
                409 for what was answered before; 400 for another call than the one asked about.
        """
        given = items[history:]
        checked: list[Word] = []
        for answer in answers(given):
            asked = answer.approval_request_id
            param = f"{place_of(answer, items, history)}.approval_request_id"
            row = await self._store.approval(asked, principal=principal)
            if row is None:
                raise RequestError(
                    f"{param}: no approval is pending under {asked[:100]!r}: it was never asked, "
                    "has expired, or is not yours",
                    param=param,
                    code="approval_not_found",
                    status=404,
                    type="not_found_error",
                )
            if row.consumed_at is not None:
                if _talked_on(given, answer):
                    continue  # a client that sends its whole history back
                raise _used(asked, param)
            _same(row, answer, items, param, asked_of)
            checked.append(Word(answer, row.digest))
        return checked

    async def use(self, words: Sequence[Word], *, principal: str) -> None:
        """Use up these words, all or none.

        Raises:
            RequestError: 409; another request was faster.
        """
        asked = [word.answer.approval_request_id for word in words]
        if asked and not await self._store.consume(asked, principal=principal, at=self._clock()):
            raise _used(asked[0], "input")


def _talked_on(given: Sequence[Item], answer: Item) -> bool:
    """Whether somebody has said something since a word was given."""
    behind = given[next(at for at, item in enumerate(given) if item is answer) :]
    return any(isinstance(item, Message) for item in behind)


def _same(
    row: Approval,
    answer: ApprovalResponse | McpApprovalResponse,
    items: Sequence[Item],
    param: str,
    asked_of: Sequence[str],
) -> None:
    """Whether the call in the items is the one that the row is about.

    Raises:
        RequestError: 400; it is another, or is not there.
    """
    try:
        request, depth = request_in(items, answer)
    except RequestError as error:
        error.param = param.removesuffix(".approval_request_id")
        raise
    model = asked_of[0]
    if not same_call(row.digest, model, request):
        raise RequestError(
            f"{param}: the call in the input is not the one that was asked about: send "
            "the items back as they came, to the model that asked",
            param=param,
            code="approval_mismatch",
        )
    call = (name_of(request), request.arguments)
    paths = [[model], *([model, member] for member in asked_of[1:])]
    if depth == 0 and row.digest not in [digest_of(path, *call) for path in paths]:
        raise RequestError(
            f"{param}: a sub-agent asks for this, and its run is not in the input: go on by "
            "previous_response_id, or send the header OpenResponses-Extensions: antiphon, and "
            "the items as they come then",
            param=param,
            code="approval_mismatch",
        )


def _used(asked: str, param: str) -> RequestError:
    return RequestError(
        f"{param}: {asked[:100]!r} was answered before, and a word counts once: go on from the "
        "response that came of it",
        param=param,
        code="approval_used",
        status=409,
        type="conflict_error",
    )
