"""Feed: bursts go out in one write, nothing waits in vain, and last words are always heard."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from .serving import PATIENCE

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.feed import BREATH, feed
else:
    from antiphon.provider.feed import BREATH, feed

pytestmark = pytest.mark.anyio


class Reader:
    """What was taken, and where it was flushed (`|`)."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.flushing = anyio.Event()
        self.gate: anyio.Event | None = None
        self.fault: Exception | None = None

    def take(self, value: Any) -> None:
        self.seen.append(value)

    async def flush(self) -> None:
        self.seen.append("|")
        self.flushing.set()
        if self.fault is not None:
            raise self.fault
        if self.gate is not None:
            await self.gate.wait()

    @property
    def words(self) -> list[Any]:
        return [one for one in self.seen if one != "|"]


async def burst(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number


async def test_a_burst_goes_out_in_one_flush() -> None:
    reader = Reader()
    await feed(burst(5), reader.take, reader.flush)
    assert reader.seen == [0, 1, 2, 3, 4, "|"]


async def test_nothing_at_all_is_flushed_once() -> None:
    reader = Reader()
    await feed(burst(0), reader.take, reader.flush)
    assert reader.seen == ["|"]


async def test_what_is_ready_goes_out_before_a_wait() -> None:
    reader, go = Reader(), anyio.Event()

    async def source() -> AsyncGenerator[int, None]:
        yield 1
        yield 2
        await go.wait()
        yield 3

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed, source(), reader.take, reader.flush)
        with anyio.fail_after(PATIENCE):
            await reader.flushing.wait()
        assert reader.seen == [1, 2, "|"]
        go.set()
    assert reader.seen == [1, 2, "|", 3, "|"]


async def test_a_long_burst_lets_others_breathe() -> None:
    reader = Reader()
    others: list[int] = []

    async def other() -> None:
        others.append(len(reader.words))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await feed(burst(3 * BREATH), reader.take, reader.flush)
    assert others == [BREATH]
    assert reader.words == list(range(3 * BREATH))


async def test_an_exception_of_the_source_goes_through() -> None:
    reader = Reader()

    async def source() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("gone")

    with pytest.raises(LookupError):
        await feed(source(), reader.take, reader.flush)
    assert reader.words == [1]


async def test_an_exception_after_a_wait_goes_through() -> None:
    reader = Reader()

    async def source() -> AsyncGenerator[int, None]:
        yield 1
        await anyio.lowlevel.checkpoint()
        raise LookupError("gone")

    with pytest.raises(LookupError):
        await feed(source(), reader.take, reader.flush)
    assert reader.seen == [1, "|"]


async def test_a_timeout_inside_the_source_is_its_own_business() -> None:
    reader = Reader()

    async def source() -> AsyncGenerator[str, None]:
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        yield "went on"
        await anyio.lowlevel.checkpoint()
        yield "and on"

    await feed(source(), reader.take, reader.flush)
    assert reader.words == ["went on", "and on"]


class Talker:
    """A source that waits after some words, and has last words when it is cancelled.

    Args:
        words: What it says before it waits for ever.
        last: What it says when it is ended.
        tidy: Whether its end takes a moment, as when a sandbox is handed back.
    """

    def __init__(self, words: int, last: int = 2, *, tidy: bool = False) -> None:
        self.words = words
        self.last = last
        self.tidy = tidy
        self.waiting = anyio.Event()
        self.ended: type[BaseException] | None = None

    async def __call__(self) -> AsyncGenerator[Any, None]:
        try:
            for number in range(self.words):
                yield number
            self.waiting.set()
            await anyio.sleep_forever()
        except BaseException as error:
            self.ended = type(error)
            if self.tidy:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
            if isinstance(error, GeneratorExit):
                raise
            for number in range(self.last):
                yield f"last {number}"
            raise


async def cancelled(talker: Talker, reader: Reader, when: anyio.Event) -> None:
    """Feed until `when`, then cancel."""
    source = talker()
    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            try:
                await feed(source, reader.take, reader.flush)
            finally:
                with anyio.CancelScope(shield=True):
                    await source.aclose()

        tasks.start_soon(work)
        with anyio.fail_after(PATIENCE):
            await when.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("tidy", [False, True])
async def test_a_cancel_while_waiting_hears_the_last_words(tidy: bool) -> None:
    talker, reader = Talker(3, tidy=tidy), Reader()
    await cancelled(talker, reader, talker.waiting)
    assert reader.words == [0, 1, 2, "last 0", "last 1"]
    assert talker.ended is not None


@pytest.mark.parametrize("tidy", [False, True])
async def test_a_cancel_while_flushing_hears_the_last_words(tidy: bool) -> None:
    talker, reader = Talker(3, tidy=tidy), Reader()
    reader.gate = anyio.Event()
    await cancelled(talker, reader, reader.flushing)
    assert reader.words == [0, 1, 2, "last 0", "last 1"]


@pytest.mark.parametrize("tidy", [False, True])
@pytest.mark.parametrize("words", [BREATH - 2, BREATH - 1, BREATH, BREATH + 1])
async def test_last_words_are_heard_whatever_the_count(words: int, tidy: bool) -> None:
    talker, reader = Talker(words, 4, tidy=tidy), Reader()
    await cancelled(talker, reader, talker.waiting)
    assert reader.words[words:] == ["last 0", "last 1", "last 2", "last 3"]


@pytest.mark.parametrize("tidy", [False, True])
async def test_a_cancel_in_the_middle_of_a_burst_hears_the_last_words(tidy: bool) -> None:
    talker, reader = Talker(10 * BREATH, tidy=tidy), Reader()
    reader.gate = anyio.Event()
    await cancelled(talker, reader, reader.flushing)
    assert reader.words == [*range(BREATH), "last 0", "last 1"]


async def test_a_line_that_breaks_tells_the_source_why() -> None:
    talker, reader = Talker(2), Reader()
    reader.fault = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await feed(talker(), reader.take, reader.flush)
    assert talker.ended is OSError
    assert reader.words == [0, 1, "last 0", "last 1"]
