"""Rules about the response object: what stands in it, of which type, and what it echoes.

Above: `provider`. Below: `bench`, `shapes`. Not here: streams, and errors.
"""

from typing import Any, Final

from .bench import Bench, Theme
from .questions import INTERPRETER, WEATHER
from .report import Broken, expect, filled, same, shown, skip
from .shapes import ResponseObject, Usage, fault
from .sse import Json, obj, objects, seq

response: Theme = Theme("the response object")
_SCHEMA: Final = "schema, ResponseResource"

ECHOED: Final[Json] = {
    "instructions": "Be brief.",
    "metadata": {"kit": "conformance"},
    "temperature": 0.5,
    "top_p": 0.9,
    "max_output_tokens": 2000,
    "max_tool_calls": 3,
    "parallel_tool_calls": False,
    "truncation": "disabled",
    "prompt_cache_key": "kit-1",
    "safety_identifier": "kit-user",
}
"""Settings that a response repeats as they were given."""

FORM: Final[Json] = {
    "type": "json_schema",
    "name": "city",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@response.rule(
    "a text as input is answered with 200, application/json and a response object",
    "spec, Core Responses Capabilities; HTTP Responses",
)
async def answers(bench: Bench) -> None:
    body = bench.body("Say hello in exactly 3 words.")
    answer = await bench.post(body)
    bench.taken(answer, body)
    same(answer.kind, "application/json", "content-type")
    same(answer.json.get("object"), "response", "object")
    same((await bench.hello()).get("object"), "response", "object")


async def _hello(bench: Bench) -> Json:
    try:
        return await bench.hello()
    except Broken as error:
        skip(f"there is no response to look at: {error.why}")


@response.rule("all 31 required fields are there", _SCHEMA)
async def complete(bench: Bench) -> None:
    hello = await _hello(bench)
    fields = [name for name, one in ResponseObject.model_fields.items() if one.is_required()]
    missing = [name for name in fields if name not in hello]
    expect(not missing, f"expected {len(fields)} fields, missing {', '.join(missing)}", hello)


@response.rule("every field is of its type, down to items, parts and tools", _SCHEMA)
async def shaped(bench: Bench) -> None:
    wrong = fault(ResponseObject, await _hello(bench))
    expect(wrong is None, str(wrong), wrong.got if wrong else None)


@response.rule("created_at and completed_at are whole seconds", "wire 4")
async def times(bench: Bench) -> None:
    hello = await _hello(bench)
    for name in ("created_at", "completed_at"):
        value: object = hello.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        expect(whole, f"{name}: expected an integer, got {shown(value)}", hello)
    expect(hello["completed_at"] >= hello["created_at"], "completed_at: before created_at", hello)


@response.rule(
    "temperature, top_p, penalties and top_logprobs are numbers, never null", "wire 4; schema"
)
async def numbers(bench: Bench) -> None:
    hello = await _hello(bench)
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"):
        value = hello.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        expect(number, f"{name}: expected a number, got {shown(value)}", {name: value})


@response.rule("usage counts tokens, with both details, and adds up", "schema, Usage; wire 4")
async def usage(bench: Bench) -> None:
    used = (await _hello(bench)).get("usage")
    wrong = fault(Usage, used)
    expect(wrong is None, f"usage.{wrong}", used)
    counts = obj(used)
    same(
        counts["total_tokens"],
        counts["input_tokens"] + counts["output_tokens"],
        "usage.total_tokens, the sum of both",
        used,
    )


@response.rule("a completed response has output, no error and no incomplete_details", _SCHEMA)
async def completed(bench: Bench) -> None:
    hello = await _hello(bench)
    same(hello.get("status"), "completed", "status", hello)
    same(hello.get("error"), None, "error")
    same(hello.get("incomplete_details"), None, "incomplete_details")
    items = objects(hello.get("output"))
    kinds = [each.get("type") for each in items]
    expect("message" in kinds, f"output: expected a message, got {shown(kinds)}", items)


@response.rule("every item of the output has an id of its own, a type and a status", "spec, Items")
async def items_named(bench: Bench) -> None:
    items = objects((await _hello(bench)).get("output"))
    for item in items:
        for name in ("id", "type"):
            filled(item.get(name), f"an item's {name}", item)
        if item.get("type") in ("message", "function_call"):
            same(item.get("status"), "completed", "an item's status", item)
    ids = [item.get("id") for item in items]
    expect(len(set(ids)) == len(ids), f"expected different ids, got {shown(ids)}", items)


@response.rule("a text part has its list of annotations, empty or not", "wire 4; schema")
async def annotated(bench: Bench) -> None:
    for part in _parts(await _hello(bench)):
        if part.get("type") == "output_text":
            got = part.get("annotations")
            expect(isinstance(got, list), f"annotations: expected a list, got {shown(got)}", part)


@response.rule(
    "what is not known is left out, not null: text.verbosity, logprobs, reasoning content",
    "wire 4; schema",
)
async def left_out(bench: Bench) -> None:
    hello = await _hello(bench)
    text = obj(hello.get("text"))
    absent(text, "verbosity")
    for part in _parts(hello):
        absent(part, "logprobs")
    for item in objects(hello.get("output")):
        if item.get("type") == "reasoning":
            for name in ("content", "encrypted_content"):
                absent(item, name)


def absent(thing: Json, name: str) -> None:
    """Raises Broken where a field is null instead of left out."""
    null = name in thing and thing[name] is None
    expect(not null, f"{name}: expected a value or no such field, got null", thing)


def _parts(given: Json) -> list[Json]:
    items = objects(given.get("output"))
    return [part for item in items for part in objects(item.get("content"))]


@response.rule("an answer bears x-request-id", "wire 4")
async def request_id(bench: Bench) -> None:
    answer = await bench.post(bench.body("Say hello."))
    expect(answer.headers.get("x-request-id"), "x-request-id: expected the header, got none")


async def _echo(bench: Bench) -> tuple[Json, dict[str, str]]:
    """A response with every setting that the provider takes, and why it refuses the others."""
    fields, refused = dict(ECHOED), dict[str, str]()
    while True:
        body = bench.body("Say hello.", **fields)
        answer = await bench.post(body)
        param = obj(answer.json.get("error")).get("param")
        if answer.status == 400 and param in fields:
            refused[param] = answer.message
            del fields[param]
            continue
        return bench.taken(answer, body), refused


def _echoes(name: str, wanted: Any) -> None:
    @response.rule(f"the response repeats {name} as it was given", _SCHEMA)
    async def check(bench: Bench) -> None:
        try:
            echo, refused = await bench.once("echo", lambda: _echo(bench))
        except Broken as error:
            skip(f"there is no response to look at: {error.why}")
        if name in refused:
            skip(f"the provider refuses {name}: {refused[name]}")
        same(echo.get(name), wanted, name, {name: echo.get(name)})

    assert check


for _name, _wanted in ECHOED.items():
    _echoes(_name, _wanted)


@response.rule(
    "what nobody asked for is told as it stands: store, background, tools and the rest",
    "wire 4; schema",
)
async def defaults(bench: Bench) -> None:
    hello = await _hello(bench)
    same(hello.get("instructions"), None, "instructions")
    same(hello.get("previous_response_id"), None, "previous_response_id")
    for name in ("store", "background", "parallel_tool_calls"):
        value = hello.get(name)
        expect(isinstance(value, bool), f"{name}: expected a boolean, got {shown(value)}")
    same(hello.get("background"), False, "background")
    same(hello.get("tools"), [], "tools")


@response.rule(
    "an echoed function has description, parameters and strict, null allowed", "wire 4; schema"
)
async def echoed_tool(bench: Bench) -> None:
    bare = {"type": "function", "name": "get_weather"}
    told = await bench.respond("Say hello.", tools=[bare], tool_choice="none")
    tools = objects(told.get("tools"))
    same(len(tools), 1, "the number of tools", tools)
    for name in ("name", "description", "parameters", "strict"):
        expect(name in tools[0], f"tools[0].{name}: expected the field, got none", tools[0])


@response.rule("an echoed allowed_tools has its mode and its tools", "wire 4; AllowedToolChoice")
async def echoed_choice(bench: Bench) -> None:
    tool = {"type": "function", "name": "get_weather"}
    choice = {"type": "allowed_tools", "tools": [tool]}
    told = await bench.respond("Say hello.", tools=[WEATHER], tool_choice=choice)
    same(told.get("tool_choice"), {**choice, "mode": "auto"}, "tool_choice")


@response.rule("an echoed JSON schema is null, with its name and strict", "wire 4; schema")
async def echoed_schema(bench: Bench) -> None:
    body = bench.body("Name a city, as JSON.", text={"format": FORM})
    answer = await bench.post(body)
    if 400 <= answer.status < 500:
        skip(f"the provider refuses a JSON schema: {answer.message}")
    told = bench.taken(answer, body)
    form = obj(obj(told.get("text")).get("format"))
    same(form.get("schema", 0), None, "text.format.schema", form)
    same(form.get("name"), "city", "text.format.name", form)
    same(form.get("strict"), True, "text.format.strict", form)
    wrong = fault(ResponseObject, told)
    expect(wrong is None, str(wrong), wrong.got if wrong else None)


@response.rule(
    "a response cut by max_output_tokens is incomplete, and so is its last item",
    "spec, Items are state machines; wire 6",
)
async def cut(bench: Bench) -> None:
    stream = await bench.specimen("cut")
    end = stream.terminal
    same(end.get("status"), "incomplete", "status", end)
    reason = obj(end.get("incomplete_details")).get("reason")
    same(reason, "max_output_tokens", "incomplete_details.reason")
    items = objects(end.get("output"))
    unfinished = [at for at, item in enumerate(items) if item.get("status") == "incomplete"]
    same(unfinished, [len(items) - 1], "the places of incomplete items")


@response.rule(
    "a secret in a tool's definition is not repeated", "wire 9: never stored, echoed or logged"
)
async def secrets(bench: Bench) -> None:
    secret = "kit-secret-4711"
    server: Json = {
        "type": "mcp",
        "server_label": "kit",
        "server_url": "https://mcp.example.com/sse",
        "authorization": secret,
        "require_approval": "never",
        "allowed_tools": [],
    }
    answer = await bench.post(bench.body("Say hello.", tools=[server], tool_choice="none"))
    if answer.status != 200:
        skip(f"the provider takes no such MCP server ({answer.status}: {answer.message})")
    expect(secret.encode() not in answer.body, "authorization: expected nothing of it, got all")


@response.rule("tools that were declared are repeated in their order", _SCHEMA)
async def tools_in_order(bench: Bench) -> None:
    body = bench.body("Say hello.", tools=[WEATHER, INTERPRETER], tool_choice="none")
    answer = await bench.post(body)
    if 400 <= answer.status < 500:
        skip(f"the provider refuses a code interpreter: {answer.message}")
    told = bench.taken(answer, body)
    got = [obj(tool).get("type") for tool in seq(told.get("tools"))]
    same(got, ["function", "code_interpreter"], "the types of tools", told.get("tools"))
