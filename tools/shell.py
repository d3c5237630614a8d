"""The hosted tool `shell`: commands in the sandboxes where the code interpreter works, too.

Above: providers and agents, which find it by its type. Below: `shell_call.py` (one call) and a
`Sandboxes` backend. Not here: a shell on the client's machine, which is the client's own call.
Source: OpenAI's shell tool with a container environment.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import FunctionTool, Json, ShellTool, ToolDefinition
from antiphon.sandboxes import MEMORY_LIMITS, Isolation, Sandboxes

from .container_files import File, Stock, Supply, supplies
from .container_terms import Terms, check_terms, idle_of
from .containers import Containers
from .gate import NeedsApproval, gate_of
from .hosted import Scope
from .offer import HostedOffer
from .place import Place, remember
from .shell_call import COMMANDS, ShellDesk, ShellRun, action_of
from .uploads import naming, uploaded

OUTPUT: Final = 32 * 1024
"""Characters of each stream of a command that are kept, unless told otherwise."""


class Shell:
    """Runs a model's shell commands in sandboxes.

    A request declares `{"type": "shell", "environment": ...}`: `{"type": "container_auto"}`,
    which goes on in the last live container that its items name (a code interpreter's, too),
    else takes a new one, with the uploads of `file_ids` in its working directory; or
    `{"type": "container_reference", "container_id": ...}`. With `{"type": "local"}` the shell is
    the client's, and none of this tool's business. Commands of a call run in order, each in a
    shell of its own; files stay from call to call, and those that a command has written are told
    and cited as the code interpreter's are.

    Args:
        sandboxes: Where the commands run; closed by `aclose`.
        timeout: Seconds that one command may take; a call may ask for less.
        output: Characters of each stream of a command that are kept; a call may ask for less.
        files: Paths, or (name, bytes): in the working directory of every container before its
            first command. Paths are read each time.
        description: What the model reads of the tool, instead of the text made here.
        needs_approval: Whether a person must approve each call before it runs, or a function of
            `commands`, `timeout_ms` and `max_output_length` that says so.

    Raises:
        ConfigurationError: A file does not exist, or a bound is not above 0.
    """

    def __init__(
        self,
        sandboxes: Sandboxes,
        *,
        timeout: float = 60.0,
        output: int = OUTPUT,
        files: Sequence[File] = (),
        description: str | None = None,
        needs_approval: NeedsApproval = False,
    ) -> None:
        if not 0 < timeout < math.inf or output <= 0:
            raise ConfigurationError(
                f"expected a timeout above 0 seconds and an output above 0 characters, got "
                f"{timeout} and {output}"
            )
        self._timeout = timeout
        self._output = output
        self._sandboxes = sandboxes
        self._containers = Containers.of(sandboxes)
        self._files = supplies(files)
        self._gate = gate_of(
            needs_approval,
            name=self.type,
            parameters=["commands", "timeout_ms", "max_output_length"],
            parse=_parse,
        )
        self._function = FunctionTool(
            name=self.type,
            description=self._describe() if description is None else description,
            parameters=_parameters(),
        )

    @property
    def type(self) -> str:
        """The type of the definitions that ask for it."""
        return "shell"

    @property
    def isolation(self) -> Isolation:
        """What stands between the commands and this machine."""
        return self._sandboxes.isolation

    @property
    def containers(self) -> Containers:
        """The containers of its backend."""
        return self._containers

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[HostedOffer]:
        """One function, bound to the container that the definition asks for.

        Raises:
            RequestError: The container, or a file, is not this principal's (404), a file is too
                large (413), or the environment asks for what cannot be given.
        """
        if not isinstance(definition, ShellTool):
            raise RequestError(
                f"expected a definition of type shell, got {definition.type!r}", param="type"
            )
        remember(self._containers, scope)
        place, files = self._place(definition.environment or {}, scope)
        desk = ShellDesk(place, self._timeout, self._output)
        return (
            HostedOffer(
                naming(self._function, files),
                "shell_call",
                lambda call, slot, scope: ShellRun(desk, call.call_id, slot, scope),
                self._gate,
            ),
        )

    async def aclose(self) -> None:
        """Close every sandbox."""
        await self._sandboxes.aclose()

    def _place(self, environment: Json, scope: Scope) -> tuple[Place, Sequence[Supply]]:
        """Where the calls work, and the uploads that a definition names.

        Raises:
            RequestError: As `offers`.
        """
        kind = environment.get("type", "container_auto")
        if kind == "container_reference":
            named: object = environment.get("container_id")
            if isinstance(named, str) and self._containers.owns(named, scope.principal):
                return Place(self._containers, Stock(self._files), fixed=named), ()
            raise RequestError(
                f"environment.container_id: there is no container {named!r} here, or it has "
                'expired: ask for {"type": "container_auto"}',
                param="environment.container_id",
                code="container_not_found",
                status=404,
                type="not_found_error",
            )
        if kind != "container_auto":
            raise _refused("type", "container_auto, container_reference or local", kind)
        check_terms(
            network_policy=environment.get("network_policy"),
            skills=environment.get("skills"),
            isolation=self.isolation,
            within="environment.",
        )
        limit: Any = environment.get("memory_limit")
        if limit is not None and not (isinstance(limit, str) and limit in MEMORY_LIMITS):
            raise _refused("memory_limit", f"one of {', '.join(MEMORY_LIMITS)}", limit)
        idle = idle_of(environment.get("expires_after"), within="environment.")
        files = uploaded(_ids(environment), scope.uploads, "environment.file_ids")
        stock = Stock([*self._files, *files])
        return Place(self._containers, stock, terms=Terms(limit, idle)), files

    def _describe(self) -> str:
        place = " (/mnt/data)" if self.isolation != "none" else ""
        lines = [
            "Run shell commands, one after another, each in a new shell: join with && what "
            "belongs together.",
            f"Files in the working directory{place} are kept from call to call. Nobody answers "
            "questions that a command asks.",
            f"You read what each prints, and its exit code. Each may take {self._timeout:g} "
            "seconds. To give the user a file, write it there, in no folder below, and name it in "
            "your answer.",
        ]
        if self._files:
            lines.append(f"Files there: {', '.join(file.name for file in self._files)}.")
        return "\n".join(lines)


def _parse(arguments: str) -> Mapping[str, Any]:
    return action_of(arguments).model_dump()


def _parameters() -> Json:
    return {
        "type": "object",
        "properties": {
            "commands": {
                "type": "array",
                "items": {"type": "string"},
                "description": f"Commands to run in order, {COMMANDS} at most.",
            },
            "timeout_ms": {"type": "integer", "description": "Milliseconds for each command."},
            "max_output_length": {
                "type": "integer",
                "description": "Characters to keep of what each command prints.",
            },
        },
        "required": ["commands"],
        "additionalProperties": False,
    }


def _ids(environment: Json) -> Sequence[str]:
    given: object = environment.get("file_ids")
    ids = cast("list[object]", given) if isinstance(given, list) else [given]
    strings = [each for each in ids if isinstance(each, str)]
    if given is not None and (not isinstance(given, list) or len(strings) < len(ids)):
        raise _refused("file_ids", "a list of ids", ids)
    return strings


def _refused(name: str, wanted: str, got: object) -> RequestError:
    return RequestError(
        f"environment.{name}: expected {wanted}, got {str(got)[:100]!r}",
        param=f"environment.{name}",
        code="unsupported_value",
    )
