"""Conformance of search engines, the finding: words, vectors, filters.

Above: `search`. Filters are held against `matches`, which is what they mean.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import product
from typing import Any

from antiphon.tools import search as kept

from .kit import filled, texts_of

ODD_QUERIES = (
    "what's it? (really)",
    'a "quoted" word',
    "AND OR NOT NEAR",
    "apple* ^pie -tree +x col:umn {a b} [c]",
    "'; DROP TABLE chunks; --",
    "?!.,:;",
    "\x00\ud800",
    "\u6771\u4eac \u00e9t\u00e9",
    "x" * 9_000,
    " ".join(f"w{number}" for number in range(2_000)),
)
"""Queries that are syntax somewhere."""


async def _finds_by_words(engine: kept.Engine) -> None:
    await filled(
        engine,
        {
            "x": ["apples and pears", "nothing here"],
            "y": ["an apple a day, an apple"],
            "z": ["\u6771\u4eac\u90fd\u306b\u4f4f\u3080", "Caf\u00e9 au lait"],
        },
    )
    found = await texts_of(engine, kept.Query("Apple"))
    assert set(found) == {"apples and pears", "an apple a day, an apple"}, found
    best = max(found, key=lambda text: found[text].words)
    assert best == "an apple a day, an apple", "expected who says it more often to be ahead"
    assert all(each.words > 0 and each.cosine is None for each in found.values()), found
    assert len(await texts_of(engine, kept.Query("apple", limit=1))) == 1
    assert list(await texts_of(engine, kept.Query("cafe"))) == ["Caf\u00e9 au lait"]
    assert len(await texts_of(engine, kept.Query("\u6771\u4eac"))) == 1, "expected Chinese found"
    assert await texts_of(engine, kept.Query("zebra")) == {}


async def _survives_any_query(engine: kept.Engine) -> None:
    await filled(engine, {"x": ["apples and pears", "a quoted word or not near a tree"]})
    for query in ODD_QUERIES:
        await engine.candidates("vs_a", kept.Query(query))
    assert len(await texts_of(engine, kept.Query('"quoted" OR'))) == 1


async def _finds_by_vectors(engine: kept.Engine) -> None:
    import numpy as np

    chance = np.random.default_rng(7)
    rows = chance.normal(size=(60, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    texts = {f"f{file}": [f"text {file} {at}" for at in range(3)] for file in range(20)}
    given = {name: rows[3 * at : 3 * at + 3] for at, name in enumerate(texts)}
    await filled(engine, texts, vectors=given)
    query = rows[17] * 0.8 + rows[3] * 0.2
    query /= np.linalg.norm(query)
    found = await texts_of(engine, kept.Query("zebra", query, limit=10))
    cosines = rows @ query
    order = np.argsort(-cosines)[:10]
    expected = {f"text {at // 3} {at % 3}" for at in order}
    assert set(found) == expected, f"expected the nearest {expected}, got {set(found)}"
    nearest = found["text 5 2"]
    assert nearest.by_vector and abs(nearest.cosine - float(cosines[17])) < 1e-4, nearest
    both = await texts_of(engine, kept.Query("text 9", query, limit=60))
    assert all(each.cosine is not None for each in both.values()), "expected all to be compared"
    await engine.detach("vs_a", "file-f5", principal="alice")
    left = await texts_of(engine, kept.Query("zebra", query, limit=10))
    assert "text 5 2" not in left and len(left) == 10


async def _takes_the_best_of_several_vectors(engine: kept.Engine) -> None:
    import numpy as np

    from .kit import NOW, OWNER, chunk_of, claimed, file_of, store_of

    await engine.create(store_of(model="m"))
    await engine.attach("vs_a", [file_of("x")], principal=OWNER, at=NOW)
    rows = np.asarray([[1, 0], [0, 1], [-1, 0]], np.float32)
    vectors = kept.Vectors(rows, [0, 0, 1])
    assert await engine.finish(await claimed(engine), [chunk_of("a"), chunk_of("b")], vectors)
    query = kept.Query("zebra", np.asarray([0, 1], np.float32))
    found = await texts_of(engine, query)
    assert set(found) == {"a", "b"} and found["a"].cosine == 1.0, found


FILTERS: Sequence[dict[str, Any]] = (
    *(
        {"type": kind, "key": key, "value": value}
        for kind, (key, value) in product(
            ("eq", "ne", "gt", "gte", "lt", "lte"),
            (("n", 3), ("n", 2.5), ("s", "b"), ("s", "10"), ("gone", 1), ("n", "3")),
        )
    ),
    {"type": "eq", "key": "b", "value": True},
    {"type": "ne", "key": "b", "value": False},
    {"type": "eq", "key": "b", "value": 1},
    {"type": "eq", "key": "n", "value": True},
    {"type": "in", "key": "n", "value": [1, 2, "3"]},
    {"type": "nin", "key": "s", "value": ["a", "b"]},
    {"type": "in", "key": "s", "value": []},
    {"type": "eq", "key": 'it\'s "odd" $.key', "value": "'; --"},
    {
        "type": "and",
        "filters": [
            {"type": "gt", "key": "n", "value": 1},
            {
                "type": "or",
                "filters": [
                    {"type": "eq", "key": "s", "value": "a"},
                    {"type": "eq", "key": "b", "value": False},
                ],
            },
        ],
    },
)


async def _filters_exactly(engine: kept.Engine) -> None:
    import numpy as np

    chance = random.Random(5)
    attributes: dict[str, dict[str, Any]] = {}
    for number in range(40):
        given: dict[str, Any] = {
            "n": chance.choice([1, 2, 2.5, 3, 4]),
            "s": chance.choice(["a", "b", "c", "10"]),
            "b": chance.choice([True, False]),
            'it\'s "odd" $.key': "'; --",
        }
        kept_keys = chance.sample(list(given), chance.randrange(5))
        attributes[f"f{number}"] = {key: given[key] for key in kept_keys}
    rows = {name: np.asarray([[1, 0.01 * at]], np.float32) for at, name in enumerate(attributes)}
    await filled(
        engine,
        {name: [f"apple {name}"] for name in attributes},
        attributes=attributes,
        vectors=rows,
    )
    vector = np.asarray([1, 0], np.float32)
    for told in FILTERS:
        wanted = kept.filter_of(told)
        assert wanted is not None
        expected = {f"apple {n}" for n, own in attributes.items() if kept.matches(wanted, own)}
        for query in kept.Query("apple", None, wanted), kept.Query("zebra", vector, wanted):
            got = set(await texts_of(engine, query))
            assert got == expected, f"{told}: expected {sorted(expected)}, got {sorted(got)}"


async def _filters_before_it_cuts_off(engine: kept.Engine) -> None:
    texts = {f"f{number}": [f"apple apple apple {number}"] for number in range(30)}
    texts["last"] = ["only one apple among so many other words that stand here"]
    await filled(engine, texts, attributes={"last": {"pick": True}})
    wanted = kept.filter_of({"type": "eq", "key": "pick", "value": True})
    found = await texts_of(engine, kept.Query("apple", None, wanted, limit=1))
    assert list(found) == texts["last"], f"expected the worst that passes, got {list(found)}"
    described = await engine.describe("vs_a", "file-f3", {"pick": True}, principal="alice")
    assert described is not None and dict(described.attachment.attributes) == {"pick": True}
    assert len(await texts_of(engine, kept.Query("apple", None, wanted))) == 2


FINDING: Sequence[Callable[[kept.Engine], Awaitable[None]]] = (
    _finds_by_words,
    _survives_any_query,
    _finds_by_vectors,
    _takes_the_best_of_several_vectors,
    _filters_exactly,
    _filters_before_it_cuts_off,
)
