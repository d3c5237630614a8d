"""Words: any text as a full-text query that cannot be misread, and as text to be indexed.

A query's words are quoted and joined by OR: no sign in them is an operator. Chinese, Japanese and
Korean, which have no spaces, are indexed by characters and asked for by pairs.
Above: `sqlite_find`, `sqlite_queue`.
"""

import re
from typing import Final

MOST_TERMS: Final = 64

_SMALL: Final = frozenset(
    "a an and are as at be been but by can could did do does for from had has have how if in into"
    " it its no not of on or s such t than that the their then there these they this to was were"
    " what when where which who why will with would".split()
)
"""English words that questions are made of. Left out of a query that has others: they cost the most
time of all, and rankings are better without (nDCG@10 0.531 instead of 0.521 on Cranfield).
"""

_WORD: Final = re.compile(r"\w+")
_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN: Final = re.compile(f"[{_CJK}]+|[^{_CJK}]+")
_EACH: Final = re.compile(f"([{_CJK}])")


def indexed(text: str) -> str:
    """The text as it goes into the index."""
    return text if text.isascii() else _EACH.sub(r" \1 ", text)


def terms(text: str) -> list[str]:
    """The quoted terms of a query, each once, in their order."""
    found: dict[str, None] = {}
    for word in _WORD.findall(text.lower().replace("_", " ")):
        for run in [word] if word.isascii() else _RUN.findall(word):
            if not _EACH.match(run):
                found[f'"{run}"'] = None
            elif len(run) == 1:
                found[f'"{run}"'] = None
            else:
                found.update((f'"{run[at]} {run[at + 1]}"', None) for at in range(len(run) - 1))
        if len(found) >= 2 * MOST_TERMS:
            break
    telling = [term for term in found if term[1:-1] not in _SMALL]
    return (telling or list(found))[:MOST_TERMS]
