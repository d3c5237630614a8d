"""What can be typed after `antiphon files`: its own commands, their options and their help.

Above: `parser`, `options`. Below: nothing. Not here: what they do, which is `files`.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast

from .command import Command

EPILOG: Final = """\
examples:
  antiphon files add docs --index docs.db        into a file here, for FileSearch("docs.db")
  antiphon files search "how do I wait?" --index docs.db
  antiphon files add docs notes.pdf --store handbook --url http://localhost:8000/v1
  antiphon files ls --store handbook --url http://localhost:8000/v1
"""

_ADD: Final = """\
examples:
  antiphon files add docs --index docs.db
  antiphon files add docs --index docs.db --prune        again: only what has changed is read
  antiphon files add src --include '*.py' --exclude tests --store code --url http://host:8000/v1
  antiphon files add papers --attribute year=2026 --attribute draft=false --index docs.db

A file in a folder is known as FOLDER/its/path (the attribute `path`), and by its content (the
attribute `sha256`): run again, what is the same is left alone, and what has changed replaces
what it was, as soon as it can be read. Hidden, binary and empty files are passed over; of
symbolic links only those to files of the same folder are followed.

--prune is refused where most of what the store has of a folder would go: it may be another folder
of the same name (--as NAME). --yes prunes all the same.

exit codes: 0 all files can be searched, 1 some cannot, 2 it was asked wrongly, 130 interrupted
(the same command goes on)
"""

Value: TypeAlias = str | bool | int | float
FilesAction: TypeAlias = Literal["add", "ls", "search"]

_MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Where:
    """Where vector stores are.

    Attributes:
        url: A served Provider, up to /v1; None for an index.
        api_key_env: The environment variable that holds its key.
        index: The path of an index file; None for a Provider.
        principal: Whose the stores in the index are.
        model: The embedding model of an index; None: it is searched by words alone.
        model_url: The server of that model, up to /v1.
        model_key_env: The environment variable that holds that server's key.
        window: Tokens that the model reads of a text.
        passage_prefix: What the model wants before passages.
        query_prefix: What it wants before queries.
    """

    url: str | None = None
    api_key_env: str | None = None
    index: str | None = None
    principal: str = "local"
    model: str | None = None
    model_url: str | None = None
    model_key_env: str | None = None
    window: int = 512
    passage_prefix: str = ""
    query_prefix: str = ""


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """`antiphon files`, with one of its actions.

    Attributes:
        action: What is to be done.
        where: Where the stores are.
        store: A store's name or id; None takes `docs`, or for `ls` lists the stores.
        paths: Folders and files to add.
        query: What to look for.
        name: What the folder is called in the store; None takes its own name.
        attributes: What every added file gets.
        include: Patterns, one of which a file has to match; none: all do.
        exclude: Patterns of files and folders that are passed over.
        max_bytes: Files of more bytes are passed over.
        prune: Whether files that are gone are taken out of the store.
        yes: Also where that is most of what the store has of a folder.
        limit: How many results.
        json: Print JSON.
    """

    action: FilesAction
    where: Where
    store: str | None = None
    paths: Sequence[str] = ()
    query: str = ""
    name: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    max_bytes: int = 64 * _MB
    prune: bool = False
    yes: bool = False
    limit: int = 5
    json: bool = False


def add_files(parser: argparse.ArgumentParser, *, command: Command) -> None:
    """Add `add`, `ls` and `search` to the parser of `files`."""
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    adding = command(
        actions,
        "add",
        brief="put folders of documents into a vector store, or only what has changed in them",
        epilog=_ADD,
        make=_adding,
    )
    adding.add_argument("paths", nargs="+", metavar="PATH", help="folders, and single files")
    _add_choice(adding)
    adding.add_argument(
        "--prune", action="store_true", help="take out of the store what is gone from the folders"
    )
    adding.add_argument(
        "--yes", action="store_true", help="prune though it takes out most of what is there"
    )
    adding.add_argument("--json", action="store_true", help="print a report as JSON, and no bar")
    listing = command(
        actions,
        "ls",
        brief="list vector stores, or the files of one",
        epilog="",
        make=lambda given: FilesOptions("ls", _where(given), given.store, json=given.json),
    )
    finding = command(
        actions,
        "search",
        brief="search a vector store, as a model would",
        epilog="",
        make=lambda given: FilesOptions(
            "search",
            _where(given),
            given.store,
            query=given.query,
            limit=given.limit,
            json=given.json,
        ),
    )
    finding.add_argument("query", metavar="QUERY", help="what to look for, in words")
    finding.add_argument(
        "--limit", type=_results, default=5, metavar="N", help="how many results (default: 5)"
    )
    for each in (listing, finding):
        each.add_argument("--json", action="store_true", help="print JSON")
    for each in (adding, listing, finding):
        _add_where(each)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Which files, and what is said of them."""
    parser.add_argument(
        "--as", dest="name", metavar="NAME", help="what the folder is called in the store"
    )
    parser.add_argument(
        "--attribute",
        action="append",
        type=_attribute,
        default=[],
        metavar="KEY=VALUE",
        help="of every file, to filter by; true, false and numbers are such; may be repeated",
    )
    for option, what in (("--include", "take only files"), ("--exclude", "pass over what is")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="GLOB",
            help=f"{what} of this name or path, such as '*.md' or 'old/*'; may be repeated",
        )
    parser.add_argument(
        "--max-size",
        type=_megabytes,
        default=64 * _MB,
        metavar="MB",
        help="pass over larger files (default: 64)",
    )


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="NAME", help="the store's name or id (default for add, search: docs)"
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--url", metavar="URL", help="a Provider's address, up to /v1")
    place.add_argument("--index", metavar="FILE", help="an index file on this machine")
    parser.add_argument(
        "--api-key-env", metavar="VAR", help="the environment variable that holds a key for --url"
    )
    index = parser.add_argument_group("of an index")
    index.add_argument(
        "--principal",
        default="local",
        metavar="NAME",
        help="whose stores (default: local, who asks a Provider without keys)",
    )
    index.add_argument(
        "--embedding-model", metavar="NAME", help="makes vectors (default: search by words alone)"
    )
    index.add_argument("--embedding-url", metavar="URL", help="its server's address, up to /v1")
    index.add_argument(
        "--embedding-key-env", metavar="VAR", help="the environment variable of that server's key"
    )
    index.add_argument(
        "--embedding-window",
        type=_whole,
        default=512,
        metavar="N",
        help="tokens that it reads of a text (default: 512)",
    )
    for kind in ("passage", "query"):
        index.add_argument(
            f"--{kind}-prefix", default="", metavar="TEXT", help=f"what it wants before a {kind}"
        )


def _where(given: argparse.Namespace) -> Where:
    return Where(
        url=given.url,
        api_key_env=given.api_key_env,
        index=given.index,
        principal=given.principal,
        model=given.embedding_model,
        model_url=given.embedding_url,
        model_key_env=given.embedding_key_env,
        window=given.embedding_window,
        passage_prefix=given.passage_prefix,
        query_prefix=given.query_prefix,
    )


def _adding(given: argparse.Namespace) -> FilesOptions:
    return FilesOptions(
        "add",
        _where(given),
        given.store,
        paths=tuple(given.paths),
        name=given.name,
        attributes=dict(given.attribute),
        include=tuple(given.include),
        exclude=tuple(given.exclude),
        max_bytes=given.max_size,
        prune=given.prune,
        yes=given.yes,
        json=given.json,
    )


def _attribute(text: str) -> tuple[str, Value]:
    """`year=2026` is a number, `draft=true` a boolean, anything else text."""
    key, sign, said = text.partition("=")
    if not sign or not 0 < len(key) <= 64:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    if key in ("path", "sha256"):
        raise argparse.ArgumentTypeError(f"{key} is what a file is known by: choose another name")
    value = _read(said)
    if isinstance(value, str) and len(value) > 512:
        raise argparse.ArgumentTypeError(f"{key}: expected at most 512 characters")
    return key, value


def _read(said: str) -> Value:
    try:
        value = cast("object", json.loads(said))
    except ValueError:
        return said
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) <= 2**53:
        return value
    return said


def _megabytes(text: str) -> int:
    number = float(text)
    if not 0 < number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected megabytes above 0, got {text}")
    return int(number * _MB)


def _results(text: str) -> int:
    number = _whole(text)
    if number > 50:
        raise argparse.ArgumentTypeError(f"expected 1 to 50, got {text}")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return number
