"""What can be typed after `antiphon serve`: options and help.

Above: `parser`. Below: `options`. Not here: serving, which is `serve`.
"""

import argparse
from typing import Any, Final

from . import values
from .command import add_command
from .options import ServeOptions
from .shared import (
    Arguments,
    add_address,
    add_drain,
    add_embedding,
    add_keys,
    add_log,
    add_server,
    embedding_of,
    listening_of,
)

_EPILOG: Final = """\
examples:
  antiphon serve app:app            the Provider (or any ASGI application) named `app` in app.py
  antiphon serve --upstream http://localhost:11434/v1 --index docs.db
  antiphon serve --upstream https://api.openai.com/v1 --api-key-env OPENAI_API_KEY \\
                 --model gpt-5 --host 0.0.0.0 --keys keys.txt --log json

Without API keys the server accepts connections from this machine only. A key file has one
key:name on each line; a line that begins with # is a comment. Other users must not be able to
read the file (chmod 600).

environment, for --upstream:
  ANTIPHON_API_KEYS    API keys, as key:name,key2:name2 (unlike a command line, the environment is
                       not shown to every user of this machine)
  ANTIPHON_SEAL_KEYS   secrets of at least 32 characters, separated by commas, that seal
                       compactions and encrypted reasoning; the first one seals, all of them open
                       (default: a random key, lost when the server stops)
"""


def add_serve(commands: Any) -> None:
    """Add `serve`."""
    parser = add_command(
        commands,
        "serve",
        brief="serve a Provider, or put one in front of a model server",
        epilog=_EPILOG,
        make=_made,
    )
    parser.add_argument("app", nargs="?", metavar="module:app", help="what to serve")
    add_address(parser)
    add_drain(parser)
    add_log(parser)
    upstream = parser.add_argument_group("in front of a model server")
    upstream.add_argument(
        "--upstream", type=values.url, metavar="URL", help="the model server's address, up to /v1"
    )
    upstream.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="serve only this model of the server; may be repeated (default: all of them)",
    )
    add_server(upstream)
    upstream.add_argument(
        "--sandbox",
        choices=("none", "local", "docker"),
        default="none",
        help="offer code_interpreter, and run its code here (default: none, it is not offered)",
    )
    add_keys(upstream)
    _add_limits(upstream)
    files = parser.add_argument_group("file search, in front of a model server")
    files.add_argument(
        "--index",
        metavar="FILE",
        help="offer file_search, with the vector stores in this file (default: it is not offered)",
    )
    add_embedding(files)


def _add_limits(upstream: Arguments) -> None:
    """What is kept, and how much each caller may ask."""
    upstream.add_argument(
        "--store",
        metavar="URL",
        help="where responses are stored: sqlite+aiosqlite:///PATH, postgresql://USER@HOST/NAME, "
        "or memory:// (until the server stops); default: sqlite+aiosqlite:///antiphon.db",
    )
    upstream.add_argument(
        "--rate",
        type=values.count,
        metavar="N",
        help="how many requests a caller may make a minute",
    )
    upstream.add_argument(
        "--at-once",
        type=values.count,
        metavar="N",
        help="how many responses a caller may have in progress at the same time",
    )


def _made(given: argparse.Namespace) -> ServeOptions:
    return ServeOptions(
        app=given.app,
        listening=listening_of(given),
        upstream=given.upstream,
        models=tuple(given.model),
        api=given.api,
        api_key_env=given.api_key_env,
        sandbox=given.sandbox,
        index=given.index,
        embedding=embedding_of(given),
        store=given.store,
        rate=given.rate,
        at_once=given.at_once,
    )
