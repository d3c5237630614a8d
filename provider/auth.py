"""Who is asking: a principal for every request, from the first one on.

Everything stored or bound (responses, containers) belongs to a principal. With API keys each
key names one; without, the Provider serves this machine alone, as the principal `local`.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import Scope

from antiphon.errors import ConfigurationError, RequestError

LOCAL = "local"
"""The principal of a Provider without API keys."""


class Keys:
    """API keys and whose they are.

    Args:
        api_keys: Key -> principal. Kept as digests only, so that no dump shows a key.

    Raises:
        ConfigurationError: A key or a principal is empty.
    """

    def __init__(self, api_keys: Mapping[str, str] | None = None) -> None:
        given = dict(api_keys or {})
        if not all(given) or not all(given.values()):
            raise ConfigurationError(
                'api_keys: expected {"key": "principal"}, got an empty key or principal: name both'
            )
        self._principals = {_digest(key): principal for key, principal in given.items()}

    @property
    def open(self) -> bool:
        """Whether there are no keys, so that only this machine is served."""
        return not self._principals

    def principal(self, scope: Scope) -> str:
        """Whose request this is.

        Raises:
            RequestError: 401 for a missing or wrong key, 403 for a stranger without keys here.
        """
        headers = Headers(scope=scope)
        if self.open:
            _only_local(scope, headers)
            return LOCAL
        scheme, _, key = headers.get("authorization", "").partition(" ")
        digest = _digest(key.strip())
        for known, principal in self._principals.items():
            if scheme.lower() == "bearer" and hmac.compare_digest(known, digest):
                return principal
        raise RequestError(
            "expected a known API key in the header `Authorization: Bearer <key>`",
            status=401,
            code="invalid_api_key",
            type="authentication_error",
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


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
