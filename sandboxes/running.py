"""The containers of sandboxes that are on an engine: who made them, and whether anybody still is.

For people who look after an engine; a backend sweeps by itself when it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .docker_flags import OWNER_LABEL
from .docker_owner import is_orphan, sandbox_containers, sweep
from .engine import Client, Engine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Running:
    """One container of a sandbox, of any provider on the engine."""

    name: str
    image: str
    status: str
    """In the engine's words, such as `Up 3 minutes`."""
    created: int
    """Seconds since 1970."""
    orphan: bool
    """Whether the process that made it is gone; a process of another machine counts as there."""


async def list_running(*, engine: str | None = None) -> list[Running]:
    """All containers of sandboxes on an engine, the oldest first.

    Args:
        engine: Its URL or the name of a docker context; None looks for one.

    Raises:
        SandboxUnavailable: There is no engine.
    """
    return await _asked(engine, lambda client: [_running(each) for each in _all(client)])


async def prune_orphans(*, engine: str | None = None) -> int:
    """Remove the containers whose providers are gone; returns how many. Arguments as above."""
    return await _asked(engine, sweep)


async def _asked(engine: str | None, function: Callable[[Client], T]) -> T:
    found = Engine(engine)
    try:
        return await found.call(function)
    finally:
        found.close()


def _all(client: Client) -> list[dict[str, Any]]:
    return sorted(sandbox_containers(client), key=lambda container: int(container["Created"]))


def _running(container: dict[str, Any]) -> Running:
    names = [str(name).removeprefix("/") for name in container.get("Names") or ()]
    return Running(
        name=names[0] if names else str(container["Id"])[:12],
        image=str(container["Image"]),
        status=str(container["Status"]),
        created=int(container["Created"]),
        orphan=is_orphan(str(container["Labels"][OWNER_LABEL])),
    )
