"""Access: one log record for each request, and its id in every record that is made meanwhile.

The record goes to the logger `antiphon.access` at level INFO, with the fields of `Access` as
`extra`. It holds no key, no query, no header and no body. Where nobody listens nothing is made.

Above: `door` and `websocket`, which begin and end it; `auth` and `opened`, which note in it.
Not here: how records are written, which is the business of whoever configures logging.
"""

import logging
import time
from collections.abc import Collection
from contextvars import ContextVar, Token
from typing import Final
from urllib.parse import quote

from starlette.types import Scope

LEFT: Final = 499
"""The status of a request whose client left before it was answered (as nginx has it)."""

NONE: Final = "-"
"""The request id of a record that belongs to no request."""

log: logging.Logger = logging.getLogger("antiphon.access")

_LONGEST: Final = 200  # characters of a client's words

_current: ContextVar["Access | None"] = ContextVar("antiphon_access", default=None)


class Access:
    """One request, as it is logged.

    Args:
        scope: ASGI's.
        request_id: What its answer carries as x-request-id.

    Attributes:
        request_id: The same.
        status: The HTTP status of its answer; 499 as long as there is none.
        principal: Whose it is, once that is known.
        model: What the request that it holds names, or the last one that it held.
        response_id: The response that was made for it, or the last one.
    """

    __slots__ = (
        "_begun",
        "_scope",
        "_token",
        "model",
        "principal",
        "request_id",
        "response_id",
        "status",
    )

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.request_id: str = request_id
        self.status: int = LEFT
        self.principal: str | None = None
        self.model: str | None = None
        self.response_id: str | None = None
        self._scope = scope
        self._begun = time.perf_counter()
        self._token: Token[Access | None] = _current.set(self)

    def headers(self, names: Collection[str]) -> dict[str, str]:
        """Those of these headers that it has; never logged."""
        given: list[tuple[bytes, bytes]] = self._scope["headers"]
        told = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in given)
        return {name: value for name, value in told if name in names}

    def end(self) -> None:
        """Log it; records from now on are not its own."""
        if log.isEnabledFor(logging.INFO):
            self._log()
        _current.reset(self._token)

    def _log(self) -> None:
        method = harmless(self._scope.get("method", "GET"))
        # As it stood on the wire: whatever a client decodes into it stays encoded here.
        path = quote(self._scope["path"], safe="/:@!$&'()*+,;=~", errors="backslashreplace")
        milliseconds = round((time.perf_counter() - self._begun) * 1000, 3)
        log.info(
            "%s %s %d in %.1f ms",
            method,
            path,
            self.status,
            milliseconds,
            extra={
                "request_id": self.request_id,
                "method": method,
                "path": path,
                "status": self.status,
                "milliseconds": milliseconds,
                "principal": harmless(self.principal),
                "model": harmless(self.model),
                "response_id": self.response_id,
            },
        )


def note(
    *, principal: str | None = None, model: str | None = None, response_id: str | None = None
) -> None:
    """Note what became known of the request that is being served here, if one is.

    Args:
        principal: Whose it is.
        model: What it names.
        response_id: The response that it made.
    """
    access = _current.get()
    if access is None:
        return
    access.principal = principal or access.principal
    access.model = model or access.model
    access.response_id = response_id or access.response_id


def carried(*names: str) -> dict[str, str]:
    """Those of these headers that the request which is being served here has.

    Args:
        names: In small letters.
    """
    access = _current.get()
    return {} if access is None else access.headers(names)


class RequestIds(logging.Filter):
    """Puts `request_id` into every record: that of the request being served, or `-`.

    A filter for handlers: `handler.addFilter(RequestIds())`. A response that goes on in the
    background keeps the id of the request that began it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass."""
        if not hasattr(record, "request_id"):
            access = _current.get()
            record.request_id = NONE if access is None else access.request_id
        return True


def harmless(text: str | None) -> str | None:
    """A client's words for a log: of one line, printable, and not too long."""
    if text is None or (len(text) <= _LONGEST and text.isprintable()):
        return text
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown}..."
