"""A WebSocket answers as HTTP does, one response after the other, and goes on from the last."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import ASGIApp

from antiphon.items import Message
from antiphon.models import Failure, FunctionCall, ModelRequest, ScriptedModel, Text, model
from antiphon.provider import MemoryStore, Provider, Record
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

from .serving import BUILT_IN, EXTENDED, OPENAI, exchange, types
from .talking import caller, climate, script, thinker
from .websocketing import end, fault, said, socketed, talking

pytestmark = pytest.mark.anyio

ORPHAN: Any = [{"type": "function_call_output", "call_id": "call_nowhere", "output": "x"}]


@model("memory")
async def memory(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Says every message that it was given."""
    yield Text(" ".join(item.text for item in request.items if isinstance(item, Message)))


broken = script("broken", Text("It was"), Failure("server_error", "the engine stalled"))


def app(*more: Any, **options: Any) -> ASGIApp:
    return socketed(Provider(models=[memory, broken, *more], **options))


def ask(text: str, after: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    """A request that is not stored."""
    body = {"model": "memory", "input": text, "store": False, **fields}
    return body if after is None else {**body, "previous_response_id": end(after)["id"]}


# --- one response ------------------------------------------------------------


async def test_a_response_is_its_events_as_text_messages_without_done() -> None:
    async with talking(app()) as talk:
        events = await talk.answer(model="memory", input="hello")
        assert types(events)[:2] == ["response.created", "response.in_progress"]
        assert types(events)[-1] == "response.completed"
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert said(events) == "hello"
        assert end(events)["output"][0]["content"][0]["text"] == "hello"
        assert talk.sent == [{"type": "websocket.accept"}]
        assert talk.closed is None


async def test_two_responses_in_sequence_are_two_streams() -> None:
    async with talking(app()) as talk:
        first = await talk.answer(**ask("first"))
        second = await talk.answer(**ask("second"))
    assert (said(first), said(second)) == ("first", "second")
    assert first[0]["sequence_number"] == second[0]["sequence_number"] == 0
    assert end(first)["id"] != end(second)["id"]


async def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    async with talking(app()) as talk:
        for text in ("a", "b", "c"):
            talk.create(**ask(text))
        told = [await talk.rest() for _ in range(3)]
    assert [said(events) for events in told] == ["a", "b", "c"]


@pytest.mark.parametrize("tolerated", [{"stream": True}, {"stream": False}, {"background": False}])
async def test_fields_of_http_are_tolerated(tolerated: dict[str, Any]) -> None:
    async with talking(app()) as talk:
        assert said(await talk.answer(**ask("x", **tolerated))) == "x"


async def test_background_is_refused_by_name() -> None:
    async with talking(app()) as talk:
        (event,) = await talk.answer(**ask("x", background=True))
    assert (event["status"], event["error"]["param"]) == (400, "background")
    assert "WebSocket" in event["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "reasoning", "call"),
    [
        ({}, "response.reasoning.delta", "mcp_call"),
        (OPENAI, "response.reasoning_text.delta", "mcp_call"),
        ({**OPENAI, "openresponses-version": "latest"}, "response.reasoning.delta", "mcp_call"),
        (EXTENDED, "response.reasoning.delta", "antiphon:tool_call"),
    ],
)
async def test_the_handshake_says_how_a_client_is_spoken_to(
    headers: dict[str, str], reasoning: str, call: str
) -> None:
    app = socketed(Provider(models=[thinker, caller], tools=[climate]))
    async with talking(app, headers=headers) as talk:
        assert reasoning in types(await talk.answer(model="thinker"))
        called = await talk.answer(model="caller", input="Oslo", tools=[BUILT_IN])
        assert call in [item["type"] for item in end(called)["output"]]


async def test_a_stream_id_comes_back_on_every_event() -> None:
    async with talking(app()) as talk:
        lane = await talk.answer(**ask("x", stream_id="agent_1"))
        assert {event["stream_id"] for event in lane} == {"agent_1"}
        (error,) = await talk.answer(model="nobody", stream_id="agent_2")
        assert error["stream_id"] == "agent_2"
        assert fault(await talk.answer(**ask("x", stream_id="no spaces"))) == (
            400,
            "invalid_stream_id",
        )
        assert all("stream_id" not in event for event in await talk.answer(**ask("x")))


async def test_an_error_names_status_code_message_and_param() -> None:
    async with talking(app()) as talk:
        (event,) = await talk.answer(model="nobody")
        assert event == {
            "type": "error",
            "status": 404,
            "error": {
                "type": "not_found_error",
                "code": "model_not_found",
                "message": event["error"]["message"],
                "param": "model",
            },
        }
        assert "nobody" in event["error"]["message"]
        assert said(await talk.answer(**ask("still here"))) == "still here"


async def test_a_failing_model_is_response_failed_and_no_error() -> None:
    async with talking(app()) as talk:
        events = await talk.answer(**ask("x", model="broken"))
        assert types(events)[-1] == "response.failed"
        assert said(await talk.answer(**ask("next"))) == "next"  # no error followed


async def test_a_response_that_could_not_be_stored_fails_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(MemoryStore):
        async def save(self, record: Record) -> None:
            raise ValueError("the disk is full of secrets")

    async with talking(app(store=Broken())) as talk:
        events = await talk.answer(model="memory", input="x")
        assert types(events)[-1] == "response.failed"
        assert "response.completed" not in types(events)
        assert "could not be stored" in end(events)["error"]["message"]
        assert "secrets" not in json.dumps(events)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert said(await talk.answer(**ask("next"))) == "next"
    assert "ValueError" in caplog.text and "secrets" not in caplog.text


async def test_a_flood_of_values_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with talking(app(max_items=10)) as talk:
        monkeypatch.setattr("antiphon.provider.session.Envelope.read", None)
        refused = await talk.answer(model="memory", input="x", more=[[]] * 1000)
        assert fault(refused) == (400, "too_many_items")


# --- going on ----------------------------------------------------------------


async def test_an_unstored_response_is_gone_on_from() -> None:
    async with talking(app()) as talk:
        first = await talk.answer(**ask("cobalt"))
        second = await talk.answer(**ask("and?", first))
        third = await talk.answer(**ask("so?", second))
    assert said(second) == "cobalt cobalt and?"
    assert said(third) == "cobalt cobalt and? cobalt cobalt and? so?"
    assert end(third)["previous_response_id"] == end(second)["id"]
    assert end(third)["store"] is False


async def test_an_unstored_response_is_unknown_to_all_others() -> None:
    provider = app()
    async with talking(provider) as talk, talking(provider) as other:
        first = await talk.answer(**ask("copper"))
        missing = await other.answer(**ask("and?", first))
        assert fault(missing) == (400, "previous_response_not_found")
        assert missing[0]["error"]["param"] == "previous_response_id"
        assert said(await other.answer(**ask("recovered"))) == "recovered"
        path = f"/v1/responses/{end(first)['id']}"
        assert (await exchange(provider, method="GET", path=path)).status == 404


@pytest.mark.parametrize(
    "wrong", [{"input": ORPHAN}, {"model": "nobody"}, {"temperature": "hot"}, {"tools": 1}]
)
async def test_a_refused_continuation_forgets_what_it_went_on_from(wrong: dict[str, Any]) -> None:
    async with talking(app()) as talk:
        first = await talk.answer(**ask("ember"))
        (refused,) = await talk.answer(**{**ask("x", first), **wrong})
        assert refused["type"] == "error"
        assert fault(await talk.answer(**ask("stale", first))) == (
            400,
            "previous_response_not_found",
        )


async def test_an_orphan_is_refused_as_such() -> None:
    async with talking(app()) as talk:
        first = await talk.answer(**ask("ember"))
        assert fault(await talk.answer(**{**ask("x", first), "input": ORPHAN})) == (400, "orphan")


async def test_a_failed_continuation_forgets_as_well() -> None:
    async with talking(app()) as talk:
        first = await talk.answer(**ask("x"))
        failed = await talk.answer(**ask("y", first, model="broken"))
        assert types(failed)[-1] == "response.failed"
        for gone in (first, failed):
            assert fault(await talk.answer(**ask("z", gone)))[1] == "previous_response_not_found"


async def test_a_failure_that_goes_on_from_nothing_forgets_nothing() -> None:
    async with talking(app()) as talk:
        first = await talk.answer(**ask("x"))
        await talk.answer(model="nobody")
        await talk.answer(**ask("y", model="broken"))
        talk.say("no json")
        await talk.rest()
        assert said(await talk.answer(**ask("z", first))) == "x x z"


async def test_what_goes_on_from_a_forgotten_response_stays_whole() -> None:
    async with talking(app()) as talk:
        first = await talk.answer(**ask("a"))
        second = await talk.answer(**ask("b", first))
        await talk.answer(**ask("x", first, model="nobody"))
        assert said(await talk.answer(**ask("c", second))) == "a a b a a b c"


async def test_a_stored_response_survives_its_failed_continuation_and_its_connection() -> None:
    provider = app()
    async with talking(provider) as talk:
        first = await talk.answer(**ask("kept", store=True))
        await talk.answer(**ask("x", first, model="nobody"))
        assert said(await talk.answer(**ask("on", first))) == "kept kept on"
    body = {"model": "memory", "input": "http", "previous_response_id": end(first)["id"]}
    answer = json.loads((await exchange(provider, body)).body)
    assert answer["output"][0]["content"][0]["text"] == "kept kept http"


async def test_stored_and_unstored_responses_make_one_chain() -> None:
    provider = app()
    async with talking(provider) as talk:
        first = await talk.answer(**ask("a", store=True))
        second = await talk.answer(**ask("b", first))
        third = await talk.answer(**ask("c", second, store=True))
        fourth = await talk.answer(**ask("d", third))
        assert said(fourth).split()[:3] == ["a", "a", "b"]
        assert said(fourth).endswith("c d")
    async with talking(provider) as other:  # the link that was never stored is missing there
        lost = await other.answer(**ask("e", third))
        assert fault(lost) == (400, "previous_response_not_found")


async def test_a_deleted_response_is_gone_on_from_by_nobody() -> None:
    provider = app()
    async with talking(provider) as talk:
        first = await talk.answer(**ask("a", store=True))
        second = await talk.answer(**ask("b", first))
        third = await talk.answer(**ask("c", second, store=True))
        path = f"/v1/responses/{end(third)['id']}"
        assert (await exchange(provider, method="DELETE", path=path)).status == 200
        assert fault(await talk.answer(**ask("d", third)))[1] == "previous_response_not_found"
        path = f"/v1/responses/{end(first)['id']}"
        assert (await exchange(provider, method="DELETE", path=path)).status == 200
        assert fault(await talk.answer(**ask("e", second)))[1] == "previous_response_not_found"


async def test_a_receipt_is_whole_again_on_the_connection_that_knows_it() -> None:
    """A client that sees no outputs replays a thin receipt; the model reads the whole one."""
    coder = ScriptedModel(
        [[FunctionCall("code_interpreter", {"code": "print(6 * 7)"})], ["done"], ["again"]],
        name="coder",
    )
    provider = socketed(Provider(models=[coder], tools=[CodeInterpreter(LocalSandboxes())]))
    asked = {"model": "coder", "store": False, "tools": [{"type": "code_interpreter"}]}
    async with talking(provider) as talk:
        first = await talk.answer(**asked)
        receipt = end(first)["output"][0]
        assert receipt["outputs"] is None
        await talk.answer(**asked, input=[receipt, {"role": "user", "content": "and?"}])
    replayed = [getattr(item, "output", None) for item in coder.requests[-1].items]
    assert any("42" in str(output) for output in replayed)


# --- warm-up -----------------------------------------------------------------


@pytest.mark.parametrize("store", [False, True])
async def test_a_warm_up_completes_at_once_and_is_gone_on_from(store: bool) -> None:
    asked = ScriptedModel(["answer"], name="asked")
    async with talking(app(asked)) as talk:
        warm = await talk.answer(**ask("context", model="asked", store=store, generate=False))
        assert types(warm) == ["response.created", "response.in_progress", "response.completed"]
        response = end(warm)
        assert (response["status"], response["output"]) == ("completed", [])
        assert response["id"] == warm[0]["response"]["id"]
        assert response["usage"]["total_tokens"] == 0
        assert not asked.requests
        assert said(await talk.answer(**ask("go", warm, model="asked"))) == "answer"
        assert [getattr(item, "text", "") for item in asked.requests[0].items] == ["context", "go"]


async def test_a_warm_up_is_stored_as_it_asks() -> None:
    provider = app()
    async with talking(provider) as talk:
        warm = await talk.answer(**ask("context", store=True, generate=False))
        cold = await talk.answer(**ask("context", generate=False))
    for response, status in ((warm, 200), (cold, 404)):
        path = f"/v1/responses/{end(response)['id']}"
        assert (await exchange(provider, method="GET", path=path)).status == status


async def test_a_warm_up_is_checked_like_any_request() -> None:
    async with talking(app()) as talk:
        assert fault(await talk.answer(**ask("x", model="nobody", generate=False)))[0] == 404
        assert fault(await talk.answer(**ask("x", generate="no")))[0] == 400
        assert said(await talk.answer(**ask("x", generate=True))) == "x"


@pytest.mark.parametrize("kind", ["antiphon:approval_response", "mcp_approval_response"])
async def test_a_warm_up_uses_up_no_approval(kind: str) -> None:
    word = {"type": kind, "approval_request_id": "apr_1", "approve": True}
    async with talking(app()) as talk:
        (event,) = await talk.answer(**{**ask("x", generate=False), "input": [word]})
    assert (event["status"], event["error"]["param"]) == (400, "generate")


# --- what a connection remembers ---------------------------------------------


async def test_the_oldest_are_forgotten_first() -> None:
    async with talking(app(store=MemoryStore())) as talk:
        told = [await talk.answer(**ask(str(number))) for number in range(33)]
        assert fault(await talk.answer(**ask("x", told[0])))[1] == "previous_response_not_found"
        assert said(await talk.answer(**ask("x", told[1]))) == "1 1 x"
