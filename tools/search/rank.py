"""Ranking: what both searches found, put into one order, with scores from 0 to 1.

A score is absolute: it does not depend on what else was found, but on how much of the query's
weight the passage has (by words) and how near it is (by vectors). So a threshold means the same for
every query, and the results of several queries and stores can be merged by their scores. How often
a passage of a score is relevant is measured (benchmarks/README.md). Ranks alone are no scores:
`hybrid_search` weights make what is first high, whatever it is.

Above: `library`. Below: `engine`. Source of the options: OpenAI's file search tool.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from antiphon.errors import RequestError

from .engine import Candidate, Candidates

Ranker: TypeAlias = Literal["auto", "default-2024-11-15", "none"]

_SHARE: Final = 0.55
"""Of the vectors in the fused score; measured (benchmarks/search.py)."""
_FLAT: Final = 60
"""k of reciprocal rank fusion."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What the ranks of both searches weigh in reciprocal rank fusion."""

    embedding: float
    text: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """How results are put into order.

    Attributes:
        ranker: `none` takes the vectors' order alone, or the words' without vectors.
        threshold: The least score of a result, 0 to 1.
        weights: Fuse by ranks with these weights, instead of by scores.
    """

    ranker: Ranker = "auto"
    threshold: float = 0.0
    weights: Weights | None = None


def ranking_of(given: Mapping[str, Any] | None, param: str = "ranking_options") -> Ranking:
    """The ranking that a request's options are.

    Raises:
        RequestError: 400; they are none.
    """
    options = given or {}
    ranker: object = options.get("ranker") or "auto"
    if ranker not in get_args(Ranker):
        raise _wrong(f"{param}.ranker", f"one of {', '.join(get_args(Ranker))}", ranker)
    threshold = _number(options.get("score_threshold") or 0.0, f"{param}.score_threshold", 1.0)
    hybrid: object = options.get("hybrid_search")
    weights = None
    if hybrid is not None:
        if not isinstance(hybrid, Mapping):
            raise _wrong(f"{param}.hybrid_search", "an object with two weights", hybrid)
        both = cast("Mapping[str, object]", hybrid)
        names = "embedding_weight", "text_weight"
        told = [_number(both.get(n), f"{param}.hybrid_search.{n}", math.inf) for n in names]
        if not sum(told):
            raise _wrong(f"{param}.hybrid_search", "at least one weight above 0", "0 and 0")
        weights = Weights(*told)
    return Ranking(cast("Ranker", ranker), threshold, weights)


def _number(value: object, param: str, most: float) -> float:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
    if not fine or not math.isfinite(cast("float", value)):
        top = f" to {most:g}" if math.isfinite(most) else ""
        raise _wrong(param, f"a number from 0{top}", value)
    return float(cast("float", value))


def _wrong(param: str, expected: str, got: object) -> RequestError:
    return RequestError(
        f"{param}: expected {expected}, got {str(got)[:100]!r}", param=param, code="invalid_value"
    )


def ranked(given: Candidates, ranking: Ranking) -> list[tuple[int, float]]:
    """The chunks (key, score), best first, that reach the threshold."""
    found = given.found
    near = any(each.cosine is not None for each in found)
    if ranking.weights is not None and near:
        scores = _by_ranks(found, ranking.weights)
    elif not near:
        scores = {each.key: coverage(each.words, given.weight) for each in found}
    elif ranking.ranker == "none":
        scores = {each.key: nearness(each.cosine) for each in found if each.by_vector}
    else:
        scores = {each.key: fused(each, given.weight) for each in found}
    kept = [(key, score) for key, score in scores.items() if score >= ranking.threshold]
    return sorted(kept, key=lambda each: (-each[1], each[0]))


def coverage(words: float | None, weight: float) -> float:
    """How much of a query a passage says: 0 for nothing, 0.75 for every term once in a passage of
    average length, nearly 1 for more.
    """
    if words is None or weight <= 0:
        return 0.0
    return 1.0 - 4.0 ** -(max(0.0, words) / weight)


def nearness(cosine: float | None) -> float:
    """How near a passage is: its cosine, and 0 for what points away."""
    return 0.0 if cosine is None else min(1.0, max(0.0, cosine))


def fused(found: Candidate, weight: float) -> float:
    """Both together; its nearness alone where no word of the query is anywhere."""
    share = _SHARE if weight > 0 else 1.0
    return share * nearness(found.cosine) + (1 - share) * coverage(found.words, weight)


def _by_ranks(found: list[Candidate], weights: Weights) -> dict[int, float]:
    """Weighted reciprocal rank fusion over its maximum."""
    near = sorted(
        (each for each in found if each.by_vector), key=lambda e: (-(e.cosine or 0.0), e.key)
    )
    said = sorted((each for each in found if each.words), key=lambda e: (-(e.words or 0.0), e.key))
    scores: dict[int, float] = {}
    most = (weights.embedding + weights.text) / (_FLAT + 1)
    for listed, share in ((near, weights.embedding), (said, weights.text)):
        for rank, each in enumerate(listed, start=1):
            if share:
                scores[each.key] = scores.get(each.key, 0.0) + share / (_FLAT + rank) / most
    return scores
