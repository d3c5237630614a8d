"""Secrets: what of all that is sent to an MCP server lets somebody in, and is never shown again.

Variables, headers and fields of a URL are judged by their names: a folder or a team that is as
long as a key is no key, and a server may well say it. The owner can name more.

Above: the ways to servers (`address`, `program`). Below: nothing. `plain` takes them out.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from antiphon.errors import ConfigurationError

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_KEYS: Final = re.compile(
    r"(?:token|key|secret|pass(?:word|wd|phrase|code)?|pwd|auth(?:orization)?|cookie|credential"
    r"|bearer|jwt|session_?id|signature|(?<![a-z])(?:pat|sig|sid|pin))s?(?![a-z])"
)
_PLACES: Final = re.compile(r"(?<![a-z])(?:url|uri|file|path|dir|folder|root|host|port|mode|type)$")
"""`TOKEN_FILE` is where one is, and none itself."""


def is_secret(name: str) -> bool:
    """Whether what stands under this name lets somebody in: `API_KEY`, `X-Auth-Token`, `dbPass`."""
    words = _HUMP.sub("_", name).lower()
    return _KEYS.search(words) is not None and _PLACES.search(words) is None


def secrets_in(given: Iterable[tuple[str, str]], named: Sequence[str] = ()) -> Iterator[str]:
    """The values that are secrets, by their names; and the passwords of URLs among all of them.

    Args:
        given: Names and values.
        named: Further names of secrets, in any case.
    """
    more = {name.lower() for name in named}
    for name, value in given:
        if name.lower() in more or is_secret(name):
            yield value
        yield from passwords(value)


def plain_in(given: Iterable[tuple[str, str]], named: Sequence[str] = ()) -> list[str]:
    """All others, in order: what anybody may know that is sent."""
    pairs = sorted(given)
    return [
        f"{name}={value}" for name, value in pairs if not any(secrets_in([(name, value)], named))
    ]


def passwords(url: str) -> Iterator[str]:
    """Of a URL with a password: this, as it stands there, as it is meant, and as Basic sends it."""
    if "@" not in url:
        return
    try:
        user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
        yield basic(unquote(user), unquote(password))


def basic(user: str, password: str) -> str:
    """Both, as the header of HTTP's Basic authentication has them."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def tokens_of(authorization: str) -> Iterator[str]:
    """Of an `Authorization` header: all of it, what follows its scheme, and Basic's password."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    yield authorization
    yield token or scheme
    if scheme.lower() == "basic":
        try:
            yield base64.b64decode(token, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return


def check_named(named: Sequence[str], given: Mapping[str, str] | Iterable[str]) -> tuple[str, ...]:
    """The names of further secrets.

    Raises:
        ConfigurationError: There is nothing of this name.
    """
    known = {name.lower() for name in given}
    for name in named:
        if name.lower() not in known:
            raise ConfigurationError(
                f"secrets: expected names of what is sent, got {name!r}: expected one of "
                f"{', '.join(sorted(known)) or 'none, since nothing is sent'}"
            )
    return tuple(named)
