"""File names: what a client calls its file, made harmless wherever it is shown or saved again.

A name is only ever shown; no path is made of it here. It is cleaned all the same, since whoever
downloads the file may save it under this name, on any system.
Sources: RFC 6266 and RFC 8187 (Content-Disposition), Microsoft's "Naming Files, Paths, and
Namespaces".
"""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

UNNAMED: Final = "upload"
"""The name of a file that has none, or none that is left after cleaning."""

MAX_NAME: Final = 255
"""Bytes of UTF-8 that a name may have: what the common file systems hold."""

_MAX_EXTENSION: Final = 32
_LONGEST: Final = 64 * 1024  # characters that are looked at
_CONTROLS: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # bidi marks are of Cf
_RESERVED: Final = re.compile(r'[<>:"|?*]')
_SEPARATOR: Final = re.compile(r"[/\\]")
_DEVICE: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])[ .]*(\.|$)",
    re.IGNORECASE,
)


def safe_name(name: str) -> str:
    """The last part of a name, without what could harm: paths, controls, devices, length.

    Cleaning a clean name changes nothing.

    Args:
        name: Any text.

    Returns:
        1 to 255 bytes of UTF-8 in normal form C, its extension kept where it had one.
    """
    bare = unicodedata.normalize("NFC", name[-_LONGEST:])
    bare = "".join(each for each in bare if unicodedata.category(each) not in _CONTROLS)
    parts = [part.strip() for part in _SEPARATOR.split(bare)]
    bare = next((part for part in reversed(parts) if part.strip(". ")), "")
    bare = unicodedata.normalize("NFC", _RESERVED.sub("_", bare))
    return _tidy(_cut(_tidy(bare))) or UNNAMED


def _tidy(name: str) -> str:
    """Without what Windows takes for no part of a name, or for a device."""
    name = name.strip().rstrip(". \u00a0")
    return f"_{name}" if _DEVICE.match(name) else name


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION:
        stem, dot, extension = name, "", ""
    room = MAX_NAME - 1 - len(f"{dot}{extension}".encode())  # one for the mark of a device
    return stem.encode()[:room].decode(errors="ignore") + dot + extension


def disposition(name: str) -> str:
    """The value of `Content-Disposition` under which a browser saves a file and never shows it."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
