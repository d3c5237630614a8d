"""The `openai` SDK 3.x, as its users have it: answers, stored responses, errors."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import json
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from antiphon.items import FunctionTool

from .serving import PATIENCE
from .talking import (
    CODE,
    KEY,
    RELEASE,
    STARTED,
    WEATHER,
    aclient as aclient,
    checked,
    client as client,
    kinds,
    played,
    strictly,
    url as url,
)

pytestmark = pytest.mark.anyio

# --- an answer ---------------------------------------------------------------


def test_create_gives_a_whole_response(client: OpenAI) -> None:
    response = client.responses.create(model="echo", input="hello", metadata={"a": "b"})
    strictly(response)
    assert response.status == "completed"
    assert response.output_text == "1:message"
    assert response.usage is not None
    assert response.usage.total_tokens == 5
    assert response.usage.input_tokens_details.cached_tokens == 1
    assert response.usage.output_tokens_details.reasoning_tokens == 1
    assert response.metadata == {"a": "b"}
    assert response._request_id  # pyright: ignore[reportPrivateUsage]


async def test_async_create_gives_the_same(aclient: AsyncOpenAI) -> None:
    response = await aclient.responses.create(model="echo", input="hello")
    assert strictly(response).output_text == "1:message"


def test_every_streamed_event_is_of_its_own_class(client: OpenAI) -> None:
    events = played(client.responses.create(model="echo", input="hello", stream=True))
    assert kinds(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[0].response.output == []
    assert events[2].item.content == []
    strictly(events[-1].response)
    assert events[-1].response.output[0].id == events[2].item.id


async def test_async_stream_gives_the_same(aclient: AsyncOpenAI) -> None:
    stream = await aclient.responses.create(model="echo", input="hello", stream=True)
    events = [event async for event in stream]
    assert [checked(event, at).type for at, event in enumerate(events)][-1] == "response.completed"


def test_the_stream_helper_puts_the_response_together(client: OpenAI) -> None:
    with client.responses.stream(model="echo", input="hello") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert deltas == ["1:", "message"]
    assert final.output_text == "1:message"


async def test_the_async_stream_helper_puts_the_response_together(aclient: AsyncOpenAI) -> None:
    async with aclient.responses.stream(model="thinker", input="hello") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "42"


class Person(BaseModel):
    name: str
    age: int


def test_parse_gives_a_value_of_the_type(client: OpenAI) -> None:
    response = client.responses.parse(model="json", input="Who?", text_format=Person)
    assert response.output_parsed == Person(name="Ada", age=36)


def test_the_stream_helper_parses_too(client: OpenAI) -> None:
    with client.responses.stream(model="json", input="Who?", text_format=Person) as stream:
        assert stream.get_final_response().output_parsed == Person(name="Ada", age=36)


def test_a_refusal_streams_and_comes_whole(client: OpenAI) -> None:
    events = played(client.responses.create(model="refuser", input="x", stream=True))
    assert "response.refusal.delta" in kinds(events)
    assert events[-1].response.output[0].content[0].refusal == "I would rather not."
    strictly(events[-1].response)


def test_a_cut_answer_is_incomplete(client: OpenAI) -> None:
    response = client.responses.create(model="cut", input="x")
    strictly(response)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_broken_model_is_a_failed_response_not_an_exception(client: OpenAI) -> None:
    response = client.responses.create(model="broken", input="x")
    strictly(response)
    assert response.status == "failed"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("server_error", "the engine stalled")
    events = played(client.responses.create(model="broken", input="x", stream=True))
    assert kinds(events)[-1] == "response.failed"
    assert "error" not in kinds(events)


# --- what is stored ----------------------------------------------------------


def test_retrieve_and_delete(client: OpenAI) -> None:
    first = client.responses.create(model="echo", input="x")
    assert strictly(client.responses.retrieve(first.id)).output_text == first.output_text
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_models_are_listed(client: OpenAI) -> None:
    names = [listed.id for listed in client.models.list()]
    assert names[:2] == ["echo", "caller"]


# --- errors ------------------------------------------------------------------


def test_a_bad_request_names_the_field(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="echo", input="x", temperature=9)
    error = caught.value
    assert (error.param, error.code, error.type) == (
        "temperature",
        "invalid_value",
        "invalid_request_error",
    )


def test_an_unsupported_field_has_a_code_and_a_cure(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="leave store: false out") as caught:
        client.responses.create(model="echo", input="x", background=True, store=False)
    assert (caught.value.param, caught.value.code) == ("background", "unsupported_parameter")


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="nobody", input="x", stream=True)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_a_wrong_key_is_an_authentication_error(url: str) -> None:
    with (
        OpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.responses.create(model="echo", input="x")
    assert caught.value.code == "invalid_api_key"
    assert caught.value.response.headers["www-authenticate"] == "Bearer"


def test_a_full_machine_is_a_rate_limit_error(client: OpenAI) -> None:
    busy: Any = {"type": "shell"}
    with pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model="echo", input="x", tools=[busy])
    assert caught.value.code == "busy"
    assert caught.value.response.headers["retry-after"] == "3"


def test_the_first_event_does_not_wait_for_the_model(url: str) -> None:
    """Raw bytes: created is readable while the model still holds its second fragment back."""
    STARTED.clear()
    RELEASE.clear()
    body = {"model": "coder", "input": "x", "tools": [CODE], "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx2.stream(
        "POST", f"{url}/responses", json=body, headers=headers, timeout=PATIENCE
    ) as answer:
        chunks = answer.iter_raw()
        seen = b""
        while b"code_interpreter_call_code.delta" not in seen:
            seen += next(chunks)
        assert seen.startswith(b"event: response.created\n")
        assert STARTED.wait(PATIENCE)
        assert not RELEASE.is_set()
        RELEASE.set()
        for chunk in chunks:
            seen += chunk
    assert seen.endswith(b"data: [DONE]\n\n")


def test_function_definitions_are_echoed_with_all_their_keys(client: OpenAI) -> None:
    bare: Any = {"type": "function", "name": "bare"}
    response = client.responses.create(model="echo", input="x", tools=[bare, WEATHER])
    raw = json.loads(response.model_dump_json())
    assert {"description", "parameters", "strict"} <= raw["tools"][0].keys()
    assert FunctionTool.model_validate(raw["tools"][1]).strict is True
