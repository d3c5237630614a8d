"""Every row of the fate table, proved: by what an upstream gets, by the echo, or by the 400."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from antiphon.items import CreateResponse
from antiphon.models import (
    ChatModel,
    FunctionCall,
    ResponsesModel,
    ScriptedModel,
    Usage,
)
from antiphon.provider import MemoryStore, Provider
from antiphon.tools import tool

from .fates import FATES, RESHAPED, UNSAYABLE, Row
from .serving import BUILT_IN, EXTENDED, exchange, inside, serve

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parent


def rows(fate: str) -> Any:
    """The rows of one fate, for parametrize."""
    return [pytest.param(row, id=row.name) for row in FATES if row.fate == fate]


def look(value: Any, path: str) -> Any:
    """`a.0.b` in JSON."""
    for step in path.split("."):
        value = value[int(step) if step.isdigit() else step]
    return value


# --- passed: an upstream on loopback -----------------------------------------

SEEN: dict[str, Any] = {}
RESPONSE: dict[str, Any] = {
    "id": "r",
    "object": "response",
    "status": "completed",
    "output": [],
    "model": "m",
}
DONE = json.dumps({"type": "response.completed", "sequence_number": 0, "response": RESPONSE})
CHUNK = json.dumps(
    {"id": "c", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
)


async def upstream(request: Request) -> StreamingResponse:
    """Remembers the body, and says that all is well."""
    SEEN.clear()
    SEEN.update(await request.json())
    data = DONE if request.url.path.endswith("/responses") else CHUNK
    frames = [f"data: {data}\n\n", "data: [DONE]\n\n"]
    return StreamingResponse(iter(frames), media_type="text/event-stream")


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    paths = ["/v1/responses", "/v1/chat/completions"]
    with serve(
        Starlette(routes=[Route(path, upstream, methods=["POST"]) for path in paths])
    ) as url:
        yield f"{url}/v1"


async def answered(body: dict[str, Any], through: Any) -> dict[str, Any]:
    """The response of a Provider in front of one model."""
    app = Provider(models=[through])
    async with inside(app) as client:
        got = await client.post("/v1/responses", json={"input": "hi", **body})
    assert got.status_code == 200, got.text
    await app.aclose()
    assert got.json()["status"] == "completed", got.text
    return got.json()


@pytest.mark.parametrize("row", rows("passed"))
async def test_passed_to_a_responses_server(row: Row, base_url: str) -> None:
    said = await answered(row.body, ResponsesModel("m", base_url=base_url))
    assert look(SEEN, row.at) == look({"input": "hi", **row.body}, row.at)
    if row.also:
        assert look(said, row.at) == look(row.body, row.at)


@pytest.mark.parametrize("row", [row for row in rows("passed") if row.values[0].chat])
async def test_passed_to_a_chat_server(row: Row, base_url: str) -> None:
    assert row.chat is not None
    await answered(row.body, ChatModel("m", base_url=base_url))
    assert look(SEEN, row.chat) == look(row.body, row.at)


LEFT_OUT = [
    row
    for row in rows("passed")
    if row.values[0].chat is None and row.id not in RESHAPED | UNSAYABLE
]


@pytest.mark.parametrize("row", LEFT_OUT)
async def test_what_chat_has_no_field_for_is_left_out(row: Row, base_url: str) -> None:
    await answered(row.body, ChatModel("m", base_url=base_url))
    assert row.at.rpartition(".")[2] not in json.dumps(SEEN)
    assert not {"include", "reasoning"} & SEEN.keys()


async def test_what_chat_has_in_another_shape(base_url: str) -> None:
    chat = ChatModel("m", base_url=base_url)
    form = {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}
    await answered({"text": {"format": form}}, chat)
    shape = {"name": "x", "schema": {"type": "object"}, "strict": True}
    assert SEEN["response_format"] == {"type": "json_schema", "json_schema": shape}
    await answered({"include": ["message.output_text.logprobs"]}, chat)
    assert SEEN["logprobs"] is True


@pytest.mark.parametrize("row", [row for row in rows("passed") if row.id in UNSAYABLE])
async def test_what_chat_cannot_be_told_fails_the_response(row: Row, base_url: str) -> None:
    SEEN.clear()
    app = Provider(models=[ChatModel("m", base_url=base_url)])
    said = json.loads((await exchange(app, row.body)).body)
    await app.aclose()
    assert (said["status"], said["error"]["code"]) == ("failed", "unsupported_input")
    assert SEEN == {}


@pytest.mark.parametrize("row", rows("passed"))
async def test_an_engine_of_ones_own_sees_it_too(row: Row) -> None:
    script = ScriptedModel(["x"])
    await answered(row.body, script)
    original = json.loads(script.requests[0].original.to_json())
    asked, seen = look(row.body, row.at), look(original, row.at)
    assert seen == asked or asked.items() <= seen.items()


# --- echoed, refused ---------------------------------------------------------


@pytest.mark.parametrize("row", rows("echoed"))
async def test_echoed(row: Row) -> None:
    script = ScriptedModel(["x"])
    app = Provider(models=[script])
    one = await exchange(app, {"input": "hi", **row.body}, headers=EXTENDED)
    assert one.status == 200, one.body
    asked, said = look(row.body, row.at), look(json.loads(one.body), row.at)
    assert said == asked or asked.items() <= said.items()
    assert script.requests[0].tools == []


@pytest.mark.parametrize("row", rows("refused"))
@pytest.mark.parametrize("stream", [False, True])
async def test_refused(row: Row, stream: bool) -> None:
    script = ScriptedModel(["x"])
    one = await exchange(Provider(models=[script]), {"input": "hi", "stream": stream, **row.body})
    error = json.loads(one.body)["error"]
    assert (one.status, error["param"]) == (400, row.at)
    assert error["code"] == "unsupported_parameter"
    assert ": " in error["message"], "the cure comes after a colon"
    assert script.requests == []


@pytest.mark.parametrize("value", [{}, {"id": ""}])
@pytest.mark.parametrize("name", ["prompt", "conversation"])
async def test_an_empty_object_is_refused_as_well(name: str, value: Any) -> None:
    one = await exchange(Provider(models=[ScriptedModel(["x"])]), {"input": "hi", name: value})
    assert one.status == 400
    assert json.loads(one.body)["error"]["param"] == name


# --- honoured ----------------------------------------------------------------


@pytest.mark.parametrize("row", rows("honoured"))
def test_every_honoured_field_has_a_proof(row: Row) -> None:
    file, _, name = row.proof.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (FOLDER / file).read_text("utf-8"), re.MULTILINE)


def test_no_field_is_forgotten() -> None:
    named = {re.split(r"[.:]", row.name)[0] for row in FATES}
    assert CreateResponse.model_fields.keys() <= named


def test_all_eight_includes_are_there() -> None:
    names = {row.name.removeprefix("include: ") for row in FATES if "include: " in row.name}
    annotation = str(CreateResponse.model_fields["include"].annotation)
    assert len(names) == 8
    assert all(name in annotation for name in names)


@tool
async def weather(city: str) -> str:
    """Today's weather."""
    return f"sunny in {city}"


@tool
async def news() -> str:
    """Today's news."""
    return "none"


def calls(*names: str) -> list[FunctionCall]:
    return [FunctionCall(name, {"city": "Oslo"} if name == "weather" else {}) for name in names]


async def said(script: ScriptedModel, **fields: Any) -> dict[str, Any]:
    app = Provider(models=[script], tools=[weather, news])
    body = {"input": "hi", "tools": [BUILT_IN], **fields}
    one = await exchange(app, body, headers=EXTENDED)
    assert one.status == 200, one.body
    return json.loads(one.body)


async def test_model() -> None:
    app = Provider(models=[ScriptedModel(["a"], name="a"), ScriptedModel(["b"], name="b")])
    for name in "a", "b":
        one = await exchange(app, {"model": name, "input": "hi"})
        shown = json.loads(one.body)
        assert (shown["model"], shown["output"][0]["content"][0]["text"]) == (name, name)
    assert (await exchange(app, {"input": "hi"})).status == 400


async def test_input() -> None:
    script = ScriptedModel(["x"], repeat=True)
    app = Provider(models=[script])
    await exchange(app, {"input": "hi"})
    await exchange(app, {"input": [{"role": "user", "content": "hi"}]})
    first, second = (request.items for request in script.requests)
    assert first == second


async def test_functions_by_name() -> None:
    script = ScriptedModel([calls("weather"), "x"])
    shown = await said(script, tools=[{"type": "antiphon:function", "name": "weather"}])
    assert [function.name for function in script.requests[0].tools] == ["weather"]
    assert shown["output"][0]["output"] == "sunny in Oslo"


@pytest.mark.parametrize(
    ("choice", "runs"),
    [
        ("auto", [True, True]),
        ("none", [False, False]),
        ("required", [True, True]),
        ({"type": "function", "name": "weather"}, [True, False]),
        ({"type": "mcp", "server_label": "antiphon", "name": "news"}, [False, True]),
        (
            {"type": "allowed_tools", "tools": [{"type": "function", "name": "news"}]},
            [False, True],
        ),
    ],
)
async def test_tool_choice(choice: Any, runs: list[bool]) -> None:
    script = ScriptedModel([calls("weather", "news"), "x"])
    shown = await said(script, tool_choice=choice)
    ran = [item["status"] == "completed" for item in shown["output"][:2]]
    assert ran == runs
    assert len(script.requests[0].tools) == 2, "the model sees all tools"


async def test_a_required_call_that_never_comes_is_a_failure() -> None:
    shown = await said(ScriptedModel(["no"]), tool_choice="required")
    assert (shown["status"], shown["error"]["code"]) == ("failed", "tool_choice_unmet")


async def test_parallel_tool_calls() -> None:
    shown = await said(ScriptedModel([calls("weather", "news"), "x"]), parallel_tool_calls=False)
    assert [item["status"] for item in shown["output"]] == ["completed", "failed", "completed"]
    assert shown["parallel_tool_calls"] is False


async def test_max_tool_calls() -> None:
    script = ScriptedModel([calls("weather", "news"), calls("news"), "x"])
    shown = await said(script, max_tool_calls=1)
    assert [item["status"] for item in shown["output"]] == [
        "completed",
        "failed",
        "failed",
        "completed",
    ]
    assert (shown["status"], shown["max_tool_calls"]) == ("completed", 1)


async def test_max_output_tokens() -> None:
    script = ScriptedModel([[*calls("news"), Usage(1, 10)], "x"])
    shown = await said(script, max_output_tokens=10)
    assert (shown["status"], shown["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    script = ScriptedModel([[*calls("news"), Usage(1, 10)], "x"])
    await said(script, max_output_tokens=30)
    assert [request.max_output_tokens for request in script.requests] == [30, 20]


async def test_input_is_kept_whole() -> None:
    store = MemoryStore()
    app = Provider(models=[ScriptedModel(["x"], repeat=True)], store=store)
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    screen = {"type": "computer_screenshot", "image_url": "data:image/png;base64,BB=="}
    given = [
        {"role": "user", "content": [image]},
        {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}},
        {"type": "computer_call_output", "call_id": "c", "output": screen},
    ]
    names = ["message.input_image.image_url", "computer_call_output.output.image_url"]
    for include in names, []:
        one = await exchange(app, {"input": given, "include": include})
        record = await store.load(json.loads(one.body)["id"], principal="local")
        assert record is not None
        kept = [json.loads(item.to_json()) for item in record.given]
        assert kept[0]["content"][0]["image_url"] == image["image_url"]
        assert kept[2]["output"] == screen


async def test_unknown_keys_are_ignored() -> None:
    script = ScriptedModel(["x"])
    shown = await said(script, logit_bias={"1": 2}, anything=[1])
    assert shown["status"] == "completed"
    assert not {"logit_bias", "anything"} & shown.keys()
