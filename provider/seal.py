"""`Seal`: bytes that a client carries for us, and can neither read, change nor lend.

Authenticated encryption (AES-256-SIV, RFC 5297) under keys of the provider's own. What is sealed
is bound to whose it is and what it is for: another's, or one moved to another place, opens no
more than a forged one. SIV is deterministic: the same item is shown in the same words in a
stream's event, in its terminal response and in a later GET, so that a view stays a projection.

Above: `sealing`, which knows items. Below: the `cryptography` package, imported on first use.
"""

import base64
import binascii
import hashlib
import secrets
import zlib
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from antiphon.errors import ConfigurationError, RequestError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

PREFIX: Final = "antiphon.v1."
"""With what a sealed text begins; whatever does not is somebody else's."""

MAX_PLAIN: Final = 16 * 1024 * 1024
"""Bytes that one sealed text may hold."""

MAX_SEALED: Final = 10_485_760
"""Characters that a sealed text may have: the schema's bound of `encrypted_content`."""

MIN_KEY: Final = 32
"""Characters that a key must have at least."""

Purpose: TypeAlias = Literal["reasoning", "compaction", "approval"]
"""What is sealed; one is never taken for the other."""

_CURE: Final = "install it with: pip install 'antiphon[server]'"


class Seal:
    """Seals and opens.

    Args:
        keys: Secrets of at least 32 characters, as a list or as one text with commas between:
            the first seals, all of them open. So a new key is put in front, and an old one is
            taken out when nothing that it sealed is needed any longer. None makes a key at
            random: what it seals is lost with this process.

    Attributes:
        available: Whether anything can be sealed: the `cryptography` package is here.
        lasting: Whether what is sealed can be opened after a restart, and by other processes
            that have the same keys.

    Raises:
        ConfigurationError: A key is too short, there is none in what was given, or keys were
            given and the `cryptography` package is missing.
    """

    def __init__(self, keys: str | Sequence[str] | None = None) -> None:
        self.available: bool = find_spec("cryptography") is not None
        self.lasting: bool = keys is not None
        given = [secrets.token_urlsafe(64)] if keys is None else _checked(keys)
        self._secrets = [_derived(key) for key in given]
        self._ciphers: list[AESSIV] = []
        if self.lasting:
            self.check()

    def __repr__(self) -> str:
        return f"<Seal with {len(self._secrets)} keys>"

    def check(self) -> None:
        """Make sure that anything can be sealed.

        Raises:
            ConfigurationError: The `cryptography` package is missing.
        """
        if not self.available:
            raise ConfigurationError(
                "sealed items (compaction, encrypted reasoning) need the package cryptography, "
                f"which is missing: {_CURE}"
            )

    def seal(self, data: bytes, *, principal: str, purpose: Purpose) -> str:
        """Seal bytes; the same in, the same out.

        Args:
            data: At most `MAX_PLAIN` bytes.
            principal: Whose it is; nobody else can bring it back.
            purpose: What it is for.

        Raises:
            ConfigurationError: The `cryptography` package is missing.
            ValueError: It is too large.
        """
        if len(data) > MAX_PLAIN:
            raise ValueError(f"expected at most {MAX_PLAIN:,} bytes to seal, got {len(data):,}")
        cipher = self._loaded()[0]
        sealed = cipher.encrypt(zlib.compress(data), _bound(principal, purpose))
        text = PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        if len(text) > MAX_SEALED:
            raise ValueError(
                f"expected at most {MAX_SEALED:,} characters when sealed, got {len(text):,}"
            )
        return text

    def open(
        self,
        sealed: str,
        *,
        principal: str,
        purpose: Purpose,
        param: str = "encrypted_content",
    ) -> bytes:
        """The bytes that were sealed.

        Args:
            sealed: What `seal` gave.
            principal: Who brings it.
            purpose: Where it stands.
            param: Its place in the request, for the error.

        Raises:
            RequestError: 400 `invalid_encrypted_content`; it was changed, is another's or for
                something else, or its key is not here. Which of these is not told.
        """
        data = None
        if self.available and len(sealed) <= MAX_SEALED:
            data = self._opened(_decoded(sealed), _bound(principal, purpose))
        if data is None:
            raise unsealed(param, purpose)
        return data

    def _opened(self, sealed: bytes | None, bound: list[bytes]) -> bytes | None:
        from cryptography.exceptions import InvalidTag

        if sealed is None:
            return None
        for cipher in self._loaded():
            try:
                return _inflated(cipher.decrypt(sealed, bound))
            except InvalidTag:
                continue
        return None

    def _loaded(self) -> "list[AESSIV]":
        if not self._ciphers:
            self.check()
            from cryptography.hazmat.primitives.ciphers.aead import AESSIV

            self._ciphers = [AESSIV(secret) for secret in self._secrets]
        return self._ciphers


def unsealed(param: str, purpose: Purpose) -> RequestError:
    """What a request is told whose item was not sealed here, for its sender and for its place."""
    return RequestError(
        f"{param}: expected what this provider sealed for you as {purpose}, got something that it "
        "did not, that was changed, or whose key is gone: send it as it was given to you, or "
        "leave the item out",
        param=param,
        code="invalid_encrypted_content",
    )


def _checked(keys: str | Sequence[str]) -> list[str]:
    given = keys.split(",") if isinstance(keys, str) else list(keys)
    found = [key.strip() for key in given]
    if not found or any(len(key) < MIN_KEY for key in found):
        got = f"one of {min(len(key) for key in found)}" if found else "none"
        raise ConfigurationError(
            f"seal_keys: expected secrets of at least {MIN_KEY} characters, got {got}: make one "
            'with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    return found


def _derived(key: str) -> bytes:
    """The cipher's own 64 bytes, so that a key may be any text and is kept nowhere."""
    return hashlib.blake2b(key.encode(), digest_size=64, person=b"antiphon seal v1").digest()


def _bound(principal: str, purpose: Purpose) -> list[bytes]:
    """What is authenticated beside the text, each for itself."""
    return [PREFIX.encode(), purpose.encode(), principal.encode()]


def _decoded(sealed: str) -> bytes | None:
    """The bytes of a sealed text. Only the very text that was made: base64 has others for it."""
    text = sealed.removeprefix(PREFIX)
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    again = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    return data if data and sealed == PREFIX + again else None


def _inflated(data: bytes) -> bytes | None:
    """What was compressed; None where it is more than was ever sealed (a key may leak)."""
    found = zlib.decompressobj().decompress(data, MAX_PLAIN + 1)
    return found if len(found) <= MAX_PLAIN else None
