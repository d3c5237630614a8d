"""What the checks of search engines share: stores, files, and claims that are carried out.

Above: `search`, `finding`. Below: the Protocol `antiphon.tools.search.Engine`.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from antiphon.tools import search as kept

OWNER, OTHER = "alice", "mallory"
NOW = 1_700_000_000


class MakeEngine(Protocol):
    """Makes an empty engine of its own for each check."""

    def __call__(self) -> Awaitable[kept.Engine]:
        """An empty engine; it is closed twice, which is no error."""
        ...


def store_of(
    name: str = "a", *, principal: str = OWNER, model: str | None = None, days: int | None = None
) -> kept.VectorStore:
    """A store that is to be made."""
    return kept.VectorStore(
        id=f"vs_{name}",
        principal=principal,
        name=name,
        created_at=NOW,
        last_active_at=NOW,
        metadata={"for": name},
        expires_days=days,
        model=model,
    )


def file_of(name: str, **attributes: Any) -> kept.Attachment:
    """A file that is to be read."""
    return kept.Attachment(f"file-{name}", f"{name}.md", attributes)


def chunk_of(text: str, heading: str = "") -> kept.Chunk:
    """A passage on page 2, lines 3 to 4."""
    return kept.Chunk(text, heading, 10, 10 + len(text), (2, 2), (3, 4))


async def claimed(engine: kept.Engine, token: str = "t", *, now: float = NOW) -> kept.Job:
    """The file that is to be read next, of which there has to be one."""
    job = await engine.claim(token, now=now, until=now + 30)
    assert job is not None, "expected a file to be read, got none"
    return job


async def filled(
    engine: kept.Engine,
    texts: Mapping[str, Sequence[str]],
    *,
    name: str = "a",
    attributes: Mapping[str, dict[str, Any]] | None = None,
    vectors: Mapping[str, Any] | None = None,
) -> None:
    """A new store with a completed file for each name, with these passages."""
    await engine.create(store_of(name, model="m" if vectors else None))
    files = [file_of(file, **(attributes or {}).get(file, {})) for file in texts]
    await engine.attach(f"vs_{name}", files, principal=OWNER, at=NOW)
    for file, passages in texts.items():
        job = await claimed(engine)
        assert job.attachment.file_id == f"file-{file}", f"expected the oldest, got {job}"
        rows = None
        if vectors is not None:
            rows = kept.Vectors(vectors[file], range(len(passages)))
        done = await engine.finish(job, [chunk_of(text) for text in passages], rows)
        assert done, f"expected {file} to be completed"


async def texts_of(engine: kept.Engine, query: kept.Query, name: str = "a") -> dict[str, Any]:
    """What is found: the text of each candidate, and the candidate."""
    given = await engine.candidates(f"vs_{name}", query)
    passages = await engine.passages([each.key for each in given.found])
    assert len(passages) == len(given.found), "expected a passage for every candidate"
    return {passages[each.key].chunk.text: each for each in given.found}
