"""What we do not know is kept whole; what is wrong is said with the path of the field."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import TypeAdapter, ValidationError

from antiphon.errors import RequestError
from antiphon.items import (
    ITEM,
    Annotation,
    CodeOutput,
    Compaction,
    CreateResponse,
    ItemReference,
    Message,
    Part,
    ToolDefinition,
    UnknownAnnotation,
    UnknownEvent,
    UnknownItem,
    UnknownOutput,
    UnknownPart,
    UnknownTool,
    parse_event,
)

LAW = settings(deadline=None)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
NEW_TYPES = st.from_regex(r"(new|acme:|response\.new)[a-z_.]{0,8}", fullmatch=True)
NEW_FIELDS = st.dictionaries(st.from_regex(r"[xyz]_[a-z]{1,5}", fullmatch=True), JSON, max_size=3)
UNKNOWN: dict[str, tuple[TypeAdapter[Any], type[Any]]] = {
    "item": (ITEM, UnknownItem),
    "part": (TypeAdapter(Part), UnknownPart),
    "annotation": (TypeAdapter(Annotation), UnknownAnnotation),
    "output": (TypeAdapter(CodeOutput), UnknownOutput),
    "tool": (TypeAdapter(ToolDefinition), UnknownTool),
}
KNOWN: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": "hi"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    {"type": "reasoning", "summary": []},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "1"},
    {"type": "mcp_list_tools", "server_label": "s", "tools": [], "error": None},
    {"type": "web_search_call", "status": "completed", "action": {"type": "search"}},
    {"type": "antiphon:tool_call", "status": "failed", "name": "f", "arguments": "{}"},
]


def refusal(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        CreateResponse.parse(body)
    assert caught.value.status == 400
    assert caught.value.type == "invalid_request_error"
    return caught.value


@pytest.mark.parametrize("what", UNKNOWN)
@LAW
@given(kind=NEW_TYPES, fields=NEW_FIELDS)
def test_an_unknown_type_is_kept_and_written_back(
    what: str, kind: str, fields: dict[str, Any]
) -> None:
    adapter, unknown = UNKNOWN[what]
    given_value = {"type": kind, **fields}
    value = adapter.validate_json(json.dumps(given_value))
    assert type(value) is unknown
    assert json.loads(value.to_json()) == given_value


@LAW
@given(kind=NEW_TYPES, fields=NEW_FIELDS, told=st.booleans())
def test_an_unknown_event_is_kept_and_written_back(
    kind: str, fields: dict[str, Any], told: bool
) -> None:
    given_value = {"type": kind, "sequence_number": 3, **fields}
    event = parse_event(json.dumps(given_value).encode(), kind if told else None)
    assert type(event) is UnknownEvent
    assert json.loads(event.to_json()) == given_value


@LAW
@given(known=st.sampled_from(KNOWN), fields=NEW_FIELDS)
def test_unknown_fields_of_a_known_item_are_kept_and_written_back(
    known: dict[str, Any], fields: dict[str, Any]
) -> None:
    given_value = {**known, **fields}
    back = json.loads(ITEM.validate_json(json.dumps(given_value)).to_json())
    assert {name: back.get(name) for name in given_value} == given_value


@LAW
@given(fields=NEW_FIELDS, items=st.lists(st.sampled_from(KNOWN), max_size=3))
def test_unknown_keys_of_a_body_are_kept_and_written_back(
    fields: dict[str, Any], items: list[dict[str, Any]]
) -> None:
    request = CreateResponse.parse(json.dumps({"input": items, **fields}).encode())
    back = json.loads(request.to_json())
    assert {name: back[name] for name in fields} == fields
    assert len(back["input"]) == len(items)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known["type"])
def test_a_malformed_known_item_is_an_error_and_never_unknown(known: dict[str, Any]) -> None:
    for name in known.keys() - {"type", "error", "action"}:
        with pytest.raises(ValidationError):
            ITEM.validate_python({**known, name: 5})


def test_a_known_event_that_is_malformed_is_an_error() -> None:
    data = b'{"type":"response.output_text.delta","delta":5}'
    for kind in (None, "response.output_text.delta"):
        with pytest.raises(ValidationError):
            parse_event(data, kind)


def test_a_message_may_omit_its_type_and_a_reference_may_have_null() -> None:
    body = b'{"input":[{"role":"user","content":"hi"},{"type":null,"id":"a"},{"id":"b"}]}'
    said, null, bare = CreateResponse.parse(body).items
    assert isinstance(said, Message)
    assert isinstance(null, ItemReference)
    assert isinstance(bare, ItemReference)
    assert json.loads(null.to_json()) == {"type": None, "id": "a"}


def test_a_compaction_under_its_other_name_is_written_back_under_it() -> None:
    given_value = {"type": "compaction_summary", "encrypted_content": "x"}
    request = CreateResponse.parse(json.dumps({"input": [given_value]}).encode())
    assert isinstance(request.items[0], Compaction)
    assert json.loads(request.to_json())["input"] == [given_value]
    assert isinstance(ITEM.validate_python(request.items[0]), Compaction)


WRONG: list[tuple[Any, str]] = [
    ({"input": 5}, "input"),
    ({"input": {"items": []}}, "input"),
    ({"input": [5]}, "input[0]"),
    ({"input": [None]}, "input[0]"),
    ({"input": [{}]}, "input[0]"),
    ({"input": [{"type": None}]}, "input[0]"),
    ({"input": [{"type": {"a": 1}}]}, "input[0]"),
    ({"input": [{"type": ["message"], "role": "user", "content": "x"}]}, "input[0]"),
    ({"input": [{"type": 5, "role": "user", "content": "x"}]}, "input[0]"),
    ({"input": [KNOWN[0], KNOWN[2], {"role": "user"}]}, "input[2].content"),
    ({"input": [{"role": "user", "content": {"list": 1}}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": {"text": "hi"}}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [5]}]}, "input[0].content[0]"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "input[0].content[0].text",
    ),
    ({"input": [{"role": "boss", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": "x" * 10_485_761}]}, "input[0].content"),
    ({"input": "x" * 10_485_761}, "input"),
    ({"input": [{"type": "function_call", "call_id": "", "name": "f"}]}, "input[0].call_id"),
    ({"input": [{"type": "reasoning", "summary": 5}]}, "input[0].summary"),
    ({"tools": {}}, "tools"),
    ({"tools": [{"type": []}]}, "tools[0]"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"type": "function", "name": 5}]}, "tools[0].name"),
    ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
    ({"tools": [{"type": "code_interpreter", "container": 5}]}, "tools[0].container"),
    ({"tools": [{"type": "mcp", "server_label": ""}]}, "tools[0].server_label"),
    ({"tool_choice": 5}, "tool_choice"),
    ({"tool_choice": "maybe"}, "tool_choice"),
    ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.tools"),
    ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {f"k{i}": "v" for i in range(17)}}, "metadata"),
    ({"metadata": {"k": "v" * 513}}, "metadata"),
    ({"metadata": {"k" * 65: "v"}}, "metadata"),
    ({"metadata": {"k": 5}}, "metadata.k"),
    ({"temperature": 2.5}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"max_output_tokens": True}, "max_output_tokens"),
    ({"max_output_tokens": 16.0}, "max_output_tokens"),
    ({"stream": 1}, "stream"),
    ({"include": ["everything"]}, "include[0]"),
    ({"reasoning": {"effort": "some"}}, "reasoning.effort"),
    ([], ""),
    (None, ""),
    ("text", ""),
]


@pytest.mark.parametrize(("body", "param"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_field_is_named_as_the_client_wrote_it(body: Any, param: str) -> None:
    error = refusal(json.dumps(body).encode())
    assert error.param == (param or None)
    assert error.code == "invalid_value"
    assert "<" not in error.message
    assert error.message.startswith(f"{param or 'body'}: ")


def test_a_text_too_long_is_told_so_and_not_that_it_is_no_list() -> None:
    long = "x" * 10_485_761
    for body in ({"input": long}, {"input": [{"role": "user", "content": long}]}):
        assert "at most 10485760" in refusal(json.dumps(body).encode()).message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"temperature":%s}', "temperature"),
        ('{"x":%s}', "x"),
        ('{"x":{"a":[1,%s]}}', "x"),
        ('{"input":[{"type":"new","x":[%s]}]}', "input[0].x"),
        ('{"input":[{"role":"user","content":"hi","x":%s}]}', "input[0].x"),
        ('{"tools":[{"type":"function","name":"f","parameters":{"a":%s}}]}', "tools[0].parameters"),
    ],
)
def test_numbers_that_json_does_not_have_are_refused_anywhere(
    body: str, param: str, number: str
) -> None:
    assert refusal((body % number).encode()).param == param


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_their_words_in_a_string_are_only_words(word: str) -> None:
    body = json.dumps({"input": word, "x": {word: word}}).encode()
    assert json.loads(CreateResponse.parse(body).to_json()) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"input":"\\ud800"}',
        b'{"x":"\\udfff"}',
        b'{"x":"\xed\xa0\x80"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"input":[{"type":"new","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
        b'{"max_output_tokens":' + b"9" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_cannot_be_read_is_invalid_json(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


def test_a_huge_integer_is_kept_where_it_is_unknown_and_checked_where_it_is_known() -> None:
    huge = 10**400
    kept = CreateResponse.parse(json.dumps({"x": huge}).encode())
    assert json.loads(kept.to_json())["x"] == huge
    assert refusal(json.dumps({"temperature": huge}).encode()).param == "temperature"
    assert refusal(json.dumps({"top_logprobs": huge}).encode()).param == "top_logprobs"


FIELDS = st.sampled_from([*CreateResponse.model_fields, "x"])
TYPES = st.sampled_from([*(known["type"] for known in KNOWN), "function", "mcp", "new"])
NAMES = ("role", "content", "name", "call_id", "id", "tools", "container", "output")
TYPED = st.fixed_dictionaries({"type": TYPES | JSON}, optional=dict.fromkeys(NAMES, JSON))
BODIES = st.dictionaries(FIELDS, JSON | st.lists(TYPED, max_size=3) | TYPED, max_size=4)


@settings(deadline=None, max_examples=400)
@given(
    body=BODIES.map(lambda body: json.dumps(body).encode()) | JSON.map(json.dumps).map(str.encode)
)
def test_any_json_is_a_request_or_a_request_error(body: bytes) -> None:
    try:
        request = CreateResponse.parse(body)
    except RequestError as error:
        assert error.status == 400
        assert error.message
    else:
        assert CreateResponse.parse(request.to_json()) == request


@settings(deadline=None, max_examples=400)
@given(
    body=st.binary(max_size=60)
    | st.text(alphabet='{}[]",:0123456789.eE-NaI tfn\\u').map(str.encode)
)
def test_any_bytes_are_a_request_or_a_request_error(body: bytes) -> None:
    try:
        CreateResponse.parse(body)
    except RequestError as error:
        assert error.status == 400
