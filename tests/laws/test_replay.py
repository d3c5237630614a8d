"""Law 3: what came out, fed back in, gives the model the same context."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import example, given, strategies as st

from antiphon.items import Event, ItemDone
from antiphon.models import (
    FunctionCall as Call,
    ModelRequest,
    Reasoning,
    ScriptedModel,
    Speech,
    Text,
)
from antiphon.provider import Provider

from .kit import (
    BUILT_IN,
    OUTPUTS,
    OWN,
    again,
    body,
    context_for,
    end_of,
    events_of,
    play_until,
    request,
)
from .paper import Count, PaperSandboxes, kit
from .scripts import CALLS, FRAGMENTS, LAW, Script, scripted, scripts, turn

Context = list[dict[str, Any]]


def recording(script: Script, fragment: int | None, done: list[int], events: list[Event]) -> Any:
    """The script as a model that notes how many items were finished when it was asked."""

    def noted(turn: Any) -> Any:
        def play(asked: ModelRequest) -> Any:
            done.append(sum(isinstance(event, ItemDone) for event in events))
            return turn

        return play

    return ScriptedModel([noted(turn) for turn in script], fragment=fragment)


def read(asked: ModelRequest) -> Context:
    return [item.model_dump() for item in asked.items]


RICH: Script = [
    [Reasoning("a", summary=True), Call("picture", {"text": "p"}), Call("unable", {"text": "u"})],
    [Call("code_interpreter", {"code": "figure"}), Call("code_interpreter", {"code": "lost"})],
    [Call("code_interpreter", "{"), Call("nowhere", "{"), Call("broken", {"text": ""})],
    [Text("the end.")],
]


@LAW
@given(script=scripts(), fragment=FRAGMENTS)
@example(script=RICH, fragment=2)
def test_every_turn_reads_what_a_replay_of_its_items_gives(
    script: Script, fragment: int | None
) -> None:
    async def law() -> None:
        events: list[Event] = []
        done: list[int] = []
        model = recording(script, fragment, done, events)
        asked = request()
        async for event in events_of(asked, model):
            events.append(event)
        output = end_of(events).output
        for sampling, finished in zip(model.requests, done, strict=True):
            replayed = await context_for(again([*asked.items, *output[:finished]]))
            assert replayed == read(sampling)

    anyio.run(law)


@LAW
@given(before=st.lists(st.sampled_from(RICH[0] + RICH[1] + RICH[2]), max_size=3))
def test_a_cancelled_run_replays_as_its_history_does(before: list[Any]) -> None:
    async def law() -> None:
        count = Count()
        script = [[*before, Call("forever", {"text": "x"})]]
        events = await play_until(
            request(), scripted(script), deps=count, when=lambda: count.waiting
        )
        output = end_of(events).output
        replayed = await context_for(again([*request().items, *output, *request().items]))
        model = scripted([[Text("ok")]])
        async for _ in events_of(request(), model, history=[*request().items, *output]):
            pass
        assert replayed == read(model.requests[0])

    anyio.run(law)


# --- over HTTP: clients that see less than the model saw ----------------------


class Talk:
    """A Provider, its model, and one client of it. Off script, the model says `ok`."""

    def __init__(self, script: Script, fragment: int | None, *, extensions: bool) -> None:
        self.script = list(script)
        self.model = ScriptedModel([self._turn], fragment=fragment, repeat=True)
        self.own = OWN if extensions else BUILT_IN
        self.headers = {"OpenResponses-Extensions": "antiphon"} if extensions else {}
        app = Provider(models=[self.model], tools=kit(PaperSandboxes()))
        transport = httpx2.ASGITransport(app)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://localhost")

    def _turn(self, asked: ModelRequest) -> Sequence[Speech]:
        return self.script.pop(0) if self.script else [Text("ok")]

    async def ask(self, **fields: Any) -> dict[str, Any]:
        """The response, as JSON or as the last event of a stream."""
        sent = body(own=self.own, **fields)
        answer = await self.client.post("/v1/responses", json=sent, headers=self.headers)
        assert answer.status_code == 200, answer.text
        if not fields.get("stream"):
            return answer.json()
        last = answer.text.split("\n\n")[-3]
        return json.loads(last.split("data: ", 1)[1])["response"]

    def heard(self) -> Context:
        """What the model read last."""
        return read(self.model.requests[-1])


def answers(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the client's functions gave, the last call's first."""
    calls = [item["call_id"] for item in output if item["type"] == "function_call"]
    return [
        {"type": "function_call_output", "call_id": call, "output": f"for {position}"}
        for position, call in reversed([*enumerate(calls)])
    ]


@pytest.mark.parametrize("extensions", [True, False])
@LAW
@given(script=scripts(), fragment=FRAGMENTS, stream=st.booleans())
@example(script=RICH, fragment=None, stream=True)
def test_a_stored_response_is_read_the_same_by_its_id_by_its_items_and_by_references(
    extensions: bool, script: Script, fragment: int | None, stream: bool
) -> None:
    async def law() -> None:
        talk = Talk(script, fragment, extensions=extensions)
        said = await talk.ask(stream=stream)
        talk.script.clear()
        more = [*answers(said["output"]), {"role": "user", "content": "and?"}]
        first = {"role": "user", "content": "go"}
        await talk.ask(input=more, previous_response_id=said["id"])
        by_id = talk.heard()
        await talk.ask(input=[first, *said["output"], *more])
        assert talk.heard() == by_id
        stored = [{"type": "item_reference", "id": item["id"]} for item in said["output"]]
        await talk.ask(input=[first, *stored, *more])
        assert talk.heard() == by_id

    anyio.run(law)


def _is_picture(piece: Speech) -> bool:
    return isinstance(piece, Call) and piece.name == "picture"


CALLING = st.tuples(turn(client=False, stop=False), CALLS).map(lambda some: [*some[0], some[1]])


@pytest.mark.parametrize("extensions", [True, False])
@LAW
@given(turns=st.lists(CALLING, min_size=1, max_size=3), fragment=FRAGMENTS)
@example(turns=RICH[:-1], fragment=None)
def test_the_context_of_the_last_turn_comes_back_from_what_the_client_was_shown(
    extensions: bool, turns: Script, fragment: int | None
) -> None:
    async def law() -> None:
        talk = Talk([*turns, [Text("the end.")]], fragment, extensions=extensions)
        said = await talk.ask()
        before, last = talk.heard(), said["output"][-1]
        assert last["content"][0]["text"] == "the end."
        await talk.ask(input=[{"role": "user", "content": "go"}, *said["output"][:-1]])
        assert talk.heard() == before

    anyio.run(law)


@LAW
@given(turns=st.lists(CALLING, min_size=1, max_size=3), fragment=FRAGMENTS)
@example(turns=RICH[:-1], fragment=None)
def test_what_is_not_stored_comes_back_from_what_every_client_is_shown(
    turns: Script, fragment: int | None
) -> None:
    """All but parts that are no text, which the receipt that every SDK parses cannot hold."""
    plain = [[piece for piece in said if not _is_picture(piece)] for said in turns]
    script = [[*said, Call("echo", {"text": "x"})] for said in plain]

    async def law() -> None:
        talk = Talk([*script, [Text("the end.")]], fragment, extensions=False)
        fields: dict[str, Any] = {"store": False, "include": [OUTPUTS]}
        said = await talk.ask(**fields)
        before = talk.heard()
        given = [{"role": "user", "content": "go"}, *said["output"][:-1]]
        await talk.ask(input=given, **fields)
        assert talk.heard() == before

    anyio.run(law)
