"""`antiphon serve`: an ASGI application, or a Provider in front of a model server, over HTTP.

Above: `entry`. Below: `provider`, uvicorn. Not here: finding the user's module (`load`).
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import anyio

from antiphon import __version__
from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.models import prefer_fast
from antiphon.provider import DiskFiles, Provider, Rate, keys_from_environment, keys_from_file
from antiphon.tools import CodeInterpreter, FileSearch, HostedTool

from .endpoint import open_upstream, shown
from .isolation import place
from .load import Application, load
from .logs import log_to_stderr
from .options import Endpoint, ServeOptions
from .server import Server

KEYS = "ANTIPHON_API_KEYS"
"""The environment variable that holds keys: key:name,key2:name2."""

SEAL_KEYS: Final = "ANTIPHON_SEAL_KEYS"
"""The one that holds what compactions and encrypted reasoning are sealed with."""

UPLOADS: Final = "antiphon-files"
"""The folder of uploads beside a durable store."""

STORE = "sqlite+aiosqlite:///antiphon.db"
"""Where responses are kept, if nothing else is said and the database's library is there."""


def serve(options: ServeOptions) -> int:
    """Serve until a signal says stop; running answers may end first.

    Returns:
        0 when it was told to stop; 1 if it could not start.

    Raises:
        ConfigurationError: There is nothing to serve, or it would be open to strangers.
        AntiphonError: The address cannot be bound.
        KeyboardInterrupt: Ctrl-C, after the server has stopped.
    """
    prefer_fast()
    app = _from_upstream(options) if options.upstream else _from_module(options)
    if isinstance(app, Provider) and app.open and not is_loopback(options.host):
        raise ConfigurationError(
            f"--host {options.host} lets other machines in, and there is no API key: "
            f"{_key_cure(options)}, or keep --host 127.0.0.1"
        )
    bound = bind(options.host, options.port)
    server = _server(options, app)
    _greet(options, app, bound.getsockname()[1])
    try:
        server.run(sockets=[bound])
    finally:
        bound.close()
    return 0 if server.started else 1


def _server(options: ServeOptions, app: Application) -> Server:
    given: dict[str, Any] = {}
    if options.log is not None:
        log_to_stderr(options.log)
        given["log_config"] = None  # uvicorn's records go the same way
    if not any(find_spec(name) for name in ("websockets", "wsproto")):
        _warn("note: no WebSocket is served: pip install 'antiphon[server]'")
    leaving = app.drain if isinstance(app, Provider) else None
    return Server(app, drain=options.drain, leaving=leaving, **given)


def _from_module(options: ServeOptions) -> Application:
    if options.app is None:
        raise ConfigurationError(
            "expected something to serve: antiphon serve module:app, or --upstream URL"
        )
    if options.models or options.api_key_env or options.api != "auto" or options.sandbox != "none":
        raise ConfigurationError(
            "--model, --api, --api-key-env and --sandbox belong to --upstream: "
            f"write them into {options.app} itself"
        )
    if options.api_keys or options.keys:
        raise ConfigurationError(
            "--api-key and --keys belong to --upstream: write Provider(api_keys=...) in "
            f"{options.app}"
        )
    if options.store or options.rate or options.at_once or options.index:
        raise ConfigurationError(
            "--store, --rate, --at-once and --index belong to --upstream: write "
            f"Provider(store=..., rate=Rate(...), tools=[FileSearch(...)]) in {options.app}"
        )
    app = load(options.app)
    if os.environ.get(KEYS):
        _warn(f"note: {KEYS} is for --upstream; {options.app} has keys of its own, or none")
    return app


def _from_upstream(options: ServeOptions) -> Provider:
    if options.app is not None:
        raise ConfigurationError(
            f"expected module:app or --upstream; got both: leave out {options.app} or --upstream"
        )
    keys = keys_of(options.api_keys, options.keys)
    upstream = open_upstream(
        Endpoint(base_url=options.upstream, api_key_env=options.api_key_env, api=options.api)
    )
    tools: list[HostedTool] = [] if options.index is None else [FileSearch(options.index)]
    if options.sandbox != "none":
        where = anyio.run(partial(place, options.sandbox, own_code=False))
        _warn(where.notice)
        tools.append(CodeInterpreter(where.sandboxes))
    store = _store(options.store)
    return Provider(
        models=[upstream.model(name) for name in options.models],
        upstream=None if options.models else upstream,
        tools=tools,
        api_keys=keys,
        store=store,
        files=DiskFiles(None if store == "memory://" else UPLOADS),
        seal_keys=os.environ.get(SEAL_KEYS) or None,
        rate=Rate(per_minute=options.rate, at_once=options.at_once),
    )


def _store(given: str | None) -> str:
    """Where responses are kept; which is said, if nobody else did."""
    if given is not None:
        return given
    if find_spec("sqlalchemy"):
        _warn(
            "note: responses are kept in ./antiphon.db and uploads in ./antiphon-files; "
            "--store memory:// keeps none"
        )
        return STORE
    _warn(
        "note: responses are kept in memory, until this ends: pip install 'antiphon[server]' "
        "keeps them in a database"
    )
    return "memory://"


def keys_of(pairs: Sequence[str], file: str | None) -> Mapping[str, str]:
    """Keys and whose they are, from the command line, the environment and a file.

    Args:
        pairs: Those of the command line, as `KEY=NAME`.
        file: The file, if there is one.

    Raises:
        ConfigurationError: One is not of the form that is expected. Keys are not repeated.
    """
    keys = {} if file is None else keys_from_file(file)
    keys |= keys_from_environment(KEYS)
    for text in pairs:
        key, _, name = text.rpartition("=")
        if not key or not name:
            raise ConfigurationError(
                "--api-key: expected KEY=NAME; got one without a key or a name: write both"
            )
        keys[key] = name
    return keys


def bind(host: str, port: int) -> socket.socket:
    """A listening socket: whoever calls from now on waits until the server is ready."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise AntiphonError(
            f"cannot listen at {host} port {port}: {error.strerror or error}: "
            "choose another --port (0 takes a free one) or --host"
        ) from error


def _greet(options: ServeOptions, app: Application, port: int) -> None:
    """Three lines: what is served where, for whom, and how to try it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    what = f"models of {shown(options.upstream)}" if options.upstream else options.app
    whom = "with keys of its own"
    key = ""
    if isinstance(app, Provider):
        whom = "to this machine only: no API key is set" if app.open else "to holders of a key"
        key = "" if app.open else ' -H "Authorization: Bearer $KEY"'
    ask = f"curl {url}/v1/models{key}"
    if options.models:
        body = f'{{"model": "{options.models[0]}", "input": "Hello", "stream": true}}'
        ask = f"curl -N {url}/v1/responses -H 'Content-Type: application/json'{key} -d '{body}'"
    sys.stdout.write(f"antiphon {__version__} serves {what} at {url}/v1\nopen {whom}\n{ask}\n")
    sys.stdout.flush()


def _key_cure(options: ServeOptions) -> str:
    if options.upstream:
        return f"say --api-key KEY=NAME, or set {KEYS}, or --keys FILE"
    return "write Provider(api_keys={...})"


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _warn(line: str) -> None:
    sys.stderr.write(f"{line}\n")
