"""What a file in a sandbox may be called. Both ends check, each by itself."""

from __future__ import annotations

PARTIAL = ".antiphon-put-"
"""How a file is called while it is being put; never listed."""


def plain(name: str) -> str:
    """The last component of `name`, whichever slash it uses.

    Raises: ValueError if nothing usable is left, with the reason.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    if last in ("", ".", ".."):
        raise ValueError("expected a file name, got %r" % name[:100])
    if any(ord(c) < 32 or c in ':\x7f' for c in last):
        raise ValueError("a file name may not hold control characters or a colon: %r" % last[:100])
    if last.startswith(PARTIAL):
        raise ValueError("file names may not start with %s" % PARTIAL)
    try:
        size = len(last.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError("a file name must be valid Unicode: %r" % last[:100]) from None
    if size > 200:
        raise ValueError("a file name may have 200 bytes, this one has %d" % size)
    return last
