"""What must not get out, or go down, whatever a server or an engine does."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpx2
import pytest

from antiphon.errors import ModelError
from antiphon.items import (
    Failed,
    FunctionCall as Call,
    Json,
    Message,
    Reasoning as Thought,
    ResponseEvent,
    fold,
)
from antiphon.models import (
    ChatModel,
    Engine,
    Failure,
    FunctionCall,
    ModelRequest,
    Reasoning,
    Refusal,
    ResponsesModel,
    Speech,
    Text,
    model,
)

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

pytestmark = pytest.mark.anyio
KEY = "sk-very-secret"
LONG = "x" * 993 + KEY
"""Its first 1000 characters end in the middle of the key."""
KINDS: list[type[ChatModel] | type[ResponsesModel]] = [ChatModel, ResponsesModel]


async def shown(listen: "Listen", server: "Server", kind: Any) -> str:
    """Everything that an error, or a failed response, shows."""
    asked = kind("m", base_url=server.url, api_key=KEY)
    try:
        events = await listen(asked, ModelRequest(items=[]))
    except ModelError as error:
        return f"{error.code} {error.message}"
    finally:
        await asked.aclose()
    assert isinstance(events[-1], Failed)
    return events[-1].to_json().decode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "told",
    [
        {"error": {"message": LONG, "code": KEY}},
        {"error": LONG, "code": KEY},
        {"detail": {"a": LONG}, "type": KEY},
        {"error": {"message": LONG[1:], "code": f"bad-{KEY}"}},
    ],
)
async def test_no_part_of_the_key_is_in_a_refusal_or_an_error_event(
    kind: Any, told: Any, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    data = json.dumps({"type": "error", **told}).encode()
    for answer in (reply.json(told, 400), reply([b"data: %b\n\n" % data])):
        server.plays(answer)
        said = await shown(listen, server, kind)
        assert "sk-v" not in said and KEY[:5] not in said


@pytest.mark.parametrize("body", [LONG, "y" * 65_530 + KEY, " " * 65_530 + KEY])
async def test_no_part_of_the_key_is_in_words_that_are_no_json(
    body: str, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply([body.encode()], 400))
    assert "sk-v" not in await shown(listen, server, ResponsesModel)


@pytest.mark.parametrize("error", [{"message": LONG, "code": KEY}, LONG])
async def test_no_part_of_the_key_is_in_a_failed_response(
    error: Any, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply.json({"status": "failed", "error": error}))
    said = await shown(listen, server, ResponsesModel)
    assert "sk-v" not in said
    assert "xxxx" in said


def says(*pieces: Speech) -> Engine:
    @model("talker")
    async def talker(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        for piece in pieces:
            yield piece

    return talker


async def fragments(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_torn_surrogates_become_replacement_characters(listen: "Listen") -> None:
    engine = says(
        Reasoning("r\ud83d"),
        Reasoning("\ud83ds", summary=True),
        Text("a\ud83d"),
        Text("\ude00b \ud83d\ude00 grün 🌊"),
        Refusal("\udfff"),
        FunctionCall("f\ud83d", '"\ud83d"', call_id="c\ud83d"),
        FunctionCall("g", {"k\ud83d": ["\ud83d", 1, {"x": "ü"}]}),
        FunctionCall("h", fragments("\ud83d", "\ude00")),
    )
    events = await listen(engine, ModelRequest(items=[]))
    for event in events:
        event.to_json()  # raises where a surrogate is left
    thought, message, *calls = fold(events).output
    assert isinstance(thought, Thought) and isinstance(message, Message)
    assert [part.model_dump()["text"] for part in thought.content or ()] == ["r\ufffd"]
    assert [part.model_dump()["text"] for part in thought.summary] == ["\ufffds"]
    parts = [part.model_dump() for part in cast("Any", message.content)]
    assert parts[0]["text"] == "a\ufffd\ufffdb 😀 grün 🌊"
    assert parts[1]["refusal"] == "\ufffd"
    first, second, third = calls
    assert isinstance(first, Call) and isinstance(second, Call) and isinstance(third, Call)
    assert (first.name, first.call_id, first.arguments) == ("f\ufffd", "c\ufffd", '"\ufffd"')
    assert json.loads(second.arguments) == {"k\ufffd": ["\ufffd", 1, {"x": "ü"}]}
    assert third.arguments == "\ufffd\ufffd"


async def test_a_failure_with_a_torn_surrogate_is_told(listen: "Listen") -> None:
    last = (await listen(says(Failure("c", "m\ud83d")), ModelRequest(items=[])))[-1]
    assert isinstance(last, ResponseEvent) and last.response.error is not None
    assert last.response.error.message == "m\ufffd"


@pytest.mark.parametrize("raised", [asyncio.CancelledError, SystemExit])
async def test_what_ends_tasks_is_an_error_where_nobody_ended_the_task(
    raised: type[BaseException], listen: "Listen"
) -> None:
    @model("broken")
    async def broken(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        yield Text("a")
        raise raised

    with pytest.raises(ModelError, match=rf"^the engine 'broken' raised {raised.__name__}$"):
        await listen(broken, ModelRequest(items=[]))


async def test_an_engine_is_still_cancelled_by_scopes_and_by_tasks() -> None:
    waiting = anyio.Event()

    @model("slow")
    async def slow(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        waiting.set()
        await anyio.sleep_forever()
        yield Text("never")

    async def hear() -> None:
        async for _ in slow.stream(ModelRequest(items=[])):
            pass

    with anyio.fail_after(60):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hear)
                await waiting.wait()
                scope.cancel()
        assert scope.cancelled_caught
        waiting = anyio.Event()
        task = asyncio.create_task(hear())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_response_that_was_made_whole_can_be_read(streamed: bool, listen: "Listen") -> None:
    part: Json = {"type": "output_text", "text": "hi", "annotations": []}
    message: Json = {"type": "message", "role": "assistant", "content": [part], "id": "m"}
    ended: Json = {"status": "completed", "output": [message]}

    def handler(request: httpx2.Request) -> httpx2.Response:
        if not streamed:
            return httpx2.Response(200, json=ended)
        data = json.dumps({"type": "response.completed", "response": ended})
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, content=f"data: {data}\n\n".encode())

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as client:
        asked = ResponsesModel("m", base_url="http://up/v1", http_client=client)
        events = await listen(asked, ModelRequest(items=[]))
    assert fold(events).output_text == "hi"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_without_end_is_cut(
    kind: Any,
    server: "Server",
    reply: "type[Reply]",
    listen: "Listen",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.plays(reply([b'"' + b"x" * 999] * 40, headers={"content-type": "application/json"}))
    asked = kind("m", base_url=server.url)
    monkeypatch.setattr(f"{type(asked._transport).__module__}._ANSWER", 10_000)
    with pytest.raises(ModelError, match="at most 10000 bytes") as caught:
        await listen(asked, ModelRequest(items=[]))
    assert caught.value.code == "answer_too_large"
    await asked.aclose()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "-5", "-0.5", "null", '"7"', "NaN"])
async def test_impossible_counts_of_tokens_are_none(
    number: str, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    usage = f'{{"input_tokens":{number},"output_tokens":7,"total_tokens":{number}}}'
    told = f'{{"status":"completed","output":[],"usage":{usage}}}'
    said = f'{{"prompt_tokens":{number},"completion_tokens":7}}'
    choices = '[{"message":{"content":"a"},"finish_reason":"stop"}]'
    chunk = f'{{"choices":{choices},"usage":{said}}}'
    headers = {"content-type": "application/json"}
    for kind, body in ((ResponsesModel, told), (ChatModel, chunk)):
        server.plays(reply([body.encode()], headers=headers))
        asked = kind("m", base_url=server.url)
        last = (await listen(asked, ModelRequest(items=[])))[-1]
        assert isinstance(last, ResponseEvent) and last.response.usage is not None
        used = last.response.usage
        assert (used.input_tokens, used.output_tokens, used.total_tokens) == (0, 7, 7)
        await asked.aclose()
