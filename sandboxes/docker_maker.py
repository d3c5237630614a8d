"""How a box is made: what comes before the first one, and which way leads into it.

Above: the pool. Below: the engine, the image, one box. Makes boxes; keeps none.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio

from antiphon.errors import SandboxUnavailable

from .docker_box import Box
from .docker_flags import OWNER_LABEL, Flags, new_user
from .docker_owner import sweep
from .docker_way import SocketWay, StreamWay, Way, socket_parent
from .engine import Client, Engine

Transport: TypeAlias = Literal["auto", "socket", "stream"]
"""How the host speaks with a container; `auto` finds out."""

logger: logging.Logger = logging.getLogger("antiphon.sandboxes")


class BoxMaker:
    """Makes boxes of one kind. `image` is a tag, or gives one, building the image if need be."""

    def __init__(
        self,
        engine: Engine,
        flags: Flags,
        *,
        image: str | Callable[[], Awaitable[str]],
        transport: Transport,
        patience: float,
    ) -> None:
        self.transport: Transport = transport
        """How containers are reached; `auto` until the first one has been."""
        self._engine = engine
        self._flags = flags
        self._owner = flags.labels[OWNER_LABEL]
        self._image = image
        self._patience = patience
        self._parent: Path | None = None
        self._preparing = anyio.Lock()
        self._info: dict[str, Any] = {}
        self._tag: str | None = None

    async def memory(self) -> int:
        """Bytes of memory the engine has. Raises: SandboxUnavailable."""
        if not self._info:
            async with self._preparing:
                self._info = await self._engine.call(lambda client: client.info())
        return int(self._info["MemTotal"])

    async def make(self, memory: int) -> Box:
        """A new box with so many bytes of memory. Raises: SandboxUnavailable."""
        async with self._preparing:
            tag = await self._prepare()
            if self.transport == "auto":
                return await self._probe(tag, memory)
        return await self._start(tag, memory)

    def close(self) -> None:
        """Let go of the engine and of the folder for sockets, when all boxes are gone."""
        self._engine.close()
        if self._parent is not None:
            shutil.rmtree(self._parent, ignore_errors=True)
            self._parent = None

    async def _prepare(self) -> str:
        """What comes before the first box: orphans, a folder for sockets, the image."""
        if self._parent is None:
            swept = await self._engine.call(sweep)
            if swept:
                logger.info("removed %d sandboxes whose provider is gone", swept)
            self._info = await self._engine.call(lambda client: client.info())
            self._parent = socket_parent(self._owner)
        if self._tag is None:
            self._tag = self._image if isinstance(self._image, str) else await self._image()
        return self._tag

    async def _probe(self, tag: str, memory: int) -> Box:
        """The first box finds out whether a socket reaches into this engine's containers."""
        self.transport = "socket"
        try:
            return await self._start(tag, memory)
        except SandboxUnavailable as refused:
            self.transport = "stream"
            try:
                box = await self._start(tag, memory)
            except BaseException:
                self.transport = "auto"
                raise
            logger.info("sandboxes are reached through the engine, which is slower: %s", refused)
            return box
        except BaseException:
            self.transport = "auto"
            raise

    async def _start(self, tag: str, memory: int) -> Box:
        assert self._parent is not None
        way: Way
        try:
            way = SocketWay(self._parent) if self.transport == "socket" else StreamWay(self._engine)
        except (OSError, AttributeError) as error:  # Windows has none; a path may be too long
            raise SandboxUnavailable(f"No socket for sandboxes can be made: {error}.") from error
        user = new_user(self._info)

        def create(client: Client, name: str) -> dict[str, Any]:
            options = self._flags.container(
                client, image=tag, user=user, memory=memory, folder=way.folder
            )
            return client.create_container(name=name, **options)

        try:
            return await Box.start(
                self._engine, way, create, memory=memory, patience=self._patience
            )
        except SandboxUnavailable:
            self._tag = None  # the image may have been removed: look again next time
            raise
