"""One call of the file search: its queries, its results, and the markers to cite them by.

Above: `file_search.py`, which begins it. Below: `search` (the library), `citations`. Source of the
events: the `openai` SDK's ResponseFileSearchCall... classes.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from antiphon.errors import RequestError, whence
from antiphon.items import (
    Annotation,
    Event,
    FileCitation,
    FileSearchCall,
    Item,
    Json,
    SearchResult,
    clean,
)

from .call import BaseCall
from .citations import Citations
from .file_search_files import OWNER, GivenFiles
from .hosted import Slot
from .result import surprise
from .search import EmbedderError, Filter, Found, Library, Ranking
from .search.library import check_queries

log: logging.Logger = logging.getLogger("antiphon.tools")

_CURE: Final = 'Call it again with JSON such as {"queries": ["what to look for"]}.'
_QUOTED: Final = 200
"""Characters of a passage that its citation quotes, where quotes are asked for."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the calls of one request share.

    Attributes:
        library: What is searched.
        store_ids: In which stores.
        files: What is searched beside them.
        principal: Whose they are.
        filters: Which files may be found.
        ranking: In which order.
        limit: How many results.
        quotes: Whether citations say where in the file, and quote it.
        citations: The markers of this run.
    """

    library: Library
    store_ids: Sequence[str]
    files: GivenFiles | None
    principal: str
    filters: Filter | None
    ranking: Ranking
    limit: int
    quotes: bool
    citations: Citations

    async def search(self, queries: Sequence[str]) -> list[Found]:
        """The best passages, best first."""
        places = [(self.store_ids, self.principal)] if self.store_ids else []
        if self.files is not None:
            places.append(([await self.files.store()], OWNER))
        found: list[Found] = []
        for store_ids, principal in places:
            found += await self.library.search(
                store_ids,
                queries,
                principal=principal,
                filters=self.filters,
                ranking=self.ranking,
                limit=self.limit,
            )
        found.sort(key=lambda each: -each.score)
        return found[: self.limit]

    def restore(self, items: Iterable[Item]) -> None:
        """The markers that earlier calls of the conversation gave."""
        for item in items:
            if isinstance(item, FileSearchCall):
                for result in item.results or ():
                    marker: object = (result.model_extra or {}).get("cite")
                    if isinstance(marker, str):
                        self.citations.restore(marker, "", _annotating(result, quotes=self.quotes))

    def result(self, found: Found) -> SearchResult:
        """A result as the item keeps it and the model reads it."""
        passage = found.passage
        chunk = passage.chunk
        places: Json = {}
        if chunk.heading:
            places["heading"] = clean(chunk.heading)
        for name, span in (("pages", chunk.pages), ("lines", chunk.lines)):
            if span is not None:
                places[name] = list(span)
        result = SearchResult(
            file_id=passage.file_id,
            filename=clean(passage.filename),
            score=round(found.score, 4),
            text=clean(chunk.text),
            attributes=dict(passage.attributes),
            **places,
        )
        marker = self.citations.mint("", _annotating(result, quotes=self.quotes))
        return result.model_copy(update={"cite": marker})


def _annotating(result: SearchResult, *, quotes: bool) -> Callable[[int, int], Annotation]:
    extra = result.model_extra or {}
    told: Json = {}
    if quotes:
        told = {f"antiphon:{name}": extra[name] for name in ("pages", "lines") if name in extra}
        told["antiphon:quote"] = (result.text or "")[:_QUOTED]

    def annotate(start: int, end: int) -> Annotation:
        return FileCitation(
            file_id=result.file_id or "", filename=result.filename or "", index=start, **told
        )

    return annotate


class FileSearchRun(BaseCall):
    """A call whose item is `file_search_call`; its results are always whole."""

    steps = "response.file_search_call"

    def __init__(self, desk: Desk, slot: Slot) -> None:
        super().__init__(slot)
        self._desk = desk
        self._queries: list[str] = []
        self._results: list[SearchResult] | None = None
        self._fault: str | None = None

    def item(self, status: str) -> FileSearchCall:
        """The receipt so far."""
        told = self._fault is not None and status == "failed"
        error: Json = {"error": self._fault} if told else {}
        return FileSearchCall(
            id=self.slot.item_id,
            status=status,
            queries=self._queries,
            results=self._results,
            **error,
        )

    def write(self, delta: str) -> Iterable[Event]:
        """The queries stand in the item when they are whole: there is no event for less."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """The queries are known."""
        self._queries, self._fault = queries_of(arguments)
        return ()

    def fail(self, reason: str) -> Iterable[Event]:
        """End the item failed; the model reads the reason."""
        self._fault = reason
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """Search, and tell how it ended."""
        if self._fault is None:
            yield self.step("searching")
            self._fault = await self._search()
        for event in self.end("completed" if self._fault is None else "failed"):
            yield event

    async def _search(self) -> str | None:
        """Fill in the results; else what is wrong. Nothing found is no error."""
        desk = self._desk
        try:
            found = await desk.search(self._queries)
        except RequestError as error:
            return error.message
        except EmbedderError as error:
            return str(error)
        except Exception as error:
            log.error("the file search failed: %s", whence(error))
            return surprise(error, "file_search")
        self._results = [desk.result(each) for each in found]
        return None


def queries_of(arguments: str) -> tuple[list[str], str | None]:
    """The queries of a call, or what is wrong with them. One `query` passes, too."""
    try:
        given: Any = json.loads(arguments, strict=False)
    except (ValueError, RecursionError) as error:
        return [], f"The arguments are not JSON ({error}). {_CURE}"
    fields: Mapping[str, Any] = cast("Json", given) if isinstance(given, dict) else {}
    told: Any = fields.get("queries", fields.get("query"))
    listed: Any = [told] if isinstance(told, str) else told
    if not isinstance(listed, list):
        return [], f"The arguments have no `queries` that is a list of strings. {_CURE}"
    queries = [clean(each) for each in cast("list[Any]", listed) if isinstance(each, str)]
    try:
        check_queries(queries, "queries")
    except RequestError as error:
        return queries, f"{error.message}. {_CURE}"
    return queries, None
