"""Which files a folder has for whoever gives a folder: nothing hidden, and nothing from elsewhere.

Above: `tools.FileSearch`, and the command that adds folders. Not here: reading them.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath


def walk(
    folder: Path,
    passed: Counter[str] | None = None,
    *,
    excluded: Callable[[PurePath], bool] = lambda _: False,
) -> Iterator[tuple[PurePath, Path]]:
    """Each entry that is no folder, by its path in the folder, in their order.

    Of symbolic links only those to files of the same folder are followed, which are not hidden.

    Args:
        folder: Where to begin.
        passed: Counts what is passed over, by why; a folder counts as one.
        excluded: Whether what has this path in the folder is passed over.
    """
    counted: Counter[str] = Counter() if passed is None else passed
    yield from _walk(folder.resolve(), PurePath(), counted, excluded)


def _walk(
    top: Path, inside: PurePath, passed: Counter[str], excluded: Callable[[PurePath], bool]
) -> Iterator[tuple[PurePath, Path]]:
    try:
        entries = sorted(os.scandir(top / inside), key=lambda each: each.name)
    except OSError:
        passed["unreadable"] += 1
        return
    for entry in entries:
        path, place = Path(entry.path), inside / entry.name
        if entry.name.startswith("."):
            passed["hidden"] += 1
        elif excluded(place):
            passed["excluded"] += 1
        elif entry.is_symlink():
            if _leads_inside(path, top):
                yield place, path
            else:
                passed["links"] += 1
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(top, place, passed, excluded)
        else:
            yield place, path


def _leads_inside(link: Path, top: Path) -> bool:
    """Whether a link leads to a file of the same folder that is not hidden. What is in linked
    folders stands in the tree anyway, or should not be in it.
    """
    try:
        real = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    if not real.is_relative_to(top) or not real.is_file():
        return False
    return not any(part.startswith(".") for part in real.relative_to(top).parts)
