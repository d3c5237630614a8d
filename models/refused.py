"""What servers say when they do not answer, as `ModelError`s that may be shown to anybody.

Above: `transport` and the adapters. Not here: whether to ask again (`retry`).
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast
from urllib.parse import quote

import anyio
import httpx2
from pydantic_core import from_json

from antiphon.errors import ModelError
from antiphon.items import Clock

_WORDS: Final = 1000  # characters of an upstream's message that are passed on
_BODY: Final = 65_536  # bytes of a refusal that are read
_PATIENCE: Final = 10.0  # seconds to wait for all of it
_SCHEME: Final = re.compile(r"^(bearer|basic|token) +", re.IGNORECASE)
_TELLTALE: Final = ("auth", "key", "token", "secret", "cookie", "sig")
_CODES: Final = {
    400: "invalid_request",
    401: "authentication_error",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "request_too_large",
    422: "invalid_request",
    429: "rate_limit_exceeded",
}


def unreached(error: httpx2.HTTPError, host: str) -> ModelError:
    """The server was not reached, or was gone before it had said anything."""
    kind = type(error).__name__
    if isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout):
        return ModelError(f"{host} did not answer in time ({kind})", code="timeout")
    again = isinstance(error, httpx2.TransportError) and not isinstance(
        error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError
    )
    return ModelError(
        f"{host} could not be asked ({kind}): is it running, and is base_url right?",
        code="connection_error" if again else "bad_connection",
    )


async def refused(
    response: httpx2.Response, host: str, clean: Callable[[str], str], clock: Clock
) -> ModelError:
    """The server answered with a status that is no success; reads what it says of it."""
    body = b""
    whole = False
    with anyio.move_on_after(_PATIENCE), suppress(httpx2.HTTPError):  # the status says enough
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) >= _BODY:
                break
        else:
            whole = True
    status = response.status_code
    # Of a body that was cut nothing is shown: the cut may have split a secret.
    code, message = said(body, clean) if whole else (None, "")
    if code is None:
        code = _CODES.get(status, "server_error" if status >= 500 else "invalid_request")
    return ModelError(
        f"{host} answered {status}: {message or 'it says no more'}",
        code=code,
        status=status,
        retry_after=retry_after(response.headers, clock),
    )


def said(body: bytes, clean: Callable[[str], str]) -> tuple[str | None, str]:
    """The code and the message of an error body, in any of the shapes that servers use."""
    try:
        value: Any = from_json(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
        if text.startswith("<"):
            return None, ""  # a proxy's page helps nobody
        return None, clean(text)[:_WORDS]
    return fault(value, clean)


def fault(value: Any, clean: Callable[[str], str]) -> tuple[str | None, str]:
    """The code and the message of an error object: `{error: {...}}`, `{error: "..."}`,
    `{code, message}` or `{detail}`.

    Args:
        value: What the server sent.
        clean: Blots out secrets, before anything is cut: half a key is a secret, too.
    """
    if not isinstance(value, dict):
        return None, clean(str(value))[:_WORDS]
    fields = cast("dict[str, Any]", value)
    inner = fields.get("error")
    if isinstance(inner, dict):
        return fault(inner, clean)
    told_code: Any = fields.get("code") or fields.get("type")
    code = clean(told_code) if isinstance(told_code, str) else ""
    told = inner or fields.get("message") or fields.get("detail") or ""
    words = told if isinstance(told, str) else str(told)
    named = re.fullmatch(r"[\w.:-]{1,64}", code) is not None
    return (code if named and code != "error" else None), clean(words)[:_WORDS]


def secrets_of(url: httpx2.URL, headers: Mapping[str, str]) -> list[str]:
    """What a server is told and nobody else: the credentials in its address and in headers."""
    found = [value for name, value in headers.items() if _names_a_secret(name)]
    found += [_SCHEME.sub("", value) for value in found]
    found += [value for name, value in url.params.multi_items() if _names_a_secret(name)]
    if url.password:  # of which a header is made
        both = f"{url.username}:{url.password}"
        found += [url.password, b64encode(both.encode()).decode()]
    found += [quote(value, safe="") for value in found]
    return sorted(set(filter(None, found)), key=len, reverse=True)  # no half of one is left


def _names_a_secret(name: str) -> bool:
    return any(word in name.lower() for word in _TELLTALE)


def without(secrets: Sequence[str], text: str) -> str:
    """A text with every secret in it blotted out: some servers repeat the key they were given."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def retry_after(headers: httpx2.Headers, clock: Clock) -> float | None:
    """Seconds that a server asks us to wait (RFC 9110, 10.2.3: seconds, or a date)."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - clock()
        except ValueError:
            return None
    return max(seconds, 0.0) if seconds < float("inf") else None
