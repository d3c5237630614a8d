"""The image of the sandboxes: built once, on first use, and named by what it is made of.

The tag is a hash of the Dockerfile, the runner and the base, so a new version of any of them is a
new image and an old one is never run by mistake. `ANTIPHON_SANDBOX_BASE` names a base to build on
where no registry can be reached.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import anyio.from_thread

from antiphon.errors import SandboxUnavailable

from .engine import Client, Engine

Progress: TypeAlias = Callable[[str], None]
"""Called on the event loop with each line of the build's log."""

logger: logging.Logger = logging.getLogger("antiphon.sandboxes")

REPOSITORY = "antiphon-sandbox"
"""The name of the images; their tags are hashes."""

_HERE = Path(__file__).parent
_PARTS = ("images/Dockerfile", "images/prepare.py")


async def build_image(
    *,
    engine: Engine | str | None = None,
    base: str | None = None,
    extra: Iterable[str] = (),
    rebuild: bool = False,
    progress: Progress | None = None,
) -> str:
    """The tag of the sandbox image; builds it if it is not there.

    Args:
        engine: An engine, its URL or the name of a docker context; None looks for one.
        base: The image to build on; None means ANTIPHON_SANDBOX_BASE, else python:3.x-slim.
        extra: More packages to install, such as `scipy`.
        rebuild: Build anew even if the image is there.
        progress: Called with each line of the build's log.

    Raises:
        SandboxUnavailable: There is no engine, the base cannot be had, or the build fails; with
            the end of the build's log.
    """
    found = engine if isinstance(engine, Engine) else Engine(engine)
    wanted = base or os.environ.get("ANTIPHON_SANDBOX_BASE") or None
    packages = sorted(extra)

    def say(line: str) -> None:
        if progress is not None:
            anyio.from_thread.run_sync(progress, line)

    def work(client: Client) -> str:
        tag = f"{REPOSITORY}:{image_fingerprint(_base_id(client, wanted, say), packages)}"
        if rebuild or not _there(client, tag):
            _build(client, tag, wanted, packages, say)
        return tag

    try:
        return await found.call(work)
    finally:
        if found is not engine:
            found.close()


async def find_image(*, engine: Engine | str | None = None, base: str | None = None) -> str | None:
    """The tag of the sandbox image if it is there; nothing is pulled or built.

    Raises:
        SandboxUnavailable: There is no engine.
    """
    found = engine if isinstance(engine, Engine) else Engine(engine)
    wanted = base or os.environ.get("ANTIPHON_SANDBOX_BASE") or None

    def work(client: Client) -> str | None:
        if wanted is not None and not _there(client, wanted):
            return None
        origin = "" if wanted is None else str(client.inspect_image(wanted)["Id"])
        tag = f"{REPOSITORY}:{image_fingerprint(origin)}"
        return tag if _there(client, tag) else None

    try:
        return await found.call(work)
    finally:
        if found is not engine:
            found.close()


def logged(line: str) -> None:
    """The progress of a build that nobody watches."""
    logger.info("%s", line)


def image_fingerprint(base: str, extra: Iterable[str] = ()) -> str:
    """What stands in the tag: a hash of everything the image is made of."""
    digest = hashlib.sha256()
    for name, data in [*_files(), ("base", base.encode()), ("extra", " ".join(extra).encode())]:
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]


def _files() -> Iterator[tuple[str, bytes]]:
    """What goes into the build, by the name it has there."""
    for part in _PARTS:
        yield Path(part).name, (_HERE / part).read_bytes()
    for path in sorted((_HERE / "runner").glob("*.py")):
        yield f"runner/{path.name}", path.read_bytes()


def _context() -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in _files():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    return packed


def _base_id(client: Client, base: str | None, say: Progress) -> str:
    """What the base is; the default one is pinned by the Dockerfile itself."""
    if base is None:
        return ""
    if not _there(client, base):
        from docker.errors import APIError

        try:
            failure = ""
            for step in client.pull(base, stream=True, decode=True):
                failure = failure or str(step.get("error", ""))
                say(f"{step.get('id', '')} {step.get('status', '')}".strip())
        except APIError as error:
            raise SandboxUnavailable(_no_base(base, str(error.explanation))) from error
        if failure:
            raise SandboxUnavailable(_no_base(base, failure))
    return str(client.inspect_image(base)["Id"])


def _no_base(base: str, reason: str) -> str:
    return (
        f"The base image {base!r} is not here and cannot be pulled: {reason}. Load it into the "
        "engine, or name another in ANTIPHON_SANDBOX_BASE."
    )


def _there(client: Client, name: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.inspect_image(name)
    except ImageNotFound:
        return False
    return True


def _build(client: Client, tag: str, base: str | None, extra: list[str], say: Progress) -> None:
    arguments = {"EXTRA": " ".join(extra)}
    if base is not None:
        arguments["BASE"] = base
    steps = client.build(
        fileobj=_context(),
        custom_context=True,
        tag=tag,
        buildargs=arguments,
        labels={"antiphon.image": "sandbox"},
        decode=True,
        rm=True,
        forcerm=True,
    )
    log: list[str] = []
    failure = ""
    for step in steps:  # to its end, whatever it says: else its connection stays open
        for line in str(step.get("stream") or step.get("status") or "").splitlines():
            if line.strip():
                log = [*log[-20:], line]
                say(line)
        failure = failure or str(step.get("error", ""))
    if failure:
        tail = "\n".join(log)
        raise SandboxUnavailable(
            f"The sandbox image cannot be built: {failure}\n{tail}\nWhere no registry can be "
            "reached, name a base that has the packages in ANTIPHON_SANDBOX_BASE."
        )
