"""The caller: what a client's headers say of how it wants to be spoken to.

The same for every transport: an HTTP request has them, and so has a WebSocket's handshake.
Above: `app`, `websocket`. Below: `view`, which a caller and a request make together.
"""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from antiphon.errors import RequestError
from antiphon.items import CreateResponse

from .view import Dialect, View

VERSIONS: Final = ("latest", "2026-01-15", "2026-04-24")
"""The Open Responses versions that a client may ask for."""

_VERSION: Final = "openresponses-version"
_RAW_VERSION: Final = _VERSION.encode()
_OPENAI_AGENTS: Final = ("openai/", "asyncopenai/", "litellm")
_OPENAI_HEADERS: Final = ("originator", "openai-beta")


@dataclass(frozen=True, slots=True)
class Caller:
    """How a client is spoken to.

    Attributes:
        dialect: Whose names reasoning events bear.
        extensions: Whether items and events under `antiphon:` are shown as they are.
    """

    dialect: Dialect
    extensions: bool

    @classmethod
    def of(cls, headers: Headers, *, dialect: Dialect | None = None) -> "Caller":
        """Who calls with these headers.

        Args:
            headers: The request's, or the handshake's.
            dialect: The provider's own choice for all clients, if it made one.

        Raises:
            RequestError: 400 for a version of the protocol that is not spoken here.
        """
        version = headers.get(_VERSION)
        _check(version)
        own: Dialect = "openai" if version is None and _openai(headers) else "openresponses"
        return cls(dialect or own, _extensions(headers))

    def view(self, request: CreateResponse) -> View:
        """What this client sees of a request's answer."""
        return View.of(request, dialect=self.dialect, extensions=self.extensions)


def check_version(scope: Scope) -> None:
    """Refuse a version of the protocol that is not spoken here, whatever is asked.

    Raises:
        RequestError: 400.
    """
    for name, value in scope["headers"]:
        if name == _RAW_VERSION:
            _check(value.decode("latin-1"))


def _check(version: str | None) -> None:
    if version is not None and version not in VERSIONS:
        raise RequestError(
            f"OpenResponses-Version: expected one of {', '.join(VERSIONS)}, got {version[:100]!r}",
            param="OpenResponses-Version",
            code="unsupported_version",
        )


def _openai(headers: Headers) -> bool:
    """OpenAI-style clients are known by what they send; everyone else gets the standard."""
    return (
        any(name.startswith("x-stainless-") for name in headers)
        or headers.get("user-agent", "").lower().startswith(_OPENAI_AGENTS)
        or any(name in headers for name in _OPENAI_HEADERS)
    )


def _extensions(headers: Headers) -> bool:
    asked = headers.get("openresponses-extensions", "")
    return "antiphon" in (name.strip().lower() for name in asked.split(","))
