"""What a request says about calling: enforced when a call would run, whatever the model does.

Above: `loop`, `sampling`. Below: `menu`. The model sees every tool all the time (its server's
prompt cache stays warm); a forbidden call is answered with an error (law 5).
"""

from antiphon.errors import RequestError
from antiphon.items import BUILT_IN, AllowedTools, ToolChoice, ToolRef, tool_name

from .menu import Menu


class Choice:
    """What the request says about calling: kept until it is met, enforced all the time.

    Args:
        menu: The names there are.
        asked: The request's `tool_choice`.
        met: Whether what it demanded was done already, by an agent that had the conversation
            before; only what it forbids holds on then, as far as it is on this menu.

    Raises:
        RequestError: It demands a tool that is not on the menu.
    """

    def __init__(self, menu: Menu, asked: ToolChoice | None, *, met: bool = False) -> None:
        self._only: frozenset[str] | None = None
        self._lasting = False
        self._native = frozenset(menu.native)
        self.required: bool = False
        self.never: bool = asked == "none"
        self.spent: bool = False
        self.done: bool = met
        if asked == "required":
            self.required = True
        elif isinstance(asked, AllowedTools):
            names = [
                name
                for position, ref in enumerate(asked.tools)
                for name in _names(menu, ref, f"tool_choice.tools[{position}]", lenient=met)
            ]
            self._only, self._lasting = frozenset(names), True
            self.required, self.never = asked.mode == "required", asked.mode == "none"
        elif isinstance(asked, ToolRef) and not met:
            self._only = frozenset(_names(menu, asked, "tool_choice"))
            self.required = True
        self.required = self.required and not met
        if self.required and not (menu.functions or menu.native):
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
            return f"{name} may not be called now; allowed: {', '.join(sorted(self._only)[:20])}"
        return None

    def met(self) -> None:
        """A call was made as demanded; from here the model is free, within what is allowed."""
        self.done = True
        self.required = False
        if not self._lasting:
            self._only = None

    def spend(self) -> None:
        """No more calls may run: the model is to answer with what it has."""
        self.spent = self.never = True
        self.required = False

    @property
    def unmet(self) -> bool:
        """Whether a call was demanded and none was made. What the model runs itself is not seen
        here, so where it has tools of its own it is believed.
        """
        return self.required and not self._native

    def lowered(self) -> ToolChoice:
        """The choice in terms of functions, for the model's server."""
        if self.never:
            return "none"
        if self._only is None:
            return "required" if self.required else "auto"
        tools = [self._ref(name) for name in sorted(self._only)]
        if len(tools) == 1 and self.required:
            return tools[0]
        return AllowedTools(mode="required" if self.required else "auto", tools=tools)

    def _ref(self, name: str) -> ToolRef:
        """One name, for the model's server; what it runs itself goes by its type."""
        if name in self._native:
            return ToolRef(type=name)
        return ToolRef(type="function", name=name)


def _names(menu: Menu, ref: ToolRef, param: str, *, lenient: bool = False) -> list[str]:
    """The names that a reference stands for; lenient: none, where it is not on the menu."""
    label = BUILT_IN if ref.type == "mcp" and ref.server_label is None else ref.server_label
    if ref.type in ("function", "antiphon:function"):
        found = [ref.name] if ref.name and ref.name in menu else []
    elif ref.type == "mcp":
        found = menu.by_type.get(f"mcp:{label}", [])
        if ref.name:
            own = ref.name if label == BUILT_IN else tool_name(str(label), ref.name)
            found = [name for name in found if name == own]
    elif ref.type in menu.native:
        found = [ref.type]
    else:
        found = menu.by_type.get(ref.type, [])
        if ref.type == "custom":
            found = [name for name in found if name == ref.name]
    if not found and not lenient:
        what = ref.name or label or ref.type
        raise RequestError(
            f"{param}: demands {what!r}, which is not declared in tools or not hosted here: "
            f"callable are {menu.listing()}",
            param=param,
            code="tool_not_found",
        )
    return found
