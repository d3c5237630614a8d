"""Whether anything in the working directory is different since the last look.

Only so that the host need not ask for a listing after each cell: code in here may lie about it,
and then its own files are told later, or never.
"""

from __future__ import annotations

import os

MOST = 256
"""Entries that are looked at; of more nobody says that they are the same."""


class Watch:
    """Looks at one folder, and remembers what it saw."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._seen: frozenset[tuple[str, int, int, int]] | None = None

    def changed(self) -> bool:
        """Whether it differs from the last look; True where that is not known."""
        before, self._seen = self._seen, self._look()
        return before is None or before != self._seen

    def _look(self) -> frozenset[tuple[str, int, int, int]] | None:
        found: set[tuple[str, int, int, int]] = set()
        try:
            with os.scandir(self._root) as entries:
                for entry in entries:
                    if len(found) >= MOST:
                        return None
                    is_ = entry.stat(follow_symlinks=False)
                    found.add((entry.name, is_.st_ino, is_.st_size, is_.st_mtime_ns))
        except OSError:  # it changes just now, or the code has removed the folder
            return None
        return frozenset(found)
