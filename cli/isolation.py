"""Where code runs: the one place where the command line decides it.

Above: `demo`, `chat`, `serve`. Below: `antiphon.sandboxes`. A model's code gets a container, or
this machine if somebody says so by name; never this machine silently.
"""

import sys
from typing import NamedTuple

from antiphon.errors import ConfigurationError, SandboxUnavailable
from antiphon.sandboxes import (
    DockerSandboxes,
    LocalSandboxes,
    Sandboxes,
    build_image,
    find_image,
)

from .options import SandboxChoice


class Place(NamedTuple):
    """A backend, and what a person should know of it."""

    sandboxes: Sandboxes
    notice: str


async def place(choice: SandboxChoice, *, own_code: bool) -> Place:
    """The backend that was asked for.

    Args:
        choice: `auto`, `local` or `docker`.
        own_code: Whether only antiphon's own script will run, never a model's code.

    Raises:
        ConfigurationError: It is not to be had, or it would give a model's code this machine
            unasked.
    """
    if choice == "local":
        return Place(LocalSandboxes(), _local_notice(own_code))
    try:
        if choice == "auto" and own_code:
            image = await find_image()
        else:
            image = await build_image(progress=_tell)
    except SandboxUnavailable as error:
        if choice == "auto" and own_code:
            return Place(LocalSandboxes(), f"no container engine: {_NO_SANDBOX}")
        raise ConfigurationError(
            f"a model's code needs a container sandbox: {error} Or say --sandbox local to run "
            "the code on this machine, unprotected"
        ) from error
    if image is None:
        hint = "run `antiphon sandbox build` once to have it in a container"
        return Place(LocalSandboxes(), f"no sandbox image: {_NO_SANDBOX} ({hint})")
    return Place(DockerSandboxes(image=image), "code runs in a container without network")


def _tell(line: str) -> None:
    """A line of the image's build, for whoever waits at the terminal."""
    sys.stderr.write(f"{line}\n")


_NO_SANDBOX = "running the demo's own script in a local process, not a sandbox for strangers' code"


def _local_notice(own_code: bool) -> str:
    if own_code:
        return "the demo's own script runs in a local process"
    return (
        "warning: --sandbox local runs the model's code as you, on this machine, with nothing "
        "between it and your files"
    )
