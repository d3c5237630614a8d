"""`ScriptedModel`: a public double that plays a script."""

import inspect
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from antiphon.errors import ConfigurationError, ModelError, ScriptError
from antiphon.items import ArgumentsDelta, Message, TextDelta, fold, user
from antiphon.models import FunctionCall, Model, ModelRequest, ScriptedModel, Text, Usage

if TYPE_CHECKING:
    from .conftest import Listen

pytestmark = pytest.mark.anyio


async def test_turns_are_played_in_order_in_every_form(listen: "Listen") -> None:
    def echo(request: ModelRequest) -> str:
        last = request.items[-1]
        return last.text if isinstance(last, Message) else ""

    script = ScriptedModel(["one", Text("two"), ["th", Text("ree"), Usage(1, 1)], echo])
    assert isinstance(script, Model)
    request = ModelRequest(items=[user("four")])
    said = [fold(await listen(script, request)).output_text for _ in range(4)]
    assert said == ["one", "two", "three", "four"]
    script.assert_complete()


async def test_requests_are_kept_as_they_stood(listen: "Listen") -> None:
    script = ScriptedModel(["a", "b"])
    request = ModelRequest(items=[user("one")])
    await listen(script, request)
    request.items.append(user("two"))
    await listen(script, request)
    assert [len(asked.items) for asked in script.requests] == [1, 2]


async def test_asking_beyond_the_script_is_an_error_with_the_cure(listen: "Listen") -> None:
    script = ScriptedModel(["only"])
    await listen(script, ModelRequest(items=[]))
    with pytest.raises(ScriptError, match=r"has 1 turns, and one more .* add a turn") as caught:
        await listen(script, ModelRequest(items=[]))
    assert not isinstance(caught.value, ModelError)


async def test_turns_left_over_fail_the_test() -> None:
    with pytest.raises(ScriptError, match="2 are left"):
        ScriptedModel(["a", "b"]).assert_complete()


async def test_a_repeating_script_starts_over(listen: "Listen") -> None:
    script = ScriptedModel(["a", "b"], repeat=True)
    said = [fold(await listen(script, ModelRequest(items=[]))).output_text for _ in range(5)]
    assert said == ["a", "b", "a", "b", "a"]
    with pytest.raises(ScriptError, match="1 are left"):
        script.assert_complete()


async def test_fragments_are_of_the_length_asked_for(listen: "Listen") -> None:
    script = ScriptedModel([["abcde", FunctionCall("f", {"x": 1})]], fragment=2)
    events = await listen(script, ModelRequest(items=[]))
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["ab", "cd", "e"]
    deltas = [event.delta for event in events if isinstance(event, ArgumentsDelta)]
    assert deltas == ['{"', 'x"', ":1", "}"]


async def test_pace_rests_between_fragments_only(
    listen: "Listen", monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(anyio, "sleep", rest)
    script = ScriptedModel([["abcd", FunctionCall("f", "12")]], fragment=2, pace=30.0)
    started = time.monotonic()
    await listen(script, ModelRequest(items=[]))
    assert rests == [30.0] * 2
    assert time.monotonic() - started < 5


async def test_what_a_function_of_the_script_raises_goes_through(listen: "Listen") -> None:
    def busy(request: ModelRequest) -> str:
        raise ModelError("busy", code="rate_limit_exceeded", status=429)

    with pytest.raises(ModelError, match=r"^busy$"):
        await listen(ScriptedModel([busy]), ModelRequest(items=[]))


def _nothing(request: ModelRequest) -> None:
    return None


@pytest.mark.parametrize("turn", [3, [3], _nothing])
async def test_a_turn_of_something_else_is_an_error(turn: Any, listen: "Listen") -> None:
    with pytest.raises(ScriptError, match="expected a turn of Text"):
        await listen(ScriptedModel([turn]), ModelRequest(items=[]))


@pytest.mark.parametrize("wrong", [{"fragment": 0}, {"pace": -1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        ScriptedModel([], **wrong)


def test_everything_but_the_turns_is_named() -> None:
    parameters = list(inspect.signature(ScriptedModel).parameters.values())
    assert [one.kind for one in parameters[1:]] == [inspect.Parameter.KEYWORD_ONLY] * 4


async def test_a_script_without_end_remembers_the_last_thousand_requests(listen: "Listen") -> None:
    script = ScriptedModel(["a"], repeat=True)
    asked = [ModelRequest(items=[], instructions=str(number)) for number in range(1002)]
    for request in asked:
        await listen(script, request)
    assert [one.instructions for one in script.requests] == [str(n) for n in range(2, 1002)]
