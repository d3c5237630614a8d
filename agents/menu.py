"""The menu: what the model may call in this run, and who runs it.

Above: `loop`. Below: `tools` (offers). Every name that the model sees leads either to an offer,
which the provider runs, or to the client. Which of them may be called is `choice`'s business.
"""

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeGuard, cast

from antiphon.errors import RequestError
from antiphon.items import (
    BUILT_IN,
    CustomTool,
    FunctionTool,
    McpServerTool,
    NamespaceTool,
    ProviderFunction,
    ShellTool,
    ToolDefinition,
    tool_name,
)
from antiphon.tools import Checks, Gate, HostedTool, Listing, Lists, Offer, Scope, built_in

from .clients import ClientForm, form_of
from .custom import Custom, custom_form
from .grammar import Grammar

log: logging.Logger = logging.getLogger("antiphon.agents")

_NAMED, _SHOWN = 8, 64  # unknown tools that a log names, and characters of a type


@dataclass(frozen=True, slots=True)
class ClientTool:
    """What the client runs: its own name, and the namespace it was declared in.

    `form` is that of a tool that is no function, and whose calls are items of their own.
    """

    name: str
    namespace: str | None = None
    form: ClientForm | None = None


@dataclass(slots=True)
class Menu:
    """Names and where they lead; built once for a run.

    Attributes:
        functions: What the model sees, in the order of declaration.
        offers: Provider-run tools by the name that the model uses.
        clients: Client-run functions by the name that the model uses.
        by_type: The names that each declared tool type stands for.
        native: Declared types that the model runs itself; they have no names here.
        listings: Those whose offers somebody has to be asked for, by their labels.
        gates: Those that the request puts before functions of the provider's.
        grammars: Those of custom tools, by the place of their definitions.
        unknown: Place and type of those that nobody here runs.
    """

    functions: list[FunctionTool] = field(default_factory=list[FunctionTool])
    offers: dict[str, Offer] = field(default_factory=dict[str, Offer])
    clients: dict[str, ClientTool] = field(default_factory=dict[str, ClientTool])
    by_type: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    native: set[str] = field(default_factory=set[str])
    listings: dict[str, Listing] = field(default_factory=dict[str, Listing])
    gates: dict[str, Gate] = field(default_factory=dict[str, Gate])
    grammars: dict[str, Grammar] = field(default_factory=dict[str, Grammar])
    unknown: list[str] = field(default_factory=list[str])

    def gate(self, name: str) -> Gate | None:
        """Who says whether a call waits: it does if the tool says so, or the request."""
        own: Gate | None = getattr(self.offers.get(name), "gate", None)
        asked = self.gates.get(name)
        if own is None or asked is None:
            return own or asked

        async def either(arguments: str) -> bool:
            return await asked(arguments) or await own(arguments)

        return either

    @property
    def unlisted(self) -> list[Listing]:
        """The listings that are not known yet: the menu is not whole."""
        return [listing for listing in self.listings.values() if not listing.known]

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

    def listing(self) -> str:
        """The names, for an error: a few of them where there are many."""
        names = [function.name for function in self.functions]
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        return (", ".join(names[:20]) or "none") + more

    def __contains__(self, name: str) -> bool:
        return name in self.offers or name in self.clients


def build_menu(
    tools: Sequence[Offer | HostedTool],
    scope: Scope,
    *,
    native: Iterable[str] = (),
    listings: Mapping[str, Listing] = MappingProxyType({}),
) -> Menu:
    """Read a request's tool definitions against the tools that are here.

    Args:
        tools: What the provider (or the agent) can run.
        scope: The run; its request declares the tools.
        native: Tool types that the model runs itself; they need no place on the menu.
        listings: Those that were asked for already, by their labels.

    Raises:
        RequestError: A name is declared twice, or a definition asks for what is not here.
    """
    menu = Menu()
    places: list[tuple[str, int]] = []
    functions = {tool.function.name: tool for tool in tools if _is_offer(tool)}
    hosted = _hosted(tools)
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
            with _placed(param):
                names, gates = built_in(definition, functions)
            _add_functions(menu, functions, names, param)
            menu.gates.update(gates)
        elif isinstance(tool := hosted.get(_key(definition, hosted)), Lists):
            places.append((_add_listing(menu, tool, definition, scope, param, listings), before))
        elif tool is not None:
            _add_hosted(menu, tool, definition, scope, param)
        elif definition.type in native:
            menu.native.add(definition.type)
        elif (form := _form(definition, param)) is not None:
            _add_form(menu, form, param)
        else:
            menu.unknown.append(f"{param} {definition.type[:_SHOWN]!r}")
        label = f"mcp:{definition.server_label}" if isinstance(definition, McpServerTool) else ""
        names = [function.name for function in menu.functions[before:]]
        for kind in {label or definition.type, *_names(hosted.get(definition.type))}:
            menu.by_type.setdefault(kind, []).extend(names)
    _add_listed(menu, places)
    if menu.unknown:
        shown, count = ", ".join(menu.unknown[:_NAMED]), len(menu.unknown)
        log.warning("tools that nothing here runs, so no model sees them (%d): %s", count, shown)
    return menu


async def check_tools(tools: Sequence[Offer | HostedTool], scope: Scope) -> None:
    """Ask the tools that have to wait for the answer whether the request's definitions can be
    served (see `tools.Checks`); what else can be wrong with them, `build_menu` says.

    Raises:
        RequestError: Something that a definition names is not there.
    """
    hosted = _hosted(tools)
    for position, definition in enumerate(scope.request.tools or ()):
        tool = hosted.get(_key(definition, hosted))
        if isinstance(tool, Checks):
            with _placed(f"tools[{position}]"):
                await tool.check(definition, scope)


def _hosted(tools: Iterable[Offer | HostedTool]) -> dict[str, HostedTool]:
    """Hosted tools by every name that they go by."""
    known = (tool for tool in tools if _is_hosted(tool))
    return {name: tool for tool in known for name in (tool.type, *_names(tool))}


def _is_offer(tool: Offer | HostedTool) -> TypeGuard[Offer]:
    """Which of the two it is. (`isinstance` of a protocol asks for all that it has: 10 us.)"""
    return hasattr(tool, "begin")


def _is_hosted(tool: Offer | HostedTool) -> TypeGuard[HostedTool]:
    return hasattr(tool, "offers")


def _names(tool: HostedTool | None) -> Iterable[str]:
    """Other names that a tool goes by."""
    return getattr(tool, "types", ())


def _add_namespace(menu: Menu, group: NamespaceTool, param: str) -> None:
    for position, function in enumerate(group.tools):
        where = f"{param}.tools[{position}]"
        if isinstance(function, CustomTool):
            with _placed(where):
                form = custom_form(function, group.name)
            _add_form(menu, form, where)
            continue
        if not isinstance(function, FunctionTool):
            menu.unknown.append(f"{where} {function.type[:_SHOWN]!r}")
            continue
        name = tool_name(group.name, function.name)
        seen = function.model_copy(update={"name": name})
        menu.add(name, ClientTool(function.name, group.name), seen, f"{where}.name")


def _add_form(menu: Menu, form: ClientForm, param: str) -> None:
    name = form.function.name
    menu.add(name, ClientTool(name, form=form), form.function, param)
    if isinstance(form, Custom) and form.grammar is not None:
        menu.grammars[f"{param}.format.definition"] = form.grammar


def _form(definition: ToolDefinition, param: str) -> ClientForm | None:
    with _placed(param):
        return form_of(definition)


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


def _key(definition: ToolDefinition, hosted: Mapping[str, HostedTool]) -> str:
    """Under which name the tool of a definition is known here: a server by its label first."""
    if isinstance(definition, McpServerTool) and definition.server_url is None:
        own = f"mcp:{definition.server_label}"
        if own in hosted and definition.connector_id in (None, definition.server_label):
            return own
    if isinstance(definition, ShellTool) and form_of(definition) is not None:
        return ""  # a shell on the client's machine is not ours to run
    return definition.type


def _add_listing(
    menu: Menu,
    tool: Lists,
    definition: ToolDefinition,
    scope: Scope,
    param: str,
    known: Mapping[str, Listing],
) -> str:
    label = cast("McpServerTool", definition).server_label
    if label in menu.listings:
        raise RequestError(
            f"{param}.server_label: {label!r} is declared already: give each server its own label",
            param=f"{param}.server_label",
            code="duplicate_tool",
        )
    with _placed(param):
        listing = known.get(label) or tool.listing(definition, scope)
    menu.listings[label] = listing
    return label


def _add_listed(menu: Menu, places: Sequence[tuple[str, int]]) -> None:
    """Add what servers list, each at the place of its definition, when all that the request itself
    names is there: a server takes no name away, and a response does not fail for what it lists.
    """
    found: list[tuple[int, list[FunctionTool]]] = []
    for label, place in places:
        shown: list[FunctionTool] = []
        for offer in menu.listings[label].offers:
            function = offer.function
            if function.name in menu:
                named = label[:_SHOWN]
                log.warning("a tool of the MCP server %r is left out: its name is taken", named)
                continue
            menu.offers[function.name] = offer
            shown.append(function)
        menu.by_type.setdefault(f"mcp:{label}", []).extend(each.name for each in shown)
        found.append((place, shown))
    for place, shown in reversed(found):
        menu.functions[place:place] = shown


def _add_hosted(
    menu: Menu, tool: HostedTool, definition: ToolDefinition, scope: Scope, param: str
) -> None:
    with _placed(param):
        offers = tool.offers(definition, scope)
    for offer in offers:
        menu.add(offer.function.name, offer, offer.function, param)


@contextmanager
def _placed(param: str) -> Generator[None]:
    """What a tool says is wrong with its definition, with the definition's place."""
    try:
        yield
    except RequestError as error:
        inner, error.param = error.param or "", f"{param}.{error.param}" if error.param else param
        if inner and error.message.startswith(inner):  # the message names the field, too
            error.message = f"{param}.{error.message}"
        raise
