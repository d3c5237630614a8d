"""The menu: what the model may call in this run, and who runs it.

Above: `loop`. Below: `tools` (offers). Every name that the model sees leads either to an offer,
which the provider runs, or to the client. Choices are kept here as hard constraints (law 5):
the model sees every tool all the time, and a forbidden call is answered with an error.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from antiphon.errors import RequestError
from antiphon.items import (
    BUILT_IN,
    AllowedTools,
    FunctionTool,
    McpServerTool,
    NamespaceTool,
    ProviderFunction,
    ToolChoice,
    ToolDefinition,
    ToolRef,
    tool_name,
)
from antiphon.tools import HostedTool, Offer, Scope

log: logging.Logger = logging.getLogger("antiphon.agents")


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A function that the client runs: its own name, and the namespace it was declared in."""

    name: str
    namespace: str | None = None


@dataclass(slots=True)
class Menu:
    """Names and where they lead; built once for a run.

    Attributes:
        functions: What the model sees, in the order of declaration.
        offers: Provider-run tools by the name that the model uses.
        clients: Client-run functions by the name that the model uses.
        by_type: The names that each declared tool type stands for.
    """

    functions: list[FunctionTool] = field(default_factory=list[FunctionTool])
    offers: dict[str, Offer] = field(default_factory=dict[str, Offer])
    clients: dict[str, ClientTool] = field(default_factory=dict[str, ClientTool])
    by_type: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def add(
        self, name: str, target: Offer | ClientTool, function: FunctionTool, param: str
    ) -> None:
        """Put one name on the menu.

        Raises:
            RequestError: The name is taken.
        """
        if name in self.offers or name in self.clients:
            raise RequestError(
                f"{param}: a tool named {name!r} is declared already: give each its own name",
                param=param,
                code="duplicate_tool",
            )
        self.functions.append(function)
        if isinstance(target, ClientTool):
            self.clients[name] = target
        else:
            self.offers[name] = target

    def __contains__(self, name: str) -> bool:
        return name in self.offers or name in self.clients


def build_menu(
    tools: Sequence[Offer | HostedTool], scope: Scope, *, native: Iterable[str] = ()
) -> Menu:
    """Read a request's tool definitions against the tools that are here.

    Args:
        tools: What the provider (or the agent) can run.
        scope: The run; its request declares the tools.
        native: Tool types that the model runs itself; they need no place on the menu.

    Raises:
        RequestError: A name is declared twice, or a definition asks for what is not here.
    """
    menu = Menu()
    functions = {tool.function.name: tool for tool in tools if isinstance(tool, Offer)}
    hosted = {tool.type: tool for tool in tools if isinstance(tool, HostedTool)}
    for position, definition in enumerate(scope.request.tools or ()):
        param = f"tools[{position}]"
        before = len(menu.functions)
        if isinstance(definition, FunctionTool):
            menu.add(definition.name, ClientTool(definition.name), definition, f"{param}.name")
        elif isinstance(definition, NamespaceTool):
            _add_namespace(menu, definition, param)
        elif isinstance(definition, ProviderFunction):
            _add_functions(menu, functions, [definition.name], f"{param}.name")
        elif isinstance(definition, McpServerTool) and _built_in(definition, param):
            _add_functions(menu, functions, _asked(definition, param, functions), param)
        elif definition.type in hosted:
            _add_hosted(menu, hosted[definition.type], definition, scope, param)
        elif definition.type not in native:
            log.warning(
                "tool type %r has no backend here; the model is not shown it", definition.type
            )
        label = f"mcp:{definition.server_label}" if isinstance(definition, McpServerTool) else ""
        names = [function.name for function in menu.functions[before:]]
        menu.by_type.setdefault(label or definition.type, []).extend(names)
    return menu


def _add_namespace(menu: Menu, group: NamespaceTool, param: str) -> None:
    for position, function in enumerate(group.tools):
        where = f"{param}.tools[{position}]"
        if not isinstance(function, FunctionTool):
            log.warning("%s: a %r in a namespace has no backend here", where, function.type)
            continue
        name = tool_name(group.name, function.name)
        seen = function.model_copy(update={"name": name})
        menu.add(name, ClientTool(function.name, group.name), seen, f"{where}.name")


def _add_functions(menu: Menu, known: dict[str, Offer], names: Iterable[str], param: str) -> None:
    for name in names:
        offer = known.get(name)
        if offer is None:
            raise RequestError(
                f"{param}: expected a function of this provider, got {name!r}: "
                f"it has {', '.join(sorted(known)) or 'none'}",
                param=param,
                code="tool_not_found",
            )
        menu.add(name, offer, offer.function, param)


def _built_in(definition: McpServerTool, param: str) -> bool:
    """Whether this asks for the provider's own functions; nobody else may use their label."""
    if definition.connector_id == BUILT_IN:
        return True
    if definition.server_label == BUILT_IN:
        raise RequestError(
            f"{param}.server_label: {BUILT_IN!r} stands for the provider's own functions: choose "
            f"another label, or ask for those with connector_id {BUILT_IN!r}",
            param=f"{param}.server_label",
            code="reserved_label",
        )
    return False


def _asked(definition: McpServerTool, param: str, known: dict[str, Offer]) -> list[str]:
    if definition.server_label != BUILT_IN or definition.server_url:
        raise RequestError(
            f"{param}: connector_id {BUILT_IN!r} takes server_label {BUILT_IN!r} and no server_url",
            param=f"{param}.server_label",
            code="invalid_value",
        )
    if definition.require_approval not in (None, "never"):
        raise RequestError(
            f'{param}.require_approval: the provider\'s own functions take "never" here',
            param=f"{param}.require_approval",
            code="unsupported_value",
        )
    allowed = definition.allowed_tools
    if isinstance(allowed, dict):
        allowed = allowed.get("tool_names")
    return list(known) if allowed is None else [str(name) for name in allowed]


def _add_hosted(
    menu: Menu, tool: HostedTool, definition: ToolDefinition, scope: Scope, param: str
) -> None:
    try:
        offers = tool.offers(definition, scope)
    except RequestError as error:
        inner, error.param = error.param or "", f"{param}.{error.param}" if error.param else param
        if inner and error.message.startswith(inner):  # the message names the field, too
            error.message = f"{param}.{error.message}"
        raise
    for offer in offers:
        menu.add(offer.function.name, offer, offer.function, param)


class Choice:
    """What the request says about calling: kept until it is met, enforced all the time.

    Args:
        menu: The names there are.
        asked: The request's `tool_choice`.

    Raises:
        RequestError: It demands a tool that is not on the menu.
    """

    def __init__(self, menu: Menu, asked: ToolChoice | None) -> None:
        self._only: frozenset[str] | None = None
        self._lasting = False
        self.required: bool = False
        self.never: bool = asked == "none"
        if asked == "required":
            self.required = True
        elif isinstance(asked, AllowedTools):
            names = [
                name
                for position, ref in enumerate(asked.tools)
                for name in _names(menu, ref, f"tool_choice.tools[{position}]")
            ]
            self._only, self._lasting = frozenset(names), True
            self.required, self.never = asked.mode == "required", asked.mode == "none"
        elif isinstance(asked, ToolRef):
            self._only = frozenset(_names(menu, asked, "tool_choice"))
            self.required = True
        if self.required and not menu.functions:
            raise RequestError(
                "tool_choice demands a call, but no tool that can be called is declared: "
                "declare one in tools, or leave tool_choice out",
                param="tool_choice",
                code="no_tools",
            )

    def refusal(self, name: str) -> str | None:
        """Why this call is forbidden, or None where it is allowed."""
        if self.never:
            return "tool_choice is none: answer without calling tools"
        if self._only is not None and name not in self._only:
            return f"{name} may not be called now; allowed: {', '.join(sorted(self._only))}"
        return None

    def met(self) -> None:
        """A call was made as demanded; from here the model is free, within what is allowed."""
        self.required = False
        if not self._lasting:
            self._only = None

    def lowered(self) -> ToolChoice:
        """The choice in terms of functions, for the model's server."""
        if self.never:
            return "none"
        if self._only is None:
            return "required" if self.required else "auto"
        if len(self._only) == 1 and self.required:
            return ToolRef(type="function", name=next(iter(self._only)))
        tools = [ToolRef(type="function", name=name) for name in sorted(self._only)]
        return AllowedTools(mode="required" if self.required else "auto", tools=tools)


def _names(menu: Menu, ref: ToolRef, param: str) -> list[str]:
    """The names that a reference stands for."""
    label = BUILT_IN if ref.type == "mcp" and ref.server_label is None else ref.server_label
    if ref.type in ("function", "antiphon:function"):
        found = [ref.name] if ref.name and ref.name in menu else []
    elif ref.type == "mcp":
        found = menu.by_type.get(f"mcp:{label}", [])
        if ref.name:
            own = ref.name if label == BUILT_IN else tool_name(str(label), ref.name)
            found = [name for name in found if name == own]
    else:
        found = menu.by_type.get(ref.type, [])
    if not found:
        what = ref.name or label or ref.type
        raise RequestError(
            f"{param}: demands {what!r}, which is not declared in tools or not hosted here: "
            f"callable are {', '.join(function.name for function in menu.functions) or 'none'}",
            param=param,
            code="tool_not_found",
        )
    return found
