"""Vector stores over HTTP, as OpenAI's own client uses them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from pathlib import Path
from typing import Any

import openai
import pytest

from antiphon.tools import search as kept

from .shelving import Place, placed, settled, uploaded

pytestmark = pytest.mark.anyio

DAY = 86_400


async def test_a_file_is_attached_read_and_found(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        named = await uploaded(client, "guide.md", "# Boats\n\nA keel keeps a boat upright.\n")
        store = await client.vector_stores.create(
            name="docs", file_ids=[named], metadata={"a": "b"}
        )
        assert (store.name, store.metadata, store.file_counts.total) == ("docs", {"a": "b"}, 1)
        done = await settled(client, store.id)
        assert done.status == "completed" and done.file_counts.completed == 1
        assert done.model_extra == {"description": None, "antiphon:embedding_model": None}
        page = await client.vector_stores.search(store.id, query="what keeps a boat upright?")
        (found,) = page.data
        assert (found.file_id, found.filename) == (named, "guide.md")
        assert "keel" in found.content[0].text and 0.5 < found.score <= 1
        extra: Any = found.content[0].model_extra
        assert extra["antiphon:lines"] == [1, 3] and extra["antiphon:heading"] == "Boats"
        text = await client.vector_stores.files.content(named, vector_store_id=store.id)
        assert [each.text async for each in text] == ["# Boats\n\nA keel keeps a boat upright."]


async def test_stores_are_listed_changed_and_deleted(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        made = [await client.vector_stores.create(name=str(at)) for at in range(5)]
        listed = [each.name async for each in await client.vector_stores.list(limit=2)]
        assert listed == ["4", "3", "2", "1", "0"]
        oldest = await client.vector_stores.list(limit=2, order="asc", after=made[2].id)
        assert [each.name for each in oldest.data] == ["3", "4"]
        before = await client.vector_stores.list(limit=1, before=made[0].id)
        assert [each.name for each in before.data] == ["1"]
        changed = await client.vector_stores.update(made[0].id, name="new", metadata={"x": "y"})
        assert (changed.name, changed.metadata) == ("new", {"x": "y"})
        assert (await client.vector_stores.delete(made[0].id)).deleted
        with pytest.raises(openai.NotFoundError, match="there is no vector store"):
            await client.vector_stores.retrieve(made[0].id)


async def test_anothers_store_and_an_absent_one_look_the_same(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as alice:
        named = await uploaded(alice, "a.txt", "words")
        store = await alice.vector_stores.create(file_ids=[named])
        await settled(alice, store.id)
        async with place.http("sk-b") as bob:
            answers = set[tuple[int, str]]()
            for method, path in (
                ("GET", ""),
                ("POST", ""),
                ("DELETE", ""),
                ("POST", "/search"),
                ("GET", "/files"),
                ("POST", "/files"),
                ("GET", f"/files/{named}"),
                ("POST", f"/files/{named}"),
                ("DELETE", f"/files/{named}"),
                ("GET", f"/files/{named}/content"),
                ("GET", "/file_batches/vsfb_1"),
            ):
                for store_id in store.id, f"vs_{'0' * 48}":
                    body: Any = {"query": "words", "attributes": {}, "file_id": named}
                    answer = await bob.request(
                        method,
                        f"/v1/vector_stores/{store_id}{path}",
                        json=body if method == "POST" else None,
                    )
                    said = answer.json()["error"]["message"].replace(store_id, "X")
                    answers.add((answer.status_code, f"{method} {path} {said}"))
        assert {status for status, _ in answers} == {404}
        assert len(answers) == 11, "expected the same words for both"


async def test_a_file_that_is_not_there_or_anothers_cannot_be_attached(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as alice, place.client("sk-b") as bob:
        named = await uploaded(alice, "a.txt", "words")
        store = await bob.vector_stores.create()
        for file_id in named, "file-0":
            with pytest.raises(openai.NotFoundError, match="there is no file"):
                await bob.vector_stores.files.create(store.id, file_id=file_id)
            with pytest.raises(openai.NotFoundError):
                await bob.vector_stores.create(file_ids=[file_id])
        assert (await bob.vector_stores.retrieve(store.id)).file_counts.total == 0


async def test_attributes_filter_and_can_be_changed(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        store = await client.vector_stores.create()
        for name, year in (("old.txt", 1990), ("new.txt", 2020)):
            named = await uploaded(client, name, "the same words")
            attached = await client.vector_stores.files.create(
                store.id,
                file_id=named,
                attributes={"year": year, "draft": False, "kind": "note"},
            )
            assert attached.attributes == {"year": year, "draft": False, "kind": "note"}
        await settled(client, store.id)

        async def found(filters: Any) -> set[str]:
            page = await client.vector_stores.search(store.id, query="words", filters=filters)
            return {each.filename for each in page.data}

        assert await found({"type": "gte", "key": "year", "value": 2000}) == {"new.txt"}
        both = [
            {"type": "eq", "key": "draft", "value": False},
            {"type": "ne", "key": "kind", "value": "x"},
        ]
        assert await found({"type": "and", "filters": both}) == {"old.txt", "new.txt"}
        await client.vector_stores.files.update(
            named, vector_store_id=store.id, attributes={"year": 1800}
        )
        assert await found({"type": "gte", "key": "year", "value": 1900}) == {"old.txt"}


async def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        store = await client.vector_stores.create()
        good = await uploaded(client, "a.txt", "words")
        bad = await uploaded(client, "b.pdf", "%PDF-1.7 and no more")
        odd = await uploaded(client, "c.exe", b"MZ\x00\x01\x02")
        for each in good, bad, odd:
            await client.vector_stores.files.create(store.id, file_id=each)
        counts = (await settled(client, store.id)).file_counts
        assert (counts.completed, counts.failed, counts.total) == (1, 2, 3)
        told = await client.vector_stores.files.retrieve(bad, vector_store_id=store.id)
        assert told.status == "failed" and told.last_error is not None
        assert told.last_error.code == "invalid_file" and "PDF" in told.last_error.message
        other = await client.vector_stores.files.retrieve(odd, vector_store_id=store.id)
        assert other.last_error is not None and other.last_error.code == "unsupported_file"
        failed = await client.vector_stores.files.list(store.id, filter="failed")
        assert {each.id for each in failed.data} == {bad, odd}
        assert (await client.vector_stores.files.delete(bad, vector_store_id=store.id)).deleted
        counts = (await client.vector_stores.retrieve(store.id)).file_counts
        assert (counts.failed, counts.total) == (1, 2)


async def test_batches_attach_many_files_and_tell_their_own_counts(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        store = await client.vector_stores.create()
        names = [await uploaded(client, f"{at}.txt", f"words {at}") for at in range(4)]
        batch = await client.vector_stores.file_batches.create(
            store.id, file_ids=names[:2], attributes={"a": 1}
        )
        assert batch.file_counts.total == 2
        own: Any = [
            {"file_id": names[2], "attributes": {"b": 2}},
            {
                "file_id": names[3],
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50},
                },
            },
        ]
        other = await client.vector_stores.file_batches.create(store.id, files=own)
        await settled(client, store.id)
        done = await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
        assert done.status == "completed" and done.file_counts.completed == 2
        listed = await client.vector_stores.file_batches.list_files(
            other.id, vector_store_id=store.id
        )
        assert [each.id for each in listed.data] == [names[3], names[2]]
        strategy: Any = listed.data[0].chunking_strategy
        assert strategy.static.max_chunk_size_tokens == 100
        assert listed.data[1].attributes == {"b": 2}


async def test_a_batch_is_cancelled_before_its_files_are_read(tmp_path: Path) -> None:
    place = Place(tmp_path)
    async with place.client() as client:
        store = await client.vector_stores.create()
        names = [await uploaded(client, f"{at}.txt", f"words {at}") for at in range(2)]
        files = [kept.Attachment(each, "a.txt") for each in names]
        await place.library.engine.attach(
            store.id, files, principal="alice", at=1, batch_id="vsfb_1"
        )
        cancelled = await client.vector_stores.file_batches.cancel(
            "vsfb_1", vector_store_id=store.id
        )
        assert cancelled.status == "cancelled" and cancelled.file_counts.cancelled == 2
        shown = await client.vector_stores.files.retrieve(names[0], vector_store_id=store.id)
        assert shown.status == "cancelled"
    await place.aclose()


async def test_a_store_expires_after_days_without_use(tmp_path: Path) -> None:
    async with placed(tmp_path) as place, place.client() as client:
        named = await uploaded(client, "a.txt", "words")
        store = await client.vector_stores.create(
            file_ids=[named], expires_after={"anchor": "last_active_at", "days": 2}
        )
        await settled(client, store.id)
        place.clock.time += 1.5 * DAY
        assert (await client.vector_stores.search(store.id, query="words")).data
        place.clock.time += 1.5 * DAY
        shown = await client.vector_stores.retrieve(store.id)
        assert shown.status == "completed", "expected the search to have kept it alive"
        place.clock.time += 1.5 * DAY
        shown = await client.vector_stores.retrieve(store.id)
        assert shown.status == "expired" and shown.expires_at is not None
        with pytest.raises(openai.BadRequestError, match="has expired"):
            await client.vector_stores.search(store.id, query="words")
        with pytest.raises(openai.BadRequestError, match="has expired"):
            await client.vector_stores.files.create(store.id, file_id=named)
        forever: Any = None
        revived = await client.vector_stores.update(store.id, expires_after=forever)
        assert revived.status == "completed" and revived.expires_at is None


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ("", {"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days"),
        ("", {"chunking_strategy": {"type": "odd"}}, "chunking_strategy"),
        ("/X/search", {"query": ""}, "query"),
        ("/X/search", {"query": []}, "query"),
        ("/X/search", {"query": "a", "max_num_results": 51}, "max_num_results"),
        ("/X/search", {"query": "a", "rewrite_query": True}, "rewrite_query"),
        ("/X/search", {"query": "a", "filters": {"type": "like"}}, "filters.type"),
        (
            "/X/search",
            {"query": "a", "filters": {"type": "and", "filters": [{"type": "eq", "key": 1}]}},
            "filters.filters[0].key",
        ),
        (
            "/X/search",
            {"query": "a", "ranking_options": {"score_threshold": 2}},
            "ranking_options.score_threshold",
        ),
        ("/X/search", {"query": "a", "ranking_options": {"ranker": "x"}}, "ranking_options.ranker"),
        ("/X/files", {"file_id": "f", "attributes": {"x" * 65: 1}}, "attributes"),
        ("/X/files", {"file_id": "f", "attributes": {"x": 1e300}}, "attributes"),
        ("/X/files", {}, "file_id"),
        ("/X/file_batches", {}, "file_ids"),
        ("/X/file_batches", {"file_ids": ["a"], "files": [{"file_id": "b"}]}, "file_ids"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(
    tmp_path: Path, path: str, body: Any, param: str
) -> None:
    async with placed(tmp_path) as place, place.client() as client, place.http() as http:
        store = await client.vector_stores.create()
        url = f"/v1/vector_stores{path}".replace("X", store.id)
        answer = await http.post(url, json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == param, answer.text
