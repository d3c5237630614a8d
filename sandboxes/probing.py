"""Runs the isolation probes in real sandboxes of a backend, and says how each went.

It is what `antiphon sandbox check` prints. Two sandboxes are opened, one to try things in and one
to look for; the host listens on its loopback address meanwhile, and holds a file with a secret.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon.errors import SandboxError, SandboxNotFound

from .containers import MEMORY_LIMITS
from .neighbours import shares
from .probe import PROBES, Finding, Probe, Verdict
from .sandbox import Finished, Output, Sandbox, Sandboxes
from .tricks import TRICKS, Tricked, run

_INSIDE = Path(__file__).parent / "probes"
_ARCHIVE = "antiphon-probes.zip"
_MEMORY = "1g"
_TIMEOUT = 120.0
_PRINCIPAL = "antiphon:check"
_COMMON = {
    "GPG_KEY",
    "HOME",
    "HOSTNAME",
    "LANG",
    "PATH",
    "PWD",
    "SHLVL",
    "TERM",
    "TMPDIR",
    "TZ",
    "_",
}
"""Environment variables that images and shells set themselves; others come from the host."""
_DEADLY = ("limits.buffers", "limits.memory", "limits.processes")
"""Probes that held if the sandbox's interpreter, and not what they tried, is the victim."""

_NEIGHBOUR = """
import ctypes, json, os, socket, subprocess, sys
_port = PORT
try:
    _server = socket.create_server(("127.0.0.1", _port))
except OSError:  # no internet sockets in there: there is one thing less to be found
    _server = None
_abstract = socket.socket(socket.AF_UNIX)
_abstract.bind(f"\\0antiphon-{_port}")
_abstract.listen()
_name = f"antiphon-neighbour-{_port}"
for _folder in (".", "/tmp", "/dev/shm"):
    if os.access(_folder, os.W_OK):
        with open(os.path.join(_folder, _name), "w") as _file: _file.write("mine")
_segment = SEGMENT
ctypes.CDLL(None).shmget(_segment, 4096, 0o1666)
_script = "import signal; signal.alarm(600); signal.pause()"
_process = subprocess.Popen([sys.executable, "-c", _script, _name])
print(json.dumps({"port": _port, "segment": _segment}))
"""


async def probe_isolation(sandboxes: Sandboxes) -> AsyncGenerator[Finding]:
    """Try every probe of `PROBES` in a sandbox of this backend, in their order.

    A backend without isolation is no place for this: some probes get through there.

    Raises: SandboxError if no sandbox can be had at all.
    """
    first = await _opened(sandboxes, _MEMORY)
    second = await _opened(sandboxes, None)
    try:
        with _host() as facts:
            facts["neighbour"] = await _met(second)
            facts["memory"] = MEMORY_LIMITS[_MEMORY]
            inside = _Inside(first, facts)
            for probe in PROBES:
                if probe.id == "files.owner":
                    yield await _owner(sandboxes, first, probe)
                elif probe.id == "limits.shares":
                    yield await _judged(probe, shares(first, second))
                elif probe.group == "files":
                    yield await _judged(probe, TRICKS[probe.id.partition(".")[2]](first))
                else:
                    yield await inside.attempt(probe)
    finally:
        await first.aclose()
        await second.aclose()


@dataclass(slots=True)
class _Inside:
    """The sandbox that probes run in; `prepared` while it has them."""

    sandbox: Sandbox
    facts: dict[str, Any]
    prepared: bool = field(default=False, init=False)

    async def attempt(self, probe: Probe) -> Finding:
        """Run one probe, whatever becomes of the sandbox."""
        code = (
            f"import os, sys\nsys.path.insert(0, os.path.abspath({_ARCHIVE!r}))\n"
            "from antiphon_probes import kit\ndel sys.path[0]\n"
            f"kit.attempt({probe.id!r}, {json.dumps(self.facts)!r})\n"
        )
        said = ""
        try:
            if not self.prepared:
                await self.sandbox.put(_ARCHIVE, _packed())
                self.prepared = True
            async for event in self.sandbox.run(code, timeout=_TIMEOUT):
                if isinstance(event, Output) and event.stream == "stdout":
                    said += event.text
                elif isinstance(event, Finished) and event.status != "ok":
                    self.prepared = False
                    ended = f"the cell ended {event.status}: {event.error}"
                    held = event.status == "crashed" and probe.id in _DEADLY
                    return Finding(probe, "held" if held else "unclear", _line(ended))
        except SandboxError as error:
            self.prepared = False
            return Finding(probe, "unclear", _line(str(error)))
        return _read(probe, said)


def _read(probe: Probe, said: str) -> Finding:
    """The verdict that a probe printed last."""
    try:
        told: dict[str, str] = json.loads(said.strip().splitlines()[-1])
        verdicts: dict[str, Verdict] = {"held": "held", "open": "open", "unclear": "unclear"}
        if told["probe"] == probe.id:
            return Finding(probe, verdicts[told["verdict"]], _line(told["why"]))
    except (IndexError, KeyError, TypeError, ValueError):
        pass
    return Finding(probe, "unclear", _line(f"it said {said[-200:]!r}"))


async def _judged(probe: Probe, trying: Awaitable[str]) -> Finding:
    try:
        return Finding(probe, "held", _line(await trying))
    except Tricked as worked:
        return Finding(probe, "open", _line(str(worked)))
    except (SandboxError, RuntimeError) as error:
        return Finding(probe, "unclear", _line(f"{type(error).__name__}: {error}"))


async def _owner(sandboxes: Sandboxes, sandbox: Sandbox, probe: Probe) -> Finding:
    stranger = f"{_PRINCIPAL}:stranger"
    if sandboxes.owns(sandbox.id, stranger):
        return Finding(probe, "open", "the id is said to be a stranger's")
    try:
        await sandboxes.open(container_id=sandbox.id, principal=stranger)
    except SandboxNotFound as error:
        return Finding(probe, "held", _line(str(error)))
    return Finding(probe, "open", "a stranger was given the sandbox")


async def _opened(sandboxes: Sandboxes, memory_limit: str | None) -> Sandbox:
    minted = sandboxes.mint(principal=_PRINCIPAL, memory_limit=memory_limit)
    return await sandboxes.open(container_id=minted, principal=_PRINCIPAL)


async def _met(sandbox: Sandbox) -> dict[str, int]:
    """Make another sandbox one that could be found."""
    code = _NEIGHBOUR.replace("SEGMENT", str(1 + secrets.randbelow(2**31 - 2)))
    said = await run(sandbox, code.replace("PORT", str(20_000 + secrets.randbelow(10_000))))
    found: dict[str, int] = json.loads(said)
    return found


@contextmanager
def _host() -> Generator[dict[str, Any]]:
    """Things on this machine that must not be found; in the form of the probes' `Facts`."""
    secret = secrets.token_hex(16)
    with ExitStack() as stack:
        # Nobody accepts: a connection counts as soon as the kernel has made it.
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        file = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="antiphon-check-"))
        file.write(secret)
        file.flush()
        abstract = ""
        if sys.platform == "linux":
            abstract = f"antiphon-check-{secrets.token_hex(8)}"
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(f"\0{abstract}")
            listening.listen()
        yield {
            "port": server.getsockname()[1],
            "abstract": abstract,
            "file": os.path.abspath(file.name),
            "secret": secret,
            "names": [name for name in os.environ if not _common(name)],
            "process": os.getpid(),
            "users": _users(),
        }


def _users() -> list[int]:
    """The users of this machine, but those that no person and no service is."""
    if sys.platform == "win32":
        return []
    import pwd

    return [user.pw_uid for user in pwd.getpwall() if user.pw_name != "nobody"]


def _common(name: str) -> bool:
    return name in _COMMON or name.startswith(("LC_", "MPL", "PYTHON"))


def _packed() -> bytes:
    """The files of `probes/` as a package that Python can import as it is."""
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("antiphon_probes/__init__.py", "")
        for path in sorted(_INSIDE.glob("*.py")):
            archive.write(path, f"antiphon_probes/{path.name}")
    return packed.getvalue()


def _line(text: str) -> str:
    """Text from inside as one short line."""
    plain = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in plain)[:300]
