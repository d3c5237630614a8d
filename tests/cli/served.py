"""`antiphon serve` as a process of its own, for tests."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

COMMAND = str(Path(sys.executable).with_name("antiphon"))


class Process:
    """A running `antiphon serve` that has said hello."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        self.hello = [process.stdout.readline() for _ in range(3)]
        found = re.search(r" at (http://\S+)$", self.hello[0])
        assert found is not None, (self.hello, process.stderr and process.stderr.read())
        self.url = found.group(1)


@contextmanager
def serve(
    *argv: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None
) -> Generator[Process]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    with subprocess.Popen(
        [COMMAND, "serve", *argv, "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**environment, **(variables or {})},
    ) as process:
        try:
            yield Process(process)
        finally:
            process.kill()


def names(url: str, key: str = "") -> list[str]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = httpx2.get(f"{url}/models", headers=headers, timeout=60).raise_for_status()
    return [each["id"] for each in answer.json()["data"]]


def gone(url: str) -> bool:
    parsed = httpx2.URL(url)
    try:
        socket.create_connection((parsed.host, parsed.port or 0), timeout=1).close()
    except OSError:
        return True
    return False
