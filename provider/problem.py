"""Problems: any exception as the wire's error object.

Source: Open Responses specification, "Errors": `{"error": {message, type, param, code}}`.
"""

import logging
import math
from dataclasses import dataclass

from pydantic_core import to_json
from starlette.responses import Response

from antiphon.errors import ConfigurationError, ModelError, RequestError, SandboxBusy, whence

log: logging.Logger = logging.getLogger("antiphon.provider")


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as a client reads it."""

    status: int
    message: str
    type: str
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: Exception) -> "Problem":
        """The problem that an exception is. What nobody foresaw is logged and told as little."""
        if isinstance(error, RequestError):
            return cls(
                error.status, error.message, error.type, error.code, error.param, error.retry_after
            )
        if isinstance(error, SandboxBusy):
            return cls(
                429,
                str(error),
                "too_many_requests",
                "sandbox_busy",
                retry_after=error.retry_after,
            )
        if isinstance(error, ModelError):
            told = error.retry_after
            return cls(502, error.message, "model_error", error.code, retry_after=told)
        log.error("a request broke: %s", logged(error))
        return cls(500, "internal error: see the provider's log", "server_error", "server_error")

    def body(self) -> bytes:
        """The JSON error object."""
        return to_json(
            {
                "error": {
                    "message": self.message,
                    "type": self.type,
                    "param": self.param,
                    "code": self.code,
                }
            }
        )

    def answer(self) -> Response:
        """The HTTP answer."""
        headers: dict[str, str] = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(math.ceil(self.retry_after))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return Response(
            self.body(), status_code=self.status, headers=headers, media_type="application/json"
        )


def logged(error: BaseException) -> str:
    """An error for the log: what kind it is, and the lines that it came through.

    Its own words stay out of it: they may hold whatever was asked for, or a store's URL. Only the
    code that the system or a database has for it is told; and what is ours to tell whoever
    configured this.
    """
    if isinstance(error, ConfigurationError):
        return f"{error} ({whence(error)})"
    known: object = getattr(error, "orig", None) or error  # SQLAlchemy's errors hold the driver's
    names = ("sqlite_errorname", "sqlstate", "strerror")
    code = next((code for name in names if (code := getattr(known, name, None))), None)
    return whence(error) if code is None else f"{code}: {whence(error)}"
