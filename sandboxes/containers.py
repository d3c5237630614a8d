"""Containers as rows: who owns an id, which memory limit it has, when it was last used.

Nothing here runs or waits. Rows live in memory: after a restart every id is unknown. What has
expired is told of for a while, so that a client which asks learns why its files are gone.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.errors import SandboxError, SandboxNotFound

from .sandbox import Activity

MEMORY_LIMITS = {f"{gigabytes}g": gigabytes * 2**30 for gigabytes in (1, 4, 16, 64)}
"""The memory limits a container may have, and their bytes."""

_TOLD = 60 * 60.0
_MANY = 1_000


@dataclass(slots=True)
class Row:
    """One container. `used` is in seconds of the clock; `busy` counts what is going on in it.

    `created` and `last` are seconds since 1970; `idle` is in seconds.
    """

    id: str
    principal: str
    memory_limit: str | None
    used: float
    idle: float
    created: float
    last: float
    busy: int = 0
    over: bool = False
    """Whether somebody was told that it has expired: then it stays so."""


class Containers:
    """The rows of one backend.

    Without use for `idle` seconds, or fewer if it was minted so, a container has expired.
    """

    def __init__(self, *, clock: Callable[[], float], idle: float) -> None:
        self._clock = clock
        self._idle = idle
        self._rows: dict[str, Row] = {}
        self._past: OrderedDict[str, Row] = OrderedDict()

    def mint(
        self,
        principal: str,
        memory_limit: str | None,
        container_id: str | None = None,
        idle: float | None = None,
    ) -> Row:
        """A new row. Raises: SandboxError for what `Sandboxes.mint` refuses."""
        check_limit(memory_limit)
        if idle is not None and not 0 < idle <= self._idle:
            raise SandboxError(
                f"Expected an idle time above 0 and of at most {self._idle:g} s; got {idle!r}."
            )
        key = container_id or f"cntr_{secrets.token_hex(24)}"
        if key in self._rows or key in self._past:
            raise SandboxError(f"The container id {key!r} is taken. Mint with another, or none.")
        now = time.time()
        row = Row(key, principal, memory_limit, self._clock(), idle or self._idle, now, now)
        self._rows[row.id] = row
        return row

    def find(self, container_id: str, principal: str) -> Row | None:
        """The row, if it is this principal's and has not expired."""
        row = self._rows.get(container_id)
        if row is None or row.principal != principal or self._expired(row):
            return None
        return row

    def claim(self, container_id: str, principal: str) -> Row:
        """The same, for use. Raises: SandboxNotFound, in the same words for every reason."""
        row = self.find(container_id, principal)
        if row is None:
            raise SandboxNotFound(
                f"There is no container {container_id[:80]!r}: it may have expired after at most "
                f"{self._idle / 60:g} idle minutes. Ask for a new one."
            )
        self.touch(row)
        return row

    def activity(
        self, container_id: str, principal: str, memory_limit: str | None
    ) -> Activity | None:
        """What is known of a row; `memory_limit` is the one of rows without their own."""
        row = self._rows.get(container_id) or self._past.get(container_id)
        if row is None or row.principal != principal:
            return None
        since = self._clock() - row.used
        expired = self._expired(row)
        if expired and since >= row.idle + _TOLD:
            return None
        last = time.time() if row.busy else row.last
        return Activity(row.created, last, row.idle, row.memory_limit or memory_limit, expired)

    def touch(self, row: Row) -> None:
        """The row is being used now."""
        row.used, row.last = self._clock(), time.time()

    def drop(self, container_id: str) -> None:
        """Forget a row, if it is there; one that has expired is still told of."""
        row = self._rows.pop(container_id, None)
        if row is not None and self._expired(row):
            self._past[row.id] = row
            if len(self._past) > _MANY:
                self._past.popitem(last=False)

    def __len__(self) -> int:
        return len(self._rows)

    def expired(self) -> list[str]:
        """The ids that have been idle for too long."""
        return [row.id for row in self._rows.values() if self._expired(row)]

    def left(self, row: Row) -> float:
        """Seconds until the row expires, if it is not used again; a busy one has its full time."""
        if row.busy:
            return row.idle
        return max(0.0, row.used + row.idle - self._clock())

    def _expired(self, row: Row) -> bool:
        row.over = row.over or (not row.busy and self._clock() - row.used >= row.idle)
        return row.over


def check_limit(memory_limit: str | None) -> None:
    """Raises: SandboxError unless the limit is one of MEMORY_LIMITS or None."""
    if memory_limit is not None and memory_limit not in MEMORY_LIMITS:
        known = ", ".join(MEMORY_LIMITS)
        raise SandboxError(f"Expected a memory limit among {known}; got {memory_limit[:40]!r}.")
