"""Options that several commands have: a model server, an embedding model, a server's address.

Above: the parsers. Below: `options`, `values`. Not here: any import that takes time.
"""

import argparse
from typing import Any, Protocol

from . import values
from .options import Embedding, Endpoint, Listening


class Arguments(Protocol):
    """Where options are added: a parser, or a group of one."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Another option."""
        ...


def add_endpoint(to: Arguments) -> None:
    """Which model is asked, and where it is."""
    to.add_argument(
        "--model",
        metavar="NAME",
        help="the model; without --base-url its name says where it is, as in ollama:qwen3",
    )
    to.add_argument(
        "--base-url", type=values.url, metavar="URL", help="the model server's address, up to /v1"
    )
    add_server(to)


def add_server(to: Arguments) -> None:
    """How a model server is spoken to."""
    to.add_argument(
        "--api-key-env",
        metavar="VAR",
        help="the environment variable that holds the model server's API key",
    )
    to.add_argument(
        "--api",
        choices=("auto", "responses", "chat"),
        default="auto",
        help="the API that the model server speaks (default: auto, which tries Responses first)",
    )


def endpoint_of(given: argparse.Namespace) -> Endpoint:
    """What `add_endpoint` was given."""
    return Endpoint(
        model=given.model,
        base_url=given.base_url,
        api_key_env=given.api_key_env,
        api=given.api,
    )


def add_embedding(to: Arguments) -> None:
    """The embedding model of an index."""
    to.add_argument(
        "--embedding-model",
        metavar="NAME",
        help="the model that makes the vectors (default: none; the search is by words alone)",
    )
    to.add_argument(
        "--embedding-url",
        type=values.url,
        metavar="URL",
        help="the address of that model's server, up to /v1",
    )
    to.add_argument(
        "--embedding-key-env",
        metavar="VAR",
        help="the environment variable that holds that server's API key",
    )
    to.add_argument(
        "--embedding-window",
        type=values.count,
        default=512,
        metavar="N",
        help="how many tokens of a text the model reads (default: 512)",
    )
    for kind, example in (("passage", "search_document: "), ("query", "search_query: ")):
        to.add_argument(
            f"--{kind}-prefix",
            default="",
            metavar="TEXT",
            help=f"what the model wants to read before a {kind}, such as '{example}'",
        )


def embedding_of(given: argparse.Namespace) -> Embedding:
    """What `add_embedding` was given."""
    return Embedding(
        model=given.embedding_model,
        url=given.embedding_url,
        key_env=given.embedding_key_env,
        window=given.embedding_window,
        passage_prefix=given.passage_prefix,
        query_prefix=given.query_prefix,
    )


def add_address(to: Arguments) -> None:
    """Where a server listens."""
    to.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)"
    )
    to.add_argument(
        "--port",
        type=values.port,
        default=8000,
        help="the port to listen on (default: 8000; 0 takes a free one)",
    )


def add_keys(to: Arguments) -> None:
    """Who may call a server."""
    to.add_argument(
        "--api-key",
        action="append",
        default=[],
        metavar="KEY=NAME",
        help="an API key that callers may use, and the name of its owner; may be repeated",
    )
    to.add_argument("--keys", metavar="FILE", help="a file of API keys, one KEY:NAME on each line")


def add_drain(to: Arguments) -> None:
    """How a server stops."""
    to.add_argument(
        "--drain",
        type=values.seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long answers under way may take to end when the server is stopped (default: 30)",
    )


def add_log(to: Arguments) -> None:
    """What a server logs."""
    to.add_argument("--log", choices=("json", "text"), help="log every request to standard error")


def listening_of(given: argparse.Namespace) -> Listening:
    """What `add_address`, `add_keys`, `add_drain` and `add_log` were given."""
    return Listening(
        host=given.host,
        port=given.port,
        api_keys=tuple(given.api_key),
        keys=given.keys,
        drain=given.drain,
        log=given.log,
    )
