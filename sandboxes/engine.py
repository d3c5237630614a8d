"""The container engine: where it is, and calls to it that neither block nor hang the event loop.

Above: images and containers. Below: docker-py, imported at first use. Its calls run in worker
threads, a few at a time. docker-py alone knows no docker contexts; the lookup does.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import anyio
import anyio.to_thread

from antiphon.errors import SandboxUnavailable

T = TypeVar("T")

_CALLS = 8
_PATIENCE = 60
_CURE = "Start one (Docker, Podman, Colima, Docker Desktop), or name it in DOCKER_HOST."


class Client(Protocol):
    """What we use of docker-py's `APIClient`, whose own types say little."""

    def version(self) -> dict[str, Any]: ...
    def info(self) -> dict[str, Any]: ...
    def close(self) -> None: ...
    def containers(self, *, all: bool, filters: dict[str, Any]) -> list[dict[str, Any]]: ...  # noqa: A002
    def create_container(self, **options: Any) -> dict[str, Any]: ...
    def create_host_config(self, **options: Any) -> dict[str, Any]: ...
    def start(self, container: str) -> None: ...
    def update_container(self, container: str, **limits: Any) -> dict[str, Any]: ...
    def pause(self, container: str) -> None: ...
    def inspect_container(self, container: str) -> dict[str, Any]: ...
    def remove_container(self, container: str, *, force: bool, v: bool) -> None: ...
    def exec_create(self, container: str, cmd: list[str], **options: Any) -> dict[str, Any]: ...
    def inspect_image(self, image: str) -> dict[str, Any]: ...
    def pull(self, repository: str, *, stream: bool, decode: bool) -> Iterable[dict[str, Any]]: ...
    def build(self, **options: Any) -> Iterable[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine may be: its URL, how we came to think so, and files for TLS if it has any."""

    url: str
    source: str
    certificates: Path | None = None
    verify: bool = True


def find_places(engine: str | None = None) -> list[Place]:
    """Where to look for an engine, in this order; all but the last kind are the user's own word.

    Args:
        engine: A URL (`unix://`, `tcp://`) or the name of a docker context; None looks at
            DOCKER_HOST, then the current docker context, then the sockets of known engines.

    Raises:
        SandboxUnavailable: A context was named, and it is not there.
    """
    if engine is not None:
        return [Place(engine, "engine=")] if "://" in engine else [_context(engine, "engine=")]
    if host := os.environ.get("DOCKER_HOST"):
        certificates = os.environ.get("DOCKER_CERT_PATH")
        verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
        folder = Path(certificates) if certificates else _home() if verify else None
        return [Place(_url(host), "DOCKER_HOST", folder, verify)]
    named = os.environ.get("DOCKER_CONTEXT")
    current = named or _configured().get("currentContext")
    if isinstance(current, str) and current not in ("", "default"):
        return [_context(current, "DOCKER_CONTEXT" if named else "the current docker context")]
    return [Place(f"unix://{path}", "a known socket") for path in _sockets()]


class Engine:
    """One engine: found at the first call, found again when it was lost."""

    def __init__(self, engine: str | None = None) -> None:
        self._asked = engine
        self._place: Place | None = None
        self._client: Client | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._looking = threading.Lock()

    @property
    def place(self) -> Place:
        """Where it was found; only after a call."""
        assert self._place is not None
        return self._place

    async def call(self, function: Callable[[Client], T]) -> T:
        """Run `function` with a client in a worker thread; once more if the engine was restarted.

        Raises: SandboxUnavailable if there is no engine; docker.errors.APIError as it comes.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_CALLS)
        return await anyio.to_thread.run_sync(self._call, function, limiter=self._limiter)

    def close(self) -> None:
        """Let go of its connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _call(self, function: Callable[[Client], T]) -> T:
        lost = _connection_errors()
        client = self._client
        if client is not None:
            try:
                _knock(self.place)
                return function(client)
            except lost:  # it was restarted, or went away: the lookup tells which
                if self._client is client:
                    self.close()
        try:
            with self._looking:
                client = self._client or self._connected()
            return function(client)
        except lost as error:
            self.close()
            raise SandboxUnavailable(_gone(self._place, error)) from error

    def _connected(self) -> Client:
        """A client of the first place that answers. Raises: SandboxUnavailable."""
        tried: list[str] = []
        for place in find_places(self._asked):
            try:
                self._client, self._place = _connect(place), place
            except Exception as error:  # docker-py raises what its transports raise
                tried.append(f"{place.url} ({place.source}): {_short(error)}")
            else:
                return self._client
        raise SandboxUnavailable(
            "No container engine answers. Tried " + "; ".join(tried or ["no socket"]) + f". {_CURE}"
        )


def _connect(place: Place) -> Client:
    from docker import APIClient
    from docker.tls import TLSConfig

    scheme = place.url.partition("://")[0]
    if scheme not in ("unix", "tcp", "http", "https"):
        raise SandboxUnavailable(
            f"engines behind {scheme}:// are not supported: forward the engine's socket "
            "(ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and name it in DOCKER_HOST as "
            "unix:///tmp/docker.sock"
        )
    _knock(place)
    options: dict[str, Any] = {"timeout": _PATIENCE, "num_pools": _CALLS}
    folder = place.certificates
    if folder is not None:
        pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
        authority = folder / "ca.pem"
        options["tls"] = TLSConfig(
            client_cert=pair if os.path.exists(pair[0]) else None,
            ca_cert=str(authority) if authority.exists() else None,
            verify=place.verify,
        )
    client = cast(Client, APIClient(base_url=place.url, version="auto", **options))
    try:
        kind = client.version().get("Os", "linux")
        if kind != "linux":
            raise SandboxUnavailable(f"it runs {kind} containers; switch it to Linux containers")
    except BaseException:
        client.close()
        raise
    return client


def _knock(place: Place) -> None:
    """Raises OSError if nobody is there; docker-py would leave a socket open behind it."""
    if place.url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.settimeout(_PATIENCE)
            knocking.connect(place.url.removeprefix("unix://"))


def _connection_errors() -> tuple[type[Exception], ...]:
    """What says that an engine is not there; its own refusals are OSErrors too, and are not."""
    from requests.exceptions import ConnectionError as Refused, Timeout

    return Refused, Timeout, ConnectionError, FileNotFoundError


def _gone(place: Place | None, error: Exception) -> str:
    where = "the container engine" if place is None else f"The container engine at {place.url}"
    return f"{where} does not answer: {_short(error)}. Is it running? {_CURE}"


def _short(error: Exception) -> str:
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text[:200]


def _url(host: str) -> str:
    return host if "://" in host else f"tcp://{host}"


def _home() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _configured() -> dict[str, Any]:
    try:
        found = json.loads((_home() / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _context(name: str, source: str) -> Place:
    """A docker context, as the docker command keeps them."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = _home() / "contexts" / "meta" / key / "meta.json"
    try:
        endpoint = json.loads(meta.read_text("utf-8"))["Endpoints"]["docker"]
        url, skip = str(endpoint["Host"]), bool(endpoint.get("SkipTLSVerify"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise SandboxUnavailable(
            f"There is no docker context {name!r} ({source}): {meta} cannot be read. "
            "`docker context ls` shows those there are; `docker context use default` goes back."
        ) from None
    tls = _home() / "contexts" / "tls" / key / "docker"
    certificates = tls if tls.is_dir() else None
    return Place(_url(url), f"{source} {name!r}", certificates, not skip)


def _sockets() -> Iterator[Path]:
    """Sockets of known engines that are there."""
    home, runtime = Path.home(), os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path("/var/run/docker.sock")]
    if runtime:
        candidates.append(Path(runtime) / "docker.sock")
    candidates += [
        home / ".docker/run/docker.sock",
        home / ".docker/desktop/docker.sock",
        home / ".colima/default/docker.sock",
        home / ".orbstack/run/docker.sock",
        home / ".rd/docker.sock",
    ]
    if runtime:
        candidates.append(Path(runtime) / "podman/podman.sock")
    candidates.append(home / ".local/share/containers/podman/machine/podman.sock")
    candidates.append(Path("/run/podman/podman.sock"))
    if sys.platform != "win32":
        yield from (path for path in candidates if path.exists())
