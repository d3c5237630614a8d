"""Ranking: orders, scores that mean the same everywhere, thresholds, weights."""

import pytest

from antiphon.tools import search as kept

from .searching import OWNER, Letters, filled

BOTH = kept.Candidates(
    [
        kept.Candidate(1, words=9.0, cosine=0.2),
        kept.Candidate(2, words=5.0, cosine=0.8, by_vector=True),
        kept.Candidate(3, cosine=0.6, by_vector=True),
    ],
    weight=9.0,
)
WORDS = kept.Candidates([kept.Candidate(1, words=9.0), kept.Candidate(2, words=3.0)], weight=9.0)


def order(given: kept.Candidates, **options: object) -> list[int]:
    return [key for key, _ in kept.ranked(given, kept.ranking_of(options))]


def test_auto_weighs_both_searches_and_none_takes_the_vectors_alone() -> None:
    assert order(BOTH) == order(BOTH, ranker="default-2024-11-15") == [2, 1, 3]
    assert order(BOTH, ranker="none") == [2, 3]
    assert order(WORDS, ranker="none") == order(WORDS) == [1, 2]


def test_weights_decide_how_much_each_rank_counts() -> None:
    def weighed(embedding: float, text: float) -> list[int]:
        return order(BOTH, hybrid_search={"embedding_weight": embedding, "text_weight": text})

    assert weighed(1, 0) == [2, 3]
    assert weighed(0, 1) == [1, 2]
    assert weighed(1, 1)[0] == 2
    top = kept.ranked(
        BOTH, kept.ranking_of({"hybrid_search": {"embedding_weight": 1, "text_weight": 0}})
    )
    assert top[0] == (2, 1.0), "expected the first of everything to score 1"


def test_a_score_says_how_much_of_the_query_is_answered_and_not_what_else_was_found() -> None:
    alone = kept.Candidates([kept.Candidate(2, words=3.0)], weight=9.0)
    assert (
        dict(kept.ranked(alone, kept.Ranking()))[2] == dict(kept.ranked(WORDS, kept.Ranking()))[2]
    )
    once = kept.Candidates([kept.Candidate(1, words=4.0)], weight=4.0)
    assert kept.ranked(once, kept.Ranking()) == [(1, 0.75)]
    weak = kept.Candidates([kept.Candidate(1, cosine=0.1, by_vector=True)], weight=0.0)
    assert kept.ranked(weak, kept.Ranking()) == [(1, pytest.approx(0.1))]


@pytest.mark.parametrize("ranker", ["auto", "none"])
def test_a_passage_has_its_score_whatever_is_found_beside_it(ranker: str) -> None:
    wanted = kept.ranking_of({"ranker": ranker})
    together = dict(kept.ranked(BOTH, wanted))
    for each in BOTH.found:
        alone = dict(kept.ranked(kept.Candidates([each], BOTH.weight), wanted))
        assert alone.get(each.key) == together.get(each.key)
    everything = kept.Candidates([kept.Candidate(1, words=99.0, cosine=1.0, by_vector=True)], 9.0)
    assert kept.ranked(everything, wanted)[0][1] == pytest.approx(1.0, abs=1e-3)
    nothing = kept.Candidates([kept.Candidate(1, words=0.01, cosine=-0.5, by_vector=True)], 9.0)
    assert kept.ranked(nothing, wanted)[0][1] == pytest.approx(0.0, abs=1e-2)


def test_a_threshold_leaves_out_what_is_worse() -> None:
    scores = dict(kept.ranked(BOTH, kept.Ranking()))
    assert all(0 <= score <= 1 for score in scores.values())
    cut = sorted(scores.values())[1]
    assert order(BOTH, score_threshold=cut) == [2, 1]
    assert order(BOTH, score_threshold=1.0) == []


@pytest.mark.anyio
async def test_a_question_that_nothing_answers_scores_low_and_one_that_is_answered_high() -> None:
    files = {f"{at}.md": f"Some words of number {at} about trees." for at in range(20)}
    async with filled({**files, "keel.md": "A keel keeps a boat upright."}) as library:

        async def best(query: str) -> float:
            found = await library.search(["vs_a"], [query], principal=OWNER)
            return found[0].score if found else 0.0

        assert await best("What keeps a boat upright?") > 0.7
        assert await best("boat prices of unknown quux vendors") < 0.5
        assert await best("quux") == 0.0


@pytest.mark.anyio
async def test_both_searches_together_find_what_either_finds() -> None:
    files = {"spelt.md": "aaaa bbbb", "said.md": "keel"}
    async with filled(files, embedder=Letters()) as library:
        found = await library.search(["vs_a"], ["keel abab"], principal=OWNER)
    assert {each.passage.filename for each in found} == {"spelt.md", "said.md"}
