"""Limits that whoever serves sets: checked when they are set, kept when somebody asks for more."""

import json
import math
import tracemalloc
from collections.abc import AsyncGenerator, Collection
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.errors import ConfigurationError, ModelError, RequestError
from antiphon.items import Item
from antiphon.models import FunctionCall, ModelRequest, Reasoning, ScriptedModel, Text, model
from antiphon.provider import MemoryStore, Provider
from antiphon.tools import tool

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.admit import admit_body
    from provider.seal import Seal
else:
    from antiphon.provider.admit import admit_body
    from antiphon.provider.seal import Seal

from .refusing import items, problem, provider
from .serving import BUILT_IN, exchange

pytestmark = pytest.mark.anyio

HI = {"role": "user", "content": "hi"}
PART = {"type": "input_text", "text": "hi"}


@pytest.mark.parametrize("value", [0, -1, True, "5", None], ids=repr)
@pytest.mark.parametrize(
    "name", ["max_body", "max_items", "max_turns", "body_seconds", "keep_alive"]
)
def test_a_limit_that_is_none_is_said_at_once(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected"):
        provider(**{name: value})


@pytest.mark.parametrize("name", ["body_seconds", "keep_alive"])
def test_seconds_are_a_number(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected"):
        provider(**{name: math.nan})
    provider(**{name: 0.5})


def test_a_dialect_that_nobody_speaks_is_said_at_once() -> None:
    wrong: Any = "opena1"
    with pytest.raises(ConfigurationError, match="openresponses, openai, got 'opena1'"):
        provider(dialect=wrong)


# --- items -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([HI] * 10, 200),
        ([HI] * 11, 400),
        ([{"role": "user", "content": [PART] * 9}], 200),
        ([{"role": "user", "content": [PART] * 10}], 400),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": ""}] * 10}], 400),
        ([{"type": "reasoning", "summary": [], "content": [PART] * 10}], 400),
        ([{"type": "x_new", "content": [PART] * 10}], 400),
    ],
)
async def test_items_and_their_parts_are_counted(given: list[Any], status: int) -> None:
    one = await exchange(provider(max_items=10), items(*given))
    assert one.status == status, one.body
    if status == 400:
        assert (problem(one)["param"], problem(one)["code"]) == ("input", "too_many_items")


async def test_a_flood_of_objects_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parse(body: bytes) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("antiphon.provider.responses.CreateResponse.parse", parse)
    many: list[Any] = [{}] * 101
    body = {"input": "x", "tools": [{"type": "x_new", "many": many}]}
    one = await exchange(provider(max_items=10), body)
    assert one.status == 400, one.body
    assert (problem(one)["param"], problem(one)["code"]) == ("input", "too_many_items")


@pytest.mark.parametrize("some", ["[]", "-9", '"a"', '{"a":1}', '",[{"', '"\\\\\\",","'])
async def test_a_flood_of_any_values_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, some: str
) -> None:
    monkeypatch.setattr("antiphon.provider.responses.CreateResponse.parse", None)
    body = b'{"input":"x","z":[%b]}' % ",".join([some] * 100_000).encode()
    one = await exchange(provider(max_items=10), body)
    assert one.status == 400, one.body
    assert (problem(one)["param"], problem(one)["code"]) == ("input", "too_many_items")


async def test_a_flood_is_counted_in_little_memory() -> None:
    body = b'{"input":"x","z":[' + b'"",",",' * 1_000_000 + b'0,"' + b"[," * 2_000_000 + b'"]}'
    tracemalloc.start()
    with pytest.raises(RequestError):
        admit_body(body, max_items=100)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 3 * len(body)


@pytest.mark.parametrize("text", ["{" * 1000, "[," * 99_999, '\\"{' * 1000, "\\\\{" * 1000 + "\\"])
async def test_braces_in_texts_are_no_objects(text: str) -> None:
    one = await exchange(provider(max_items=10), {"input": text, "user": "{"})
    assert one.status == 200, one.body


async def test_texts_of_all_kinds_are_read_right_whatever_the_step_they_are_counted_in() -> None:
    texts = [f'{"x" * (number % 7)},[{{"\\' for number in range(50_000)]
    many = ", ".join(json.dumps(text) for text in texts)
    admit_body(f'{{"input": [{many}]}}'.encode(), max_items=500)  # 50,000 values are its most
    with pytest.raises(RequestError, match="at most 49,900 values"):
        admit_body(f'{{"input": [{many}]}}'.encode(), max_items=499)


async def test_many_items_are_served_by_default() -> None:
    assert (await exchange(provider(), items(*[HI] * 2000))).status == 200


# --- tools -------------------------------------------------------------------


def functions(count: int) -> list[dict[str, Any]]:
    return [{"type": "function", "name": f"f{number}"} for number in range(count)]


async def test_tools_are_counted_wherever_they_stand() -> None:
    inner = {"type": "antiphon:agent", "name": "a", "model": "scripted", "tools": functions(600)}
    group = {"type": "namespace", "name": "n", "description": "", "tools": functions(423)}
    fits = await exchange(provider(), {"input": "x", "tools": functions(1024)})
    assert fits.status == 200, fits.body
    one = await exchange(provider(), {"input": "x", "tools": [inner, group]})
    assert one.status == 400, one.body
    assert (problem(one)["param"], problem(one)["code"]) == ("tools", "too_many_tools")


# --- what stored items bring in ----------------------------------------------


async def test_stored_items_bring_in_no_more_than_a_request_may_hold() -> None:
    app = provider(max_body=10_000)
    held = {"items": [{"role": "user", "content": "x" * 4_000}]}
    made = await exchange(app, held, path="/v1/conversations")
    listed = f"/v1/conversations/{json.loads(made.body)['id']}/items"
    kept = json.loads((await exchange(app, method="GET", path=listed)).body)["data"][0]["id"]
    named = {"type": "item_reference", "id": kept}
    assert (await exchange(app, items(named, named))).status == 200
    one = await exchange(app, items(named, named, named))
    assert one.status == 413, one.body
    assert (problem(one)["param"], problem(one)["code"]) == ("input[2]", "request_too_large")


async def test_a_request_asks_the_store_once_for_all_that_it_names() -> None:
    asked: list[set[str]] = []

    class Counting(MemoryStore):
        async def items(self, ids: Collection[str], *, principal: str) -> dict[str, Item]:
            asked.append(set(ids))
            return await super().items(ids, principal=principal)

    thought: dict[str, Any] = {"type": "reasoning", "summary": []}
    given = [{**thought, "id": f"rs_{number % 3}"} for number in range(9)]
    app = Provider(models=[ScriptedModel(["hi"])], store=Counting())
    assert (await exchange(app, items(*given, HI))).status == 200
    assert asked == [{"rs_0", "rs_1", "rs_2"}]


# --- turns -------------------------------------------------------------------


@tool
async def again() -> str:
    """Once more."""
    return "again"


async def test_a_model_s_turns_are_bounded() -> None:
    script = ScriptedModel([FunctionCall("again", {})] * 9)
    app = Provider(models=[script], tools=[again], max_turns=3)
    one = await exchange(app, {"input": "x", "tools": [BUILT_IN]})
    told = json.loads(one.body)
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_turns"})
    assert len(script.requests) == 3


async def test_what_is_too_long_is_shortened_where_the_client_allows_it() -> None:
    @model("narrow")
    async def narrow(request: ModelRequest) -> AsyncGenerator[Any, None]:
        if len(request.items) > 2:
            raise ModelError("maximum context length is 2 items", status=400)
        yield Text("ok")

    app = Provider(models=[narrow])
    body = items(*[HI] * 9)
    allowed = await exchange(app, {**body, "truncation": "auto"})
    strict = await exchange(app, body)
    assert json.loads(allowed.body)["output"][0]["content"][0]["text"] == "ok"
    assert json.loads(allowed.body)["truncation"] == "auto"
    assert json.loads(strict.body)["status"] == "failed"


@pytest.mark.parametrize("several", [2, 200])
async def test_a_stored_item_is_sealed_once_however_often_a_request_names_it(
    several: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Provider(models=[ScriptedModel([[Reasoning("hm"), Text("x")]], repeat=True)])
    whole = json.loads((await exchange(app, {"input": "hi"})).body)
    seal, sealed = Seal.seal, list[int]()

    def counted(self: Seal, data: bytes, **options: Any) -> str:
        sealed.append(len(data))
        return seal(self, data, **options)

    monkeypatch.setattr(Seal, "seal", counted)
    thought: dict[str, Any] = {"type": "reasoning", "id": whole["output"][0]["id"], "summary": []}
    other = {**thought, "content": [{"type": "reasoning_text", "text": "something else"}]}
    body = {"input": [other] * several + [HI], "include": ["reasoning.encrypted_content"]}
    one = await exchange(app, {**body, "store": False})
    assert one.status == 200
    assert len(sealed) <= 3  # what is named, and the answer: in its own event and at the end
