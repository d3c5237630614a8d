"""An engine of the tests' own, to be stopped and started: never the one that others use."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from .docker_kit import skip

# Apart from this machine's network too: `--bridge none` removes the docker0 that it finds.
_APART = ["unshare", "--net", "--mount", "--propagation", "private"]


class Daemon:
    """A private dockerd, with its own images, containers and containerd, and without networks.

    It sees an empty folder where `hidden` is, as an engine on another machine would.
    """

    def __init__(self, root: Path) -> None:
        self.url = f"unix://{root}/socket"
        self.hidden = root / "hidden"
        self.hidden.mkdir()
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = (root / "log").open("ab")

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        path = self._root / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(path))
            told.settimeout(60)
            self._process = subprocess.Popen(
                [*_APART, "sh", "-c", self._command()],
                env={**os.environ, "NOTIFY_SOCKET": str(path)},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
            while b"READY=1" not in told.recv(4096):
                pass

    def stop(self) -> None:
        """Stop it, and its containers with it; wait until it has ended."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(60)

    def load(self, image: str) -> None:
        """Copy an image from the engine that all use."""
        from docker import APIClient

        with tempfile.TemporaryFile() as file:
            ours = cast(Any, APIClient())
            for chunk in ours.get_image(image):
                file.write(chunk)
            ours.close()
            file.seek(0)
            theirs = cast(Any, APIClient(base_url=self.url))
            for _ in theirs.load_image(file):
                pass
            theirs.close()

    def close(self) -> None:
        """Stop it and let go of its log."""
        self.stop()
        self._log.close()

    def _command(self) -> str:
        root = self._root
        return (
            f"mount -t tmpfs none {self.hidden} && exec dockerd --host {self.url} "
            f"--data-root {root}/data --exec-root {root}/exec --pidfile {root}/pid "
            "--bridge none --iptables=false"
        )


@contextmanager
def private_daemon(image: str) -> Generator[Daemon]:
    """A private engine that has an image; skips where none can be made."""
    if shutil.which("dockerd") is None or shutil.which("unshare") is None or os.getuid() != 0:
        skip("a private engine needs dockerd, unshare and root")
    # Short: it holds sockets, and their paths are bounded.
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    daemon = Daemon(root)
    try:
        daemon.start()
        daemon.load(image)
        yield daemon
    finally:
        daemon.close()
        shutil.rmtree(root, ignore_errors=True)
