"""Law 2 over a WebSocket: the same script tells the same bytes as over SSE, and folds the same."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.items import Ids, fold, parse_event
from antiphon.models import FunctionCall, Model, Reasoning, Refusal, ScriptedModel, Text, Usage
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

from .serving import BUILT_IN, EXTENDED, OPENAI, exchange
from .talking import climate
from .websocketing import socketed, talking

CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
RICH: list[list[Any]] = [
    [Reasoning("hm"), Reasoning("in short", summary=True), Usage(1, 2)],
    [Text("so "), FunctionCall("climate", {"city": "Oslo"}), FunctionCall("nowhere", {})],
    [FunctionCall("code_interpreter", {"code": "print(6 * 7)"}), FunctionCall("climate", "{")],
    [Text("the "), Text("é\u2028nd"), Usage(3, 4)],
]
CUT: list[list[Any]] = [[Text("a"), Refusal("no")], []]
PIECES = st.one_of(
    st.builds(Text, st.text(min_size=1, max_size=20)),
    st.builds(Reasoning, st.text(min_size=1, max_size=20)),
    st.builds(
        FunctionCall,
        st.sampled_from(["climate", "nowhere"]),
        st.sampled_from(['{"city": "Oslo"}', "{}", "{"]),
    ),
)
SCRIPTS = st.lists(st.lists(PIECES, min_size=1, max_size=4), min_size=1, max_size=3)

Models = Callable[[], Model]


def seeded(made: Model) -> Provider:
    return Provider(
        models=[made],
        tools=[climate, CodeInterpreter(LocalSandboxes())],
        new_ids=lambda: Ids(seed=7),
        clock=lambda: 1_700_000_000.0,
    )


def scripted(turns: list[list[Any]]) -> Models:
    """The model anew for each transport; it always ends with a word."""
    return lambda: ScriptedModel([*turns, [Text("end")]], name="scripted")


async def over_sse(made: Model, headers: dict[str, str], **body: Any) -> list[str]:
    one = await exchange(seeded(made), {**body, "stream": True}, headers=headers)
    frames = one.body.decode().split("\n\n")
    return [f.split("\ndata: ")[1] for f in frames if f.startswith("event: ")]


async def over_websocket(made: Model, headers: dict[str, str], **body: Any) -> list[str]:
    async with talking(socketed(seeded(made)), headers=headers) as talk:
        talk.create(**body)
        told = await talk.take()
        assert not talk.texts
    return told


async def check(models: Models, headers: dict[str, str] = EXTENDED, **body: Any) -> None:
    asked = {"input": "go", "tools": [BUILT_IN, CODE], **body}
    told = await over_websocket(models(), headers, **asked)
    assert told == await over_sse(models(), headers, **asked)
    whole = json.loads((await exchange(seeded(models()), asked, headers=headers)).body)
    folded = fold([parse_event(text.encode()) for text in told])
    assert json.loads(folded.to_json()) == whole


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [{}, EXTENDED, OPENAI], ids=["plain", "extended", "openai"])
@pytest.mark.parametrize("include", [[], ["code_interpreter_call.outputs"]])
@pytest.mark.parametrize("turns", [RICH, CUT], ids=["rich", "cut"])
async def test_a_script_tells_the_same_bytes_to_every_kind_of_client(
    turns: list[list[Any]], include: list[str], headers: dict[str, str]
) -> None:
    await check(scripted(turns), headers, include=include)


@settings(max_examples=40, deadline=None)
@given(turns=SCRIPTS)
def test_any_script_tells_the_same_bytes(turns: list[list[Any]]) -> None:
    anyio.run(check, scripted(turns))
