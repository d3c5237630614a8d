"""Truncation: what is left out of a context that is too long, and what never is."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from antiphon.agents import Agent, loop, shortened, too_long
from antiphon.errors import ModelError, RunError
from antiphon.items import (
    CreateResponse,
    FunctionCall as Call,
    FunctionCallOutput,
    Lowered,
    Message,
    Reasoning,
    fold,
    user,
)
from antiphon.models import FunctionCall, ModelRequest, Text, model
from antiphon.tools import tool

pytestmark = pytest.mark.anyio


class Narrow:
    """A model whose server takes so many items, and says so of more."""

    def __init__(self, most: int, message: str = "maximum context length is 10 tokens") -> None:
        self.most = most
        self.message = message
        self.read: list[list[str]] = []

    def model(self) -> Any:
        @model("narrow")
        async def narrow(request: ModelRequest) -> AsyncGenerator[Any, None]:
            self.read.append([getattr(item, "text", item.type) for item in request.items])
            if len(request.items) > self.most:
                raise ModelError(self.message, status=400)
            yield Text("ok")

        return narrow


async def run(narrow: Narrow, items: list[Any], truncation: str = "auto") -> Any:
    request = CreateResponse.model_validate({"input": items, "truncation": truncation})
    return fold([event async for event in loop(request, model=narrow.model())])


def talk(turns: int) -> list[Any]:
    said: list[Any] = [{"role": "system", "content": "rules"}]
    for number in range(turns):
        said += [
            {"role": "user", "content": f"q{number}"},
            {"role": "assistant", "content": f"a{number}"},
        ]
    return [*said, {"role": "user", "content": "now"}]


async def test_the_oldest_go_first_and_the_system_and_the_question_stay() -> None:
    narrow = Narrow(4)
    response = await run(narrow, talk(4))
    assert response.output_text == "ok"
    assert narrow.read[-1][0] == "rules"
    assert narrow.read[-1][-1] == "now"
    assert len(narrow.read[-1]) <= 4


async def test_what_was_written_of_items_that_went_is_forgotten_with_them() -> None:
    memos: list[dict[int, bytes]] = []

    @model("writing")
    async def writing(request: ModelRequest) -> AsyncGenerator[Any, None]:
        memos.append(dict(request.memo))
        request.memo.update({id(item): b"{}" for item in request.items})
        if len(request.items) > 4:
            raise ModelError("maximum context length is 10 tokens", status=400)
        yield Text("ok")

    request = CreateResponse.model_validate({"input": talk(4), "truncation": "auto"})
    assert [event async for event in loop(request, model=writing)]
    assert memos == [{}] * len(memos)  # by `id()`: a new item may have that of one that went
    assert len(memos) > 1


async def test_without_auto_what_is_too_long_fails_as_the_server_says() -> None:
    narrow = Narrow(4)
    response = await run(narrow, talk(4), "disabled")
    assert (response.status, len(narrow.read)) == ("failed", 1)
    assert "maximum context length" in response.error.message


async def test_another_failure_is_not_taken_for_too_long() -> None:
    narrow = Narrow(1, "no such model")
    response = await run(narrow, talk(4))
    assert (response.status, len(narrow.read)) == ("failed", 1)


async def test_what_cannot_be_shortened_fails_as_the_server_says() -> None:
    response = await run(Narrow(0), [{"role": "user", "content": "x"}])
    assert response.status == "failed"


async def test_calls_of_the_present_turn_go_with_their_outputs() -> None:
    narrow_read: list[list[str]] = []

    @tool
    def note() -> str:
        """Note."""
        return "noted"

    @model("busy")
    async def busy(request: ModelRequest) -> AsyncGenerator[Any, None]:
        kinds = [item.type for item in request.items]
        narrow_read.append(kinds)
        if len(kinds) > 7:
            raise ModelError("context_length_exceeded", code="context_length_exceeded")
        if len(narrow_read) > 6:
            yield Text("done")
            return
        yield FunctionCall("note", {})

    agent = Agent(name="busy", model=busy, tools=[note])
    with pytest.raises(RunError, match="context_length_exceeded"):
        await agent.run("go")
    narrow_read.clear()
    request = CreateResponse.model_validate({"input": "go", "truncation": "auto"})
    response = fold([event async for event in agent.serve(request)])
    assert response.output_text == "done"
    for kinds in narrow_read:
        assert kinds.count("function_call") == kinds.count("function_call_output")
        assert kinds[0] == "message"


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input exceeds the available context size",
        "the request exceeds the context window",
    ],
)
def test_servers_say_it_in_many_ways(words: str) -> None:
    assert too_long("invalid_request", words)
    assert not too_long("invalid_request", "max_tokens must be at least 1")


def _item(kind: int, number: int) -> list[Lowered]:
    call_id = f"c{number}"
    pair = [
        Call(call_id=call_id, name="f", arguments="{}"),
        FunctionCallOutput(call_id=call_id, output="x"),
    ]
    made: list[list[Lowered]] = [
        [user(f"q{number}")],
        [Message(role="assistant", content=f"a{number}")],
        [Message(role="system", content=f"s{number}")],
        [*pair],
        [Reasoning(id=f"r{number}", summary=[]), *pair],
        [Reasoning(id=f"r{number}", summary=[]), Message(role="assistant", content="x")],
    ]
    return made[kind]


@given(st.lists(st.integers(0, 5), max_size=30))
def test_it_ends_and_never_parts_what_belongs_together(kinds: list[int]) -> None:
    items = [item for number, kind in enumerate(kinds) for item in _item(kind, number)]
    left: list[Lowered] = items
    while (less := shortened(left)) is not None:
        assert len(less) < len(left)
        calls = [item.call_id for item in less if isinstance(item, Call)]
        outputs = [item.call_id for item in less if isinstance(item, FunctionCallOutput)]
        assert calls == outputs
        for position, item in enumerate(less):
            if isinstance(item, Reasoning):
                assert items[items.index(item) + 1] is less[position + 1]
        left = less
    questions = [item for item in items if isinstance(item, Message) and item.role == "user"]
    system = [item for item in items if isinstance(item, Message) and item.role == "system"]
    assert all(item in left for item in system)
    assert not questions or questions[-1] in left
