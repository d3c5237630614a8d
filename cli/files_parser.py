"""What can be typed after `antiphon files`: its own commands, their options and their help.

Above: `parser`. Below: `options`. Not here: what they do, which is `files`.
"""

import argparse
import json
import math
from typing import Any, Final, cast

from . import values
from .command import add_command, add_family
from .options import MAX_FILE_BYTES, FilesOptions, Value, Where
from .shared import add_embedding, embedding_of

_EPILOG: Final = """\
examples:
  antiphon files add docs --index docs.db        into a file here, for FileSearch("docs.db")
  antiphon files search "how do I wait?" --index docs.db
  antiphon files add docs notes.pdf --store handbook --url http://localhost:8000/v1
  antiphon files ls --store handbook --url http://localhost:8000/v1
"""

_ADD: Final = """\
examples:
  antiphon files add docs --index docs.db
  antiphon files add docs --index docs.db --prune        again: only changed files are read
  antiphon files add src --include '*.py' --exclude tests --store code --url http://host:8000/v1
  antiphon files add papers --attribute year=2026 --attribute draft=false --index docs.db

A file is recognised by its place, FOLDER/path/in/it (the attribute `path`), and by its content
(the attribute `sha256`). When the command runs again, unchanged files are left alone, and a changed
file replaces its older version as soon as it has been read. Hidden, binary and empty files are
skipped. A symbolic link is followed only to a file inside the folder that is being added.

--prune is refused where more than half of what the store has of a folder would go: it may be
another folder of the same name, which --as NAME tells apart. --yes prunes all the same.

exit codes: 0 all files can be searched, 1 some cannot, 2 usage error, 130 interrupted (run the same
command again to continue)
"""


def add_files(commands: Any) -> None:
    """Add `files` and its commands."""
    actions = add_family(
        commands,
        "files",
        brief="put folders of documents into vector stores, and search them",
        epilog=_EPILOG,
    )
    adding = add_command(
        actions,
        "add",
        brief="add folders of documents to a vector store, or update it with what has changed",
        epilog=_ADD,
        make=_adding,
    )
    adding.add_argument("paths", nargs="+", metavar="PATH", help="folders and single files")
    _add_choice(adding)
    adding.add_argument(
        "--prune",
        action="store_true",
        help="remove files from the store that are no longer in the folders",
    )
    adding.add_argument(
        "--yes", action="store_true", help="prune even if that removes most of the store's files"
    )
    adding.add_argument(
        "--json", action="store_true", help="print a report as JSON, and no progress"
    )
    listing = add_command(
        actions,
        "ls",
        brief="list the vector stores, or the files of one",
        epilog="",
        make=lambda given: FilesOptions("ls", _where(given), given.store, json=given.json),
    )
    finding = add_command(
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
    finding.add_argument("query", metavar="QUERY", help="what to search for, in words")
    finding.add_argument(
        "--limit", type=values.results, default=5, metavar="N", help="how many results (default: 5)"
    )
    for each in (listing, finding):
        each.add_argument("--json", action="store_true", help="print JSON")
    for each in (adding, listing, finding):
        _add_where(each)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Which files, and what is said of them."""
    parser.add_argument(
        "--as",
        dest="name",
        metavar="NAME",
        help="the folder's name in the store (default: its own)",
    )
    parser.add_argument(
        "--attribute",
        action="append",
        type=_attribute,
        default=[],
        metavar="KEY=VALUE",
        help="give every added file this attribute, for filters; true, false and numbers are read "
        "as such; may be repeated",
    )
    for option, what in (("--include", "add only"), ("--exclude", "skip")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="GLOB",
            help=f"{what} files with this name or path, such as '*.md' or 'old/*'; may be repeated",
        )
    parser.add_argument(
        "--max-size",
        type=values.megabytes,
        default=MAX_FILE_BYTES,
        metavar="MB",
        help="skip larger files (default: 64)",
    )


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="NAME", help="the store's name or id (default for add and search: docs)"
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--url", type=values.url, metavar="URL", help="a Provider's address, up to /v1"
    )
    place.add_argument("--index", metavar="FILE", help="an index file on this machine")
    parser.add_argument(
        "--api-key-env",
        metavar="VAR",
        help="the environment variable that holds an API key for --url",
    )
    index = parser.add_argument_group("with --index")
    index.add_argument(
        "--principal",
        default="local",
        metavar="NAME",
        help="whose stores (default: local, the principal of a Provider without API keys)",
    )
    add_embedding(index)


def _where(given: argparse.Namespace) -> Where:
    return Where(
        url=given.url,
        api_key_env=given.api_key_env,
        index=given.index,
        principal=given.principal,
        embedding=embedding_of(given),
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
        raise argparse.ArgumentTypeError(
            f"{key} is the attribute by which a file is recognised: choose another name"
        )
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
