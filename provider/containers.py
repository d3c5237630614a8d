"""/v1/containers: make, list, look at and delete the places where code runs.

A container is what the code interpreter and the shell work in: one made here is named by a tool's
`container`, and those that the tools made are here, too. To make one starts nothing. What is asked
of one container (but not a list of them) counts as its use.

Above: `app`, which puts the routes up. Below: `containers_files` (what is in them),
`containers_fleet`. Source: OpenAI's API reference, "Containers".
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from anyio import CancelScope
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import RequestError, SandboxError, SandboxNotFound
from antiphon.items import parse_body
from antiphon.tools import Container, Containers, HasContainers, check_terms, uploaded

from .containers_files import ContainerFiles
from .containers_fleet import Fleet, no_container, telling
from .containers_wire import NewContainer, cut
from .door import Door, guarded, refuse
from .files import FileStore
from .manner import Manner
from .uploads import StoredUploads

_NONE: Final = (
    "no containers are served here, since no tool runs code: give the Provider one, as in "
    "tools=[CodeInterpreter(DockerSandboxes())]"
)


class ContainersApi:
    """The endpoints of containers.

    Args:
        manner: How requests are read.
        registries: The containers of the tools that are served, at least one.
        files: Where uploads are kept.
    """

    def __init__(self, manner: Manner, registries: Sequence[Containers], files: FileStore) -> None:
        self._manner = manner
        self._fleet = Fleet(registries)
        self._files = files
        self._inside = ContainerFiles(manner, self._fleet, files)

    def routes(self) -> list[Route]:
        """Where they are."""
        one = Door({"GET": self._retrieve, "DELETE": self._delete})
        return [
            Route("/v1/containers", Door({"POST": self._create, "GET": self._list})),
            Route("/v1/containers/{id}", one),
            *self._inside.routes(),
        ]

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(NewContainer, await self._manner.body(scope, receive))
        check_terms(
            network_policy=asked.network_policy and asked.network_policy.model_dump(),
            skills=asked.skills,
            isolation=self._fleet.first.sandboxes.isolation,
        )
        wanted = asked.file_ids or []
        uploads = await StoredUploads.of(self._files, principal, wanted)
        supplies = uploaded(wanted, uploads, "file_ids")
        made = self._made(asked, principal)
        try:
            with telling(self._fleet.first, made.id, principal, "file_ids"):
                for supply in supplies:
                    async with self._inside.turn(principal):
                        data = await supply.read()
                        await self._fleet.first.put(made.id, principal, supply.name, data)
        except BaseException:
            with CancelScope(shield=True):
                await self._fleet.first.delete(made.id, principal)
            raise
        await self._show(made.id, principal, scope, receive, send)

    def _made(self, asked: NewContainer, principal: str) -> Container:
        self._fleet.check_room(principal)
        try:
            return self._fleet.first.create(
                principal=principal,
                name=asked.name,
                memory_limit=asked.memory_limit,
                idle_seconds=asked.idle_seconds,
            )
        except SandboxError as error:  # memory is checked: it is the backend's own idle time
            raise RequestError(
                f"expires_after.minutes: {error}",
                param="expires_after.minutes",
                code="invalid_value",
            ) from error

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        query = QueryParams(scope["query_string"])
        name = query.get("name")
        every = self._fleet.page(principal)
        page = cut(
            [found for found in every if name in (None, found.container.name)],
            query,
            key=lambda found: found.container.id,
            absent=lambda after: no_container(after, "after"),
            show=lambda found: found.shown,
        )
        await JSONResponse(page)(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named: str = scope["path_params"]["id"]
        found = self._fleet.find(named, principal)
        with telling(found.registry, named, principal), suppress(SandboxNotFound):
            # To be asked for is to be used; one that has expired stays so, which is told.
            await found.registry.sandboxes.open(container_id=named, principal=principal)
        await self._show(named, principal, scope, receive, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named: str = scope["path_params"]["id"]
        registry = self._fleet.running(named, principal)
        with telling(registry, named, principal):
            if not await registry.delete(named, principal):
                raise no_container(named)
        gone = {"id": named, "object": "container.deleted", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

    async def _show(
        self, named: str, principal: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        found = self._fleet.find(named, principal)
        await JSONResponse(found.shown)(scope, receive, send)


class NoContainers:
    """What stands at these paths where no tool runs code: a 404 that says what is missing."""

    def routes(self) -> list[Route]:
        """Where it is."""
        return [Route("/v1/containers", self), Route("/v1/containers/{rest:path}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse."""
        await guarded(refuse(404, _NONE), scope, receive, send)


def containers_of(
    manner: Manner, tools: Iterable[object], files: FileStore
) -> ContainersApi | NoContainers:
    """The endpoints for the containers of these tools, or the word that there are none."""
    registries = [tool.containers for tool in tools if isinstance(tool, HasContainers)]
    if not registries:
        return NoContainers()
    return ContainersApi(manner, list(dict.fromkeys(registries)), files)
