"""What can be typed after `antiphon sandbox`: its own commands, their options and their help.

Above: `parser`. Below: `options`. Not here: what they do, which is `sandbox`.
"""

from typing import Any, Final

from .command import add_command, add_family
from .options import SandboxOptions

_EPILOG: Final = """\
examples:
  antiphon sandbox build                         build the image now (otherwise: at first use)
  antiphon sandbox build --extra scipy scikit-learn
  antiphon sandbox check                         run code that tries to break out of a sandbox
  antiphon sandbox ls                            the containers that exist
  antiphon sandbox prune                         remove those whose provider is gone

environment:
  DOCKER_HOST, DOCKER_CONTEXT    which container engine is used
  ANTIPHON_SANDBOX_BASE          an image to build on, where no registry can be reached
"""

_CHECK: Final = """\
exit code: 1 if anything got out, or could not be tested
"""


def add_sandbox(commands: Any) -> None:
    """Add `sandbox` and its commands."""
    actions = add_family(
        commands,
        "sandbox",
        brief="build the image of the sandboxes, test their isolation, list or remove containers",
        epilog=_EPILOG,
    )
    build = add_command(
        actions,
        "build",
        brief="build the image of the sandboxes, if it does not exist",
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
    build.add_argument("--rebuild", action="store_true", help="build the image even if it exists")
    check = add_command(
        actions,
        "check",
        brief="run code that tries to break out of a sandbox; none of it may succeed",
        epilog=_CHECK,
        make=lambda given: SandboxOptions(
            "check", engine=given.engine, runtime=given.runtime, json=given.json
        ),
    )
    check.add_argument("--runtime", metavar="NAME", help="the engine's runtime, such as runsc")
    listing = add_command(
        actions,
        "ls",
        brief="list the containers of sandboxes",
        epilog="",
        make=lambda given: SandboxOptions("ls", engine=given.engine, json=given.json),
    )
    prune = add_command(
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
            help="a docker context or a URL (default: the engine that is found)",
        )
