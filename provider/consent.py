"""Consent: a person's word, bound to exactly one call and to whoever was asked.

For each call that waits the store keeps a row: the request's id, the principal, and a digest of
who asks, the tool and its arguments. A word counts once, for that call and no other, whatever
the client sends along. Above: `respond`. Below: `agents.approval` (what waits), `store`.
"""

from collections.abc import Sequence
from typing import Final

from antiphon.agents import answers, digest_in, digest_of
from antiphon.errors import RequestError
from antiphon.items import ApprovalRequest, Clock, Item
from antiphon.tools import Scope

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

    async def ask(self, request: ApprovalRequest, scope: Scope) -> None:
        """A call waits: keep what it is, before anybody is asked."""
        await self._store.ask(
            Approval(
                id=request.id or "",
                principal=scope.principal,
                digest=digest_of(scope.path, request.name, request.arguments),
                expires_at=self._clock() + EXPIRES,
            )
        )

    async def check(
        self, items: Sequence[Item], *, history: int, principal: str, model: str
    ) -> list[str]:
        """The ids of the requests that these items answer now, each found good.

        Args:
            items: The whole effective input.
            history: How many of them came before the request's own input.
            principal: Who answers.
            model: The name that the request is sent to.

        Raises:
            RequestError: 404 for what was not asked of this principal, or is asked no longer;
                409 for what was answered before; 400 for another call than the one asked about.
        """
        checked: list[str] = []
        for answer in answers(items):
            asked = answer.approval_request_id
            place = next(at for at, item in enumerate(items) if item is answer) - history
            param = f"input[{place}].approval_request_id"
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
                raise _used(asked, param)
            try:
                digest = digest_in(items, answer, (model,))
            except RequestError as error:
                error.param = f"input[{place}]"
                raise
            if digest != row.digest:
                raise RequestError(
                    f"{param}: the call in the input is not the one that was asked about: send "
                    "the items back as they came, to the model that asked",
                    param=param,
                    code="approval_mismatch",
                )
            checked.append(asked)
        return checked

    async def use(self, asked: Sequence[str], *, principal: str) -> None:
        """Use up these words, all or none.

        Raises:
            RequestError: 409; another request was faster.
        """
        if asked and not await self._store.consume(asked, principal=principal, at=self._clock()):
            raise _used(asked[0], "input")


def _used(asked: str, param: str) -> RequestError:
    return RequestError(
        f"{param}: {asked[:100]!r} was answered before, and a word counts once: go on from the "
        "response that came of it",
        param=param,
        code="approval_used",
        status=409,
        type="conflict_error",
    )
