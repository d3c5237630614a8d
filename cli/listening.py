"""A server on this machine: its address, whose keys it takes, and its life from start to end.

Above: `serve`, `mcp`. Below: `server`, `logs`. Not here: what is served.
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.provider import Provider, keys_from_environment, keys_from_file

from .logs import log_to_stderr
from .options import Listening
from .server import Server

KEYS: Final = "ANTIPHON_API_KEYS"
"""The environment variable that holds API keys: key:name,key2:name2."""

_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def run_server(
    app: Any,
    options: Listening,
    *,
    leaving: Callable[[], None] | None,
    greet: Callable[[str], str],
) -> int:
    """Serve until a signal says stop; answers under way may end first.

    Args:
        app: The ASGI application.
        options: Where it listens, and how it ends.
        leaving: Called when the end begins.
        greet: What is printed once it listens, made from its URL.

    Returns:
        0 when it was told to stop; 1 if it could not start.

    Raises:
        AntiphonError: The address cannot be bound.
        KeyboardInterrupt: Ctrl-C, after the server has stopped.
    """
    given: dict[str, Any] = {}
    if options.log is not None:
        log_to_stderr(options.log)
        given["log_config"] = None  # uvicorn's records go the same way
    server = Server(app, drain=options.drain, leaving=leaving, **given)
    with _bound(options.host, options.port) as listening:
        port = listening.getsockname()[1]
        sys.stdout.write(greet(_url(options.host, port)))
        sys.stdout.flush()
        server.run(sockets=[listening])
    return 0 if server.started else 1


def refuse_strangers(provider: Provider, host: str, *, cure: str) -> None:
    """Refuse to listen to other machines without an API key.

    Args:
        provider: What is served.
        host: The address to bind.
        cure: How a key is given.

    Raises:
        ConfigurationError: Anybody could use it.
    """
    if provider.open and not _is_loopback(host):
        raise ConfigurationError(
            f"--host {host} lets other machines in, and there is no API key: {cure}, or keep "
            "--host 127.0.0.1"
        )


def whom(provider: Provider) -> str:
    """Who may use it, in words."""
    return "this machine only: no API key is set" if provider.open else "holders of a key"


def keys_of(options: Listening) -> Mapping[str, str]:
    """API keys and whose they are, from the command line, the environment and a file.

    Raises:
        ConfigurationError: One is not of the form that is expected. Keys are not repeated.
    """
    keys = {} if options.keys is None else keys_from_file(options.keys)
    keys |= keys_from_environment(KEYS)
    for text in options.api_keys:
        key, _, name = text.rpartition("=")
        if not key or not name:
            raise ConfigurationError(
                "--api-key: expected KEY=NAME; got one without a key or a name: write both"
            )
        keys[key] = name
    return keys


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket: whoever calls from now on waits until the server is ready."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise AntiphonError(
            f"cannot listen at {host} port {port}: {_why(error)}: choose another --port (0 takes "
            "a free one) or --host"
        ) from error
    # asyncio sets it for sockets of its own making alone; without it an answer in two pieces, its
    # head and its body, comes 40 ms late: the second waits until the client acknowledges the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _why(error: OSError) -> str:
    """The system's own words: `create_server` adds the address to them once more."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _url(host: str, port: int) -> str:
    """Where the server is reached from this machine."""
    reached = _ANYWHERE.get(host, host)
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
