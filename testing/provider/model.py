"""`obliging_model`: a model that does what it is asked, by rule, so that a provider can be tested.

Above: whoever tests a Provider. Below: `antiphon.models`. Not here: any intelligence. It calls a
tool when the words name it (once for each place in the question, or for each text in backticks),
tells what tools gave, counts, remembers a name, writes JSON of a schema, thinks when reasoning is
asked for, and stops at its token limit (a token is a word). It keeps to `tool_choice` and
`parallel_tool_calls`.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any, Final

import anyio.lowlevel

from antiphon.items import (
    AllowedTools,
    FunctionCallOutput,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    Lowered,
    Message,
    ToolRef,
    text_of,
)
from antiphon.models import FunctionCall, ModelRequest, Reasoning, Speech, Stop, Text, Usage, model

from .sse import Json, obj, seq

_COUNT: Final = re.compile(r"\bcount from (\d{1,6}) to (\d{1,6})\b", re.IGNORECASE)
_NAME: Final = re.compile(r"\bmy name is (\w+)", re.IGNORECASE)
_WORD: Final = re.compile(r"\bsay the word (\w+)", re.IGNORECASE)
_PLACES: Final = re.compile(r"\bin ([A-Z]\w*(?: [A-Z]\w*)*)(?: and ([A-Z]\w*(?: [A-Z]\w*)*))?")
_QUOTED: Final = re.compile(r"`([^`]+)`")
_TOKENS: Final = re.compile(r"\s*\S+|\s+")
_MOST: Final = 20_000  # numbers that are counted


@model("obliging")
async def obliging_model(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Does what it is asked, by rule."""
    asked = _asked(request.items)
    spent = 0
    if _thinks(request):
        for text, summary in ((f"They say: {asked}", False), ("I thought about it.", True)):
            for token in _tokens(text):
                spent += 1
                yield Reasoning(token, summary)
    calls = _calls(request, asked)
    for call in calls:
        spent += 1
        yield call
    if not calls:
        limit = request.max_output_tokens
        for token in _tokens(_answer(request, asked)):
            if limit is not None and spent >= limit:
                yield _usage(request, spent)
                yield Stop("max_output_tokens")
                return
            spent += 1
            yield Text(token)
            await anyio.lowlevel.checkpoint()
    yield _usage(request, spent)


def _tokens(text: str) -> Iterator[str]:
    return (found.group() for found in _TOKENS.finditer(text))


def _usage(request: ModelRequest, spent: int) -> Usage:
    read = sum(len(item.to_json()) // 4 + 1 for item in request.items)
    return Usage(read, spent)


def _thinks(request: ModelRequest) -> bool:
    options = request.original.reasoning
    if options is None or options.effort == "none":
        return False
    return options.effort is not None or options.summary is not None


def _last_words(items: Sequence[Lowered]) -> int:
    """Where the user spoke last; -1 where nobody did."""
    for at in range(len(items) - 1, -1, -1):
        item = items[at]
        if isinstance(item, Message) and item.role == "user":
            return at
    return -1


def _asked(items: Sequence[Lowered]) -> str:
    """What the user said last."""
    at = _last_words(items)
    item = items[at] if at >= 0 else None
    return item.text if isinstance(item, Message) else ""


def _outputs(items: Sequence[Lowered]) -> list[str]:
    """What tools gave since the user spoke."""
    rest = items[_last_words(items) + 1 :]
    return [text_of(item.output) for item in rest if isinstance(item, FunctionCallOutput)]


# --- calls --------------------------------------------------------------------


def _calls(request: ModelRequest, asked: str) -> list[FunctionCall]:
    if _outputs(request.items):
        return []
    tools, must = _callable(request)
    named = [tool for tool in tools if _names(asked, tool.name)]
    if not named and tools and (must or re.search(r"\btools?\b", asked, re.IGNORECASE)):
        named = tools[:1]
    words = _QUOTED.findall(asked) or _found(_PLACES, asked) or ["Oslo"]
    made = [_call(tool, word) for tool in named for word in words]
    return made[:1] if request.original.parallel_tool_calls is False else made


def _callable(request: ModelRequest) -> tuple[list[FunctionTool], bool]:
    """What may be called, and whether something must be."""
    choice, tools = request.tool_choice, request.tools
    if isinstance(choice, ToolRef):
        return [tool for tool in tools if tool.name == choice.name], True
    if isinstance(choice, AllowedTools):
        allowed = {ref.name for ref in choice.tools}
        if choice.mode == "none":
            return [], False
        return [tool for tool in tools if tool.name in allowed], choice.mode == "required"
    return ([], False) if choice == "none" else (tools, choice == "required")


def _names(asked: str, name: str) -> bool:
    """Whether the words name a tool: as it is, or by its last word, `weather` for `get_weather`."""
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", asked, re.IGNORECASE):
        return True
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if len(word) > 3]
    return bool(words) and re.search(rf"\b{words[-1]}\b", asked, re.IGNORECASE) is not None


def _found(pattern: re.Pattern[str], text: str) -> list[str]:
    found = pattern.search(text)
    return [each for each in found.groups() if each] if found else []


def _call(tool: FunctionTool, word: str) -> FunctionCall:
    arguments = json.dumps(_value(tool.parameters or {}, word))
    return FunctionCall(tool.name, _fragments(arguments))


async def _fragments(text: str) -> AsyncIterator[str]:
    for start in range(0, len(text), 5):
        yield text[start : start + 5]
        await anyio.lowlevel.checkpoint()


def _value(schema: Json, word: str) -> Any:
    """A value of a JSON schema; texts are `word`."""
    if seq(schema.get("enum")):
        return seq(schema["enum"])[0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = next((each for each in seq(kind) if each != "null"), kind)
    if kind == "object":
        fields, needed = obj(schema.get("properties")), seq(schema.get("required"))
        return {name: _value(obj(fields.get(name)), word) for name in needed}
    plain: dict[str, Any] = {
        "integer": 1,
        "number": 1.5,
        "boolean": True,
        "array": [],
        "null": None,
    }
    return plain.get(kind, word) if isinstance(kind, str) else word


# --- words --------------------------------------------------------------------


def _answer(request: ModelRequest, asked: str) -> str:
    form = request.original.text.format if request.original.text else None
    if isinstance(form, JsonSchemaFormat):
        return json.dumps(_value(form.json_schema or {}, "Oslo"))
    if isinstance(form, JsonObjectFormat):
        return '{"answer": "Oslo"}'
    if outputs := _outputs(request.items):
        return f"The tools say: {'; '.join(outputs)}"
    if found := _COUNT.search(asked):
        first, last = int(found.group(1)), int(found.group(2))
        return "\n".join(str(number) for number in range(first, min(last, first + _MOST) + 1))
    if found := _WORD.search(asked):
        return found.group(1)
    if "my name" in asked.lower() and not _NAME.search(asked):
        names = [name for item in request.items for name in _found(_NAME, _said(item))]
        return f"Your name is {names[-1]}." if names else "You never told me your name."
    if "hello" in asked.lower():
        return "Hello, dear friend."
    if parts := _things(request.items):
        return f"I see {', '.join(parts)}."
    return f"You said: {asked}" if asked else "Nobody has said anything."


def _said(item: Lowered) -> str:
    return item.text if isinstance(item, Message) and item.role == "user" else ""


def _things(items: Sequence[Lowered]) -> list[str]:
    """What the user's last message holds beside text."""
    at = _last_words(items)
    item = items[at] if at >= 0 else None
    if not isinstance(item, Message) or isinstance(item.content, str):
        return []
    named = {"input_image": "an image", "input_file": "a file"}
    return [named[part.type] for part in item.content if part.type in named]
