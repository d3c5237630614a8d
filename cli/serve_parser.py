"""How `antiphon serve` is operated: its options beside what is served and where.

Above: `parser`. Not here: any import that takes time.
"""

import argparse
from typing import Any, Protocol


class Arguments(Protocol):
    """Where options are added: a parser, or a group of one."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Another option."""
        ...


def add_operations(parser: Arguments, upstream: Arguments) -> None:
    """Add the options.

    Args:
        parser: That of the command.
        upstream: The group of those that belong to --upstream.
    """
    parser.add_argument(
        "--drain",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long answers under way may take to end when the server is stopped (default: 30)",
    )
    parser.add_argument(
        "--log", choices=("json", "text"), help="log every request to standard error"
    )
    upstream.add_argument(
        "--keys", metavar="FILE", help="a file of keys, with a line KEY:NAME each"
    )
    upstream.add_argument(
        "--store",
        metavar="URL",
        help="where responses are kept: sqlite+aiosqlite:///PATH, postgresql://USER@HOST/NAME, or "
        "memory:// (the newest, until the server ends); default: sqlite+aiosqlite:///antiphon.db",
    )
    upstream.add_argument(
        "--index",
        metavar="FILE",
        help="where vector stores are kept, for file_search (default: none, it is not offered)",
    )
    upstream.add_argument(
        "--rate", type=_count, metavar="N", help="requests a minute that each caller may make"
    )
    upstream.add_argument(
        "--at-once",
        type=_count,
        metavar="N",
        help="responses that each caller may have in the making at the same time",
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < 86_400:
        raise argparse.ArgumentTypeError(f"expected seconds from 0, got {text}")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return number
