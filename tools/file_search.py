"""The hosted tool `file_search`: passages of files, found by words and by what they mean.

Above: providers and agents, which find it by its type. Below: `file_search_call.py` (one call),
`search` (vector stores). Source: OpenAI's file search tool.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import FileSearchTool, FunctionTool, Json, ToolDefinition

from .citations import HINT
from .file_search_call import Desk, FileSearchRun, queries_of
from .file_search_files import GivenFile, GivenFiles
from .gate import NeedsApproval, gate_of
from .hosted import Scope
from .offer import HostedOffer
from .search import Embedder, Engine, Library, filter_of, ranking_of

QUOTES: Final = "antiphon:quotes"
"""Of a definition: true for citations that say where in the file, and quote it."""

_RESULTS: Final = 10
_MOST: Final = 50
_STORES: Final = 32


class FileSearch:
    """Searches vector stores for a model.

    A request declares `{"type": "file_search", "vector_store_ids": [...]}`, and how results are
    filtered and ranked. The model cites what it found by markers, which become `file_citation`
    annotations. An item is `failed`, with the reason in its `error`, where the search could not be
    done; a search that finds nothing is completed.

    Args:
        index: Where vector stores are kept: the path of a file, an engine, or a library that
            others use, too; by default a temporary file, as long as this lives.
        embedder: Makes vectors of what is attached from now on; without one, search is by words.
        files: Paths of files and folders, or names with contents, that are searched beside any
            stores; they are read before the first search. For whoever may use the tool.
        vector_store_ids: Stores of an agent that has this tool, which then need no definition.
        max_num_results: How many results an agent that has this tool gets, 1 to 50.
        quotes: Whether citations of such an agent say where in the file, and quote it.
        description: What the model reads of the tool, instead of the text made here.
        needs_approval: Whether a person must approve each search, or a function of `queries`
            that says so.

    Attributes:
        library: The stores, for whoever serves or fills them.

    Raises:
        ConfigurationError: The index cannot be opened; a library comes with an embedder; a number
            is out of its range.
    """

    def __init__(
        self,
        index: Library | Engine | str | Path | None = None,
        *,
        embedder: Embedder | None = None,
        files: Sequence[GivenFile] = (),
        vector_store_ids: Sequence[str] = (),
        max_num_results: int = _RESULTS,
        quotes: bool = False,
        description: str | None = None,
        needs_approval: NeedsApproval = False,
    ) -> None:
        if isinstance(index, Library) and embedder is not None:
            raise ConfigurationError(
                "embedder: a library has one of its own: give it to Library(embedder=...)"
            )
        if not 1 <= max_num_results <= _MOST:
            raise ConfigurationError(
                f"max_num_results: expected 1 to {_MOST}, got {max_num_results}"
            )
        self.library: Library = (
            index if isinstance(index, Library) else Library(index, embedder=embedder)
        )
        self._files = GivenFiles(self.library, files) if files else None
        told: Json = {QUOTES: True} if quotes else {}
        self._definition = FileSearchTool(
            vector_store_ids=list(vector_store_ids), max_num_results=max_num_results, **told
        )
        self._gate = gate_of(needs_approval, name=self.type, parameters=["queries"], parse=_parse)
        words = (
            "Search the user's files. Give one query or several, each a full question or phrase;"
            " results are passages, the best first, with a score from 0 to 1.\n" + HINT
        )
        self._function = FunctionTool(
            name=self.type,
            description=words if description is None else description,
            parameters={
                "type": "object",
                "properties": {
                    "queries": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "What to look for.",
                    }
                },
                "required": ["queries"],
                "additionalProperties": False,
            },
            strict=True,
        )

    @property
    def type(self) -> str:
        """The type of the definitions that ask for it."""
        return "file_search"

    @property
    def definition(self) -> FileSearchTool:
        """How an agent that has this tool asks for it."""
        return self._definition

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[HostedOffer]:
        """One function, bound to the stores and options of the definition.

        Raises:
            RequestError: The filters or ranking options are none; there is no store, or too many.
        """
        if not isinstance(definition, FileSearchTool):
            raise RequestError(
                f"expected a definition of type file_search, got {definition.type!r}",
                param="type",
            )
        stores = definition.vector_store_ids
        least = 0 if self._files is not None else 1
        if not least <= len(stores) <= _STORES:
            raise RequestError(
                f"vector_store_ids: expected {least} to {_STORES} ids, got {len(stores)}",
                param="vector_store_ids",
                code="invalid_value",
            )
        desk = Desk(
            library=self.library,
            store_ids=stores,
            files=self._files,
            principal=scope.principal,
            filters=filter_of(definition.filters),
            ranking=ranking_of(definition.ranking_options),
            limit=definition.max_num_results or _RESULTS,
            quotes=(definition.model_extra or {}).get(QUOTES) is True,
            citations=scope.citations,
        )
        scope.citations.wake(partial(desk.restore, scope.items))
        return (
            HostedOffer(
                self._function,
                "file_search_call",
                lambda call, slot, scope: FileSearchRun(desk, slot),
                self._gate,
            ),
        )

    async def check(self, definition: ToolDefinition, scope: Scope) -> None:
        """All stores of the definition are there (see `Checks`).

        Raises:
            RequestError: 404; one is absent or another's. 400; one has expired.
        """
        named = definition.vector_store_ids if isinstance(definition, FileSearchTool) else []
        if len(named) <= _STORES:  # `offers` refuses more
            try:
                await self.library.stores(named, principal=scope.principal)
            except RequestError as error:
                error.param = "vector_store_ids"
                raise

    async def aclose(self) -> None:
        """Close the library."""
        await self.library.aclose()


class _Arguments(BaseModel):
    queries: list[str]


def _parse(arguments: str) -> Mapping[str, Any]:
    queries, fault = queries_of(arguments)
    return _Arguments.model_validate({"queries": None if fault else queries}).model_dump()
