"""The two ways into a container: a socket on which the host listens, or streams of the engine.

The socket is in a folder of its own that is mounted read-only. Where the engine cannot see it
(Docker Desktop, a remote engine, a provider that is itself in a container) the control stream is
an attach, and every interpreter's an exec whose descriptors a relay hands over.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from antiphon.errors import SandboxUnavailable

from .docker_flags import RUNNER
from .docker_owner import is_orphan
from .docker_stream import HijackedStream, Stream
from .engine import Client, Engine, Place

_HELLO = 200
_BACKLOG = 16
_RELAY_USER = "65533:65533"


class Way(Protocol):
    """How the streams of one container come to be."""

    @property
    def folder(self) -> Path | None:
        """What is to be mounted."""
        ...

    async def before(self, container: str) -> None:
        """The container exists and is about to start."""
        ...

    async def control(self) -> Stream:
        """The control stream, its first line read; waits for ever."""
        ...

    async def interpreter(self, key: str) -> Stream:
        """The stream of the interpreter that was just asked for; waits for ever."""
        ...

    def said(self) -> str:
        """What PID 1 has written on its standard error, as far as it can be seen."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class SocketWay:
    """A unix socket of the host's. Not accepting is the bound: nobody holds a descriptor of ours
    by calling and saying nothing, for calls are taken only when one is awaited."""

    def __init__(self, parent: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=parent))
        self._folder.chmod(0o755)
        path = self._folder / "socket"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        try:
            self._listener.bind(str(path))
            path.chmod(0o666)
            self._listener.listen(_BACKLOG)
        except BaseException:  # the path may be too long for a socket
            self.close()
            raise

    @property
    def folder(self) -> Path | None:
        return self._folder

    async def before(self, container: str) -> None:
        return None

    async def control(self) -> Stream:
        return await self._called("control 1")

    async def interpreter(self, key: str) -> Stream:
        return await self._called(f"interpreter {key}")

    def said(self) -> str:
        return ""

    def close(self) -> None:
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _called(self, hello: str) -> Stream:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            try:
                _, stream = await loop.connect_accepted_socket(Stream, connection)
            except BaseException:
                connection.close()
                raise
            with _kept(stream):
                # Whoever called before the interpreter is dead by now: its stream has ended.
                if await stream.line(_HELLO) == hello.encode():
                    return stream
            stream.close()


class StreamWay:
    """Attach and exec, over the engine's own connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._container = ""
        self._attached: HijackedStream | None = None

    @property
    def folder(self) -> Path | None:
        return None

    async def before(self, container: str) -> None:
        self._container = container
        query = "stream=1&stdin=1&stdout=1&stderr=1"
        self._attached = await self._hijack(f"/containers/{quote(container)}/attach?{query}", b"")

    async def control(self) -> Stream:
        assert self._attached is not None
        if await self._attached.line(_HELLO) != b"control 1":
            raise SandboxUnavailable(f"The sandbox did not start. {self.said()}".rstrip())
        return self._attached

    async def interpreter(self, key: str) -> Stream:
        def create(client: Client) -> str:
            made = client.exec_create(
                self._container,
                [*RUNNER, "--relay"],
                stdin=True,
                user=_RELAY_USER,
                stderr=False,
            )
            return str(made["Id"])

        made = await self._engine.call(create)
        body = b'{"Detach": false, "Tty": false}'
        stream = await self._hijack(f"/exec/{quote(made)}/start", body)
        with _kept(stream):
            if await stream.line(_HELLO) != f"interpreter {key}".encode():
                raise SandboxUnavailable("The interpreter of the sandbox did not start.")
        return stream

    def said(self) -> str:
        attached = self._attached
        return "" if attached is None else attached.said[:2000].decode("utf-8", "replace").strip()

    def close(self) -> None:
        if self._attached is not None:
            self._attached.close()

    async def _hijack(self, path: str, body: bytes) -> HijackedStream:
        place = self._engine.place
        parts = urlsplit(place.url)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.hostname or 'docker'}\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode() + body
        try:
            stream = await _connect(place, request)
        except OSError as error:
            raise SandboxUnavailable(
                f"The container engine at {place.url} does not answer: {error}."
            ) from error
        with _kept(stream):
            refusal = await stream.answered()
            if stream.status not in (101, 200):
                text = refusal.decode("utf-8", "replace").strip() or "it hung up"
                raise SandboxUnavailable(f"The container engine refused a stream: {text}")
        return stream


@contextmanager
def _kept(stream: Stream) -> Generator[None]:
    """Close the stream, should this fail or be cancelled."""
    try:
        yield
    except BaseException:
        stream.close()
        raise


async def _connect(place: Place, request: bytes) -> HijackedStream:
    loop = asyncio.get_running_loop()
    parts = urlsplit(place.url)

    def make() -> HijackedStream:
        return HijackedStream(request)

    if parts.scheme == "unix":
        return (await loop.create_unix_connection(make, parts.path))[1]
    secure = place.certificates is not None or parts.scheme == "https"
    context = _secure(place) if secure else None
    port = parts.port or (2376 if secure else 2375)
    return (await loop.create_connection(make, parts.hostname or "", port, ssl=context))[1]


def _secure(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not place.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    folder = place.certificates
    if folder is not None:
        if (folder / "ca.pem").exists():
            context.load_verify_locations(folder / "ca.pem")
        if (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def socket_parent(owner: str) -> Path:
    """A private folder for the sockets of one owner; those of owners that are gone are removed."""
    root = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if not os.access(root, os.W_OK) or not root.is_absolute():
        root = Path(tempfile.gettempdir())
    for mark in root.glob("antiphon-*/owner"):
        try:
            gone = mark.stat().st_uid == os.getuid() and is_orphan(mark.read_text("utf-8"))
        except OSError:
            continue
        if gone:
            shutil.rmtree(mark.parent, ignore_errors=True)
    parent = Path(tempfile.mkdtemp(prefix="antiphon-", dir=root))
    (parent / "owner").write_text(owner, "utf-8")
    return parent
