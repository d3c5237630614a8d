"""Pictures that code has shown: out of a data URL, into a file.

Above: `demo`, `chat`. Not here: pictures behind other URLs, which are only named.
"""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

from antiphon.errors import AntiphonError, ConfigurationError

_SUFFIX = {"image/svg+xml": ".svg", "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif"}


def saver(stem: str, *, path: str | None = None, fresh: bool = False) -> Callable[[str], str]:
    """A function that saves a picture and says where it is.

    Args:
        stem: The file's name in the current directory, without its suffix; the second picture
            gets `-2`, and so on.
        path: Where the first picture goes instead.
        fresh: Never write over a file.

    The function raises ConfigurationError where the file cannot be written, and AntiphonError
    where the URL holds no picture.
    """
    number = 0

    def save(url: str) -> str:
        nonlocal number
        if not url.startswith("data:"):
            return url
        kind, data = decoded(url)
        number += 1
        target = Path(path) if path and number == 1 else _named(stem, number, kind)
        while fresh and target.exists():
            number += 1
            target = _named(stem, number, kind)
        try:
            target.write_bytes(data)
        except OSError as error:
            raise ConfigurationError(
                f"the picture cannot be written to {target}: {error.strerror or error}: "
                "go to a directory that you may write to, or name another file"
            ) from error
        return str(target)

    return save


def decoded(url: str) -> tuple[str, bytes]:
    """The media type and the bytes of a data URL (RFC 2397).

    Raises:
        AntiphonError: It is not one.
    """
    head, comma, body = url.removeprefix("data:").partition(",")
    kind, *parameters = head.split(";")
    if not comma:
        raise AntiphonError("expected a picture as a data URL; it has no comma and no data")
    raw = unquote_to_bytes(body)
    if "base64" not in parameters:
        return kind, raw
    try:
        return kind, base64.b64decode(raw, validate=True)
    except binascii.Error as error:
        raise AntiphonError(f"expected a picture in base64: {error}") from error


def _named(stem: str, number: int, kind: str) -> Path:
    count = "" if number == 1 else f"-{number}"
    return Path(f"{stem}{count}{_SUFFIX.get(kind, '.img')}")
