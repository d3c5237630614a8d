"""How commands are added to the parser, all in one manner.

Above: the parsers. Not here: any option of one command; options that several share are in `shared`.
"""

import argparse
from collections.abc import Callable
from typing import Any, Final

STYLE: Final[dict[str, Any]] = {
    "formatter_class": argparse.RawDescriptionHelpFormatter,  # epilogs stay as written
    "allow_abbrev": False,  # scripts must not break when an option is added
}


def add_command(
    commands: Any,
    name: str,
    *,
    brief: str,
    epilog: str,
    make: Callable[[argparse.Namespace], Any],
) -> argparse.ArgumentParser:
    """The parser of a new command.

    Args:
        commands: What it is added to (from `add_subparsers`).
        name: Its name.
        brief: One line for the list of commands.
        epilog: Examples and notes for its own help.
        make: Makes its options from what was given.
    """
    parser = _added(commands, name, brief, epilog)
    # SUPPRESS: a subcommand's default must not undo `antiphon --debug <command>`.
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    parser.set_defaults(make=make)
    return parser


def add_family(commands: Any, name: str, *, brief: str, epilog: str) -> Any:
    """A command that has commands itself, such as `antiphon files`; add them to what this gives."""
    parser = _added(commands, name, brief, epilog)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _added(commands: Any, name: str, brief: str, epilog: str) -> argparse.ArgumentParser:
    about = f"{brief[:1].upper()}{brief[1:]}."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=brief, description=about, epilog=epilog, **STYLE
    )
    return parser
