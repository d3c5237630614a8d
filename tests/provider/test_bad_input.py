"""Whatever comes in: a 4xx with the error object, at once, and the next request works."""

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from starlette.types import Message

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, tool

from .serving import PATIENCE, Exchange, Serve, events_of, exchange

pytestmark = pytest.mark.anyio


@tool
async def weather(city: str) -> str:
    """Today's weather."""
    return f"sunny in {city}"


def provider(**options: Any) -> Provider:
    tools = [weather, CodeInterpreter(LocalSandboxes())]
    return Provider(models=[ScriptedModel(["hi"], repeat=True)], tools=tools, **options)


def problem(one: Exchange) -> dict[str, Any]:
    """The error object of an answer, which has to be one."""
    said = json.loads(one.body)
    assert said.keys() == {"error"}
    error = said["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert one.headers["content-type"] == "application/json"
    assert one.headers["x-request-id"]
    return error


async def refused(body: Any, status: int = 400, **options: Any) -> dict[str, Any]:
    """What a provider says to this body; and afterwards it serves as before."""
    app = provider()
    one = await exchange(app, body, **options)
    assert one.status == status, one.body
    error = problem(one)
    again = await exchange(app, {"input": "hi"})
    assert again.status == 200
    assert json.loads(again.body)["status"] == "completed"
    return error


# --- no JSON, or no object ---------------------------------------------------

DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"input": "hi"',
        b'{"input": "hi",}',
        b"{'input': 'hi'}",
        b"input=hi",
        b'{"input": "hi"} {}',
        b'{"input": "\xff\xfe"}',
        b'{"input": "\xed\xa0\x80"}',
        b'{"input": "\\ud800"}',
        b'{"metadata": {"\\udc00": "x"}, "input": "hi"}',
        b'\xef\xbb\xbf{"input": "hi"}',
        '{"input": "hi"}'.encode("utf-16"),
        b'{"input": "h\ni"}',
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"input": ' + b'[{"content": ' * DEEP,
        b'{"x": ' * DEEP + b"1" + b"}" * DEEP,
        b'{"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": '
        + b'{"x": ' * DEEP
        + b"1"
        + b"}" * DEEP
        + b"}]}",
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_what_is_not_json(body: bytes) -> None:
    error = await refused(body)
    assert error["code"] == "invalid_json"
    assert error["message"].startswith("expected JSON")
    assert len(error["message"]) < 300


@pytest.mark.parametrize("body", [b"[]", b"1", b'"hi"', b"null", b"true", b"[{}]"])
async def test_what_is_no_object(body: bytes) -> None:
    error = await refused(body)
    assert error["code"] == "invalid_value"
    assert error["message"].startswith("body: ")


# --- a field is wrong, and is named ------------------------------------------

MESSAGE = {"role": "user", "content": "hi"}
IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}


def items(*given: Any) -> dict[str, Any]:
    return {"input": list(given)}


def tools(*given: Any) -> dict[str, Any]:
    return {"input": "hi", "tools": list(given)}


def one_part(part: Any) -> dict[str, Any]:
    return items({"role": "user", "content": [part]})


def field(name: str, value: Any) -> dict[str, Any]:
    return {"input": "hi", name: value}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "input"),
    (field("input", None), "input"),
    (field("input", 5), "input"),
    (field("input", {"role": "user"}), "input"),
    (items(5), "input[0]"),
    (items("hi"), "input[0]"),
    (items(None), "input[0]"),
    (items(MESSAGE, {}), "input[1]"),
    (items({"type": 5}), "input[0]"),
    (items({"type": {}}), "input[0]"),
    (items({"type": []}), "input[0]"),
    (items({"role": "robot", "content": "hi"}), "input[0].role"),
    (items({"role": "user"}), "input[0].content"),
    (items({"role": "user", "content": 5}), "input[0].content"),
    (items({"role": "user", "content": {"text": "hi"}}), "input[0].content"),
    (one_part(5), "input[0].content[0]"),
    (one_part({"type": "input_text"}), "input[0].content[0].text"),
    (one_part({"type": "input_text", "text": 5}), "input[0].content[0].text"),
    (one_part({"type": "input_image", "detail": "huge"}), "input[0].content[0].detail"),
    (one_part({"type": "input_image", "image_url": {"url": "x"}}), "input[0].content[0].image_url"),
    (items({"type": "function_call", "name": "f", "arguments": "{}"}), "input[0].call_id"),
    (
        items({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}),
        "input[0].arguments",
    ),
    (
        items({"type": "function_call_output", "call_id": "c", "output": "lost"}),
        "input[0].call_id",
    ),
    (
        items({"type": "mcp_approval_response", "approval_request_id": "x", "approve": True}),
        "input[0]",
    ),
    (items({"type": "compaction", "encrypted_content": "Zm9yZ2Vk"}), "input[0]"),
    (items({"type": "item_reference"}), "input[0].id"),
    (items({"type": "code_interpreter_call"}), "input[0].status"),
    (
        items({"type": "file_search_call", "status": "completed", "queries": "q"}),
        "input[0].queries",
    ),
    (field("model", 5), "model"),
    (field("model", ["scripted"]), "model"),
    (field("instructions", 5), "instructions"),
    (field("temperature", "hot"), "temperature"),
    (field("temperature", 2.5), "temperature"),
    (field("temperature", -1), "temperature"),
    (field("top_p", 1.5), "top_p"),
    (field("top_logprobs", 21), "top_logprobs"),
    (field("top_logprobs", 1.5), "top_logprobs"),
    (field("stream", "yes"), "stream"),
    (field("stream", 1), "stream"),
    (field("store", "no"), "store"),
    (field("stream_options", 5), "stream_options"),
    (field("max_output_tokens", 0), "max_output_tokens"),
    (field("max_output_tokens", "100"), "max_output_tokens"),
    (field("max_output_tokens", 1.0), "max_output_tokens"),
    (field("max_output_tokens", 10**30), "max_output_tokens"),
    (field("max_tool_calls", 0), "max_tool_calls"),
    (field("max_tool_calls", 10**30), "max_tool_calls"),
    (field("metadata", []), "metadata"),
    (field("metadata", {"a": 5}), "metadata.a"),
    (field("metadata", {"a": None}), "metadata.a"),
    (field("metadata", {str(n): "x" for n in range(17)}), "metadata"),
    (field("metadata", {"k" * 65: "x"}), "metadata"),
    (field("metadata", {"k": "x" * 513}), "metadata"),
    (field("include", "reasoning.encrypted_content"), "include"),
    (field("include", ["everything"]), "include[0]"),
    (field("truncation", "middle"), "truncation"),
    (field("service_tier", "first class"), "service_tier"),
    (field("reasoning", "hard"), "reasoning"),
    (field("reasoning", {"effort": "heroic"}), "reasoning.effort"),
    (field("text", {"format": 5}), "text.format"),
    (field("text", {"format": {"type": "xml"}}), "text.format"),
    (field("text", {"format": {"type": "json_schema", "schema": {}}}), "text.format.name"),
    (
        field("text", {"format": {"type": "json_schema", "name": "x", "schema": 5}}),
        "text.format.schema",
    ),
    (field("text", {"verbosity": "chatty"}), "text.verbosity"),
    (field("safety_identifier", "x" * 65), "safety_identifier"),
    (field("prompt_cache_key", "x" * 65), "prompt_cache_key"),
    (field("prompt", 5), "prompt"),
    (field("conversation", 5), "conversation"),
    (field("tools", 5), "tools"),
    (field("tools", {"type": "function"}), "tools"),
    (tools(5), "tools[0]"),
    (tools({}), "tools[0]"),
    (tools({"type": "function"}), "tools[0].name"),
    (tools({"type": "function", "name": "has space"}), "tools[0].name"),
    (tools({"type": "function", "name": "f", "parameters": 5}), "tools[0].parameters"),
    (
        tools({"type": "file_search", "vector_store_ids": ["v"], "filters": 5}),
        "tools[0].filters",
    ),
    (tools({"type": "file_search", "vector_store_ids": "v"}), "tools[0].vector_store_ids"),
    (
        tools({"type": "file_search", "vector_store_ids": ["v"], "ranking_options": 5}),
        "tools[0].ranking_options",
    ),
    (tools({"type": "web_search", "user_location": 5}), "tools[0].user_location"),
    (tools({"type": "code_interpreter", "container": 5}), "tools[0].container"),
    (
        tools({"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "2g"}}),
        "tools[0].container.memory_limit",
    ),
    (
        tools({"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}),
        "tools[0].container.file_ids",
    ),
    (tools({"type": "mcp", "server_label": "x", "headers": 5}), "tools[0].headers"),
    (tools({"type": "mcp", "server_label": "antiphon"}), "tools[0].server_label"),
    (
        tools(
            {
                "type": "mcp",
                "server_label": "antiphon",
                "connector_id": "antiphon",
                "allowed_tools": ["nothing"],
            }
        ),
        "tools[0]",
    ),
    (tools({"type": "antiphon:function", "name": "nothing"}), "tools[0].name"),
    (
        tools({"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        "tools[1].name",
    ),
    (field("tool_choice", 5), "tool_choice"),
    (field("tool_choice", "sometimes"), "tool_choice"),
    (field("tool_choice", "required"), "tool_choice"),
    (field("tool_choice", {"type": "function", "name": "absent"}), "tool_choice"),
    (field("tool_choice", {"type": "web_search"}), "tool_choice"),
    (field("tool_choice", {"type": "allowed_tools", "tools": []}), "tool_choice.tools"),
    (
        {**tools({"type": "web_search"}), "tool_choice": {"type": "web_search"}},
        "tool_choice",
    ),
    (
        {**tools({"type": "web_search"}), "tool_choice": "required"},
        "tool_choice",
    ),
]


@pytest.mark.parametrize(
    ("body", "param"), WRONG, ids=[f"{n}-{param}" for n, (_, param) in enumerate(WRONG)]
)
async def test_a_wrong_field_is_named(body: dict[str, Any], param: str) -> None:
    error = await refused(body)
    assert error["param"] == param
    assert error["code"]
    assert error["type"] == "invalid_request_error"


RAW: list[tuple[bytes, str | None]] = [
    (b'{"input": "hi", "temperature": NaN}', "temperature"),
    (b'{"input": "hi", "temperature": Infinity}', "temperature"),
    (b'{"input": "hi", "temperature": 1e999}', "temperature"),
    (b'{"input": "hi", "max_output_tokens": 1' + b"0" * 30 + b"}", "max_output_tokens"),
    (b'{"input": "hi", "something": NaN}', "something"),
    (b'{"input": "hi", "something": {"deep": [1, -Infinity]}}', "something"),
    (b'{"input": "hi", "max_output_tokens": 1' + b"0" * 5000 + b"}", None),
    (b'{"input": "hi", "something": 1' + b"0" * 5000 + b"}", None),
    (
        b'{"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": '
        b'{"maximum": 1' + b"0" * 5000 + b"}}]}",
        None,
    ),
]


@pytest.mark.parametrize(("body", "param"), RAW, ids=[body[:40].decode() for body, _ in RAW])
async def test_numbers_that_json_cannot_say_again(body: bytes, param: str | None) -> None:
    error = await refused(body)
    if param is not None:
        assert error["param"] == param


async def test_metadata_at_its_bounds_is_fine() -> None:
    metadata = {f"{n:02}".ljust(64, "k"): "v" * 512 for n in range(16)}
    one = await exchange(provider(), {"input": "hi", "metadata": metadata})
    assert json.loads(one.body)["metadata"] == metadata


# --- what is not here --------------------------------------------------------


async def test_an_unknown_model_lists_the_known() -> None:
    error = await refused({"model": "nobody", "input": "hi"}, 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "scripted" in error["message"]


async def test_an_unknown_previous_response() -> None:
    error = await refused({"previous_response_id": "resp_0", "input": "hi"}, 404)
    assert (error["param"], error["code"]) == (
        "previous_response_id",
        "previous_response_not_found",
    )


async def test_an_unknown_item_reference() -> None:
    error = await refused(items({"type": "item_reference", "id": "msg_0"}), 404)
    assert (error["param"], error["code"]) == ("input[0].id", "item_not_found")


async def test_an_unknown_container() -> None:
    body = tools({"type": "code_interpreter", "container": "cntr_0"})
    error = await refused(body, 404)
    assert (error["param"], error["code"]) == ("tools[0].container", "container_not_found")


# --- URLs that lead inside ---------------------------------------------------

PRIVATE = """
http://127.0.0.1/ http://127.1/ http://127.0.1/ http://0x7f.1/ http://0x7f000001/
http://2130706433/ http://0177.0.0.1/ http://127.0.0.0x1/ http://127.0.0.01/ http://0/ http://0.0.0.0/
http://[::1]/ http://[::]/ http://[0:0:0:0:0:0:0:1]/ http://[::ffff:127.0.0.1]/
http://[::ffff:10.0.0.1]/ http://[::ffff:7f00:1]/ http://[::127.0.0.1]/ http://[64:ff9b::7f00:1]/
http://[2002:7f00:1::]/ http://[fe80::1]/ http://[fe80::1%25eth0]/ http://[fc00::1]/ http://[fd12::1]/
http://localhost/ http://localhost./ http://LOCALHOST/ http://localhost:8080/ http://a.localhost/
http://redis:6379/ http://intranet/ http://printer.local/ http://metadata.google.internal/ http://169.254.169.254/latest/
http://10.0.0.1/ http://172.16.0.1/ http://192.168.1.1/ http://100.64.0.1/ http://224.0.0.1/
http://user:pass@127.0.0.1/ http://example.com@127.0.0.1/ http://127.0.0.1:80/ HTTP://127.0.0.1/
http://127.0.0.1./ http://192.168.257/ http://%31%32%37.0.0.1/ http://127.0.0.%31/
http://\uff11\uff12\uff17.0.0.1/ http://127\u30020\u30020\u30021/ http://\u24db\u24de\u24d2alhost/
http://127.0.0.1\\@example.com/ http://[ff02::1]/ http://127.0.0.1# http://127.0.0.1?x http://0x7f.0x1
""".split()

NO_URLS = ["", "x", "/etc/passwd", "file:///etc/passwd", "ftp://example.com/", "http://", "http:///x"]
NO_URLS += ["javascript:alert(1)", "http://[::1/", "gopher://127.0.0.1/", "http://exa mple.com/"]
NO_URLS += ["http://a\tb/", "http://example.com/\n", "http://" + "a" * 300 + ".com:99999999/"]

PUBLIC = """
https://example.com/a.png http://example.com:8080/ https://8.8.8.8/x https://[2606:4700::1111]/
https://user:pass@example.com/ https://b\xfccher.example/ https://1e100.net/ https://0xdead.beef.example/
https://local.example.com/ https://127.0.0.1.example.com/ https://3com.com/
data:image/png;base64,iVBORw0KGgo=
""".split()

PLACES: list[tuple[str, Callable[[str], Any]]] = [
    (
        "input[0].content[0].image_url",
        lambda url: one_part({"type": "input_image", "image_url": url}),
    ),
    (
        "input[0].content[0].file_url",
        lambda url: one_part({"type": "input_file", "file_url": url}),
    ),
    (
        "input[0].content[0].video_url",
        lambda url: one_part({"type": "input_video", "video_url": url}),
    ),
    (
        "input[1].output[0].image_url",
        lambda url: items(
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_image", "image_url": url}],
            },
        ),
    ),
    (
        "input[0].outputs[0].url",
        lambda url: items(
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "status": "completed",
                "container_id": "c",
                "code": "",
                "outputs": [{"type": "image", "url": url}],
            }
        ),
    ),
    (
        "input[1].output.image_url",
        lambda url: items(
            {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}},
            {
                "type": "computer_call_output",
                "call_id": "c",
                "output": {"type": "computer_screenshot", "image_url": url},
            },
        ),
    ),
]


@pytest.mark.parametrize("url", PRIVATE, ids=ascii)
async def test_urls_into_private_networks_are_refused(url: str) -> None:
    one = await exchange(provider(), one_part({"type": "input_image", "image_url": url}))
    assert one.status == 400, one.body
    assert problem(one)["code"] in ("private_url", "invalid_url")
    assert problem(one)["param"] == "input[0].content[0].image_url"


@pytest.mark.parametrize("url", NO_URLS, ids=ascii)
async def test_what_is_no_url_is_refused(url: str) -> None:
    one = await exchange(provider(), one_part({"type": "input_file", "file_url": url}))
    assert one.status == 400, one.body
    assert problem(one)["param"] == "input[0].content[0].file_url"


@pytest.mark.parametrize("url", PUBLIC, ids=ascii)
async def test_public_urls_pass(url: str) -> None:
    one = await exchange(provider(), one_part({"type": "input_image", "image_url": url}))
    assert one.status == 200, one.body


@pytest.mark.parametrize(("param", "body"), PLACES, ids=[param for param, _ in PLACES])
async def test_urls_are_looked_at_wherever_a_model_would_read_them(
    param: str, body: Callable[[str], Any]
) -> None:
    inner, outer = body("http://127.0.0.1/"), body("https://example.com/")
    one = await exchange(provider(), inner)
    assert one.status == 400, one.body
    assert (problem(one)["code"], problem(one)["param"]) == ("private_url", param)
    assert (await exchange(provider(), outer)).status == 200
    assert (await exchange(provider(private_urls=True), inner)).status == 200


# --- HTTP --------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
async def test_another_content_type(kind: str) -> None:
    error = await refused({"input": "hi"}, 415, headers={"content-type": kind})
    assert error["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
async def test_json_by_other_names(kind: str) -> None:
    one = await exchange(provider(), {"input": "hi"}, headers={"content-type": kind})
    assert one.status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"])
async def test_another_method(method: str) -> None:
    await refused({"input": "hi"}, 405, method=method)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/responses/", "/v1/chat/completions", "/v2/responses", "/v1/responses//x"],
)
async def test_another_path(path: str) -> None:
    error = await refused({"input": "hi"}, 404, path=path)
    assert error["type"] == "not_found_error"


@pytest.mark.parametrize("version", ["", "1", "2026-04-25", "LATEST", "latest, 2026-04-24"])
async def test_another_version(version: str) -> None:
    error = await refused({"input": "hi"}, headers={"openresponses-version": version})
    assert (error["param"], error["code"]) == ("OpenResponses-Version", "unsupported_version")
    for known in "latest", "2026-01-15", "2026-04-24":
        assert known in error["message"]


async def test_a_body_that_is_too_large_by_its_own_word() -> None:
    app = provider(max_body=1000)
    one = await exchange(app, b"{}", headers={"content-length": "1001"})
    assert one.status == 413
    assert problem(one)["code"] == "request_too_large"


async def test_a_body_that_is_too_large_without_a_word() -> None:
    app = provider(max_body=1000)
    one = await exchange(app, {"input": "x" * 1000})
    assert one.status == 413
    assert (await exchange(app, {"input": "x" * 900})).status == 200


async def test_a_body_that_never_comes() -> None:
    app = provider(body_seconds=0.01)
    one = Exchange(app)
    waited = anyio.Event()

    async def receive() -> Message:
        waited.set()
        await anyio.sleep_forever()
        raise AssertionError

    one._receive = receive  # pyright: ignore[reportPrivateUsage]
    with anyio.fail_after(PATIENCE):
        await one.run()
    assert waited.is_set()
    assert one.status == 408
    assert problem(one)["code"] == "request_timeout"


async def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    one = Exchange(provider(), {"input": "hi"})
    one._asked = True  # pyright: ignore[reportPrivateUsage]
    one.leave()
    with anyio.fail_after(PATIENCE):
        await one.run()
    assert one.sent == []


def test_bad_requests_over_a_real_socket(serving: Serve) -> None:
    with serving(provider()) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as client:
        bad = client.post("/v1/responses", content=b"[" * DEEP, headers={"content-type": "application/json"})
        assert bad.status_code == 400
        assert bad.json()["error"]["code"] == "invalid_json"
        assert client.post("/v1/responses", json={"input": "hi"}).status_code == 200


def test_half_a_request_over_a_real_socket_is_timed_out(serving: Serve) -> None:
    head = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with serving(provider(body_seconds=0.1)) as url:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        with socket.create_connection((parts.hostname, parts.port), PATIENCE) as line:
            line.sendall(head + b"Content-Length: 100\r\n\r\n{")
            assert line.recv(64).startswith(b"HTTP/1.1 408 ")


async def test_an_error_before_a_stream_is_plain_json() -> None:
    one = await exchange(provider(), {"input": "hi", "stream": True, "temperature": 9})
    assert one.status == 400
    assert problem(one)["param"] == "temperature"


async def test_a_bug_inside_is_told_as_little(caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> float:
        raise KeyError("secret")

    one = await exchange(provider(clock=bug), {"input": "hi"})
    assert one.status == 500
    assert problem(one)["code"] == "server_error"
    assert b"secret" not in one.body
    assert "secret" in caplog.text


# --- anything at all ---------------------------------------------------------

LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(
        "auto none user message input_text input_image function mcp code_interpreter antiphon "
        "item_reference function_call function_call_output reasoning text json_schema c1".split()
    )
)
KEYS = st.sampled_from(
    """type id role content text call_id name arguments output status tools tool_choice mode
    server_label connector_id allowed_tools container image_url file_url detail summary format
    schema effort queries outputs results action encrypted_content error namespace""".split()
) | st.text(max_size=4)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
TOP = st.sampled_from(
    """input tools tool_choice metadata text temperature top_p stream stream_options background
    max_output_tokens max_tool_calls reasoning truncation instructions store service_tier include
    top_logprobs user prompt conversation previous_response_id parallel_tool_calls x""".split()
)
LIKELY = st.dictionaries(KEYS, VALUE, min_size=1, max_size=5)
ITEMS = st.lists(LIKELY | VALUE, max_size=3)
BODY = st.dictionaries(TOP, ITEMS | VALUE, max_size=6)
NEVER_FOUND = {400, 404}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(BODY, st.sampled_from(["hi", None]))
def test_any_object_is_answered_or_refused(body: dict[str, Any], said: str | None) -> None:
    if said:
        body = {"input": said, **body}

    async def ask() -> None:
        one = await exchange(provider(), json.dumps(body).encode("utf-8", "surrogatepass"))
        if one.status == 200 and body.get("stream"):
            assert events_of(one.body)[-1]["type"] == "response.completed"
        elif one.status == 200:
            assert json.loads(one.body)["object"] == "response"
        else:
            assert one.status in NEVER_FOUND, one.body
            problem(one)

    anyio.run(ask)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused(body: bytes) -> None:
    async def ask() -> None:
        one = await exchange(provider(), body)
        assert one.status == 400, one.body
        problem(one)

    anyio.run(ask)
