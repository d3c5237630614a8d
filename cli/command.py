"""How each family of commands is added to the parser, all in one manner.

Above: the parsers of the families. Below: `parser`, which passes the function in. Not here: any
options.
"""

import argparse
from collections.abc import Callable
from typing import Any, Protocol


class Command(Protocol):
    """Adds a command in the manner of all others."""

    def __call__(
        self,
        commands: Any,
        name: str,
        *,
        brief: str,
        epilog: str,
        make: Callable[[argparse.Namespace], Any],
    ) -> argparse.ArgumentParser:
        """The parser of the new command.

        Args:
            commands: What it is added to (of `add_subparsers`).
            name: Its name.
            brief: One line for the list of commands.
            epilog: Examples and notes, for its own help.
            make: Its options, of what was given.
        """
        ...
