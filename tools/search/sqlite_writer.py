"""Writing together: what is asked for while others write becomes one transaction.

A commit costs about as much for one file as for many, and FTS5 has less to merge the more it gets
at once. Above: `sqlite`. Below: `sqlite_base`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, Final, TypeVar

from .sqlite_base import Base

R = TypeVar("R")

_LONGEST: Final = 0.03
"""Seconds after which a transaction takes nothing more in: others wait for its end."""


@dataclass(slots=True, eq=False)
class _Wish:
    """What is to be written, and what became of it."""

    how: Callable[[Connection], Any]
    durable: bool
    told: Future[Any] = field(default_factory=Future[Any])


class Writer:
    """Writes to one database, in a thread of its own. Safe to use from several event loops.

    Args:
        base: The database.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        self._wishes: deque[_Wish] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="antiphon-search")

    async def write(self, how: Callable[[Connection], R], *, durable: bool) -> R:
        """Write something whole or not at all; it is kept when this returns, and not written at all
        where whoever asked gives up before it is begun.

        Args:
            how: Does it; is asked again where others in its transaction failed.
            durable: Whether it outlives a loss of power, too. It goes before what need not.
        """
        wish = _Wish(how, durable)
        (self._wishes.appendleft if durable else self._wishes.append)(wish)
        self._thread.submit(self._next)
        return await asyncio.wrap_future(wish.told)

    def _next(self) -> None:
        """Write what waits, as far as there is time; each wish has a call of this."""
        some: list[_Wish] = []
        try:
            told = self._together(some)
        except BaseException as error:
            if len(some) > 1:
                self._apart(some)
            else:
                some[0].told.set_exception(error)
        else:
            for wish, what in zip(some, told, strict=True):
                wish.told.set_result(what)

    def _together(self, some: list[_Wish]) -> list[Any]:
        """One transaction of all that joins `some`."""
        if not self._join(some, durable=True):
            return []  # written already, with what came before
        told: list[Any] = []
        with self._base.write(durable=some[0].durable) as rows:
            until = time.monotonic() + _LONGEST
            told.append(some[0].how(rows))
            while time.monotonic() < until and self._join(some, durable=some[0].durable):
                told.append(some[-1].how(rows))
        return told

    def _join(self, some: list[_Wish], *, durable: bool) -> bool:
        """One more, if there is one that anybody waits for and that is not asked to be safer."""
        while self._wishes:
            wish = self._wishes.popleft()
            if wish.durable > durable:
                self._wishes.appendleft(wish)
                return False
            if wish.told.set_running_or_notify_cancel():
                some.append(wish)
                return True
        return False

    def _apart(self, some: Sequence[_Wish]) -> None:
        """Nothing of them was kept: a transaction for each, so that whoever is at fault fails."""
        for wish in some:
            try:
                with self._base.write(durable=wish.durable) as rows:
                    told = wish.how(rows)
            except BaseException as error:
                wish.told.set_exception(error)
            else:
                wish.told.set_result(told)

    def close(self) -> None:
        """Write what waits, and nothing more."""
        self._thread.shutdown()
