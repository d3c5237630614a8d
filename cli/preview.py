"""Items and values on one line.

Above: `replay`, `trace`. Below: `antiphon.items`. Not here: control characters; whoever writes
to a terminal takes them out.
"""

from typing import Any, Final, cast

from antiphon.items import (
    AgentCall,
    ApprovalResponse,
    Handoff,
    Item,
    McpApprovalResponse,
    text_of,
)

_ABOUT: Final = ("name", "agent", "target", "container_id", "server_label", "role")
_MARK: Final = "..."


def title_of(item: Item) -> str:
    """What an item is, and which tool, agent or container it is about."""
    about = next((str(told) for name in _ABOUT if (told := getattr(item, name, None))), "")
    return f"{item.type} {short(about, 40)}".rstrip()


def short(text: str, width: int) -> str:
    """A text on one line, cut to a width."""
    line = " ".join(text[: 4 * width + 100].split())
    return line if len(line) <= width else f"{line[: max(width - len(_MARK), 0)]}{_MARK}"


def excerpts(one: str, other: str, width: int) -> tuple[str, str]:
    """Two texts around where they begin to differ, each cut to a width."""
    pairs = enumerate(zip(one, other, strict=False))
    start = next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
    begin = 0 if start < width // 2 else start - width // 4
    return _cut(one, begin, width), _cut(other, begin, width)


def _cut(text: str, begin: int, width: int) -> str:
    head = _MARK if begin else ""
    tail = _MARK if len(text) > begin + width else ""
    return f"{head}{text[begin : begin + width]}{tail}"


def gist(item: Item) -> str:
    """What an item says: its text, or what went in and what came out."""
    told: Any = item
    given = _first(told, "arguments", "code", "input", "queries", "action")
    came = _first(told, "error", "output", "outputs", "results")
    if isinstance(item, AgentCall):
        came = told.error or _last_text(told.output)
    if item.type in ("message", "reasoning"):
        return _words(told)
    if isinstance(item, Handoff):
        return f"{told.error or f'{told.source} -> {told.target}'}"
    if isinstance(item, ApprovalResponse | McpApprovalResponse):
        return f"{'approved' if told.approve else 'refused'} {told.reason or ''}".rstrip()
    return f"{given} -> {came}" if given and came else given or came


def _words(item: Any) -> str:
    parts = item.content or getattr(item, "summary", None) or ""
    return parts if isinstance(parts, str) else text_of(parts)


def _first(item: Any, *names: str) -> str:
    for name in names:
        value = getattr(item, name, None)
        if value:
            return _plain(value)
    return ""


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(_plain(each) for each in cast("list[Any]", value))
    for name in ("text", "logs", "url", "refusal"):
        told = getattr(value, name, None)
        if isinstance(told, str):
            return told
    return str(value)


def _last_text(items: list[Any]) -> str:
    said = [_words(item) for item in items if item.type == "message"]
    return said[-1] if said else ""
