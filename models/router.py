"""`Router`: several servers of models behind one, by the beginnings and endings of names.

`Router({"local/": a, ":fast": b, "": c})` asks `a` for `local/qwen3` (as `qwen3`), `b` for
`qwen3:fast` (as `qwen3`), and `c` for every other name. Above: `provider`, to which it is one
upstream. Below: `Upstream`, or whatever has its methods.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Protocol, cast

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import Event

from .count import Counts, cannot_count
from .model import Model, ModelRequest

log: logging.Logger = logging.getLogger("antiphon.models")


class Server(Protocol):
    """Knows models by name: an `Upstream`."""

    def model(self, name: str) -> Model:
        """The model of this name."""
        ...

    async def names(self) -> list[str]:
        """The names that it lists."""
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...


class Router:
    """Servers by name.

    Args:
        servers: A beginning of names (`local/`), an ending that begins with a colon (`:fast`),
            or the empty text for all that is left -> the server. The longest that fits counts,
            an ending before a beginning.

    Raises:
        ConfigurationError: There is no server.
    """

    def __init__(self, servers: Mapping[str, Server]) -> None:
        if not servers:
            raise ConfigurationError("Router: expected at least one server, got none")
        self._servers = dict(sorted(servers.items(), key=lambda each: -len(each[0])))

    def __repr__(self) -> str:
        return f"Router({', '.join(map(repr, self._servers))})"

    def model(self, name: str) -> Model:
        """The model of this name; whether it exists is known when it is asked."""
        for mark, server in self._servers.items():
            if mark.startswith(":") and name.endswith(mark) and len(name) > len(mark):
                return _Called(name, server.model(name.removesuffix(mark)))
        for mark, server in self._servers.items():
            if not mark.startswith(":") and name.startswith(mark) and len(name) > len(mark):
                return _Called(name, server.model(name.removeprefix(mark)))
        return _Nowhere(name, list(self._servers))

    async def names(self) -> list[str]:
        """All names as they are asked for here. A server that cannot be asked lists none.

        Raises:
            ModelError: None of them can be asked.
        """
        listed: list[str] = []
        failed: list[ModelError] = []
        for mark, server in self._servers.items():
            try:
                names = await server.names()
            except ModelError as error:
                log.warning("the models of %r cannot be listed: %s", mark, error.message)
                failed.append(error)
                continue
            ending = mark.startswith(":")
            listed += [f"{name}{mark}" if ending else f"{mark}{name}" for name in names]
        if len(failed) == len(self._servers):
            raise failed[0]
        return list(dict.fromkeys(listed))

    async def aclose(self) -> None:
        """Close all of them; one that cannot be closed stops no other."""
        async with AsyncExitStack() as still_open:
            for server in {id(each): each for each in self._servers.values()}.values():
                still_open.push_async_callback(server.aclose)


class _Called:
    """A model under the name by which it was asked for."""

    __slots__ = ("_model", "_name")

    def __init__(self, name: str, model: Model) -> None:
        self._name = name
        self._model = model

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        async with aclosing(cast("Any", self._model.stream(request))) as events:
            async for event in events:
                yield event

    async def count(self, request: ModelRequest) -> int:
        if not isinstance(self._model, Counts):
            raise cannot_count(self._name, "its server cannot count")
        return await self._model.count(request)

    async def aclose(self) -> None:
        """The connections are the server's, and shared."""


class _Nowhere:
    """A name that leads to no server; said when it is asked, as a server would."""

    __slots__ = ("_marks", "_name")

    def __init__(self, name: str, marks: list[str]) -> None:
        self._name = name
        self._marks = marks

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        raise ModelError(
            f"no server here has {self._name!r}: names go by {', '.join(map(repr, self._marks))}",
            code="model_not_found",
            status=404,
        )
        yield  # an async generator, as every model's stream

    async def aclose(self) -> None:
        """Nothing is held."""
