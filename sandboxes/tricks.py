"""Probes of the file channel: the host puts, gets and lists, and the code inside plays tricks.

Each is a function `async (sandbox) -> str`: it returns how the trick failed, or raises `Tricked`.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import anyio

from antiphon.errors import SandboxFileError

from .sandbox import Finished, Output, Sandbox

Trick: TypeAlias = Callable[[Sandbox], Awaitable[str]]

_PATIENCE = 20.0
_HERE = b"this is the sandbox's own"
_ROOM = 256 * 1024 * 1024


class Tricked(Exception):
    """A trick worked; says how."""


async def run(sandbox: Sandbox, code: str) -> str:
    """Run a cell and return what it printed. Raises: RuntimeError if it does not end well."""
    said = ""
    async for event in sandbox.run(code, timeout=60):
        if isinstance(event, Output) and event.stream == "stdout":
            said += event.text
        elif isinstance(event, Finished) and event.status != "ok":
            raise RuntimeError(f"the cell ended {event.status}: {(event.error or '')[-300:]}")
    return said


async def _refused(asked: Awaitable[object], what: str) -> str:
    """What must be refused, and soon."""
    try:
        with anyio.fail_after(_PATIENCE):
            got = await asked
    except SandboxFileError as error:
        return str(error)
    except TimeoutError:
        raise Tricked(f"{what}: no answer in {_PATIENCE:g} s") from None
    shown = got[:40] if isinstance(got, bytes) else got
    raise Tricked(f"{what}: it was done, {shown!r}")


async def link(sandbox: Sandbox) -> str:
    """A symbolic link to a file beyond the working directory, and one within."""
    await run(sandbox, "import os\nos.symlink('/etc/passwd', 'a-link')")
    await run(sandbox, "open('mine', 'w').close()\nos.symlink('mine', 'near')")
    await _refused(sandbox.get("near"), "a link to a file")
    return await _refused(sandbox.get("a-link"), "a link to /etc/passwd")


async def device(sandbox: Sandbox) -> str:
    """Zeros without end."""
    await run(sandbox, "import os\nos.symlink('/dev/zero', 'zero')")
    return await _refused(sandbox.get("zero"), "a link to /dev/zero")


async def pipe(sandbox: Sandbox) -> str:
    """A pipe that nobody writes to."""
    await run(sandbox, "import os\nos.mkfifo('a-pipe')")
    return await _refused(sandbox.get("a-pipe"), "a named pipe")


async def folder(sandbox: Sandbox) -> str:
    """What is neither link nor file."""
    await run(sandbox, "import os\nos.mkdir('a-folder')\nimport socket")
    await run(sandbox, "socket.socket(socket.AF_UNIX).bind('a-socket')")
    await _refused(sandbox.get("a-socket"), "a socket")
    return await _refused(sandbox.get("a-folder"), "a folder")


async def sparse(sandbox: Sandbox) -> str:
    """A file of a terabyte that takes no room."""
    before = _held()
    await run(sandbox, "import os\nwith open('vast', 'wb') as file: os.truncate('vast', 1 << 40)")
    try:
        why = await _refused(sandbox.get("vast"), "a terabyte")
    finally:
        await run(sandbox, "os.unlink('vast')")
    if _held() - before > _ROOM:
        raise Tricked(f"this process grew by {_held() - before} bytes")
    return why


async def growing(sandbox: Sandbox) -> str:
    """A file that grows while it is read."""
    limit = 4 * 1024 * 1024
    grow = """
import os, threading
_stop = threading.Event()
def _grow():
    with open('grows', 'wb', buffering=0) as file:
        while not _stop.is_set():
            if file.tell() > 64 << 20: file.truncate(0); file.seek(0)
            file.write(bytes(1 << 16))
open('grows', 'wb').close()
_thread = threading.Thread(target=_grow, daemon=True)
_thread.start()
"""
    await run(sandbox, grow)
    most = 0
    try:
        for _ in range(10):
            try:
                with anyio.fail_after(_PATIENCE):
                    most = max(most, len(await sandbox.get("grows", limit=limit)))
            except SandboxFileError:
                continue
            if most > limit:
                raise Tricked(f"{most} bytes came, {limit} were asked for")
    finally:
        await run(sandbox, "_stop.set(); _thread.join(); os.unlink('grows')")
    return f"at most {limit} bytes came, ten times"


async def swapped(sandbox: Sandbox) -> str:
    """A name that is a file and a link in turns."""
    swap = f"""
import os, threading
_stop = threading.Event()
def _swap():
    while not _stop.is_set():
        with open('mine', 'wb') as file: file.write({_HERE!r})
        os.replace('mine', 'either')
        os.symlink('/etc/passwd', 'other')
        os.replace('other', 'either')
with open('either', 'wb') as file: file.write({_HERE!r})
_thread = threading.Thread(target=_swap, daemon=True)
_thread.start()
"""
    await run(sandbox, swap)
    came = 0
    try:
        for _ in range(60):
            try:
                with anyio.fail_after(_PATIENCE):
                    got = await sandbox.get("either")
            except SandboxFileError:
                continue
            came += 1
            if got != _HERE:
                raise Tricked(f"the link was followed: {got[:40]!r}")
    finally:
        await run(sandbox, "_stop.set(); _thread.join()")
    return f"of 60 tries {came} gave the file, none the link"


async def put_path(sandbox: Sandbox) -> str:
    """Names that lead away, and name a file that nobody has."""
    name = f"antiphon-escape-{secrets.token_hex(8)}"
    here = Path(tempfile.gettempdir()) / name
    ways = [f"../../../..{here}", str(here), f"..\\..\\..\\tmp\\{name}", f"/proc/1/root/tmp/{name}"]
    for way in ways:
        await sandbox.put(way, _HERE)
    found = [str(path) for path in (here, Path.cwd() / name, Path("/", name)) if path.exists()]
    if found:
        raise Tricked(f"it was written to {found[0]} on the host")
    places = f"[p for p in ({str(here)!r}, '/tmp/{name}', '/mnt/{name}') if os.path.exists(p)]"
    said = await run(sandbox, f"import os\nprint(*{places}, os.path.exists({name!r}))")
    if said.split() != ["True"]:
        raise Tricked(f"it went elsewhere in the sandbox: {said.strip()}")
    return f"{len(ways)} names, all reduced to their last part"


async def get_path(sandbox: Sandbox) -> str:
    """Names that lead to a file that is there, but not in the working directory."""
    await run(sandbox, "import os\nfor n in ('passwd', 'hosts'):\n  assert not os.path.exists(n)")
    ways = ("../../etc/passwd", "/etc/passwd", "/proc/self/root/etc/hosts", "..\\..\\etc\\passwd")
    for way in ways:
        await _refused(sandbox.get(way), way)
    return f"{len(ways)} names, all reduced to their last part"


async def put_link(sandbox: Sandbox) -> str:
    """Links where an upload, and its unfinished part, will be."""
    plan = """
import os
with open('/tmp/victim', 'w') as file: file.write('whole')
os.symlink('/tmp/victim', 'target')
for number in range(2000): os.symlink('/tmp/victim', f'.antiphon-put-{number}')
"""
    await run(sandbox, plan)
    try:
        await sandbox.put("target", _HERE)
        how = "the link was replaced"
    except SandboxFileError as error:
        how = str(error)
    said = await run(sandbox, "print(open('/tmp/victim').read(), os.path.islink('target'))")
    clean = "for number in range(2000):\n  p = f'.antiphon-put-{number}'\n"
    await run(sandbox, clean + "  if os.path.lexists(p): os.unlink(p)")
    if said.split()[0] != "whole":
        raise Tricked("the link was written through")
    return how


async def names(sandbox: Sandbox) -> str:
    """Names that are no names."""
    odd = ("", ".", "..", "/", "a/..", "a\0b", "a\nb", "\x1b[2J", ".antiphon-put-1", "x" * 300)
    for name in odd:
        await _refused(sandbox.put(name, b""), repr(name))
        await _refused(sandbox.get(name), repr(name))
    return f"{len(odd)} names, all refused"


async def listing(sandbox: Sandbox) -> str:
    """Files whose names speak to terminals, logs and shells, and things that are no files."""
    make = """
import os
os.makedirs('deep', exist_ok=True)
for name in (b'a\\nb', b'\\x1b[2J', b'\\xff\\xfe', b'.antiphon-put-7', b'deep/below', b'a\\\\b'):
    with open(name, 'wb'): pass
"""
    await run(sandbox, make)
    found = [file.name for file in await sandbox.files()]
    bad = [name for name in found if not name.isprintable() or "/" in name or "\\" in name]
    bad += [name for name in found if name.startswith(".antiphon-put-") or name in ("deep", "zero")]
    if bad:
        raise Tricked(f"the listing has {bad[0]!r}")
    return f"{len(found)} files, plain names only"


def _held() -> int:
    """The most memory that this process ever held, in bytes."""
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


TRICKS: dict[str, Trick] = {
    "link": link,
    "device": device,
    "pipe": pipe,
    "folder": folder,
    "sparse": sparse,
    "growing": growing,
    "swapped": swapped,
    "put_path": put_path,
    "get_path": get_path,
    "put_link": put_link,
    "names": names,
    "listing": listing,
}
"""The tricks, by the name of their probe in the group `files`."""
