"""Rules about tolerance: requests that real clients send, each of which must be answered.

Above: `provider`. Below: `bench`. Not here: what comes of them beyond an answer. The
list is that of wire 5, and the plain requests of the public compliance suite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .bench import Bench, Theme
from .questions import PIXEL, WEATHER
from .report import expect, same, skip
from .sse import Json

tolerance: Theme = Theme("requests to tolerate")
_WIRE: Final = "wire 5: a real client sends it"
_SUITE: Final = "public suite"

HI: Final[Json] = {"role": "user", "content": "Say hello."}
TYPED: Final[Json] = {"type": "message", **HI}
CALL: Final[Json] = {
    "type": "function_call",
    "call_id": "call_kit",
    "name": "get_weather",
    "arguments": '{"location": "Oslo"}',
}
OUTPUT: Final[Json] = {
    "type": "function_call_output",
    "call_id": "call_kit",
    "output": "rain",
}
SCHEMA: Final[Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CODE: Final[Json] = {
    "type": "code_interpreter_call",
    "id": "ci_kit",
    "status": "completed",
    "container_id": "cntr_gone",
    "code": "print(1)",
    "outputs": [{"type": "logs", "logs": "1\n"}],
}
SEARCH: Final[Json] = {
    "type": "file_search_call",
    "id": "fs_kit",
    "status": "completed",
    "queries": ["tides"],
    "results": [
        {"file_id": "file_kit", "filename": "a.txt", "score": 0.5, "text": "t", "attributes": {}}
    ],
}
LISTED: Final[Json] = {
    "type": "mcp_list_tools",
    "id": "mcpl_kit",
    "server_label": "kit",
    "tools": [{"name": "t", "input_schema": {"type": "object"}, "annotations": None}],
    "error": None,
}
APPROVAL: Final[Json] = {
    "type": "mcp_approval_request",
    "id": "mcpr_kit",
    "server_label": "kit",
    "name": "t",
    "arguments": "{}",
}
NAMESPACE: Final[Json] = {
    "type": "namespace",
    "name": "weather",
    "description": "Weather and such.",
    "tools": [WEATHER],
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that must be answered.

    Attributes:
        fields: The body, without model; an input is added where there is none.
        source: Who sends it.
        may_refuse: What a provider may lack, so that a 4xx is a skip.
    """

    fields: Mapping[str, Any]
    source: str = _WIRE
    may_refuse: str = ""


def _given(*items: Json, source: str = _WIRE, may_refuse: str = "") -> Request:
    return Request({"input": list(items)}, source, may_refuse)


REQUESTS: Final[dict[str, Request]] = {
    "a basic message": _given(TYPED, source=_SUITE),
    "a system prompt in the input": _given({**TYPED, "role": "system"}, TYPED, source=_SUITE),
    "a developer message in the input": _given({**TYPED, "role": "developer"}, TYPED),
    "a history of several turns": _given(
        TYPED, {**TYPED, "role": "assistant"}, TYPED, source=_SUITE
    ),
    "an assistant message with a phase": _given(
        TYPED, {**TYPED, "role": "assistant", "phase": "final_answer"}, TYPED, source=_SUITE
    ),
    "an image as a data URL": _given(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": PIXEL},
            ],
        },
        source=_SUITE,
        may_refuse="images",
    ),
    "a message without type": _given(HI),
    "a message of parts": _given(
        {"role": "user", "content": [{"type": "input_text", "text": "Say hello."}]}
    ),
    "a message with an id of the client's making": _given({**TYPED, "id": "msg_of_mine"}),
    "an assistant message with status and no id": _given(
        HI, {"role": "assistant", "status": "completed", "content": "Hello."}, HI
    ),
    "an assistant message of output_text, annotations left out": _given(
        HI, {"role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}, HI
    ),
    "unknown top-level keys": Request({"x_unknown": {"a": [1]}, "client_metadata": {"a": "b"}}),
    "include: []": Request({"include": []}),
    "tools: []": Request({"tools": []}),
    "metadata: {}": Request({"metadata": {}}),
    "store: null and other nulls": Request(
        {"store": None, "tools": None, "metadata": None, "instructions": None}
    ),
    "a summary of reasoning asked for without an effort": Request(
        {"reasoning": {"summary": "auto"}}, may_refuse="reasoning"
    ),
    "stream_options without a stream": Request({"stream_options": {"include_obfuscation": False}}),
    "a call without id or status, and its output": _given(HI, CALL, OUTPUT),
    "a call with both, and an output with neither": _given(
        HI, {**CALL, "id": "fc_kit", "status": "completed"}, OUTPUT
    ),
    "an output of parts": _given(
        HI, CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "rain"}]}
    ),
    "a replayed code_interpreter_call": _given(HI, CODE, HI),
    "a replayed file_search_call with results": _given(HI, SEARCH, HI),
    "a replayed mcp_list_tools with error: null": _given(LISTED, HI),
    "a replayed mcp_approval_request": _given(HI, APPROVAL, HI),
    "reasoning without content": _given(HI, {"type": "reasoning", "id": "rs_1", "summary": []}, HI),
    "reasoning without an id": _given(HI, {"type": "reasoning", "summary": []}, HI),
    "an item of a type that nobody knows": _given({"type": "acme:note", "text": "x"}, HI),
    "an item with a status that nobody knows": _given({**TYPED, "status": "acme:odd"}),
    "$schema inside a function's parameters": Request(
        {"tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA}]}
    ),
    "$schema inside a JSON schema of the answer": Request(
        {"text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA}}},
        may_refuse="JSON schemas",
    ),
    "a group of functions (namespace)": Request({"tools": [NAMESPACE]}),
    "web_search with more keys, hosted or not": Request(
        {"tools": [{"type": "web_search", "external_web_access": False, "x_new": 1}]}
    ),
    "the header openai-beta": Request({}, "wire 3"),
}


def _tolerates(name: str, request: Request) -> None:
    @tolerance.rule(name, request.source)
    async def check(bench: Bench) -> None:
        headers = {"openai-beta": "responses=v1"} if "openai-beta" in name else None
        body = bench.body({"input": "Say hello.", **request.fields})
        answer = await bench.post(body, headers=headers)
        if request.may_refuse and 400 <= answer.status < 500:
            skip(f"the provider takes no {request.may_refuse}: {answer.message}")
        told = bench.taken(answer, body)
        same(told.get("status"), "completed", "status", told)
        expect(told.get("output"), "output: expected an item, got none", told)

    assert check


for _name, _request in REQUESTS.items():
    _tolerates(_name, _request)
