"""What of an item is sealed for a client to carry: a model's thought, and a summary.

Inside the provider a reasoning item is whole and a compaction has its `summary`; on the wire both
have `encrypted_content` instead. `opened` is applied to what a client sent and to nothing else:
what is stored, or came from a model's server, is as it should be already.

Above: `prepare` (on the way in), `view` and `compact` (on the way out). Below: `seal`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from pydantic import BaseModel, ValidationError

from antiphon.errors import RequestError
from antiphon.items import AgentCall, Compaction, Item, Reasoning

from .seal import PREFIX, Purpose, Seal, unsealed

MAX_OPENED: Final = 64 * 1024 * 1024
"""Bytes that the sealed items of one request may hold together: they were compressed."""

_T = TypeVar("_T", bound=BaseModel)
log: logging.Logger = logging.getLogger("antiphon.provider")


class _Summary(BaseModel):
    """What is inside a compaction; its id makes each one's text its own."""

    id: str
    summary: str


@dataclass(frozen=True, slots=True)
class Sealing:
    """A seal in the hands of one principal."""

    seal: Seal
    principal: str

    def reasoning(self, item: Reasoning) -> Reasoning:
        """A reasoning item as its client carries it: all of it is in `encrypted_content`.

        So a client that keeps no raw thought, or gives up ids, loses nothing; and what a model's
        own server encrypted is inside, to go back to that server.
        """
        if not (item.content or item.summary or item.encrypted_content):
            return item
        if not self.seal.available:  # then it is shown as its model's server made it
            return item
        try:
            sealed = self.seal.seal(item.to_json(), principal=self.principal, purpose="reasoning")
        except ValueError as error:
            log.warning("a reasoning item is shown without encrypted_content: %s", error)
            return item.model_copy(update={"encrypted_content": None})
        return item.model_copy(update={"encrypted_content": sealed})

    def compaction(self, summary: str, *, id: str) -> Compaction:  # noqa: A002  (the wire's word)
        """A compaction as its client carries it.

        Raises:
            ValueError: The summary is too large to be sealed.
        """
        inside = _Summary(id=id, summary=summary).model_dump_json().encode()
        sealed = self.seal.seal(inside, principal=self.principal, purpose="compaction")
        return Compaction(id=id, encrypted_content=sealed)

    def opened(self, items: Sequence[Item], *, param: str = "input") -> list[Item]:
        """What a client sent, with everything that was sealed here opened.

        Reasoning that another provider encrypted stays as it is, for that provider. A compaction
        has to be of our own making: nobody else's can be read. Whatever a client says beside the
        sealed text does not count.

        Args:
            items: The request's own items.
            param: Where they stand in the request.

        Raises:
            RequestError: 400 `invalid_encrypted_content`, with the item's place; or
                `encrypted_content_too_large`, if all of them together hold too much.
        """
        return _Opening(self).all(items, param)


_OPENED: Final = frozenset({Reasoning, Compaction, AgentCall})
"""Known by class: `isinstance` of a pydantic class that it is not is slow."""


class _Opening:
    """The opening of one request's items; all of them share one bound."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._left = MAX_OPENED

    def all(self, items: Sequence[Item], param: str) -> list[Item]:
        return [
            self._one(item, f"{param}[{at}]") if type(item) in _OPENED else item
            for at, item in enumerate(items)
        ]

    def _one(self, item: Item, param: str) -> Item:
        if isinstance(item, Reasoning):
            return self._reasoning(item, f"{param}.encrypted_content")
        if isinstance(item, Compaction):
            return self._compaction(item, f"{param}.encrypted_content")
        inner = self.all(cast("AgentCall", item).output, f"{param}.output")
        return item.model_copy(update={"output": inner})

    def _reasoning(self, item: Reasoning, param: str) -> Item:
        sealed = item.encrypted_content
        if sealed is None or not sealed.startswith(PREFIX):
            return item
        return self._open(sealed, "reasoning", param, Reasoning)

    def _compaction(self, item: Compaction, param: str) -> Item:
        inside = self._open(item.encrypted_content, "compaction", param, _Summary)
        return item.model_copy(update={"id": inside.id, "summary": inside.summary})

    def _open(self, sealed: str, purpose: Purpose, param: str, kind: type[_T]) -> _T:
        sealing = self._sealing
        inside = sealing.seal.open(
            sealed, principal=sealing.principal, purpose=purpose, param=param
        )
        self._left -= len(inside)
        if self._left < 0:
            raise RequestError(
                f"{param}: expected sealed items that hold at most {MAX_OPENED:,} bytes together: "
                "send fewer of them, or continue with previous_response_id",
                param=param,
                code="encrypted_content_too_large",
            )
        try:
            return kind.model_validate_json(inside)
        except ValidationError:  # an older version's, which was less strict
            raise unsealed(param, purpose) from None
