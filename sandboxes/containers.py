"""Containers as rows: who owns an id, which memory limit it has, when it was last used.

Nothing here runs or waits. Rows live in memory: after a restart every id is unknown.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.errors import SandboxError, SandboxNotFound

MEMORY_LIMITS = {f"{gigabytes}g": gigabytes * 2**30 for gigabytes in (1, 4, 16, 64)}
"""The memory limits a container may have, and their bytes."""


@dataclass(slots=True)
class Row:
    """One container. `used` is in seconds of the clock; `busy` counts what is going on in it."""

    id: str
    principal: str
    memory_limit: str | None
    used: float
    busy: int = 0


class Containers:
    """The rows of one backend; `idle` seconds without use and a container has expired."""

    def __init__(self, *, clock: Callable[[], float], idle: float) -> None:
        self._clock = clock
        self._idle = idle
        self._rows: dict[str, Row] = {}

    def mint(
        self, principal: str, memory_limit: str | None, container_id: str | None = None
    ) -> Row:
        """A new row. Raises: SandboxError for an unknown memory limit, or an id in use."""
        check_limit(memory_limit)
        key = container_id or f"cntr_{secrets.token_hex(24)}"
        if key in self._rows:
            raise SandboxError(f"The container id {key!r} is taken. Mint with another, or none.")
        row = Row(key, principal, memory_limit, self._clock())
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
                f"There is no container {container_id[:80]!r}: it may have expired after "
                f"{self._idle / 60:g} idle minutes. Ask for a new one."
            )
        self.touch(row)
        return row

    def touch(self, row: Row) -> None:
        """The row is being used now."""
        row.used = self._clock()

    def drop(self, container_id: str) -> None:
        """Forget a row, if it is there."""
        self._rows.pop(container_id, None)

    def __len__(self) -> int:
        return len(self._rows)

    def expired(self) -> list[str]:
        """The ids that have been idle for too long."""
        return [row.id for row in self._rows.values() if self._expired(row)]

    def left(self, row: Row) -> float:
        """Seconds until the row expires, if it is not used again; a busy one has its full time."""
        if row.busy:
            return self._idle
        return max(0.0, row.used + self._idle - self._clock())

    def _expired(self, row: Row) -> bool:
        return not row.busy and self._clock() - row.used >= self._idle


def check_limit(memory_limit: str | None) -> None:
    """Raises: SandboxError unless the limit is one of MEMORY_LIMITS or None."""
    if memory_limit is not None and memory_limit not in MEMORY_LIMITS:
        known = ", ".join(MEMORY_LIMITS)
        raise SandboxError(f"Expected a memory limit among {known}; got {memory_limit[:40]!r}.")
