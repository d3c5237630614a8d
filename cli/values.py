"""Values of options: text from the command line, read and checked.

Above: the parsers; argparse adds the option's name to these errors. Not here: any option.
"""

import argparse
from collections.abc import Callable
from typing import Final, TypeVar

N = TypeVar("N", int, float)

_DAY: Final = 86_400.0


def port(text: str) -> int:
    """A port to listen on; 0 takes a free one."""
    return _number(int, text, "a port from 0 to 65535", lambda number: 0 <= number <= 65535)


def count(text: str) -> int:
    """A whole number from 1."""
    return _number(int, text, "a whole number from 1", lambda number: number >= 1)


def seconds(text: str) -> float:
    """A duration that may be 0."""
    return _number(
        float, text, "seconds from 0 to less than a day", lambda number: 0 <= number < _DAY
    )


def timeout(text: str) -> float:
    """A duration above 0."""
    return _number(
        float, text, "seconds above 0, less than a day", lambda number: 0 < number < _DAY
    )


def megabytes(text: str) -> int:
    """A size, in bytes."""
    fits = _number(float, text, "megabytes above 0", lambda number: 0 < number <= 1_000_000)
    return int(fits * 1024 * 1024)


def results(text: str) -> int:
    """How many results a search may give."""
    return _number(int, text, "a whole number from 1 to 50", lambda number: 1 <= number <= 50)


def url(text: str) -> str:
    """The address of a server."""
    if not text.lower().startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(
            f"expected a URL such as http://localhost:8000/v1, got {text!r}: "
            "begin it with http:// or https://"
        )
    return text


def _number(kind: type[N], text: str, expected: str, fits: Callable[[N], bool]) -> N:
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not fits(number):  # NaN fits nowhere
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number
