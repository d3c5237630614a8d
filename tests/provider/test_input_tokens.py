"""`POST /v1/responses/input_tokens`: a count by who has the tokenizer, or none."""

from typing import Any, cast

import anyio
import openai
import pytest

from antiphon.agents import Agent, workflow
from antiphon.errors import ModelError
from antiphon.models import ModelRequest, ScriptedModel
from antiphon.provider import Provider, Rate
from antiphon.tools import tool

from .compacting import client, mounted
from .serving import PATIENCE, Exchange

pytestmark = pytest.mark.anyio

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}

FILE = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}


class Counting(ScriptedModel):
    """Counts the items it would read, and remembers them; a `fault` is raised instead."""

    def __init__(self, *turns: Any, fault: ModelError | None = None) -> None:
        super().__init__(turns, name="counting")
        self.counted: list[ModelRequest] = []
        self.fault = fault

    async def count(self, request: ModelRequest) -> int:
        if self.fault is not None:
            raise self.fault
        self.counted.append(request)
        return 100 + len(request.items)


def test_the_count_is_the_models_own() -> None:
    model = Counting()
    with client(mounted(model)) as sdk:
        counted = sdk.responses.input_tokens.count(model="counting", input="hi")
    assert counted.model_dump() == {"object": "response.input_tokens", "input_tokens": 101}
    assert model.requests == []


def test_what_is_counted_is_what_the_model_would_be_asked() -> None:
    model = Counting("x")
    asked: Any = {
        "model": "counting",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}, FILE]},
            {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "mild"},
        ],
        "instructions": "be brief",
        "tools": [WEATHER],
        "tool_choice": "required",
        "reasoning": {"effort": "low"},
    }
    with client(mounted(model)) as sdk:
        assert sdk.responses.input_tokens.count(**asked).input_tokens == 103
        sdk.responses.create(**asked)
    counted, made = model.counted[0], model.requests[0]
    assert counted.items == made.items
    assert "hello" in str(counted.items[0])  # a file is counted as the model reads it
    assert counted.tools == made.tools
    assert (counted.instructions, counted.tool_choice) == (made.instructions, made.tool_choice)
    assert counted.original.reasoning == made.original.reasoning


def test_what_was_said_before_counts_too() -> None:
    model = Counting("one")
    with client(mounted(model)) as sdk:
        first = sdk.responses.create(model="counting", input="hi")
        counted = sdk.responses.input_tokens.count(
            model="counting", input="go on", previous_response_id=first.id
        )
    assert counted.input_tokens == 103


@workflow
async def errand(task: str) -> str:
    """An errand."""
    return task


@pytest.mark.parametrize("name", ["scripted", "guide", "errand"])
def test_where_nobody_has_the_tokenizer_it_is_said_and_not_guessed(name: str) -> None:
    agent = Agent(name="guide", model=Counting())
    app = mounted(ScriptedModel([]), agents=[agent], workflows=[errand])
    with client(app) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.input_tokens.count(model=name, input="hi")
    assert (caught.value.code, caught.value.param) == ("unsupported", "model")
    assert repr(name) in caught.value.message
    assert "ask it of a model behind a Responses server that counts" in caught.value.message


def test_a_server_that_does_not_count_is_the_same_refusal() -> None:
    model = Counting(fault=ModelError("it has no such endpoint", code="cannot_count"))
    with client(mounted(model)) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.input_tokens.count(model="counting", input="hi")
    assert caught.value.code == "unsupported"
    assert "it has no such endpoint" in caught.value.message


def test_a_server_out_of_reach_is_a_bad_gateway() -> None:
    model = Counting(fault=ModelError("it is gone", code="connection_error"))
    with client(mounted(model)) as sdk, pytest.raises(openai.InternalServerError) as caught:
        sdk.responses.input_tokens.count(model="counting", input="hi")
    assert (caught.value.status_code, caught.value.code) == (502, "connection_error")


WRONG: list[tuple[dict[str, Any], str, str | None]] = [
    ({"model": "nobody", "input": "hi"}, "model_not_found", "model"),
    ({"model": "counting"}, "missing_required_parameter", "input"),
    (
        {"model": "counting", "input": "x", "conversation": "conv_1"},
        "conversation_not_found",
        "conversation",
    ),
    (
        {"model": "counting", "input": "x", "previous_response_id": "resp_0"},
        "previous_response_not_found",
        "previous_response_id",
    ),
    (
        {"model": "counting", "input": [{"type": "compaction", "encrypted_content": "x"}]},
        "invalid_encrypted_content",
        "input[0].encrypted_content",
    ),
    (
        {
            "model": "counting",
            "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}],
        },
        "orphan",
        "input[0].call_id",
    ),
]


@pytest.mark.parametrize(("asked", "code", "param"), WRONG, ids=[code for _, code, _ in WRONG])
def test_what_would_be_refused_is_not_counted(
    asked: dict[str, Any], code: str, param: str | None
) -> None:
    with client(mounted(Counting())) as sdk, pytest.raises(openai.APIStatusError) as caught:
        sdk.responses.input_tokens.count(**asked)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert 400 <= caught.value.status_code < 500


def test_an_approval_is_not_counted_since_its_call_would_run() -> None:
    said = {"type": "mcp_approval_response", "approval_request_id": "apr_1", "approve": True}
    model = Counting()
    with client(mounted(model)) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.input_tokens.count(model="counting", input=cast("Any", [said]))
    assert (caught.value.code, caught.value.param) == ("unsupported", "input[0]")
    assert model.counted == []


def test_counting_is_held_to_the_rate_of_requests() -> None:
    with client(mounted(Counting(), rate=Rate(per_minute=1))) as sdk:
        sdk.responses.input_tokens.count(model="counting", input="hi")
        with pytest.raises(openai.RateLimitError):
            sdk.responses.input_tokens.count(model="counting", input="hi")


async def test_a_client_that_leaves_is_waited_for_no_longer() -> None:
    class Slow(Counting):
        async def count(self, request: ModelRequest) -> int:
            one.leave()
            await anyio.sleep_forever()
            raise AssertionError("it was waited for")

    app = Provider(models=[Slow()])
    body = {"model": "counting", "input": "x"}
    one = Exchange(app, body, path="/v1/responses/input_tokens")
    with anyio.fail_after(PATIENCE):
        await one.run()
    assert one.sent == []


def test_another_key_counts_nothing_of_mine() -> None:
    app = mounted(Counting("one"))
    with client(app) as alice, client(app, key="sk-mallory") as mallory:
        first = alice.responses.create(model="counting", input="hi")
        with pytest.raises(openai.NotFoundError):
            mallory.responses.input_tokens.count(
                model="counting", input="x", previous_response_id=first.id
            )
    with client(app, key="sk-?") as stranger, pytest.raises(openai.AuthenticationError):
        stranger.responses.input_tokens.count(model="counting", input="x")


@tool
async def climate(city: str) -> str:
    """The climate of a city."""
    raise AssertionError("counting runs nothing")


def test_the_providers_own_tools_count_and_do_not_run() -> None:
    model = Counting()
    own: Any = {"type": "mcp", "server_label": "antiphon", "connector_id": "antiphon"}
    with client(mounted(model, tools=[climate])) as sdk:
        sdk.responses.input_tokens.count(model="counting", input="x", tools=[own])
    assert [function.name for function in model.counted[0].tools] == ["climate"]
