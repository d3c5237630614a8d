"""What can be typed after `antiphon sandbox`: its own commands, their options and their help.

Above: `parser`. Below: `options`. Not here: what they do, which is `sandbox`.
"""

import argparse
from typing import Final

from .command import Command
from .options import SandboxOptions

EPILOG: Final = """\
examples:
  antiphon sandbox build                         make the image, once; else at first use
  antiphon sandbox build --extra scipy scikit-learn
  antiphon sandbox check                         try to break out of a sandbox, in every known way
  antiphon sandbox ls                            the containers that are there
  antiphon sandbox prune                         remove those whose provider is gone

environment: DOCKER_HOST, DOCKER_CONTEXT; ANTIPHON_SANDBOX_BASE, an image to build on
"""

_CHECK: Final = """\
exit code: 1 if anything got through, or could not be tried
"""


def add_actions(parser: argparse.ArgumentParser, *, command: Command) -> None:
    """Add `build`, `check`, `ls` and `prune` to the parser of `sandbox`."""
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    build = command(
        actions,
        "build",
        brief="build the image of the sandboxes, if it is not there",
        epilog="",
        make=lambda given: SandboxOptions(
            "build",
            engine=given.engine,
            base=given.base,
            extra=tuple(given.extra),
            rebuild=given.rebuild,
        ),
    )
    build.add_argument("--base", metavar="IMAGE", help="an image with Python to build on")
    build.add_argument(
        "--extra", nargs="+", default=(), metavar="PACKAGE", help="more packages to install"
    )
    build.add_argument("--rebuild", action="store_true", help="build it even if it is there")
    check = command(
        actions,
        "check",
        brief="run code in a sandbox that tries to get out of it; nothing may get through",
        epilog=_CHECK,
        make=lambda given: SandboxOptions(
            "check", engine=given.engine, runtime=given.runtime, json=given.json
        ),
    )
    check.add_argument("--runtime", metavar="NAME", help="the engine's runtime, such as runsc")
    listing = command(
        actions,
        "ls",
        brief="list the containers of sandboxes on the engine",
        epilog="",
        make=lambda given: SandboxOptions("ls", engine=given.engine, json=given.json),
    )
    prune = command(
        actions,
        "prune",
        brief="remove the containers whose provider is gone",
        epilog="",
        make=lambda given: SandboxOptions("prune", engine=given.engine),
    )
    for each in (check, listing):
        each.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for each in (build, check, listing, prune):
        each.add_argument(
            "--engine",
            metavar="NAME",
            help="a docker context or a URL (default: one is looked for)",
        )
