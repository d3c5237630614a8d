"""Whose a container is: a label that says which process made it, so that orphans can be told.

Containers end by themselves when their provider does; the sweep at boot is for those that could
not, such as ones created and never started. A container of another machine is never swept.
"""

from __future__ import annotations

import os
import platform
import secrets
import sys
from pathlib import Path
from typing import Any

from .docker_flags import OWNER_LABEL
from .engine import Client

_HIDDEN = "?"
"""When a process began of which only is known that it is there: never an orphan's."""


def new_owner() -> str:
    """A label for the containers of one backend of this process."""
    return f"{_here()}/{os.getpid()}/{_began(os.getpid())}/{secrets.token_hex(4)}"


def is_orphan(owner: str) -> bool:
    """Whether the process that made a container was on this machine, and is not there any more."""
    here, _, rest = owner.rpartition("/")[0].partition("/")
    number, _, began = rest.partition("/")
    if here != _here() or not number.isdigit():
        return False
    return _began(int(number)) not in (began, _HIDDEN)


def sweep(client: Client) -> int:
    """Remove the containers of processes that are gone; returns how many."""
    from docker.errors import APIError

    count = 0
    for container in sandbox_containers(client):
        if is_orphan(str(container["Labels"][OWNER_LABEL])):
            try:
                client.remove_container(str(container["Id"]), force=True, v=True)
                count += 1
            except APIError:  # on its way out already
                pass
    return count


def sandbox_containers(client: Client) -> list[dict[str, Any]]:
    """All containers of sandboxes on the engine, as it lists them; those of others too."""
    return client.containers(all=True, filters={"label": [OWNER_LABEL]})


def _here() -> str:
    """This machine since its start, and the process namespace that numbers belong to."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return platform.node().replace("/", "-") or "unknown"


def _began(process: int) -> str:
    """When a process began, so that a number used again is another's; empty if there is none."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
        return stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):  # no Linux; no such process; or /proc hides those of others
        pass
    if sys.platform == "win32":
        return _HIDDEN  # no way to ask without harm
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return _HIDDEN
