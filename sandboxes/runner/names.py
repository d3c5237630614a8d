"""What a file in a sandbox may be called. Both ends check, each by itself."""

from __future__ import annotations

import os

PARTIAL = ".antiphon-put-"
"""How a file is called while it is being put; never listed."""


def plain(name: str) -> str:
    """The last component of `name`, whichever slash it uses.

    Raises: ValueError if nothing usable is left, with the reason.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    if last in ("", ".", ".."):
        raise ValueError(f"expected a file name, got {name[:100]!r}")
    if any(ord(c) < 32 or c == "\x7f" for c in last):
        raise ValueError(f"no control characters may be in {last[:100]!r}")
    if os.name == "nt" and ":" in last:  # a drive, or a stream of another file
        raise ValueError(f"no colon may be in {last[:100]!r}")
    if last.startswith(PARTIAL):
        raise ValueError(f"file names may not start with {PARTIAL}")
    try:
        size = len(last.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError(f"a file name must be valid Unicode: {last[:100]!r}") from None
    if size > 200:
        raise ValueError(f"a file name may have 200 bytes, this one has {size}")
    return last
