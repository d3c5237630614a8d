"""The fleet: the containers of all tools of a Provider, as one.

Above: `containers`, `containers_files`. Below: a registry of `antiphon.tools` for each backend.
Here errors of sandboxes become what a client is told.
"""

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from antiphon.errors import (
    RequestError,
    SandboxBusy,
    SandboxError,
    SandboxUnavailable,
)
from antiphon.items import Json
from antiphon.tools import MAX_CONTAINERS, Container, Containers

from .containers_wire import shown_container

log: logging.Logger = logging.getLogger("antiphon.provider")


@dataclass(frozen=True, slots=True)
class Found:
    """A container, and the registry that has it."""

    registry: Containers
    container: Container

    @property
    def shown(self) -> Json:
        """The container object."""
        return shown_container(self.container, isolated=isolated(self.registry))


class Fleet:
    """The containers of some registries.

    Args:
        registries: At least one; the first makes new containers.
    """

    def __init__(self, registries: Sequence[Containers]) -> None:
        self._registries = registries

    @property
    def first(self) -> Containers:
        """The registry that makes new containers."""
        return self._registries[0]

    def page(self, principal: str) -> list[Found]:
        """All containers of a principal that are known, the oldest first."""
        every = [
            Found(registry, container)
            for registry in self._registries
            for container in registry.page(principal)
        ]
        return sorted(every, key=lambda found: found.container.created_at)

    def find(self, container_id: str, principal: str) -> Found:
        """A container; one that has expired is known for a while.

        Raises:
            RequestError: 404; it is absent, or another's.
        """
        for registry in self._registries:
            container = registry.find(container_id, principal)
            if container is not None:
                return Found(registry, container)
        raise no_container(container_id)

    def running(self, container_id: str, principal: str) -> Containers:
        """The registry of a container that runs.

        Raises:
            RequestError: 404; it is absent, another's, or has expired.
        """
        found = self.find(container_id, principal)
        if found.container.status == "expired":
            raise no_container(container_id, expired=True)
        return found.registry

    def check_room(self, principal: str) -> None:
        """Refuse one container more than a principal may have.

        Raises:
            RequestError: 429, with the seconds until one of them expires.
        """
        if sum(each.running(principal) for each in self._registries) < MAX_CONTAINERS:
            return
        every = [found.container for found in self.page(principal)]
        ends = [
            each.last_active_at + each.idle_seconds for each in every if each.status == "running"
        ]
        raise RequestError(
            f"you have {len(ends)} containers, the most that one may have: delete one, or wait "
            "until one expires",
            status=429,
            type="too_many_requests",
            code="too_many_containers",
            retry_after=min(60.0, max(1.0, min(ends, default=0.0) - time.time())),
        )


def isolated(registry: Containers) -> bool:
    """Whether something stands between the code in containers and this machine's network."""
    return registry.sandboxes.isolation != "none"


@contextmanager
def telling(
    registry: Containers, container_id: str, principal: str, param: str | None = None
) -> Generator[None]:
    """Errors of a container's sandbox as what a client is told.

    Args:
        registry: Where it is.
        container_id: The container.
        principal: Whose it is.
        param: The field that is at fault where the sandbox refuses.

    Raises:
        RequestError: 404; the container is gone. 422; its sandbox refuses. 503; none starts.
        SandboxBusy: As it is: a 429 with Retry-After.
    """
    try:
        yield
    except SandboxBusy:
        raise
    except SandboxUnavailable as error:
        log.error("no sandbox starts: %s", error)
        raise RequestError(
            "no sandbox can be started here: see the provider's log",
            status=503,
            type="server_error",
            code="sandbox_unavailable",
        ) from error
    except SandboxError as error:
        if not registry.owns(container_id, principal):  # it went while this was going on
            known = registry.find(container_id, principal)
            raise no_container(container_id, expired=known is not None) from error
        raise RequestError(
            str(error), param=param, status=422, code="container_file_error"
        ) from error


def no_container(
    container_id: str, param: str | None = None, *, expired: bool = False
) -> RequestError:
    """What a request is told that names a container which is not there, or not its principal's.

    Args:
        container_id: As the client wrote it.
        param: The field that names it, if it is one.
        expired: Whether it was there and was theirs.
    """
    what = "has expired: create another" if expired else "there is no such container"
    return RequestError(
        f"{param or 'container'}: {container_id[:100]!r}: {what}",
        param=param,
        code="container_expired" if expired else "container_not_found",
        status=404,
        type="not_found_error",
    )
