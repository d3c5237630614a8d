"""Where code runs: the one place where the command line decides it.

Above: `demo`, `chat`, `serve`. Below: `antiphon.sandboxes`. A backend with isolation slots in
here, and `auto` then finds it.
"""

from typing import NamedTuple

from antiphon.errors import ConfigurationError
from antiphon.sandboxes import LocalSandboxes, Sandboxes

from .options import SandboxChoice


class Place(NamedTuple):
    """A backend, and what a person should know of it."""

    sandboxes: Sandboxes
    notice: str


def place(choice: SandboxChoice, *, own_code: bool) -> Place:
    """The backend that was asked for.

    Args:
        choice: `auto`, `local` or `docker`.
        own_code: Whether only antiphon's own script will run, never a model's code.

    Raises:
        ConfigurationError: It is not here, or it would give a model's code this machine unasked.
    """
    if choice == "docker":
        raise ConfigurationError(
            "--sandbox docker is not in this version: leave it out for the scripted demo, or say "
            "--sandbox local to run code on this machine, unprotected"
        )
    if choice == "local":
        if own_code:
            return Place(LocalSandboxes(), "the demo's own script runs in a local process")
        return Place(
            LocalSandboxes(),
            "warning: --sandbox local runs the model's code as you, on this machine, with nothing "
            "between it and your files",
        )
    if own_code:
        return Place(
            LocalSandboxes(),
            "no container engine: running the demo's own script in a local process, "
            "not a sandbox for strangers' code",
        )
    raise ConfigurationError(
        "a model's code needs a container sandbox, and this version has none: say --sandbox local "
        "to run it on this machine, unprotected"
    )
