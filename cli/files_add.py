"""`antiphon files add`: a store made to hold what the folders hold, and nothing done twice.

What is in the store is known by two attributes of its files, so nothing is kept elsewhere: an
interrupted command leaves a store that the same command completes. What has changed comes in
beside what it was, which goes when the new one can be searched.

Above: `files`. Below: a `Shelf`, `files_tree`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio
from anyio import to_thread

from antiphon.errors import ConfigurationError

from .files_shelf import DIGEST, PATH, Attributes, Kept, Refused, Shelf, Store
from .files_tree import Found, Tree
from .options import Value

_AT_ONCE: Final = 4
_GROUP: Final = 50
"""Files that are attached with one request."""

_LONGEST_PATH: Final = 512  # characters that an attribute may have
_PATIENCE: Final = 10.0  # seconds that an interrupted command takes to leave
_FIRST_WAIT, _LAST_WAIT = 0.05, 2.0
_CLOSER_LOOK: Final = 8
_RANK: Final = {"completed": 0, "in_progress": 1, "failed": 2, "cancelled": 3}


class Watch(Protocol):
    """Is told how far it has come."""

    def sent(self, number: int, total: int) -> None:
        """So many files were looked at, and sent where they had to be."""
        ...

    def read(self, number: int, total: int) -> None:
        """So many of those that were sent have been read."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that cannot be searched, and why."""

    path: str
    code: str
    message: str


@dataclass(slots=True)
class Report:
    """What was done; each list has names of files.

    Attributes:
        added: New in the store.
        replaced: Changed, and read anew.
        retried: Left over from an earlier command, or failed in it.
        unchanged: Left alone.
        removed: Gone from the folders, and so from the store.
        failures: What cannot be searched.
    """

    added: list[str] = field(default_factory=list[str])
    replaced: list[str] = field(default_factory=list[str])
    retried: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    failures: list[Failure] = field(default_factory=list[Failure])

    def sort(self) -> None:
        """By name: they come as they are done."""
        for names in (self.added, self.replaced, self.retried, self.unchanged):
            names.sort()
        self.failures.sort(key=lambda each: each.path)


class Adding:
    """One run of the command.

    Args:
        shelf: Where the store is.
        store: The store.
        attributes: What every file gets, beside its path and digest.
        watch: Is told how far it has come.

    Attributes:
        report: What was done so far.
        seen: How many files were looked at, and sent where they had to be.
    """

    def __init__(self, shelf: Shelf, store: Store, attributes: Attributes, watch: Watch) -> None:
        self.report: Report = Report()
        self.seen: int = 0
        self._shelf = shelf
        self._store = store
        self._attributes = attributes
        self._watch = watch
        self._before: defaultdict[str, list[Kept]] = defaultdict(list)
        self._waiting: list[tuple[str, Attributes]] = []
        self._attaching = anyio.Lock()
        self._sent: dict[str, str] = {}  # file id -> name, of all that is to be read
        self._stale: dict[str, list[Kept]] = {}  # name -> what it was

    async def run(self, tree: Tree, *, prune: bool, sure: bool = False) -> Report:
        """Add the files of a tree.

        Args:
            tree: The files.
            prune: Take out of the store what is gone from the folders.
            sure: Also where that is more than half of what the store has of a folder.

        Raises:
            ConfigurationError: It would be, and nobody is sure; nothing was done.
            AntiphonError: The store cannot be reached; what was sent before is in it.
        """
        async for each in self._shelf.kept(self._store.id):
            if each.path is not None:
                self._before[each.path].append(each)
        gone = sorted(filter(tree.gone, self._before)) if prune else []
        if not sure:
            self._check(tree, gone)
        try:
            await self._send_all(tree.files)
        finally:  # also on Ctrl-C: what was taken in is not lost
            with anyio.CancelScope(shield=True), anyio.move_on_after(_PATIENCE):
                await self._attach()
        await self._settle()
        unread = await self._faults()
        for name, stale in self._stale.items():
            found = {each.id for each in stale if each.status == "completed" and name in unread}
            await self._remove(each for each in stale if each.id not in found)
        for name in gone:
            await self._remove(self._before[name])
            self.report.removed.append(name)
        self.report.sort()
        return self.report

    def _check(self, tree: Tree, gone: Iterable[str]) -> None:
        """It may be another folder of the same name, whose files would go."""
        lost = Counter(_root(name) for name in gone)
        there = Counter(_root(name) for name in self._before)
        for root, number in lost.items():
            if 2 * number > there[root]:
                raise ConfigurationError(
                    f"--prune: {number} of the {there[root]} files that the store has of {root}/ "
                    f"are not in {tree.roots[root]}: is it the same folder? --as NAME gives it a "
                    "name of its own, --yes takes them out"
                )

    async def _send_all(self, files: list[Found]) -> None:
        left = iter(files)

        async def work() -> None:
            for each in left:
                await self._send(each)
                self.seen += 1
                self._watch.sent(self.seen, len(files))
                if len(self._waiting) >= _GROUP:
                    await self._attach()

        self._watch.sent(0, len(files))
        async with anyio.create_task_group() as group:
            for _ in range(_AT_ONCE):
                group.start_soon(work)

    async def _send(self, found: Found) -> None:
        """Take one file in, if it is not there as it is."""
        try:
            data = await to_thread.run_sync(found.path.read_bytes)
        except OSError as error:
            self._fail(found.name, "unreadable", error.strerror or type(error).__name__)
            return
        if len(found.name) > _LONGEST_PATH:
            self._fail(found.name, "unreadable", f"a path of more than {_LONGEST_PATH} characters")
            return
        digest = hashlib.sha256(data).hexdigest()[:32]  # a model reads it with every result
        wanted: dict[str, Value] = {**self._attributes, PATH: found.name, DIGEST: digest}
        before = self._before[found.name] if found.name in self._before else []
        same = [each for each in before if each.attributes.get(DIGEST) == digest]
        same.sort(key=lambda each: _RANK[each.status])
        self._stale[found.name] = [each for each in before if each not in same[:1]]
        if same and await self._kept(same[0], found, wanted):
            return
        try:
            file_id = await self._shelf.put(found, data)
        except Refused as error:
            self._fail(found.name, "refused", str(error))
            return
        (self.report.replaced if before else self.report.added).append(found.name)
        if same:
            self._stale[found.name].append(same[0])
        self._queue(file_id, wanted)

    async def _kept(self, file: Kept, found: Found, wanted: dict[str, Value]) -> bool:
        """Leave alone what is there already; False where it has to be sent once more."""
        if file.status != "completed" and not await self._shelf.expect(file.id, found):
            return False
        if file.status in ("completed", "in_progress") and dict(file.attributes) != wanted:
            await self._shelf.describe(self._store.id, file.id, wanted)
        if file.status == "completed":
            self.report.unchanged.append(found.name)
        else:
            self.report.retried.append(found.name)
            self._sent[file.id] = found.name
            if file.status != "in_progress":
                self._queue(file.id, wanted)
        return True

    def _queue(self, file_id: str, attributes: dict[str, Value]) -> None:
        self._sent[file_id] = str(attributes[PATH])
        self._waiting.append((file_id, attributes))

    async def _attach(self) -> None:
        async with self._attaching:
            while self._waiting:
                group = self._waiting[:_GROUP]
                await self._shelf.attach(self._store.id, group)
                del self._waiting[: len(group)]

    async def _settle(self) -> None:
        """Wait until all that was sent is read. The store's counts tell it; where others add to
        the store at the same time, its list of files does.
        """
        wait, last, looks = _FIRST_WAIT, -1, 0
        while self._sent:
            reading = (await self._shelf.store(self._store.id)).reading
            looks += 1
            if reading and looks % _CLOSER_LOOK == 0:
                waiting = self._shelf.kept(self._store.id, "in_progress")
                reading = len({each.id async for each in waiting} & self._sent.keys())
            left = min(reading, len(self._sent))
            self._watch.read(len(self._sent) - left, len(self._sent))
            if not left:
                return
            wait = _FIRST_WAIT if left != last else min(wait * 1.5, _LAST_WAIT)
            last = left
            await anyio.sleep(wait)

    async def _faults(self) -> set[str]:
        """The names of what was sent and is not to be searched."""
        unread: set[str] = set()
        for status in ("failed", "cancelled"):
            async for each in self._shelf.kept(self._store.id, status):
                name = self._sent.get(each.id)
                if name is not None:
                    unread.add(name)
                    self._fail(name, *(each.error or (status, "somebody cancelled it")))
        return unread | {each.path for each in self.report.failures}

    async def _remove(self, files: Iterable[Kept]) -> None:
        for each in files:
            await self._shelf.remove(self._store.id, each.id)

    def _fail(self, name: str, code: str, message: str) -> None:
        self.report.failures.append(Failure(name, code, message))


def _root(name: str) -> str:
    return name.partition("/")[0]
