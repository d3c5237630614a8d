"""Windows: a passage as texts that an embedding model reads whole, so that none is cut off unseen.

Above: `ingest`. A token is estimated as four bytes of UTF-8, as in `reader.chunks`.
"""

from collections.abc import Sequence
from itertools import pairwise
from re import compile as pattern

from .reader.chunks import Chunk

_EDGE = pattern(r"(?<=[.!?;:])\s|\n|(?<=[\u3002\uff01\uff1f])")
_SPACE = pattern(r"\s")


def windows(chunks: Sequence[Chunk], tokens: int) -> tuple[list[str], list[int]]:
    """Texts of at most so many tokens, each with its passage's heading, and whose they are."""
    texts: list[str] = []
    places: list[int] = []
    for place, chunk in enumerate(chunks):
        head = chunk.whole[: -len(chunk.text)] if chunk.text else ""
        room = max(16, tokens - _tokens(head))
        for part in _parts(chunk.text, room):
            texts.append(head + part)
            places.append(place)
    return texts, places


def _parts(text: str, tokens: int) -> list[str]:
    if _tokens(text) <= tokens:
        return [text]
    number = -(-_tokens(text) // tokens)
    while True:  # as few as there can be, of about the same length, cut at sentences
        edges = [_near(text, len(text) * at // number) for at in range(1, number)]
        parts = [text[a:b].strip() for a, b in pairwise([0, *edges, len(text)])]
        if all(_tokens(part) <= tokens for part in parts) or number > len(text):
            return [part for part in parts if part]
        number += 1


def _near(text: str, at: int) -> int:
    """Where to cut: behind the last sentence, or else word, before this place, if one is near."""
    low = max(0, at - 200)
    for edge in (_EDGE, _SPACE):
        ends = [found.end() for found in edge.finditer(text, low, at)]
        if ends:
            return ends[-1]
    return at


def _tokens(text: str) -> int:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return (size + 3) // 4
