"""Files in and out of the working directory, in chunks: regular files, no links, no folders."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import BinaryIO

from . import frames
from .names import PARTIAL, plain
from .wire import Wire

_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Files:
    """Answers the file requests of the host, on the thread that reads them."""

    def __init__(self, root: str, wire: Wire) -> None:
        self._root = root
        self._wire = wire
        self._puts: dict[int, _Put] = {}

    def handle(self, frame: frames.Frame) -> None:
        """Do what one frame asks; a failure is an answer too."""
        try:
            self._do(frame)
        except (OSError, ValueError) as error:
            self._drop(frame.id)
            reason = error.strerror if isinstance(error, OSError) else None
            text = (reason or str(error)).encode("utf-8", "backslashreplace")
            self._wire.send(frames.FAILED, frame.id, text[:1000])

    def _do(self, frame: frames.Frame) -> None:
        if frame.kind == frames.PUT:
            name = self._checked(frame.payload)
            self._puts[frame.id] = _Put(self._root, name, frame.id)
        elif frame.kind == frames.PUT_ABORT:
            if frame.id in self._puts:
                raise ValueError("it was given up")
        elif frame.kind == frames.GET:
            limit, name = frames.unpack(frame.payload, 2)
            self._get(frame.id, self._checked(name), frames.number(limit))
        elif frame.kind == frames.LIST:
            self._list(frame.id)
        elif frame.kind == frames.REMOVE:
            self._remove(self._checked(frame.payload))
            self._wire.send(frames.DONE, frame.id)
        elif frame.id in self._puts:  # after a failure the rest of a put is still on its way
            if frame.kind == frames.PUT_DATA:
                self._puts[frame.id].file.write(frame.payload)
            elif frame.kind == frames.PUT_END:
                self._puts[frame.id].finish()
                del self._puts[frame.id]
                self._wire.send(frames.DONE, frame.id)

    def _get(self, key: int, name: str, limit: int) -> None:
        path = os.path.join(self._root, name)
        self._look(path)  # the reason; O_NOFOLLOW is the lock
        # O_NONBLOCK: opening a pipe must not wait for somebody to write to it.
        fd = os.open(path, os.O_RDONLY | _SAFE | getattr(os, "O_NONBLOCK", 0))
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ValueError("it is not a regular file")
            if found.st_size > limit:
                raise ValueError(f"it has {found.st_size} bytes, over {limit}")
            left = limit
            while data := file.read(frames.CHUNK):
                left -= len(data)
                if left < 0:
                    raise ValueError(f"it grew over {limit} bytes")
                self._wire.send(frames.DATA, key, data)
                if len(data) < frames.CHUNK:  # its end; what is written behind it now is too late
                    break
        self._wire.send(frames.DONE, key)

    def _remove(self, name: str) -> None:
        path = os.path.join(self._root, name)
        if not stat.S_ISREG(self._look(path).st_mode):
            raise ValueError("it is not a regular file")
        os.unlink(path)  # follows nothing, whatever has taken its place meanwhile

    @staticmethod
    def _look(path: str) -> os.stat_result:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            raise ValueError("it is a symbolic link")
        return found

    def _list(self, key: int) -> None:
        count = 0
        with os.scandir(self._root) as entries:
            for entry in entries:
                if count >= frames.FILE_COUNT:
                    break
                if entry.name.startswith(PARTIAL) or not entry.is_file(follow_symlinks=False):
                    continue
                try:
                    name = entry.name.encode("utf-8")
                    found = entry.stat(follow_symlinks=False)
                    if plain(entry.name) != entry.name:
                        continue
                except (OSError, ValueError):  # gone meanwhile, or a name nobody can ask for
                    continue
                modified = min(max(0, found.st_mtime_ns // 1_000_000), frames.LATEST)
                numbers = (frames.pack_number(n) for n in (found.st_size, modified))
                self._wire.send(frames.ENTRY, key, frames.pack(name, *numbers))
                count += 1
        self._wire.send(frames.DONE, key)

    def _drop(self, key: int) -> None:
        put = self._puts.pop(key, None)
        if put is not None:
            put.abort()

    @staticmethod
    def _checked(raw: bytes) -> str:
        name = raw.decode("utf-8")
        if plain(name) != name:
            raise ValueError("expected a plain file name")
        return name


class _Put:
    """A file on its way in: written beside its place, then moved there at once."""

    def __init__(self, root: str, name: str, key: int) -> None:
        self._target = os.path.join(root, name)
        self._partial = os.path.join(root, f"{PARTIAL}{key}")
        self._abandoned()
        fd = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o644)
        self.file: BinaryIO = open(fd, "wb")

    def finish(self) -> None:
        self.file.close()
        os.replace(self._partial, self._target)

    def abort(self) -> None:
        with suppress(OSError):  # it has a last word to write, and the disk may be full
            self.file.close()
        with suppress(OSError):
            self._abandoned()

    def _abandoned(self) -> None:
        with suppress(FileNotFoundError):  # an earlier interpreter may have died over its own
            os.unlink(self._partial)
