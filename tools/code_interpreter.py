"""The hosted tool `code_interpreter`: Python that keeps its state, in containers of a backend.

Above: providers and agents, which find it by its type. Below: `code_call.py` (one call) and a
`Sandboxes` backend (where code runs). Source: OpenAI's code interpreter tool.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import (
    AutoContainer,
    CodeInterpreterTool,
    FunctionCall,
    FunctionTool,
    ToolDefinition,
)
from antiphon.sandboxes import Isolation, Sandboxes

from .code_call import CodeCall, Desk
from .containers import Containers, File
from .gate import Gate, NeedsApproval, gate_of
from .hosted import Scope, Slot


class _Arguments(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    code: str


class CodeInterpreter:
    """Runs a model's Python in sandboxes.

    A request declares `{"type": "code_interpreter", "container": ...}`: an id of its own, or
    `auto`, which goes on in the last live container that its items name, else takes a new one.
    Nothing starts before the first cell. The order of the cells of one container is that of
    their calls.

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
        self._containers = Containers(sandboxes, files)
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
        return self._containers.sandboxes.isolation

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence["CodeOffer"]:
        """One function, bound to the container that the definition asks for.

        Raises:
            RequestError: The container is not this principal's (404), or files are asked for.
        """
        if not isinstance(definition, CodeInterpreterTool):
            raise RequestError(
                f"expected a definition of type code_interpreter, got {definition.type!r}",
                param="type",
            )
        wanted = definition.container
        if isinstance(wanted, AutoContainer):
            if wanted.file_ids:
                raise RequestError(
                    "container.file_ids: files cannot be taken from a request; leave it out, or"
                    " let the provider give files to every container",
                    param="container.file_ids",
                    code="unsupported_parameter",
                )
            return (self._offer(None, wanted.memory_limit),)
        if not self._containers.owns(wanted, scope.principal):
            raise RequestError(
                f"container: there is no container {wanted[:80]!r}, or it has expired: ask for"
                ' {"type": "auto"}',
                param="container",
                code="container_not_found",
                status=404,
                type="not_found_error",
            )
        return (self._offer(wanted, None),)

    async def aclose(self) -> None:
        """Close every sandbox."""
        await self._containers.sandboxes.aclose()

    def _offer(self, fixed: str | None, memory_limit: str | None) -> "CodeOffer":
        return CodeOffer(
            self._function, self._containers, self.timeout, fixed, memory_limit, self._gate
        )

    def _describe(self) -> str:
        place = " (/mnt/data)" if self.isolation != "none" else ""
        lines = [
            "Run Python code. Variables, imports and files are kept from call to call.",
            "You read what is printed, the value of the last expression, and figures.",
            f"Files are in the working directory{place}. A call may take {self.timeout:g} seconds.",
        ]
        if self._containers.names:
            lines.append(f"Files there: {', '.join(self._containers.names)}.")
        return "\n".join(lines)


def _parse(arguments: str) -> Mapping[str, Any]:
    return _Arguments.model_validate_json(arguments).model_dump()


@dataclass(slots=True)
class CodeOffer:
    """The code interpreter on the menu of one request; its calls share one container."""

    function: FunctionTool
    containers: Containers
    timeout: float
    fixed: str | None
    memory_limit: str | None
    gate: Gate | None
    used: str = field(default="", init=False)

    @property
    def item_type(self) -> str:
        """The type of the items that its calls become."""
        return "code_interpreter_call"

    @property
    def parallel(self) -> bool:
        """Calls may run beside others; those of one container wait for each other there."""
        return True

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> CodeCall:
        """A call opens."""
        desk = Desk(self.containers, scope.principal, self.timeout, lambda: self._choose(scope))
        return CodeCall(desk, slot)

    def _choose(self, scope: Scope) -> str:
        """The container for a call that opens now: it may have expired since the last one."""
        if self.fixed is not None:
            return self.fixed
        if not self.used or not self.containers.owns(self.used, scope.principal):
            items = reversed(scope.items)
            self.used = self.containers.choose(items, scope.principal, self.memory_limit, scope.ids)
        return self.used
