"""Others that run Python code: ipykernel, llm-sandbox, `docker run` and `docker exec`.

`python sandbox_peers.py NAME IMAGE` is one of them in a process of its own; IMAGE has Python and
needs nothing else. It answers two questions with seconds: `cold`, from nothing to the end of the
first cell, and `warm`, cells of a line each in one that is there; `close` ends what it holds.
Above: `sandbox`.
"""

import importlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

CELL = "print(1)"
Run: TypeAlias = Callable[[], str]
"""Runs a cell and returns what it printed."""

Opened: TypeAlias = Callable[[], AbstractContextManager[Run]]
"""Makes a place where cells run."""


def ipykernel() -> Opened:
    """A kernel as a process on this machine, without any isolation; over its five sockets."""
    manager: Any = importlib.import_module("jupyter_client.manager")
    importlib.import_module("ipykernel")

    @contextmanager
    def opened() -> Generator[Run]:
        kernel, client = manager.start_new_kernel()

        def run() -> str:
            said: list[str] = []

            def hear(message: Any) -> None:
                if message["msg_type"] == "stream":
                    said.append(message["content"]["text"])

            client.execute_interactive(CELL, output_hook=hear, timeout=30)
            return "".join(said)

        try:
            yield run
        finally:
            client.stop_channels()
            kernel.shutdown_kernel(now=True)

    return opened


def llm_sandbox(image: str) -> Opened:
    """llm-sandbox on Docker, without installing anything into the container."""
    library: Any = importlib.import_module("llm_sandbox")
    container = {
        "user": "root",
        "entrypoint": "",
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "stop_signal": "SIGKILL",
        "network_mode": "none",
    }

    @contextmanager
    def opened() -> Generator[Run]:
        with library.SandboxSession(
            lang="python",
            image=image,
            keep_template=True,
            skip_environment_setup=True,
            runtime_configs=container,
        ) as session:
            yield lambda: session.run(CELL).stdout

    return opened


def docker_run(image: str) -> Opened:
    """`docker run --rm` for every cell."""

    @contextmanager
    def opened() -> Generator[Run]:
        yield lambda: _docker("run", "--rm", "--entrypoint", "python3", image, "-c", CELL)

    return opened


def docker_exec(image: str) -> Opened:
    """`docker exec` of a new Python in a container that is there."""

    @contextmanager
    def opened() -> Generator[Run]:
        name = f"antiphon-bench-{secrets.token_hex(4)}"
        forever = ("-c", "import signal; signal.pause()")
        start = ("run", "--rm", "--detach", "--name", name, "--entrypoint", "python3", image)
        _docker(*start, *forever)
        try:
            yield lambda: _docker("exec", name, "python3", "-c", CELL)
        finally:
            _docker("rm", "--force", name)

    return opened


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def _find(name: str, image: str) -> Opened:
    if name == "ipykernel":
        return ipykernel()
    return {"llm-sandbox": llm_sandbox, "run": docker_run, "exec": docker_exec}[name](image)


class Peer:
    """A place to run cells, opened when it is first needed."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._held: AbstractContextManager[Run] | None = None
        self._run: Run | None = None

    def cold(self) -> float:
        """Seconds from nothing to the end of the first cell."""
        began = time.perf_counter()
        with self._opened() as run:
            _checked(run)
            return time.perf_counter() - began

    def warm(self, times: int) -> float:
        """Seconds of one cell, out of so many."""
        if self._run is None:
            self._held = self._opened()
            self._run = self._held.__enter__()
            _checked(self._run)
        began = time.perf_counter()
        for _ in range(times):
            _checked(self._run)
        return (time.perf_counter() - began) / times

    def close(self) -> None:
        """Let go of what was opened."""
        if self._held is not None:
            self._held.__exit__(None, None, None)


def _checked(run: Run) -> None:
    if (said := run()).strip() != "1":
        raise RuntimeError(f"the cell said {said!r}")


def _main(name: str, image: str) -> None:
    try:
        peer = Peer(_find(name, image))
    except Exception as error:
        print(json.dumps({"skipped": f"{name}: {type(error).__name__}: {error}"}), flush=True)
        return
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(name, peer, json.loads(line))), flush=True)


def _answer(name: str, peer: Peer, asked: Any) -> dict[str, Any]:
    try:
        if asked == "close":
            peer.close()
            return {}
        return {"seconds": peer.cold() if asked == "cold" else peer.warm(asked["warm"])}
    except Exception as error:
        return {"skipped": f"{name}: {type(error).__name__}: {error}"}


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
