"""Keys: where API keys are read from: a file, or the environment. Neither is ever repeated.

One form for both, `key:principal`: a line each in a file, with commas between in a variable.
What stands behind the last colon is the principal, so that a key may hold colons.

Above: `cli`, and whoever configures a Provider. Not here: who may come in (`auth`).
"""

import os
import stat
from collections.abc import Iterable
from typing import Final

from antiphon.errors import ConfigurationError

ENVIRONMENT: Final = "ANTIPHON_API_KEYS"
"""The variable that holds keys: `key:principal,key2:principal2`."""

_LARGEST: Final = 16 * 1024 * 1024


def keys_from_file(path: str | os.PathLike[str]) -> dict[str, str]:
    """Keys and their principals, for `Provider(api_keys=...)`.

    Args:
        path: A text file: one `key:principal` a line. Empty lines, and lines that begin with
            `#`, say nothing. Nobody but its owner and group may be able to read or write it.

    Raises:
        ConfigurationError: It cannot be read, others can read it, a line is of another form, a
            key stands there for two principals, or there is none.
    """
    named = os.fspath(path)
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IROTH | stat.S_IWOTH):
                raise ConfigurationError(
                    f"{named}: expected a file that only its owner can read, got mode "
                    f"{stat.S_IMODE(mode):o}: chmod 600 {named}"
                )
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{named}: expected a file of keys: {error.strerror or type(error).__name__}"
        ) from error
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{named}: expected at most {_LARGEST:,} bytes of keys")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{named}: expected text in UTF-8: save it so") from None
    told = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    keys = _read(
        ((f"{named} line {number}", line) for number, line in told if line and line[0] != "#"),
        form="key:principal",
    )
    if not keys:
        raise ConfigurationError(
            f"{named}: expected at least one line key:principal, got none: without keys "
            "everybody on this machine would be let in"
        )
    return keys


def keys_from_environment(name: str = ENVIRONMENT) -> dict[str, str]:
    """Keys and their principals, for `Provider(api_keys=...)`; none if the variable is not set.

    Args:
        name: The variable, which holds `key:principal,key2:principal2`.

    Raises:
        ConfigurationError: One is of another form, or stands there for two principals.
    """
    listed = [pair.strip() for pair in os.environ.get(name, "").split(",")]
    return _read(((name, pair) for pair in listed if pair), form="key:name,key2:name2")


def _read(pairs: Iterable[tuple[str, str]], *, form: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for place, pair in pairs:
        key, _, principal = (part.strip() for part in pair.rpartition(":"))
        if not key or not principal:
            raise ConfigurationError(
                f"{place}: expected {form}; got one without a key or a name: write both"
            )
        if keys.setdefault(key, principal) != principal:
            raise ConfigurationError(
                f"{place}: expected one principal for each key; this key stands there for two: "
                "leave one out"
            )
    return keys
