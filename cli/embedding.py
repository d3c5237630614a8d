"""An index of files, as a command line names it: its path, and the model of its vectors.

Above: `serve`, `files_index`. Below: `antiphon.tools.search`.
"""

from pathlib import Path
from typing import Final

from antiphon.errors import ConfigurationError
from antiphon.tools import search

from .endpoint import key_in
from .options import Embedding

_SQLITE: Final = b"SQLite format 3\0"
"""How every index begins."""


def open_embedder(asked: Embedding) -> search.Embedder | None:
    """The embedder that was asked for; None: search by words alone. No server is asked yet.

    Raises:
        ConfigurationError: One of the model and its server is missing, or the key is.
    """
    if asked.model is None:
        if asked.url is not None:
            raise ConfigurationError("--embedding-url: expected --embedding-model NAME, too")
        return None
    if asked.url is None:
        raise ConfigurationError("--embedding-model: expected --embedding-url URL, too")
    return search.HttpEmbedder(
        asked.model,
        base_url=asked.url,
        api_key=key_in(asked.key_env, option="--embedding-key-env"),
        window=asked.window,
        passage_prefix=asked.passage_prefix,
        query_prefix=asked.query_prefix,
    )


def check_index(path: str) -> None:
    """Make sure that there is an index at this path, or room for one.

    Raises:
        ConfigurationError: The folder is missing, or the path leads to something else.
    """
    file = Path(path).absolute()
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"--index: expected a path in a folder that exists, got {path}: make the folder"
        )
    try:
        with file.open("rb") as index:
            beginning = index.read(len(_SQLITE))
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"--index: {path} cannot be read: {error.strerror or error}"
        ) from error
    if beginning and beginning != _SQLITE:
        raise ConfigurationError(
            f"--index: expected an index file, got something else: {path} is no SQLite database: "
            "name another path"
        )
