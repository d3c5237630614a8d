"""The core of what users of `openai` 1.x do; run by `test_openai_1x.py` with 1.x on the path.

Usage: PYTHONPATH=.venv/openai-1 python tests/provider/old_client.py BASE_URL
Prints one line for each step, and fails with a traceback at the first that does not hold.
"""

# Checked against the installed 3.x, whose classes differ from those of 1.x.
# pyright: basic, reportMissingModuleSource=false

import asyncio
import json
import sys
import typing

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

FUNCTION = {
    "type": "function",
    "name": "weather",
    "description": None,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
BUILT_IN = {
    "type": "mcp",
    "server_label": "antiphon",
    "connector_id": "antiphon",
    "require_approval": "never",
}
KNOWN = {
    typing.get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in typing.get_args(typing.get_args(ResponseStreamEvent)[0])
}


class Person(BaseModel):
    name: str


def create(client):
    response = client.responses.create(model="echo", input="hello")
    assert response.output_text == "hello", response
    Response.model_validate_json(response.model_dump_json(exclude_unset=True), strict=True)
    return response


def stream(client):
    events = list(client.responses.create(model="thinker", input="x", stream=True))
    for number, event in enumerate(events):
        assert event.sequence_number == number
        assert type(event) is KNOWN[event.type], event
    assert "response.reasoning_text.delta" in {event.type for event in events}
    assert events[-1].response.output_text == "42"


def helper(client):
    with client.responses.stream(model="echo", input="hello") as told:
        assert told.get_final_response().output_text == "hello"


def parse(client):
    response = client.responses.parse(model="json", input="x", text_format=Person)
    assert response.output_parsed == Person(name="Ada")


def functions(client):
    first = client.responses.create(model="caller", input="Oslo", tools=[FUNCTION])
    (call,) = first.output
    assert json.loads(call.arguments) == {"city": "Oslo"}
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    by_id = client.responses.create(model="caller", previous_response_id=first.id, input=[output])
    assert by_id.output_text == "sunny"
    items = [{"role": "user", "content": "Oslo"}, *first.output, output]
    assert client.responses.create(model="caller", input=items).output_text == "sunny"


def hosted(client):
    response = client.responses.create(model="caller", input="Oslo", tools=[BUILT_IN])
    call = response.output[0]
    assert (call.type, call.name, call.output) == ("mcp_call", "climate", "mild in Oslo"), call
    Response.model_validate_json(response.model_dump_json(exclude_unset=True), strict=True)


def code(client):
    response = client.responses.create(
        model="coder",
        input="x",
        tools=[{"type": "code_interpreter", "container": {"type": "auto"}}],
        include=["code_interpreter_call.outputs"],
    )
    assert response.output[0].outputs[0].logs == "42\n", response
    Response.model_validate_json(response.model_dump_json(exclude_unset=True), strict=True)


def errors(client):
    for expected, fields in (
        (openai.BadRequestError, {"temperature": 9}),
        (openai.NotFoundError, {"model": "nobody"}),
    ):
        try:
            client.responses.create(**{"model": "echo", "input": "x", **fields})
        except expected as error:
            assert error.param == next(iter(fields)), error
        else:
            raise AssertionError(f"expected {expected}")


async def asynchronous(base_url):
    async with AsyncOpenAI(base_url=base_url, api_key="any") as client:
        async with client.responses.stream(model="echo", input="hello") as told:
            assert (await told.get_final_response()).output_text == "hello"


def main(base_url):
    assert openai.__version__.startswith("1."), openai.__version__
    with OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=60) as client:
        for step in (create, stream, helper, parse, functions, hosted, code, errors):
            step(client)
            print(step.__name__)  # noqa: T201
    asyncio.run(asynchronous(base_url))
    print("asynchronous")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
