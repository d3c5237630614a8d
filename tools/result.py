"""What a tool gave, as the content of an item; and what went wrong, as words for the model.

Not here: running the tool.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from antiphon.errors import ToolFailed
from antiphon.items import Content, InputFile, InputImage, InputText, Part, bounded, clean

RESULT_LIMIT = 1024 * 1024
"""Characters of text that one call may give; the rest is cut off, and the model is told."""

MESSAGE_LIMIT = 500
"""Characters of an unexpected exception's message that the model reads."""

_FAULTS = 10

Given: TypeAlias = InputText | InputImage | InputFile


def content_of(value: Any, name: str) -> Content:
    """A tool's result as the model reads it.

    Text stays as it is; None is the empty text; parts (or a list of parts and texts) stay
    parts; anything else is compact JSON, as pydantic writes it.

    Raises:
        ToolFailed: It is bytes, or JSON cannot say it.
    """
    if isinstance(value, str):
        return bounded(clean(value), RESULT_LIMIT)
    if value is None:
        return ""
    if isinstance(value, Given):
        return _parts([value], name)
    if isinstance(value, list | tuple):
        several = cast("Sequence[Any]", value)
        if any(isinstance(part, Given) for part in several):
            return _parts(several, name)
    if isinstance(value, bytes | bytearray | memoryview):
        raise ToolFailed(
            f"`{name}` gave bytes, which a model cannot read: it has to return text, or an"
            " InputImage or InputFile with a data URL"
        )
    try:
        text = to_json(value, inf_nan_mode="strings").decode()
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        what = str(error).split("\n", 1)[0]
        raise ToolFailed(
            f"`{name}` gave a {type(cast('object', value)).__name__}, which JSON cannot say"
            f" ({bounded(clean(what), MESSAGE_LIMIT)}): it has to return text or plain data"
        ) from error
    return bounded(text, RESULT_LIMIT)


def _parts(several: Sequence[Any], name: str) -> list[Part]:
    parts: list[Part] = []
    left = RESULT_LIMIT
    for part in several:
        if isinstance(part, str):
            part = InputText(text=clean(part))
        if isinstance(part, InputText):
            shown = bounded(part.text, left)
            left = max(0, left - len(part.text))
            part = part if shown is part.text else part.model_copy(update={"text": shown})
        elif not isinstance(part, Given):
            raise ToolFailed(
                f"`{name}` gave a list of parts with a {type(part).__name__} in it: expected"
                " only text, InputText, InputImage and InputFile"
            )
        parts.append(part)
    return parts


def misfit(error: ValidationError, name: str) -> str:
    """What was wrong with the arguments, field by field, for the model to call again."""
    faults = error.errors(include_url=False, include_context=False)
    if faults[0]["type"] == "json_invalid":
        return bounded(f"The arguments of `{name}` are not JSON: {faults[0]['msg']}.", 500)
    lines = [f"The arguments of `{name}` do not fit:"]
    for fault in faults[:_FAULTS]:
        path = ".".join(str(step) for step in fault["loc"]) or "arguments"
        line = f"- {path}: {fault['msg'].removeprefix('Value error, ')}"
        if fault["type"] not in ("missing", "extra_forbidden"):
            line += f" (got {_short(fault['input'])})"
        lines.append(clean(bounded(line, 300)))
    if len(faults) > _FAULTS:
        lines.append(f"- and {len(faults) - _FAULTS} more")
    return "\n".join([*lines, "Call it again with arguments that fit."])


def _short(value: Any) -> str:
    text = to_json(value, fallback=repr, inf_nan_mode="constants").decode()
    return text if len(text) <= 80 else f"{text[:80]}..."


def surprise(error: Exception, name: str, *, discreet: bool = False) -> str:
    """An exception that the tool did not mean for the model: its type and its first words; of a
    discreet one the type alone.
    """
    what = "" if discreet else clean(str(error)).strip()
    told = f": {bounded(what, MESSAGE_LIMIT)}" if what else ""
    return f"`{name}` failed: {type(error).__name__}{told}"
