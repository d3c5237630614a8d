"""CORS: which web pages may call a Provider from a browser. By default none.

Pages of the origins that are named may ask for anything that their user's key allows; they are
never sent cookies. A WebSocket is no matter of CORS: without keys only this machine's own pages
may open one. Starlette's middleware does the work: it touches an answer's head and no byte of
its body. A browser's asking beforehand (preflight) is answered there, and is not logged.

Above: `app`.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from antiphon.errors import ConfigurationError

METHODS = ("DELETE", "GET", "POST")
SHOWN = ("x-request-id", "retry-after", "mcp-session-id")
"""Headers that a page may read beside those that every page may."""


def crossing(app: ASGIApp, origins: Sequence[str], *, keyless: bool) -> ASGIApp:
    """An application that pages of other origins may call.

    Args:
        app: It.
        origins: `https://app.example`, with a port if it has one that is not its scheme's; or
            `*` for every page there is, which keys have to protect. None: no page.
        keyless: Whether the application has no keys.

    Raises:
        ConfigurationError: An origin is none, or any page could use this machine's provider.
    """
    if isinstance(origins, str):
        raise ConfigurationError(f'cors: expected a list of origins: write cors=["{origins}"]')
    if not origins:
        return app
    for origin in origins:
        if origin != "*" and not _exact(origin):
            raise ConfigurationError(
                f"cors: expected origins such as https://app.example, got {origin!r}: scheme, "
                "host and port are all of it, in small letters"
            )
    everywhere = "*" in origins
    if everywhere and keyless:
        raise ConfigurationError(
            "cors: expected exact origins, got '*' without API keys: any web page could use this "
            "provider; name the pages, or configure api_keys"
        )
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=METHODS,
        allow_headers=["*"],  # whatever an SDK sends: they name its versions
        allow_private_network=not everywhere,  # a page by name may ask a provider in this network
        expose_headers=SHOWN,
    )


def _exact(origin: object) -> bool:
    if not isinstance(origin, str):
        return False
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    whole = f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")
    usual = {"http": 80, "https": 443}
    return bool(host) and parts.scheme in usual and port != usual[parts.scheme] and whole == origin
