"""A box: one real container, its PID 1, and the streams to the interpreters in it.

Above: the machine of a sandbox, and the pool, which keeps some boxes ready. Below: a way in, and
the engine. What PID 1 says is checked like everything from inside: a word too many ends the box.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import anyio
from anyio import BrokenResourceError, CancelScope, ClosedResourceError

from antiphon.errors import SandboxUnavailable

from .docker_stream import Stream
from .docker_way import Way
from .engine import Client, Engine

logger: logging.Logger = logging.getLogger("antiphon.sandboxes")

_LINE = 32 * 1024
_ANSWER = 3.0
_PREPARATION = 60.0
_LOOK = 0.3
_REMOVAL = 5.0


@dataclass(frozen=True, slots=True)
class Death:
    """How an interpreter ended: exit status (None if it never ran), memory, and last words."""

    status: int | None
    out_of_memory: bool
    words: str


class Box:
    """Made by `start`; `gone` once it is closed or its PID 1 has ended."""

    def __init__(self, engine: Engine, way: Way, container: str, memory: int) -> None:
        self.container = container
        """The engine's own id."""
        self.memory = memory
        """Bytes it may use."""
        self.gone = False
        self.on_gone: Callable[[Box], None] | None = None
        self._engine = engine
        self._way = way
        self._control: Stream | None = None
        self._line = b""
        self._waiting: dict[str, asyncio.Future[list[str]]] = {}
        self._spare: tuple[str, Stream] | None = None
        self._discarded = False

    @classmethod
    async def start(
        cls,
        engine: Engine,
        way: Way,
        create: Callable[[Client, str], dict[str, Any]],
        *,
        memory: int,
        patience: float,
    ) -> Box:
        """Create and start a container, and wait for its PID 1. Takes the way over.

        `create` makes a container of a given name, and returns what the engine says.

        Raises: SandboxUnavailable, with everything given back.
        """
        name = f"antiphon-{secrets.token_hex(6)}"
        box = cls(engine, way, name, memory)

        def make(client: Client) -> None:
            _create(client, name, create)
            if box.gone:  # a task's own `cancel` does not wait for us: it found nothing to remove
                _remove(client, name)

        try:
            await engine.call(make)
            await way.before(name)
            await engine.call(lambda client: client.start(name))
            with anyio.fail_after(patience):
                box._listen(await _first(way.control(), box._ended()))
        except BaseException as error:
            with CancelScope(shield=True):
                box.close()
                await box.remove()
            known = _unavailable(error, way)
            if known is None:
                raise
            raise known from error
        return box

    async def prepare(self, modules: tuple[str, ...]) -> None:
        """Import modules into PID 1, and have an interpreter ready. Raises: SandboxUnavailable."""
        await self._ask(f"prepare {' '.join(modules)}", "prepared", _PREPARATION)
        self._spare = await self._spawn()

    async def resize(self, memory: int) -> bool:
        """Give it another memory limit; False if the engine cannot."""
        from docker.errors import APIError

        limits = {"mem_limit": memory, "memswap_limit": memory}
        try:
            await self._engine.call(
                lambda client: client.update_container(self.container, **limits)
            )
        except (APIError, SandboxUnavailable):
            return False
        self.memory: int = memory
        return not self.gone

    async def spawn(self) -> tuple[str, Stream]:
        """A new interpreter; every other process in here has ended. Raises: SandboxUnavailable."""
        spare, self._spare = self._spare, None
        return spare or await self._spawn()

    def interrupt(self, key: str) -> None:
        """SIGINT to an interpreter and what it started; never waits."""
        self._say(f"interrupt {key}")

    def kill(self, key: str) -> None:
        """SIGKILL to everything in here but PID 1; never waits."""
        self._say(f"kill {key}")

    async def end(self, key: str) -> Death | None:
        """End an interpreter and everything it has left; None if PID 1 does not answer."""
        try:
            _, status, oom, words = await self._ask(f"end {key}", f"ended {key}", _ANSWER, 4)
            said = b"" if words == "-" else bytes.fromhex(words)
            number = None if status == "-" else int(status)
        except (SandboxUnavailable, ValueError):
            self.close()
            return None
        return Death(number, oom == "1", said.decode("utf-8", "replace"))

    def ping(self) -> None:
        """Tell PID 1 that there is still somebody who wants it."""
        self._say("ping")

    def close(self) -> None:
        """Let PID 1 go, and everything in here with it; never waits. `remove` must follow."""
        if self._spare is not None:
            self._spare[1].close()
            self._spare = None
        if self._control is not None:
            self._control.close()
        self._way.close()
        self._lose()

    async def remove(self) -> None:
        """Make sure that the container is gone from the engine. Never raises what it meets."""
        if self._discarded:
            return
        self._discarded = True
        with CancelScope(shield=True), suppress(SandboxUnavailable):
            await self._engine.call(lambda client: _remove(client, self.container))

    def _listen(self, control: Stream) -> None:
        self._control = control
        control.tap(self._hear)

    async def _spawn(self) -> tuple[str, Stream]:
        key = secrets.token_hex(8)
        if self._way.folder is None:
            await self._ask(f"spawn {key}", f"awaiting {key}", _ANSWER)
        else:
            self._say(f"spawn {key}")
        try:
            with anyio.fail_after(_PREPARATION):
                return key, await _first(self._way.interpreter(key), self._ended())
        except (TimeoutError, OSError) as error:
            self.close()
            raise SandboxUnavailable("The sandbox did not start an interpreter.") from error

    def _say(self, line: str) -> None:
        if self._control is not None:
            with suppress(BrokenResourceError, ClosedResourceError):
                self._control.write(line.encode() + b"\n")

    async def _ask(self, line: str, answer: str, seconds: float, words: int = 0) -> list[str]:
        """Say a line and wait for its answer; one that begins alike is taken for it."""
        if self.gone:
            raise SandboxUnavailable("The container of the sandbox has ended.")
        future = self._waiting[answer] = asyncio.get_running_loop().create_future()
        self._say(line)
        try:
            with anyio.fail_after(seconds):
                found = await future
        except TimeoutError:
            raise SandboxUnavailable(
                f"The container of the sandbox did not answer within {seconds:g} s."
            ) from None
        finally:
            self._waiting.pop(answer, None)
        if words and len(found) != words:
            raise SandboxUnavailable("The container of the sandbox gave a strange answer.")
        return found

    async def _ended(self) -> None:
        """Return when PID 1 is gone. Before there is a control stream the engine is asked."""
        if self._control is None:
            while True:
                await asyncio.sleep(_LOOK)
                if not await self._engine.call(lambda client: _runs(client, self.container)):
                    return
        future = self._waiting["gone"] = asyncio.get_running_loop().create_future()
        if not self.gone:
            with suppress(SandboxUnavailable):
                await future

    def _hear(self, data: bytes) -> None:
        if not data:
            self._lose()
            return
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > _LINE:
            self.close()
            return
        for line in lines:
            words = line.decode("ascii", "replace").split()
            for answer in (" ".join(words[:2]), " ".join(words[:1])):
                future = self._waiting.get(answer)
                if future is not None and not future.done():
                    future.set_result(words[1:])
                    break

    def _lose(self) -> None:
        if self.gone:
            return
        self.gone: bool = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(SandboxUnavailable("The container of the sandbox has ended."))
        if self.on_gone is not None:
            self.on_gone(self)


async def _first(stream: Any, ended: Any) -> Stream:
    """The stream, unless the container ends first."""
    streaming, ending = asyncio.ensure_future(stream), asyncio.ensure_future(ended)
    try:
        await asyncio.wait([streaming, ending], return_when=asyncio.FIRST_COMPLETED)
        if streaming.done():
            return cast(Stream, streaming.result())
        ending.result()
        raise SandboxUnavailable("The container of the sandbox ended before it was ready.")
    finally:
        with CancelScope(shield=True):
            for task in (streaming, ending):
                task.cancel()
            await asyncio.wait([streaming, ending])
        for task in (streaming, ending):
            if not task.cancelled():
                task.exception()  # seen: or asyncio complains about it later


def _create(client: Client, name: str, create: Callable[[Client, str], dict[str, Any]]) -> None:
    from docker.errors import APIError

    try:
        made = create(client, name)
    except APIError as error:
        if error.status_code != 409:  # asked a second time, after the engine was restarted
            raise
        _remove(client, name)
        made = create(client, name)
    for warning in made.get("Warnings") or ():  # a limit that this engine does not keep
        logger.warning("the container engine warns: %s", warning)


def _remove(client: Client, name: str) -> None:
    from docker.errors import APIError

    try:
        client.remove_container(name, force=True, v=True)
    except APIError as error:  # it removes itself as well; whoever is first
        until = time.monotonic() + _REMOVAL
        while error.status_code == 409 and time.monotonic() < until:
            time.sleep(_LOOK / 10)  # in a worker thread
            try:
                client.inspect_container(name)
            except APIError:
                return


def _runs(client: Client, name: str) -> bool:
    from docker.errors import NotFound

    try:
        state = client.inspect_container(name)["State"]
    except NotFound:
        return False
    return bool(state["Running"])


def _unavailable(error: BaseException, way: Way) -> SandboxUnavailable | None:
    """What to raise for a container that did not start; None for what says enough, or a cancel."""
    from docker.errors import APIError

    if isinstance(error, APIError):
        return SandboxUnavailable(f"The container engine refused: {error.explanation or error}.")
    if isinstance(error, TimeoutError):
        return SandboxUnavailable(f"The sandbox did not start in time. {way.said()}".rstrip())
    return None
