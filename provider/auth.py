"""Who is asking: a principal for every request, from the first one on.

Everything stored or bound (responses, containers) belongs to a principal. With API keys each
key names one; without, the Provider serves this machine alone, as the principal `local`.
Below: `access`, which notes who it was. Not here: where keys are read from (`keys`).
"""

import hmac
import inspect
import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import Scope

from antiphon.errors import ConfigurationError, RequestError

from .access import note

LOCAL = "local"
"""The principal of a Provider without API keys."""

KeyLookup: TypeAlias = Callable[[str], str | None] | Callable[[str], Awaitable[str | None]]
"""Key -> principal, or None for a key that is none; a plain function runs in a thread."""

LOOKUP_SECONDS: Final = 10.0
"""How long a lookup may take; longer, and nobody is let in."""

_LONGEST: Final = 4096  # characters of a key
_LOOKUPS: Final = 40  # in threads at the same time

log: logging.Logger = logging.getLogger("antiphon.provider")


class Keys:
    """API keys and whose they are.

    Args:
        api_keys: Key -> principal, kept as keyed digests only, so that no dump shows a key and
            no answer's time tells of one. Or a function that looks a key up; it is asked at
            every request, and nothing that it says is kept.

    Raises:
        ConfigurationError: A key or a principal is empty.
    """

    def __init__(self, api_keys: Mapping[str, str] | KeyLookup | None = None) -> None:
        self._secret = secrets.token_bytes(32)
        self._lookup: Callable[[str], Any] | None = None
        self._threads = anyio.CapacityLimiter(_LOOKUPS)
        self._principals: dict[bytes, str] = {}
        if api_keys is None:
            return
        if isinstance(api_keys, Mapping):
            given = cast("Mapping[object, object]", api_keys)
            for key, principal in given.items():
                if not (isinstance(key, str) and key and isinstance(principal, str) and principal):
                    raise ConfigurationError(
                        'api_keys: expected {"key": "principal"}, got one that is empty or no '
                        "text: name both"
                    )
                self._principals[self._digest(key)] = principal
        elif callable(api_keys):
            self._lookup = api_keys
        else:
            raise ConfigurationError(
                'api_keys: expected {"key": "principal"} or a function of a key, got '
                f"{type(api_keys).__name__}: keys_from_file reads a file"
            )

    @property
    def open(self) -> bool:
        """Whether there are no keys, so that only this machine is served."""
        return not self._principals and self._lookup is None

    async def principal(self, scope: Scope) -> str:
        """Whose request this is.

        Raises:
            RequestError: 401 for a missing or wrong key, 403 for a stranger without keys here,
                503 when keys cannot be looked up.
        """
        headers = Headers(scope=scope)
        if self.open:
            _only_local(scope, headers)
            principal = LOCAL
        else:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            key = key.strip()
            known = None
            if scheme.lower() == "bearer" and 0 < len(key) <= _LONGEST:
                known = await self._known(key)
            if known is None:
                raise RequestError(
                    "expected a known API key in the header `Authorization: Bearer <key>`",
                    status=401,
                    code="invalid_api_key",
                    type="authentication_error",
                )
            principal = known
        note(principal=principal)
        return principal

    async def _known(self, key: str) -> str | None:
        if self._lookup is None:
            # The digest is keyed anew in every process: how long finding it takes says nothing.
            return self._principals.get(self._digest(key))
        try:
            with anyio.fail_after(LOOKUP_SECONDS):
                principal = await self._asked(self._lookup, key)
        except Exception as error:  # its words may hold the key: they go nowhere
            log.error("api_keys: the lookup failed: %s%s", type(error).__name__, _where(error))
            raise _unavailable() from None
        if principal is None:
            return None
        if not isinstance(principal, str) or not principal:
            log.error("api_keys: the lookup gave %s, not text or None", type(principal).__name__)
            raise _unavailable()
        return principal

    async def _asked(self, lookup: Callable[[str], Any], key: str) -> object:
        call = getattr(lookup, "__call__", None)  # noqa: B004  (an object may have an async one)
        if inspect.iscoroutinefunction(lookup) or inspect.iscoroutinefunction(call):
            return await lookup(key)
        # Threads of its own: whoever tries keys that take long stops nobody's files or tools.
        answer = await anyio.to_thread.run_sync(
            lookup, key, abandon_on_cancel=True, limiter=self._threads
        )
        return await answer if inspect.isawaitable(answer) else answer

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._secret, key.encode(errors="surrogatepass"), "sha256")


def _where(error: BaseException) -> str:
    """The line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _unavailable() -> RequestError:
    return RequestError(
        "API keys cannot be looked up at the moment: try again",
        status=503,
        code="keys_unavailable",
        type="server_error",
        retry_after=1,
    )


def _only_local(scope: Scope, headers: Headers) -> None:
    """Refuse other machines, and web pages that reach this one under a name of their own."""
    client = scope.get("client")
    if client is not None and not _loopback(client[0]):
        raise _forbidden("this provider has no API keys and serves its own machine only")
    host = headers.get("host", "localhost")
    name = host[1 : host.find("]")] if host.startswith("[") else host.rsplit(":", 1)[0]
    if not _loopback(name):
        raise _forbidden(f"this provider has no API keys and is not served as {host!r}")


def _loopback(host: str) -> bool:
    if host.lower() in ("localhost", "testclient", "testserver"):
        return True  # the last two name Starlette's in-process test client
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _forbidden(why: str) -> RequestError:
    return RequestError(
        f'{why}: ask from there by localhost, or configure api_keys={{"<key>": "<principal>"}}',
        status=403,
        code="local_only",
        type="permission_error",
    )
