"""Several models behind one name, and several servers behind one provider."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from antiphon.agents import Agent
from antiphon.errors import ConfigurationError, ModelError, RunError
from antiphon.models import (
    Failure,
    Fallback,
    Model,
    ModelRequest,
    Router,
    ScriptedModel,
    Text,
    model,
)

pytestmark = pytest.mark.anyio


def broken(*, after: str = "", status: int | None = None, name: str = "broken") -> Model:
    @model(name)
    async def failing(request: ModelRequest) -> AsyncGenerator[Any, None]:
        if after:
            yield Text(after)
        raise ModelError("no room", status=status)
        yield

    return failing


async def said(*models: Model) -> str:
    return (await Agent(name="a", model=Fallback(*models)).run("hi")).output


async def test_the_next_is_asked_where_one_fails_before_it_spoke() -> None:
    assert await said(broken(), broken(status=503), ScriptedModel(["hello"])) == "hello"
    failed = ScriptedModel([[Failure("full", "no room")]])
    assert await said(failed, ScriptedModel(["hello"])) == "hello"


async def test_the_first_that_speaks_is_the_only_one_asked() -> None:
    second = ScriptedModel([])
    assert await said(ScriptedModel(["one"]), second) == "one"
    assert second.requests == []


async def test_what_was_said_is_not_taken_back() -> None:
    with pytest.raises(RunError, match="no room") as caught:
        await said(broken(after="well"), ScriptedModel(["never"]))
    assert caught.value.response.output_text == "well"


async def test_a_request_that_is_at_fault_is_asked_of_nobody_else() -> None:
    other = ScriptedModel([])
    with pytest.raises(RunError, match="no room"):
        await said(broken(status=400), other)
    assert other.requests == []


async def test_the_last_one_s_failure_is_the_answer_s() -> None:
    with pytest.raises(RunError, match="no room"):
        await said(broken(), broken())


def test_it_has_the_first_one_s_name_or_its_own_and_needs_two() -> None:
    one, two = ScriptedModel([], name="one"), ScriptedModel([], name="two")
    assert Fallback(one, two).name == "one"
    assert Fallback(one, two, name="both").name == "both"
    with pytest.raises(ConfigurationError, match="two models or more"):
        Fallback(one)


class Shelf:
    """A server of scripted models."""

    def __init__(self, label: str, *names: str, down: bool = False) -> None:
        self._label = label
        self._names = names
        self._down = down
        self.closed = False

    def model(self, name: str) -> Model:
        return ScriptedModel([f"{self._label} has {name}"], name=name)

    async def names(self) -> list[str]:
        if self._down:
            raise ModelError(f"{self._label} is down")
        return list(self._names)

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("local/qwen3", "a has qwen3"),
        ("local/deep/qwen3", "d has qwen3"),
        ("qwen3:fast", "b has qwen3"),
        ("local/qwen3:fast", "b has local/qwen3"),
        ("gpt", "c has gpt"),
        ("local/", "c has local/"),
    ],
)
async def test_a_name_leads_to_the_longest_mark_that_fits(name: str, answer: str) -> None:
    marks = {"local/": "a", "local/deep/": "d", ":fast": "b", "": "c"}
    router = Router({mark: Shelf(label) for mark, label in marks.items()})
    found = router.model(name)
    assert found.name == name
    assert (await Agent(name="x", model=found).run("hi")).output == answer


async def test_a_name_that_leads_nowhere_says_which_there_are() -> None:
    found = Router({"local/": Shelf("a")}).model("gpt")
    with pytest.raises(RunError, match="no server here has 'gpt': names go by 'local/'"):
        await Agent(name="x", model=found).run("hi")


async def test_names_are_listed_as_they_are_asked_for_and_one_that_is_down_lists_none() -> None:
    shelves = {"local/": Shelf("a", "q"), ":fast": Shelf("b", "q"), "x/": Shelf("d", down=True)}
    router = Router(shelves)
    assert await router.names() == ["local/q", "q:fast"]
    await router.aclose()
    assert all(shelf.closed for shelf in shelves.values())
    with pytest.raises(ModelError, match="d is down"):
        await Router({"": Shelf("d", down=True)}).names()
    with pytest.raises(ConfigurationError, match="at least one server"):
        Router({})
