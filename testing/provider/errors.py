"""Rules about errors: what is refused, with which status, and in what form.

Above: `provider`. Below: `bench`. Not here: what is to be tolerated.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .bench import Bench, Theme
from .line import Answer
from .questions import WEATHER
from .report import expect, same, shown, skip
from .shapes import ErrorBody, fault
from .sse import Json, obj

errors: Theme = Theme("errors")
_SPEC: Final = "spec, Errors; wire 4"
BAD: Final = (400, 422)
GONE: Final = (400, 404)
NOWHERE: Final = "resp_conformance_kit_nowhere"


def refusal(answer: Answer, statuses: Sequence[int], what: str) -> Json:
    """The error of an answer that refuses.

    Raises:
        Broken: It does not, or not with one of these statuses, or in another form.
    """
    wanted = " or ".join(map(str, statuses))
    got = f"expected {wanted}, got {answer.status}: {shown(answer.body)}"
    expect(answer.status in statuses, f"{what}: {got}", answer.body)
    same(answer.kind, "application/json", f"{what}: content-type")
    wrong = fault(ErrorBody, answer.value())
    expect(wrong is None, f"{what}: {wrong}", answer.body)
    return obj(answer.json.get("error"))


@errors.rule("an error is {error: {message, type, param, code}}, all four there", _SPEC)
async def form(bench: Bench) -> None:
    refusal(await bench.post(bench.body("Hi.", temperature="hot")), BAD, "temperature: hot")


@errors.rule("a body that is not JSON is a 400", _SPEC)
async def not_json(bench: Bench) -> None:
    for body in (b"{", b"", b"[]", b'{"input": NaN}'):
        refusal(await bench.post(body), BAD, f"the body {shown(body)}")


@errors.rule("a body that is not sent as JSON is a 4xx", "spec, HTTP Request Bodies")
async def not_sent_as_json(bench: Bench) -> None:
    answer = await bench.post(b"hello", headers={"content-type": "text/plain"})
    refusal(answer, (400, 406, 415, 422), "content-type: text/plain")


@errors.rule("a request without a model is answered, or a 4xx that names `model`", _SPEC)
async def no_model(bench: Bench) -> None:
    answer = await bench.post({"input": "Say hello."})
    if answer.status != 200:
        error = refusal(answer, (400, 404, 422), "no model")
        told = f"{error.get('param')} {error.get('message')}"
        expect("model" in told, f"expected `model` to be named, got {shown(told)}", error)


@errors.rule("an unknown model is a 400 or 404 whose error names `model`", _SPEC)
async def unknown_model(bench: Bench) -> None:
    answer = await bench.post({"model": "conformance-kit-nobody", "input": "Hi."})
    error = refusal(answer, GONE, "an unknown model")
    told = f"{error.get('param')} {error.get('code')} {error.get('message')}"
    expect("model" in told, f"expected `model` to be named, got {shown(told)}", error)


WRONG: Final[Mapping[str, Mapping[str, Any]]] = {
    "input": {"input": 7},
    "input of items": {"input": [7]},
    "an item without type or role": {"input": [{"content": "hi"}]},
    "a role": {"input": [{"role": "nobody", "content": "hi"}]},
    "a type": {"input": [{"type": {"a": 1}, "content": "hi"}]},
    "temperature": {"temperature": "hot"},
    "tools": {"tools": {"name": "f"}},
    "a function without a name": {"tools": [{"type": "function"}]},
    "tool_choice": {"tool_choice": "perhaps"},
    "stream": {"stream": "perhaps"},
    "metadata": {"metadata": {"a": 1}},
    "17 pairs of metadata": {"metadata": {str(at): "x" for at in range(17)}},
    "max_output_tokens": {"max_output_tokens": 0},
}


def _wrong(name: str, fields: Mapping[str, Any]) -> None:
    @errors.rule(f"a wrong type or value is a 400: {name}", f"{_SPEC}; schema, CreateResponseBody")
    async def check(bench: Bench) -> None:
        refusal(await bench.post(bench.body("Hi.", **fields)), BAD, shown(fields))

    assert check


for _name, _fields in WRONG.items():
    _wrong(_name, _fields)


@errors.rule("a request with no input at all is a 400", _SPEC)
async def no_input(bench: Bench) -> None:
    body = bench.body("")
    del body["input"]
    refusal(await bench.post(body), BAD, "no input")


@errors.rule("the output of a call that was never made is a 400", "wire 6: orphan")
async def orphan(bench: Bench) -> None:
    given = [
        {"role": "user", "content": "Hi."},
        {"type": "function_call_output", "call_id": "call_nowhere", "output": "x"},
    ]
    answer = await bench.post(bench.body(given, tools=[WEATHER]))
    refusal(answer, BAD, "an output without its call")


@errors.rule("an unknown previous_response_id is a 400 or 404", "wire 6; spec")
async def unknown_previous(bench: Bench) -> None:
    answer = await bench.post(bench.body("Hi.", previous_response_id=NOWHERE))
    refusal(answer, GONE, "an unknown previous_response_id")


@errors.rule("a reference to an unknown item is a 400 or 404", "wire 4: item_reference")
async def unknown_reference(bench: Bench) -> None:
    given: list[Json] = [{"type": "item_reference", "id": "msg_conformance_kit_nowhere"}]
    answer = await bench.post(bench.body([*given, {"role": "user", "content": "Hi."}]))
    refusal(answer, GONE, "an unknown item_reference")


@errors.rule("an unknown response cannot be had or deleted: 404", _SPEC)
async def unknown_response(bench: Bench) -> None:
    for method in ("GET", "DELETE"):
        answer = await bench.line.ask(method, f"/responses/{NOWHERE}")
        refusal(answer, (404, 405), f"{method} of an unknown response")


@errors.rule("a path that is not served is a 404 with an error object", _SPEC)
async def unknown_path(bench: Bench) -> None:
    answer = await bench.line.ask("POST", "/responses_conformance_kit_nowhere", {})
    refusal(answer, (404,), "an unknown path")


@errors.rule("a wrong request for a stream is a JSON error, never a stream", "wire 6")
async def before_the_stream(bench: Bench) -> None:
    answer = await bench.post(bench.body("Hi.", stream=True, temperature="hot"))
    refusal(answer, BAD, "temperature: hot, streamed")


@errors.rule("where a key is needed, none and a wrong one are a 401", _SPEC)
async def no_key(bench: Bench) -> None:
    if not bench.line.has_key:
        skip("the kit was given no key")
    refusal(await bench.post(bench.body("Hi."), key=False), (401, 403), "no key")
    wrong = {"authorization": "Bearer conformance-kit-nobody"}
    refusal(await bench.post(bench.body("Hi."), key=False, headers=wrong), (401, 403), "a key")


@errors.rule("after all these the provider still answers", "common sense")
async def lives(bench: Bench) -> None:
    same((await bench.respond("Say hello.")).get("status"), "completed", "status")
