"""Conformance of search engines: any `Engine`, held to what file search relies on.

`check_engine` puts an engine through every rule: owners, stores, files, batches, lists, the queue,
both searches, filters, and that files change at once or not at all. It raises AssertionError with
what was expected and what came. Source: the Protocol `antiphon.tools.search.Engine`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import anyio

from antiphon.tools import search as kept

from .finding import FINDING
from .kit import (
    NOW,
    OTHER,
    OWNER,
    MakeEngine as MakeEngine,
    chunk_of,
    claimed,
    file_of,
    filled,
    store_of,
    texts_of,
)

DAY = 86_400


async def check_engine(make: MakeEngine) -> None:
    """Every rule, each on an engine of its own.

    Args:
        make: Makes an empty engine.
    """
    for check in (*KEEPING, *FINDING):
        engine = await make()
        try:
            await check(engine)
        finally:
            await engine.aclose()
            await engine.aclose()


async def _keeps_stores(engine: kept.Engine) -> None:
    assert await engine.store("vs_a", principal=OWNER) is None, "expected an empty engine"
    made = store_of(days=2)
    await engine.create(made)
    assert await engine.store("vs_a", principal=OWNER) == made
    changed = await engine.change("vs_a", kept.StoreChange("new", {"x": "y"}, 0), principal=OWNER)
    assert changed is not None
    assert (changed.name, changed.metadata, changed.expires_at) == ("new", {"x": "y"}, None)
    await engine.touch(["vs_a"], NOW + 5)
    await engine.touch(["vs_a"], NOW + 3)
    touched = await engine.change("vs_a", kept.StoreChange(expires_days=1), principal=OWNER)
    assert touched is not None and touched.name == "new"
    assert touched.expires_at == NOW + 5 + DAY, f"expected the latest touch to count: {touched}"
    assert touched.expired(NOW + 5 + DAY) and not touched.expired(NOW + 4 + DAY)


async def _hides_what_is_anothers(engine: kept.Engine) -> None:
    await filled(engine, {"x": ["words"]})
    await engine.attach("vs_a", [file_of("y")], principal=OWNER, at=NOW, batch_id="vsfb_1")
    assert await engine.store("vs_a", principal=OTHER) is None
    assert await engine.change("vs_a", kept.StoreChange("z"), principal=OTHER) is None
    assert await engine.attach("vs_a", [file_of("z")], principal=OTHER, at=NOW) is None
    assert await engine.file("vs_a", "file-x", principal=OTHER) is None
    assert await engine.files("vs_a", kept.Paging(), principal=OTHER) is None
    assert await engine.describe("vs_a", "file-x", {"a": 1}, principal=OTHER) is None
    assert await engine.content("vs_a", "file-x", principal=OTHER) is None
    assert not await engine.detach("vs_a", "file-x", principal=OTHER)
    assert await engine.batch("vs_a", "vsfb_1", principal=OTHER) is None
    assert await engine.cancel("vs_a", "vsfb_1", principal=OTHER) is None
    assert not await engine.remove("vs_a", principal=OTHER)
    assert (await engine.stores(kept.Paging(), principal=OTHER)) == kept.Page([], False)
    assert await engine.stores(kept.Paging(after="vs_a"), principal=OTHER) is None
    found = await engine.store("vs_a", principal=OWNER)
    assert found is not None and found.name == "a" and found.counts.total == 2


async def _lists_in_pages(engine: kept.Engine) -> None:
    for name in "abcde":
        await engine.create(store_of(name))
    pages = {
        "edc+": kept.Paging(limit=3),
        "ba": kept.Paging(after="vs_c", limit=3),
        "ab+": kept.Paging(limit=2, order="asc"),
        "cde": kept.Paging(after="vs_b", limit=3, order="asc"),
        "cb+": kept.Paging(before="vs_a", limit=2),
        "e": kept.Paging(before="vs_d", limit=2),
    }
    for expected, paging in pages.items():
        page = await engine.stores(paging, principal=OWNER)
        assert page is not None
        got = "".join(each.name for each in page.rows) + "+" * page.has_more
        assert got == expected, f"{paging}: expected {expected}, got {got}"
    assert await engine.stores(kept.Paging(after="vs_z"), principal=OWNER) is None


async def _reads_files_in_their_order(engine: kept.Engine) -> None:
    await engine.create(store_of(model="m"))
    assert await engine.claim("t", now=NOW, until=NOW + 30) is None, "expected nothing to read"
    made = await engine.attach(
        "vs_a", [file_of("x", n=1), file_of("y")], principal=OWNER, at=NOW + 1
    )
    assert made is not None and [each.status for each in made] == ["in_progress"] * 2
    first, second = await claimed(engine, "one"), await claimed(engine, "two")
    assert (first.attachment.file_id, second.attachment.file_id) == ("file-x", "file-y")
    assert (first.principal, first.store_id, first.model) == (OWNER, "vs_a", "m")
    assert first.attachment == file_of("x", n=1) and first.attempts == 1
    assert await engine.finish(first, [chunk_of("words", "Head")], None)
    assert await engine.fail(second, kept.Fault("invalid_file", "no"))
    store = await engine.store("vs_a", principal=OWNER)
    assert store is not None and store.counts == kept.Counts(completed=1, failed=1)
    assert store.usage_bytes >= 5 and store.last_active_at == NOW + 1
    failed = await engine.file("vs_a", "file-y", principal=OWNER)
    assert failed is not None and failed.fault == kept.Fault("invalid_file", "no")
    content = await engine.content("vs_a", "file-x", principal=OWNER)
    assert content is not None and [each.chunk for each in content] == [chunk_of("words", "Head")]
    assert (content[0].file_id, content[0].filename, dict(content[0].attributes)) == (
        "file-x",
        "x.md",
        {"n": 1},
    )


async def _gives_a_lost_file_to_another(engine: kept.Engine) -> None:
    await engine.create(store_of())
    await engine.attach("vs_a", [file_of("x")], principal=OWNER, at=NOW)
    first = await claimed(engine, "one")
    assert await engine.claim("two", now=NOW + 29, until=NOW + 60) is None, "expected a claim held"
    assert await engine.renew(first, until=NOW + 50)
    assert await engine.claim("two", now=NOW + 31, until=NOW + 60) is None, "expected it renewed"
    second = await claimed(engine, "two", now=NOW + 51)
    assert second.attempts == 2
    assert not await engine.renew(first, until=NOW + 90), "expected a lost claim to stay lost"
    assert not await engine.finish(first, [chunk_of("from one")], None)
    assert not await engine.fail(first, kept.Fault("server_error", "no"))
    assert await engine.finish(second, [chunk_of("from two")], None)
    assert list(await texts_of(engine, kept.Query("from"))) == ["from two"]


async def _leaves_files_to_whoever_has_their_source(engine: kept.Engine) -> None:
    await engine.create(store_of())
    there = replace(file_of("x"), source="paths:/home/ann/x.md")
    made = await engine.attach("vs_a", [there, file_of("y")], principal=OWNER, at=NOW)
    assert made is not None and made[0].attachment == there, "expected its source to be kept"
    first = await engine.claim("one", now=NOW, until=NOW + 30, sources=["", "path"])
    assert first is not None and first.attachment == file_of("y"), f"expected uploads, got {first}"
    assert await engine.claim("two", now=NOW, until=NOW + 30, sources=[]) is None
    second = await engine.claim("two", now=NOW, until=NOW + 30, sources=["paths"])
    assert second is not None and second.attachment == there


async def _leaves_files_to_whoever_has_their_model(engine: kept.Engine) -> None:
    await engine.create(store_of(model="m"))
    await engine.attach("vs_a", [file_of("x"), file_of("y")], principal=OWNER, at=NOW)
    for models in ([], ["n"]):
        left = await engine.claim("one", now=NOW + 29, until=NOW + 59, models=models)
        assert left is None, f"expected a file of another model to be left for a while, got {left}"
    first = await engine.claim("one", now=NOW + 29, until=NOW + 59, models=["n", "m"])
    assert first is not None and first.attachment.file_id == "file-x"
    left = await engine.claim("two", now=NOW + 31, until=NOW + 61, models=[])
    assert left is None, "expected it to be left while somebody reads with its model"
    assert await engine.finish(first, [chunk_of("words")], None)
    alone = await engine.claim("two", now=NOW + 31, until=NOW + 61, models=[])
    assert alone is not None, "expected it to be given to anybody: nobody has its model"


async def _takes_a_claim_back(engine: kept.Engine) -> None:
    await engine.create(store_of())
    await engine.attach("vs_a", [file_of("x")], principal=OWNER, at=NOW)
    first = await claimed(engine, "one")
    await engine.release(first)
    assert not await engine.renew(first, until=NOW + 90), "expected a claim given back to be lost"
    second = await claimed(engine, "two")
    assert second.attempts == 1, f"expected what was given back not to count, got {second}"
    await engine.release(first)
    assert await engine.renew(second, until=NOW + 90), "expected another's claim to stay"


async def _forgets_what_is_detached(engine: kept.Engine) -> None:
    await filled(engine, {"x": ["apple pie"], "y": ["apple tree"]})
    assert await engine.detach("vs_a", "file-x", principal=OWNER)
    assert not await engine.detach("vs_a", "file-x", principal=OWNER)
    assert list(await texts_of(engine, kept.Query("apple pie"))) == ["apple tree"]
    store = await engine.store("vs_a", principal=OWNER)
    assert store is not None and store.counts == kept.Counts(completed=1)
    await engine.attach("vs_a", [file_of("z")], principal=OWNER, at=NOW)
    job = await claimed(engine)
    assert await engine.detach("vs_a", "file-z", principal=OWNER)
    assert not await engine.finish(job, [chunk_of("apple")], None), "expected it to be unwanted"


async def _forgets_a_file_everywhere(engine: kept.Engine) -> None:
    await filled(engine, {"x": ["apple pie"], "y": ["apple tree"]})
    await filled(engine, {"x": ["apple juice"]}, name="b")
    assert await engine.forget("file-x", principal="eve") == 0
    assert await engine.forget("file-x", principal=OWNER) == 2
    assert await engine.forget("file-x", principal=OWNER) == 0
    assert list(await texts_of(engine, kept.Query("apple"))) == ["apple tree"]
    assert await texts_of(engine, kept.Query("apple"), "b") == {}


async def _reads_a_file_anew(engine: kept.Engine) -> None:
    await filled(engine, {"x": ["apple pie", "apple juice"]})
    await engine.attach("vs_a", [file_of("x", n=2)], principal=OWNER, at=NOW)
    store = await engine.store("vs_a", principal=OWNER)
    assert store is not None and store.counts == kept.Counts(in_progress=1)
    assert await engine.finish(await claimed(engine), [chunk_of("pear")], None)
    assert await texts_of(engine, kept.Query("apple")) == {}
    assert list(await texts_of(engine, kept.Query("pear"))) == ["pear"]


async def _cancels_batches(engine: kept.Engine) -> None:
    await engine.create(store_of())
    files = [file_of(name) for name in "abc"]
    await engine.attach("vs_a", files, principal=OWNER, at=NOW, batch_id="vsfb_1")
    await engine.attach("vs_a", [file_of("d")], principal=OWNER, at=NOW)
    assert await engine.finish(await claimed(engine), [chunk_of("words")], None)
    running = await claimed(engine)
    batch = await engine.batch("vs_a", "vsfb_1", principal=OWNER)
    assert batch is not None and not batch.cancelled
    assert batch.counts == kept.Counts(in_progress=2, completed=1)
    cancelled = await engine.cancel("vs_a", "vsfb_1", principal=OWNER)
    assert cancelled is not None and cancelled.cancelled
    assert cancelled.counts == kept.Counts(cancelled=2, completed=1)
    assert not await engine.finish(running, [chunk_of("words")], None), "expected it to be unwanted"
    page = await engine.files("vs_a", kept.Paging(), principal=OWNER, batch_id="vsfb_1")
    assert page is not None and [each.id for each in page.rows] == ["file-c", "file-b", "file-a"]
    page = await engine.files("vs_a", kept.Paging(), principal=OWNER, status="in_progress")
    assert page is not None and [each.id for each in page.rows] == ["file-d"]
    assert await engine.batch("vs_a", "vsfb_2", principal=OWNER) is None


async def _removes_stores(engine: kept.Engine) -> None:
    await filled(engine, {"x": ["apple"]})
    await filled(engine, {"y": ["apple"]}, name="b")
    assert await engine.remove("vs_a", principal=OWNER)
    assert not await engine.remove("vs_a", principal=OWNER)
    assert await engine.store("vs_a", principal=OWNER) is None
    assert (await engine.candidates("vs_a", kept.Query("apple"))).found == []
    assert list(await texts_of(engine, kept.Query("apple"), "b")) == ["apple"]


async def _gives_back_the_room_of_what_is_gone(engine: kept.Engine) -> None:
    apples = {f"x{at}": ["apple"] * 3 for at in range(5)}
    await engine.create(store_of("young", days=2))
    await filled(engine, apples, name="left")
    await filled(engine, {"y": ["apple"]}, name="stays")
    await engine.attach("vs_young", [file_of("z")], principal=OWNER, at=NOW)
    waits = await claimed(engine)
    assert await engine.remove("vs_left", principal=OWNER)
    await _purged(engine, NOW + 2 * DAY - 1)
    young = await engine.store("vs_young", principal=OWNER)
    assert young is not None and young.counts.total == 1, "expected it to be there still"
    assert await engine.renew(waits, until=NOW + 60)
    await _purged(engine, NOW + 2 * DAY)
    assert not await engine.renew(waits, until=NOW + 60), "expected it to be unwanted"
    assert not await engine.finish(waits, [chunk_of("apple")], None)
    await engine.touch(["vs_young"], NOW + 3 * DAY)
    young = await engine.change("vs_young", kept.StoreChange(expires_days=9), principal=OWNER)
    assert young is not None and young.counts == kept.Counts() and young.usage_bytes == 0
    assert young.expired(NOW + 3 * DAY), "expected what has expired to stay so"
    assert await engine.files("vs_young", kept.Paging(), principal=OWNER) == kept.Page([], False)
    assert await engine.attach("vs_young", [file_of("w")], principal=OWNER, at=NOW) is None
    assert (await engine.candidates("vs_young", kept.Query("apple"))).found == []
    assert await engine.remove("vs_young", principal=OWNER)
    await _purged(engine, NOW + 2 * DAY)
    assert list(await texts_of(engine, kept.Query("apple"), "stays")) == ["apple"]


async def _purged(engine: kept.Engine, now: float) -> None:
    for _ in range(1_000):
        if not await engine.purge(now):
            return
    raise AssertionError("expected purging to come to an end")


async def _takes_many_at_once(engine: kept.Engine) -> None:
    await engine.create(store_of())
    names = [f"n{number}" for number in range(24)]

    async def write(name: str) -> None:
        await engine.attach("vs_a", [file_of(name)], principal=OWNER, at=NOW)
        job = await claimed(engine, name)
        assert await engine.finish(job, [chunk_of(f"apple {name}")], None)

    async def read() -> None:
        for _ in range(8):
            store = await engine.store("vs_a", principal=OWNER)
            found = await engine.candidates("vs_a", kept.Query("apple"))
            assert store is not None and store.counts.completed <= len(names)
            assert len(found.found) <= len(names)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(write, name)
            for _ in range(4):
                group.start_soon(read)
    store = await engine.store("vs_a", principal=OWNER)
    assert store is not None and store.counts == kept.Counts(completed=len(names))
    assert len(await texts_of(engine, kept.Query("apple"))) == len(names)


async def _remembers_vectors(engine: kept.Engine) -> None:
    await engine.remember({b"a": b"1234", b"b": b"5678"})
    await engine.remember({b"b": b"5678"})
    assert dict(await engine.recall([b"a", b"b", b"c"])) == {b"a": b"1234", b"b": b"5678"}


KEEPING: Sequence[Callable[[kept.Engine], Awaitable[None]]] = (
    _keeps_stores,
    _hides_what_is_anothers,
    _lists_in_pages,
    _reads_files_in_their_order,
    _gives_a_lost_file_to_another,
    _leaves_files_to_whoever_has_their_source,
    _leaves_files_to_whoever_has_their_model,
    _takes_a_claim_back,
    _forgets_what_is_detached,
    _forgets_a_file_everywhere,
    _reads_a_file_anew,
    _cancels_batches,
    _removes_stores,
    _gives_back_the_room_of_what_is_gone,
    _takes_many_at_once,
    _remembers_vectors,
)
