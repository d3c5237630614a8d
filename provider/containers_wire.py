"""Containers as the wire has them: the bodies of requests, and what answers show.

Above: `containers`, `containers_files`. Source: OpenAI's API reference, "Containers" and "Container
files".
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field
from starlette.datastructures import QueryParams

from antiphon.errors import RequestError
from antiphon.items import Json, Maybe, Wire
from antiphon.tools import Container, ContainerFile

from .store import Paging, listed, part_of

T = TypeVar("T")

MAX_MINUTES: Final = 20
"""Minutes without use after which a container expires, at most."""

MAX_FILES: Final = 50
"""Uploads that one container may begin with."""


class ExpiresAfter(Wire):
    """When a container expires."""

    anchor: Literal["last_active_at"]
    minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES)]


class NetworkPolicy(Wire):
    """What a container may reach."""

    type: Literal["disabled", "allowlist"]


class NewContainer(Wire):
    """The body that makes a container."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    expires_after: Maybe[ExpiresAfter] = None
    file_ids: Maybe[Annotated[list[str], Field(max_length=MAX_FILES)]] = None
    memory_limit: Maybe[Literal["1g", "4g", "16g", "64g"]] = None
    network_policy: Maybe[NetworkPolicy] = None
    skills: Maybe[list[Any]] = None

    @property
    def idle_seconds(self) -> float | None:
        """Seconds without use after which it is to expire; None leaves that to the provider."""
        return None if self.expires_after is None else self.expires_after.minutes * 60.0


class NewContainerFile(Wire):
    """The body that copies an upload into a container."""

    file_id: str
    file: Maybe[Any] = None

    def check(self) -> None:
        """Refuse a body that names two files.

        Raises:
            RequestError: 400; it has a `file`, too.
        """
        if self.file is not None:
            raise two_files()


def two_files() -> RequestError:
    """What a request is told that sends a file and names another."""
    return RequestError(
        "file_id: expected no file_id beside a file: send one or the other",
        param="file_id",
        code="invalid_value",
    )


# --- lists -----------------------------------------------------------------------------------


def cut(
    rows: Sequence[T],
    query: QueryParams,
    key: Callable[[T], str],
    absent: Callable[[str], RequestError],
    show: Callable[[T], Json],
) -> Json:
    """The page of a list that a query asks for.

    Args:
        rows: All of them, the oldest first.
        query: Its `order`, `after` and `limit`.
        key: The id of a row.
        absent: What is told where `after` names none of them.
        show: The object of a row.

    Raises:
        RequestError: 400; `limit` or `order` is not what it can be. What `absent` gives.
    """
    some, has_more = part_of(rows, Paging.of(query), key=key, absent=absent)
    return listed([show(row) for row in some], has_more=has_more)


# --- what answers show -----------------------------------------------------------------------


def shown_container(container: Container, *, isolated: bool) -> Json:
    """The container object. Minutes are whole ones: it lives at least as long as they say."""
    minutes = container.idle_seconds // 60
    return {
        "id": container.id,
        "object": "container",
        "created_at": container.created_at,
        "status": container.status,
        "name": container.name,
        "last_active_at": container.last_active_at,
        "expires_after": {"anchor": "last_active_at", "minutes": minutes} if minutes else None,
        "memory_limit": container.memory_limit,
        "network_policy": {"type": "disabled"} if isolated else None,
    }


def shown_file(file: ContainerFile) -> Json:
    """The container file object."""
    return {
        "id": file.id,
        "object": "container.file",
        "bytes": file.bytes,
        "container_id": file.container_id,
        "created_at": file.created_at,
        "path": file.path,
        "source": file.source,
    }
