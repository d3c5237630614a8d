"""Uploads: the files that a request names by id, as files of a container.

Above: `code_interpreter.py`, `shell.py`. Whoever serves a run keeps uploads (a Provider: under
/v1/files) and gives them to it as `Scope.uploads`; a run in a client's own process has none.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from antiphon.errors import RequestError
from antiphon.items import (
    AgentTool,
    AutoContainer,
    CodeInterpreterTool,
    FunctionTool,
    ShellTool,
    ToolDefinition,
)
from antiphon.sandboxes import FILE_LIMIT

from .container_files import Supply, container_name

MOST: Final = 50
"""Uploads that one definition may name."""

_LOOKED_UP: Final = 500
"""Uploads that all definitions of a request may name."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody has uploaded.

    Attributes:
        name: What they called it.
        bytes: Its size.
    """

    name: str
    bytes: int


class Uploads(Protocol):
    """The uploads that a run may use: those that its request names, and its principal owns."""

    def find(self, file_id: str) -> Upload | None:
        """What is known of one; None where it is absent, expired or another's."""
        ...

    async def read(self, file_id: str, *, limit: int) -> bytes:
        """What it holds.

        Raises:
            SandboxFileError: It is gone, or has more than `limit` bytes.
        """
        ...


def upload_ids(definitions: Iterable[ToolDefinition]) -> list[str]:
    """The uploads that definitions name, at any depth.

    Raises:
        RequestError: 400; there are too many.
    """
    named: dict[str, None] = {}
    for definition in definitions:
        given: object = None
        if isinstance(definition, AgentTool):
            given = upload_ids(definition.tools)
        elif isinstance(definition, ShellTool):
            given = (definition.environment or {}).get("file_ids")
        elif isinstance(definition, CodeInterpreterTool):
            place = definition.container
            given = place.file_ids if isinstance(place, AutoContainer) else None
        ids = cast("list[object]", given) if isinstance(given, list) else []
        named.update((each, None) for each in ids if isinstance(each, str))
    if len(named) > _LOOKED_UP:
        raise RequestError(
            f"tools: expected at most {_LOOKED_UP} files in all, got {len(named):,}: name fewer",
            param="tools",
            code="too_many_files",
        )
    return list(named)


def uploaded(file_ids: Sequence[str], uploads: Uploads | None, param: str) -> list[Supply]:
    """The uploads that a definition names, as they will stand in its containers.

    Two of one name are told apart by a number: `data.csv`, `2-data.csv`.

    Args:
        file_ids: Their ids.
        uploads: Those that the run may use.
        param: The field of the definition that names them.

    Raises:
        RequestError: 404; there is no such upload. 413; one is too large for a container. 400;
            there are too many, or nobody here keeps uploads.
    """
    if file_ids and uploads is None:
        raise RequestError(
            f"{param}: expected none, since nobody keeps uploads for this run: send the request to "
            "a Provider, which has /v1/files, or give the tool files=[...] of its own",
            param=param,
            code="unsupported_parameter",
        )
    if len(file_ids) > MOST:
        raise RequestError(
            f"{param}: expected at most {MOST} files, got {len(file_ids)}: name fewer",
            param=param,
            code="too_many_files",
        )
    supplies: dict[str, Supply] = {}
    for position, file_id in enumerate(file_ids):
        if uploads is None or any(supply.key == file_id for supply in supplies.values()):
            continue
        found = _found(file_id, uploads, f"{param}[{position}]")
        name = _free(container_name(found.name), supplies)
        supplies[name] = Supply(file_id, name, _reader(file_id, uploads))
    return list(supplies.values())


def naming(function: FunctionTool, files: Sequence[Supply]) -> FunctionTool:
    """A function whose description names these files of its request, too."""
    if not files:
        return function
    named = f"Files of the user there: {', '.join(file.name for file in files)}."
    told = f"{function.description}\n{named}" if function.description else named
    return function.model_copy(update={"description": told})


def _found(file_id: str, uploads: Uploads, param: str) -> Upload:
    found = uploads.find(file_id)
    if found is None:
        raise RequestError(
            f"{param}: there is no file {file_id[:100]!r}: it was never uploaded, has been "
            "deleted, or is not yours",
            param=param,
            code="file_not_found",
            status=404,
            type="not_found_error",
        )
    if found.bytes > FILE_LIMIT:
        raise RequestError(
            f"{param}: expected at most {FILE_LIMIT:,} bytes, which is what a container takes, got "
            f"{found.bytes:,}: upload it in parts",
            param=param,
            code="file_too_large",
            status=413,
        )
    return found


def _free(name: str, taken: dict[str, Supply]) -> str:
    told, number = name, 1
    while told in taken:
        number += 1
        told = container_name(f"{number}-{name}")
    return told


def _reader(file_id: str, uploads: Uploads) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return await uploads.read(file_id, limit=FILE_LIMIT)

    return read
