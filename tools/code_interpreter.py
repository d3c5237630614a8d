"""The hosted tool `code_interpreter`: Python that keeps its state, in containers of a backend.

Above: providers and agents, which find it by its type. Below: `code_call.py` (one call) and a
`Sandboxes` backend (where code runs). Source: OpenAI's code interpreter tool.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import (
    AutoContainer,
    CodeInterpreterTool,
    FunctionTool,
    ToolDefinition,
)
from antiphon.sandboxes import Isolation, Sandboxes

from .code_call import CodeCall, Desk
from .container_files import File, Stock, Supply, supplies
from .container_terms import Terms, check_terms, idle_of
from .containers import Containers
from .gate import NeedsApproval, gate_of
from .hosted import Scope
from .offer import HostedOffer
from .place import Place, remember
from .uploads import naming, uploaded


class _Arguments(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    code: str


class CodeInterpreter:
    """Runs a model's Python in sandboxes.

    A request declares `{"type": "code_interpreter", "container": ...}`: an id of its own, or
    `auto`, which goes on in the last live container that its items name, else takes a new one,
    with the uploads of `file_ids` in its working directory. Nothing starts before the first cell.
    The order of the cells of one container is that of their calls.

    Files that a cell has written are files of the container; the model reads their names, and
    an answer that names one cites it.

    An item is `completed` when its code ran to an end, a traceback included, and `failed` when
    it could not be run or was stopped; the reason stands in its logs.

    Args:
        sandboxes: Where the code runs; closed by `aclose`.
        timeout: Seconds that one cell may take.
        files: Paths, or (name, bytes): in the working directory of every container before its
            first cell. Paths are read each time.
        description: What the model reads of the tool, instead of the text made here.
        needs_approval: Whether a person must approve each cell before it runs, or a function
            of `code` that says so.

    Raises:
        ConfigurationError: A file does not exist, or the timeout is not above 0.
    """

    def __init__(
        self,
        sandboxes: Sandboxes,
        *,
        timeout: float = 60.0,
        files: Sequence[File] = (),
        description: str | None = None,
        needs_approval: NeedsApproval = False,
    ) -> None:
        if not 0 < timeout < math.inf:
            raise ConfigurationError(f"expected a timeout above 0 seconds, got {timeout}")
        self.timeout = timeout
        self._sandboxes = sandboxes
        self._containers = Containers.of(sandboxes)
        self._files = supplies(files)
        self._gate = gate_of(needs_approval, name=self.type, parameters=["code"], parse=_parse)
        self._function = FunctionTool(
            name=self.type,
            description=self._describe() if description is None else description,
            parameters={
                "type": "object",
                "properties": {"code": {"type": "string", "description": "Python source to run."}},
                "required": ["code"],
                "additionalProperties": False,
            },
            strict=True,
        )

    @property
    def type(self) -> str:
        """The type of the definitions that ask for it."""
        return "code_interpreter"

    @property
    def isolation(self) -> Isolation:
        """What stands between the code and this machine."""
        return self._sandboxes.isolation

    @property
    def containers(self) -> Containers:
        """The containers of its backend."""
        return self._containers

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[HostedOffer]:
        """One function, bound to the container that the definition asks for.

        Raises:
            RequestError: The container, or a file, is not this principal's (404), a file is too
                large (413), or the container is to be what none here can be (400).
        """
        if not isinstance(definition, CodeInterpreterTool):
            raise RequestError(
                f"expected a definition of type code_interpreter, got {definition.type!r}",
                param="type",
            )
        wanted = definition.container
        remember(self._containers, scope)
        if isinstance(wanted, AutoContainer):
            more = wanted.model_extra or {}
            check_terms(
                network_policy=more.get("network_policy"),
                skills=more.get("skills"),
                isolation=self.isolation,
                within="container.",
            )
            files = uploaded(wanted.file_ids or (), scope.uploads, "container.file_ids")
            stock = Stock([*self._files, *files])
            idle = idle_of(more.get("expires_after"), within="container.")
            place = Place(self._containers, stock, terms=Terms(wanted.memory_limit, idle))
            return (self._offer(place, files),)
        if not self._containers.owns(wanted, scope.principal):
            raise RequestError(
                f"container: there is no container {wanted[:80]!r}, or it has expired: ask for"
                ' {"type": "auto"}',
                param="container",
                code="container_not_found",
                status=404,
                type="not_found_error",
            )
        return (self._offer(Place(self._containers, Stock(self._files), fixed=wanted), ()),)

    async def aclose(self) -> None:
        """Close every sandbox."""
        await self._sandboxes.aclose()

    def _offer(self, place: Place, files: Sequence[Supply]) -> HostedOffer:
        return HostedOffer(
            naming(self._function, files),
            "code_interpreter_call",
            lambda call, slot, scope: CodeCall(Desk(place, self.timeout, scope), slot),
            self._gate,
        )

    def _describe(self) -> str:
        place = " (/mnt/data)" if self.isolation != "none" else ""
        lines = [
            "Run Python code. Variables, imports and files are kept from call to call.",
            "You read what is printed, the value of the last expression, and figures.",
            f"Files are in the working directory{place}. A call may take {self.timeout:g} seconds.",
            "To give the user a file, write it there, in no folder below, and name it in your "
            "answer.",
        ]
        if self._files:
            lines.append(f"Files there: {', '.join(file.name for file in self._files)}.")
        return "\n".join(lines)


def _parse(arguments: str) -> Mapping[str, Any]:
    return _Arguments.model_validate_json(arguments).model_dump()
