"""A Rust gateway to look up to, where it is installed: `agentic-server` of agentic-api.

Above: `relay`. It asks one upstream only, so each case has a gateway of its own; its CPU is read
from /proc, so this is for Linux. Not here: what is measured.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def found() -> str | None:
    """The program, beside this Python or on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which("agentic-server", path=path) if sys.platform == "linux" else None


class Gateway:
    """One that runs.

    Attributes:
        port: Where it listens, on loopback.
    """

    def __init__(self, pid: int, port: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self.port = port

    def cpu(self) -> float:
        """Seconds that it has used; the kernel counts in hundredths."""
        fields = self._stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def gateway(program: str, upstream: str) -> Generator[Gateway]:
    """Run one in front of an upstream, with an empty store that is thrown away."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        where = ["--gateway-host", "127.0.0.1", "--gateway-port", str(port)]
        store = ["--db-url", f"sqlite://{home}/store.db?mode=rwc"]
        process = subprocess.Popen(
            [program, "--llm-api-base", upstream, "--skip-llm-ready-check", *where, *store],
            env={"HOME": home, "OPENAI_API_KEY": "none"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(port, process)
            yield Gateway(process.pid, port)
        finally:
            process.kill()
            process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        if process.poll() is not None:
            raise RuntimeError(f"the gateway ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the gateway did not listen within 10 seconds")
