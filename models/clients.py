"""HTTP clients: ours, with this room's timeouts, and the check of one that a user brings.

Above: `transport`. Not here: what is sent.
"""

import importlib.util
from typing import Any, Final, cast

import httpx2

from antiphon.errors import ConfigurationError

TIMEOUT: Final = httpx2.Timeout(connect=10.0, read=600.0, write=600.0, pool=None)
"""Seconds. Thinking models are silent for minutes; a pool without bounds has no queue."""

_LIMITS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=100)

_preference = {"fast": False}


def prefer_fast(preferred: bool = True) -> None:
    """Whether clients made from now on with `fast=None` use aiohttp, where it is installed."""
    _preference["fast"] = preferred


def client(fast: bool | None = None) -> httpx2.AsyncClient:
    """A client with this room's timeouts and no bound on parallel streams.

    Args:
        fast: True puts aiohttp under httpx2 (less CPU a delta; asyncio only); False does not;
            None does where it is installed and `prefer_fast` was called.

    Raises:
        ConfigurationError: `fast` is True and aiohttp is not installed.
    """
    if chosen(fast):
        from .fast import FastTransport

        return httpx2.AsyncClient(transport=FastTransport(), timeout=TIMEOUT)
    return httpx2.AsyncClient(limits=_LIMITS, timeout=TIMEOUT)


def chosen(fast: bool | None) -> bool:
    """Whether aiohttp is to be used.

    Raises:
        ConfigurationError: It is demanded, and not installed.
    """
    if fast is False or (fast is None and not _preference["fast"]):
        return False
    installed = importlib.util.find_spec("aiohttp") is not None
    if fast and not installed:
        raise ConfigurationError(
            "fast=True: expected aiohttp to be installed; it is not: "
            "install it with pip install 'antiphon[fast]', or leave `fast` out"
        )
    return installed


def checked(given: Any) -> httpx2.AsyncClient | None:
    """The client that a user passed as `http_client`, if any.

    Raises:
        ConfigurationError: It is not an `httpx2.AsyncClient`.
    """
    if given is None or isinstance(given, httpx2.AsyncClient):
        return given
    kind = cast("type[object]", type(given))
    name = f"{kind.__module__}.{kind.__qualname__}"
    cure = "pass http_client=httpx2.AsyncClient(...)"
    if any(base.__module__.partition(".")[0] == "httpx" for base in kind.__mro__):
        name = f"httpx.{kind.__name__}"
        cure = "write `import httpx2 as httpx`; the rest of your code stays as it is"
    raise ConfigurationError(f"http_client: expected an httpx2.AsyncClient; got {name}: {cure}")
