"""With what flags a container is made: what stands between the code in it and the host.

Source: the Docker Engine API, "Create a container".
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .engine import Client

_USERS = range(1_900_000_000, 2_000_000_000)
_MAPPED_USERS = range(10_000, 60_000)
RUNNER = ["python3", "-I", "-X", "utf8", "/opt/antiphon/runner"]
"""The command that starts a part of the runner in a container."""
MOUNT = "/run/antiphon"
"""Where the folder with the host's socket is seen."""

OWNER_LABEL = "antiphon.owner"
"""The label of every container: who made it, see `docker_owner.py`."""

_SECCOMP = Path(__file__).parent / "images" / "seccomp.json"
_MIB = 2**20


def new_user(info: dict[str, Any]) -> int:
    """A user for one container, by what its engine says of itself (`docker info`).

    No two sandboxes are the same user: the kernel counts signals, pipes, watches and more for each
    user, and one sandbox would use up what another needs. The numbers belong to nobody: above all
    that systems give out, or inside the range that a rootless engine maps away from the host.
    """
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    mapped = any(name in option for option in options for name in ("rootless", "userns"))
    return secrets.choice(_MAPPED_USERS if mapped else _USERS)


@dataclass(frozen=True, slots=True)
class Flags:
    """What may be chosen; sizes in bytes."""

    cpus: float = 1.0
    pids: int = 128
    disk_size: int = 512 * _MIB
    disk_files: int = 65_536
    tmp_size: int = 64 * _MIB
    runtime: str | None = None
    labels: dict[str, str] = field(default_factory=dict[str, str])

    def container(
        self, client: Client, *, image: str, user: int, memory: int, folder: Path | None
    ) -> dict[str, Any]:
        """The arguments of `create_container`; `folder` is the socket's, None means a stream."""
        return {
            "image": image,
            "entrypoint": RUNNER,
            "command": ["--zygote", "-" if folder is None else f"{MOUNT}/socket"],
            "user": f"{user}:{user}",
            "working_dir": "/mnt/data",
            "hostname": "sandbox",
            "network_disabled": True,
            "environment": self._environment(),
            "labels": self.labels,
            "stdin_open": folder is None,
            "stop_signal": "SIGKILL",  # PID 1 takes no other from anybody
            "host_config": self._host(client, user=user, memory=memory, folder=folder),
        }

    def _environment(self) -> dict[str, str]:
        # Numerical libraries count the host's processors, and start as many threads.
        threads = str(max(1, int(self.cpus)))
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        # Nobody is listed under the container's number; Python asks here for a name first.
        return dict.fromkeys(names, threads) | {"USER": "sandbox"}

    def _host(
        self, client: Client, *, user: int, memory: int, folder: Path | None
    ) -> dict[str, Any]:
        from docker.types import Mount, Ulimit

        # Without the profile nothing may start: it is read, never looked for.
        security = ["no-new-privileges:true", f"seccomp={_SECCOMP.read_text('utf-8')}"]
        mounts: list[Any] = []
        if folder is not None:
            mounts = [Mount(target=MOUNT, source=str(folder), type="bind", read_only=True)]
        options: dict[str, Any] = {
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": security,
            "pids_limit": self.pids,
            "mem_limit": memory,
            "memswap_limit": memory,
            "nano_cpus": int(self.cpus * 1e9),
            "ipc_mode": "none",
            "init": False,
            "auto_remove": True,
            "log_config": {"Type": "none", "Config": {}},
            "ulimits": [
                Ulimit(name="nofile", soft=4096, hard=4096),
                Ulimit(name="core", soft=0, hard=0),
            ],
            "tmpfs": self._folders(user),
            "mounts": mounts,
        }
        if self.runtime is not None:
            options["runtime"] = self.runtime
        return client.create_host_config(**options)

    def _folders(self, user: int) -> dict[str, str]:
        """What can be written: in memory, bounded in bytes and in files."""
        files = f"nr_inodes={self.disk_files}"
        return {
            "/mnt/data": f"size={self.disk_size},{files},mode=0700,uid={user},gid={user}",
            "/tmp": f"size={self.tmp_size},nr_inodes=16384,mode=1777",
            # Locks of multiprocessing live here; the stock one is not bounded in files.
            "/dev/shm": f"size={64 * _MIB},nr_inodes=4096,mode=1777",
            # In place of the terminals: all containers of a machine share their number.
            "/dev/pts": "size=4k,nr_inodes=1,mode=0555",
        }
