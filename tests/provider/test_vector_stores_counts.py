"""What vector stores tell of their files is true at every moment, not only at the end."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from pathlib import Path
from typing import Any

import anyio
import openai
import pytest

from .serving import PATIENCE
from .shelving import placed, settled, uploaded

pytestmark = pytest.mark.anyio

FILES = 24
BAD = 4


async def many(client: Any, *, bad: int = BAD) -> list[str]:
    """Uploads, the last of which are no PDF files though they say so."""
    good = [await uploaded(client, f"{at}.txt", f"keel number {at}") for at in range(FILES - bad)]
    return [*good, *[await uploaded(client, f"{at}.pdf", "%PDF-1.7 and") for at in range(bad)]]


async def test_counts_add_up_and_agree_with_the_batch_and_the_lists_while_files_are_read(
    tmp_path: Path,
) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        store = await client.vector_stores.create()
        ids = await many(client)
        batch = await client.vector_stores.file_batches.create(store.id, file_ids=ids)
        assert (batch.status, batch.file_counts.total) == ("in_progress", FILES)
        seen: list[tuple[int, int]] = []
        with anyio.fail_after(PATIENCE):
            while not seen or sum(seen[-1]) < FILES:
                listed = await client.vector_stores.files.list(store.id, limit=100)
                for each in listed.data:
                    assert (each.last_error is not None) == (each.status == "failed"), each
                counts = (await client.vector_stores.retrieve(store.id)).file_counts
                assert counts.in_progress + counts.completed + counts.failed == counts.total
                assert counts.total == FILES and counts.cancelled == 0
                done = {each.id for each in listed.data if each.status != "in_progress"}
                assert len(done) <= counts.completed + counts.failed, "expected no step back"
                seen.append((counts.completed, counts.failed))
        assert seen == sorted(seen, key=sum) and seen[-1] == (FILES - BAD, BAD)
        batch = await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
        assert batch.status == "completed" and batch.file_counts.failed == BAD
        failed = await client.vector_stores.file_batches.list_files(
            batch.id, vector_store_id=store.id, filter="failed"
        )
        assert {each.id async for each in failed} == set(ids[-BAD:])


async def test_a_batch_that_is_cancelled_while_it_is_read_keeps_what_was_read(
    tmp_path: Path,
) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        store = await client.vector_stores.create()
        ids = await many(client, bad=0)
        batch = await client.vector_stores.file_batches.create(store.id, file_ids=ids)
        with anyio.fail_after(PATIENCE):
            while not (await client.vector_stores.retrieve(store.id)).file_counts.completed:
                pass
        told = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
        counts = told.file_counts
        assert counts.in_progress == counts.failed == 0
        assert counts.completed + counts.cancelled == FILES and counts.completed >= 1
        assert told.status == ("cancelled" if counts.cancelled else "completed")
        later = await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
        assert later == told, "expected nothing to be read any more"
        page = await client.vector_stores.search(store.id, query="keel", max_num_results=50)
        assert len({each.file_id for each in page.data}) == counts.completed
        left = await client.vector_stores.files.list(store.id, filter="cancelled", limit=100)
        for each in left.data[:1]:
            again = await client.vector_stores.files.create(store.id, file_id=each.id)
            assert again.status == "in_progress"
        done = await settled(client, store.id)
        assert done.file_counts.completed == counts.completed + bool(left.data)


async def test_a_file_that_is_attached_once_more_is_read_anew_and_counted_once(
    tmp_path: Path,
) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        store = await client.vector_stores.create()
        named = await uploaded(client, "a.txt", "keel")
        for year in (1, 2):
            attached = await client.vector_stores.files.create(
                store.id, file_id=named, attributes={"year": year}
            )
            assert (attached.status, attached.usage_bytes) == ("in_progress", 0)
            done = await settled(client, store.id)
            assert (done.file_counts.completed, done.file_counts.total) == (1, 1)
            assert done.usage_bytes >= 4
        told = await client.vector_stores.files.retrieve(named, vector_store_id=store.id)
        assert told.attributes == {"year": 2}


async def test_a_file_that_is_deleted_is_in_no_store_any_more(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client, place.client("sk-b") as bob:
        ids = [await uploaded(client, name, "a keel") for name in ("a.txt", "b.txt")]
        stores = [await client.vector_stores.create(file_ids=ids) for _ in range(2)]
        for store in stores:
            await settled(client, store.id)
        with pytest.raises(openai.NotFoundError):
            await bob.files.delete(ids[0])
        assert len((await client.vector_stores.search(stores[0].id, query="keel")).data) == 2
        await client.files.delete(ids[0])
        for store in stores:
            page = await client.vector_stores.search(store.id, query="keel")
            assert [each.filename for each in page.data] == ["b.txt"]
            told = await client.vector_stores.retrieve(store.id)
            assert (told.file_counts.completed, told.file_counts.total) == (1, 1)
            with pytest.raises(openai.NotFoundError):
                await client.vector_stores.files.retrieve(ids[0], vector_store_id=store.id)


async def test_pages_of_files_follow_their_cursor_while_files_come_and_go(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        store = await client.vector_stores.create()
        ids = [await uploaded(client, f"{at}.txt", f"keel {at}") for at in range(7)]
        await client.vector_stores.file_batches.create(store.id, file_ids=ids)
        await settled(client, store.id)
        files = client.vector_stores.files
        first = await files.list(store.id, limit=3, order="asc")
        assert [each.id for each in first.data] == ids[:3] and first.has_more
        await files.delete(ids[1], vector_store_id=store.id)
        await files.delete(ids[4], vector_store_id=store.id)
        second = await files.list(store.id, limit=3, order="asc", after=ids[2])
        assert [each.id for each in second.data] == [ids[3], ids[5], ids[6]]
        assert not second.has_more
        back = await files.list(store.id, limit=2, order="asc", before=ids[5])
        assert [each.id for each in back.data] == [ids[2], ids[3]]
