"""URLs that clients give: whether one leads to a public place, judged by its text alone.

Above: `admit`. Not here: names are not resolved, since whoever fetches resolves them again and
may get another answer; a fetcher has to look at the address that it connects to.
Source: the WHATWG URL standard (hosts that end in a number are IPv4 addresses), IANA's registries.
"""

import ipaddress
import re
import unicodedata
from typing import Final
from urllib.parse import SplitResult, urlsplit

from antiphon.errors import RequestError
from antiphon.tools import is_public

# Clients disagree about these: some skip them, some end the host there, some read on.
_AMBIGUOUS: Final = re.compile(r"[\x00-\x20\x7f\\]")
_DOTS: Final = re.compile("[\u3002\uff0e\uff61]")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_INSIDE: Final = (".localhost", ".local", ".internal")


def check_url(url: str, param: str) -> None:
    """Refuse a URL that would make somebody fetch from a private network.

    Raises:
        RequestError: 400; it leads there (`private_url`), or is no http(s) or data URL.
    """
    if url.startswith("data:"):
        return
    host = _host(url)
    if host is None:
        raise RequestError(
            f"{param}: expected an http(s) or data URL", param=param, code="invalid_url"
        )
    if _private(host):
        raise RequestError(
            f"{param}: {host!r} is a private address, and this provider reaches none: name a "
            "public one, or send content as a data URL",
            param=param,
            code="private_url",
        )


def _host(url: str) -> str | None:
    """The host as whoever fetches will read it; None where that is not certain."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or _AMBIGUOUS.search(url):
        return None
    return _plain(parts) or None


def _plain(parts: SplitResult) -> str:
    host = _DOTS.sub(".", unicodedata.normalize("NFKC", parts.hostname or ""))
    return "" if "%" in host else host.lower().rstrip(".")


def _private(host: str) -> bool:
    if host == "localhost" or host.endswith(_INSIDE):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # `redis` is a neighbour; 127.1, 0x7f000001 and 2130706433 are addresses to a resolver.
        return "." not in host or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None
    return not is_public(host)
