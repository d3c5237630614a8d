"""`antiphon serve`: an ASGI application, or a Provider in front of a model server, over HTTP.

Above: `entry`. Below: `provider`, `listening`. Not here: finding the user's module (`load`).
"""

import os
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import anyio

from antiphon import __version__
from antiphon.errors import ConfigurationError
from antiphon.models import prefer_fast
from antiphon.provider import DiskFiles, Provider, Rate
from antiphon.tools import CodeInterpreter, FileSearch, HostedTool

from .embedding import check_index, open_embedder
from .endpoint import open_upstream, shown
from .isolation import place
from .listening import KEYS, keys_of, refuse_strangers, run_server, whom
from .load import Application, load
from .options import Endpoint, ServeOptions

SEAL_KEYS: Final = "ANTIPHON_SEAL_KEYS"
"""The one that holds what compactions and encrypted reasoning are sealed with."""

UPLOADS: Final = "antiphon-files"
"""The folder of uploads beside a durable store."""

_SQLITE: Final = "sqlite+aiosqlite:///"

STORE: Final = f"{_SQLITE}antiphon.db"
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
    if isinstance(app, Provider):
        refuse_strangers(app, options.listening.host, cure=_key_cure(options))
    if not any(find_spec(name) for name in ("websockets", "wsproto")):
        _warn("note: no WebSocket is served: pip install 'antiphon[server]'")
    leaving = app.drain if isinstance(app, Provider) else None
    greet = partial(_greeting, options, app)
    return run_server(app, options.listening, leaving=leaving, greet=greet)


def _from_module(options: ServeOptions) -> Application:
    if options.app is None:
        raise ConfigurationError(
            "expected something to serve: antiphon serve module:app, or --upstream URL"
        )
    foreign = _for_upstream(options)
    if foreign:
        raise ConfigurationError(
            f"{', '.join(foreign)}: only with --upstream; in {options.app} write "
            f"{', '.join(dict.fromkeys(foreign.values()))} instead"
        )
    app = load(options.app)
    if os.environ.get(KEYS):
        _warn(f"note: {KEYS} is for --upstream; {options.app} has its own keys, or none")
    return app


def _for_upstream(options: ServeOptions) -> dict[str, str]:
    """The options given that are for --upstream only, and what says the same in Python."""
    keys = "Provider(api_keys=...)"
    given: dict[str, tuple[object, str]] = {
        "--model": (options.models, "Provider(models=[...])"),
        "--api": (options.api != "auto", "ResponsesModel(...) or ChatModel(...)"),
        "--api-key-env": (options.api_key_env, "the model's api_key=..."),
        "--sandbox": (options.sandbox != "none", "Provider(tools=[CodeInterpreter(...)])"),
        "--api-key": (options.listening.api_keys, keys),
        "--keys": (options.listening.keys, keys),
        "--store": (options.store, "Provider(store=...)"),
        "--rate": (options.rate, "Provider(rate=Rate(...))"),
        "--at-once": (options.at_once, "Provider(rate=Rate(...))"),
        "--index": (options.index, "Provider(tools=[FileSearch(...)])"),
        "--embedding-model": (options.embedding.model, "FileSearch(..., embedder=...)"),
        "--embedding-url": (options.embedding.url, "FileSearch(..., embedder=...)"),
    }
    return {name: cure for name, (value, cure) in given.items() if value}


def _from_upstream(options: ServeOptions) -> Provider:
    if options.app is not None:
        raise ConfigurationError(
            f"expected module:app or --upstream; got both: leave out {options.app} or --upstream"
        )
    keys = keys_of(options.listening)
    upstream = open_upstream(
        Endpoint(base_url=options.upstream, api_key_env=options.api_key_env, api=options.api)
    )
    store = _store(options.store)
    tools: list[HostedTool] = _file_search(options)
    if options.sandbox != "none":
        where = anyio.run(partial(place, options.sandbox, own_code=False))
        _warn(where.notice)
        tools.append(CodeInterpreter(where.sandboxes))
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


def _file_search(options: ServeOptions) -> list[HostedTool]:
    """The tool over the index, if there is one."""
    embedder = open_embedder(options.embedding)
    if options.index is None:
        if embedder is not None:
            raise ConfigurationError("--embedding-model: expected --index FILE, too")
        return []
    check_index(options.index)
    return [FileSearch(options.index, embedder=embedder)]


def _store(given: str | None) -> str:
    """Where responses are kept; which is said, if nobody else did.

    Raises:
        ConfigurationError: The folder of its file is missing; a server would serve nothing.
    """
    if given is not None:
        folder = Path(given.removeprefix(_SQLITE)).absolute().parent
        if given.startswith(_SQLITE) and not folder.is_dir():
            raise ConfigurationError(
                f"--store: expected a path in a folder that exists, got {given}: make {folder}"
            )
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


def _greeting(options: ServeOptions, app: Application, url: str) -> str:
    """Three lines: what is served where, for whom, and how to try it."""
    begin = f"antiphon {__version__} serves"
    if not isinstance(app, Provider):  # it may have a Provider anywhere, or none
        return f"{begin} {options.app} at {url}\nopen to whoever it lets in\ncurl {url}/\n"
    what = f"models of {shown(options.upstream)}" if options.upstream else options.app
    key = "" if app.open else ' -H "Authorization: Bearer $KEY"'
    ask = f"curl {url}/v1/models{key}"
    if options.models:
        body = f'{{"model": "{options.models[0]}", "input": "Hello", "stream": true}}'
        ask = f"curl -N {url}/v1/responses -H 'Content-Type: application/json'{key} -d '{body}'"
    return f"{begin} {what} at {url}/v1\nopen to {whom(app)}\n{ask}\n"


def _key_cure(options: ServeOptions) -> str:
    if options.upstream:
        return f"say --api-key KEY=NAME, or set {KEYS}, or --keys FILE"
    return "write Provider(api_keys={...})"


def _warn(line: str) -> None:
    sys.stderr.write(f"{line}\n")
