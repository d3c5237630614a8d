"""Where the calls of one request work: their container, what is in it, what they make there.

Above: `code_interpreter.py` and `shell.py`, which share all of this. Below: `containers.py`.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Final

from antiphon.errors import SandboxError
from antiphon.items import AgentCall, ContainerFileCitation, Item
from antiphon.sandboxes import CellEvent, Finished, Output, Started

from .citations import MAX_NAMES, Annotate
from .container_files import ContainerFile, Stock, told
from .container_row import Visit
from .container_terms import Terms
from .containers import Containers, container_of
from .hosted import Scope

_LAST: Final = 8
"""Containers of a conversation whose files are known again."""


class Place:
    """The container of the calls of one request: a fixed one, or the last that lives.

    Args:
        containers: Those of the backend.
        stock: What each begins with.
        fixed: The id of the only one that will do, if the request names one.
        terms: What a new one is to be like.
    """

    def __init__(
        self,
        containers: Containers,
        stock: Stock,
        *,
        fixed: str | None = None,
        terms: Terms = Terms(),  # noqa: B008 - it never changes
    ) -> None:
        self.containers = containers
        self._sandboxes = containers.sandboxes  # held while a call may use it
        self._stock = stock
        self._fixed = fixed
        self._terms = terms
        self._used = ""

    def choose(self, scope: Scope) -> str:
        """The container of a call that opens now: the last one may have expired.

        Raises:
            SandboxError: As `Containers.choose`.
        """
        if self._fixed is not None:
            return self._fixed
        if not self._used or not self.containers.owns(self._used, scope.principal):
            items = reversed(scope.items)
            self._used = self.containers.choose(items, scope.principal, scope.ids, self._terms)
        return self._used

    def visit(self, container_id: str, scope: Scope) -> AbstractAsyncContextManager[Visit]:
        """The container, for one cell; see `Containers.use`."""
        return self.containers.use(container_id, scope.principal, self._stock)


async def cell(visit: Visit, source: str, seconds: float) -> AsyncGenerator[CellEvent, None]:
    """The events of a cell. When the last one comes, `visit.files` are those that it has written.

    Raises:
        SandboxError: As `Sandbox.run`.
    """
    finished: Finished | None = None
    visit.begin()
    try:
        async with aclosing(visit.sandbox.run(source, timeout=seconds)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    finished = event
                else:
                    yield event
                if isinstance(event, Started) and (news := visit.news()):
                    yield Output("stderr", news)
    except SandboxError:  # it never began
        visit.end()
        raise
    if finished is None:
        return
    if finished.state_lost:
        visit.lose()
    if finished.files_changed and _lives(finished):
        await visit.look()
    else:
        visit.end(unseen=finished.files_changed)
    yield finished


def _lives(finished: Finished) -> bool:
    """Whether there is an interpreter; where none is left, one would start only to be asked."""
    if finished.status == "timeout":
        return not finished.state_lost
    return finished.status in ("ok", "error")


def tell(files: Sequence[ContainerFile], scope: Scope) -> str:
    """One line for the model, where files were written; an answer that names one now cites it."""
    for file in reversed(files[:MAX_NAMES]):  # the first ones are told: they stay known
        scope.citations.name(file.name, _annotating(file))
    return told(files)


def remember(containers: Containers, scope: Scope) -> None:
    """Know again the files of the containers that the conversation names, as far as they live."""
    named: dict[str, None] = {}
    for container_id in _named(scope.items):
        named[container_id] = None
        if len(named) == _LAST:
            break
    for container_id in reversed(named):
        tell(containers.made(container_id, scope.principal), scope)


def _named(items: Sequence[Item]) -> Iterator[str]:
    """The containers that items name, and the items of agents in them, the newest first."""
    for item in reversed(items):
        if isinstance(item, AgentCall):
            yield from _named(item.output)
        container_id = container_of(item)
        if container_id is not None:
            yield container_id


def _annotating(file: ContainerFile) -> Annotate:
    def annotate(start: int, end: int) -> ContainerFileCitation:
        return ContainerFileCitation(
            container_id=file.container_id,
            file_id=file.id,
            filename=file.name,
            start_index=start,
            end_index=end,
        )

    return annotate
