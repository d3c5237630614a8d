"""Law 5: what a request forbids is never executed, whatever the model asks for."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import anyio
import pytest
from hypothesis import example, given, strategies as st

from antiphon.items import (
    AllowedTools,
    ArgumentsDone,
    CodeInterpreterCall,
    Completed,
    Event,
    FunctionCall as FunctionCallItem,
    ItemAdded,
    ItemDone,
    Response,
    ToolCall,
    ToolChoice,
    ToolRef,
    error_text,
)
from antiphon.models import (
    FunctionCall as Call,
    ModelRequest,
    Reasoning,
    ScriptedModel,
    Speech,
    Text,
)

from .kit import BUILT_IN, check_answered, check_whole, play, request
from .paper import FUNCTIONS, Count, PaperSandboxes, kit
from .scripts import LAW, Script, scripted

OWN_NAMES = [one.function.name for one in FUNCTIONS]
RUNNABLE = [*OWN_NAMES, "code_interpreter"]
BUILT_IN_NAMES = frozenset([*OWN_NAMES, "forever"])


@dataclass(frozen=True)
class Wish:
    """A `tool_choice`, and what it comes to."""

    choice: Any
    only: frozenset[str] | None = None
    required: bool = False
    never: bool = False
    lasting: bool = False


def references() -> st.SearchStrategy[tuple[dict[str, Any], frozenset[str]]]:
    """Every form of a reference to what the provider runs, with the names it stands for."""
    label = {"type": "mcp", "server_label": "antiphon"}
    named = st.sampled_from(OWN_NAMES)
    return st.one_of(
        st.sampled_from(RUNNABLE).map(
            lambda name: ({"type": "function", "name": name}, frozenset({name}))
        ),
        named.map(lambda name: ({"type": "antiphon:function", "name": name}, frozenset({name}))),
        named.map(lambda name: ({**label, "name": name}, frozenset({name}))),
        st.just((label, BUILT_IN_NAMES)),
        st.just(({"type": "mcp"}, BUILT_IN_NAMES)),
        st.just(({"type": "code_interpreter"}, frozenset({"code_interpreter"}))),
    )


def _allowed(mode: str, refs: list[tuple[dict[str, Any], frozenset[str]]]) -> Wish:
    return Wish(
        {"type": "allowed_tools", "mode": mode, "tools": [ref for ref, _ in refs]},
        only=frozenset[str]().union(*(names for _, names in refs)),
        required=mode == "required",
        never=mode == "none",
        lasting=True,
    )


WISHES = st.one_of(
    st.sampled_from(
        [Wish(None), Wish("auto"), Wish("none", never=True), Wish("required", required=True)]
    ),
    references().map(lambda ref: Wish(ref[0], only=ref[1], required=True)),
    st.builds(
        _allowed,
        st.sampled_from(["auto", "required", "none"]),
        st.lists(references(), min_size=1, max_size=3),
    ),
)


@st.composite
def wilful(draw: st.DrawFn) -> Script:
    """Turns of calls, each with a tag of its own, that care for no constraint."""
    script: list[list[Speech]] = []
    tag = 0
    for _ in range(draw(st.integers(0, 4))):
        said: list[Speech] = []
        for name in draw(st.lists(st.sampled_from([*RUNNABLE, "nowhere"]), max_size=4)):
            key = "code" if name == "code_interpreter" else "text"
            said.append(Call(name, {key: f"t{tag}"}))
            tag += 1
        script.append(said)
    return [*script, [Text("the end.")]]


ONLY_ECHO = _allowed("required", [({"type": "function", "name": "echo"}, frozenset({"echo"}))])
LATER: Script = [
    [Call("echo", {"text": "t0"})],
    [Call("twice", {"text": "t1"}), Call("echo", {"text": "t2"})],
    [Text("the end.")],
]


@dataclass
class Expected:
    ran: list[str]
    modes: list[str]
    unmet: bool


def expect(script: Script, wish: Wish, most: int | None, parallel: bool | None) -> Expected:
    """What the constraints leave of a script: the law, told once more."""
    only, required = wish.only, wish.required
    expected = Expected([], [], False)
    exhausted, idle = False, 0
    for said in script:
        mode = "none" if wish.never or exhausted else "required" if required else "auto"
        expected.modes.append(mode)
        calls = [piece for piece in said if isinstance(piece, Call)]
        if not calls:
            expected.unmet = required
            break
        before, over = len(expected.ran), exhausted
        for position, call in enumerate(calls):
            closed = wish.never or over or exhausted
            forbidden = closed or (only is not None and call.name not in only)
            beside = parallel is False and position > 0
            spent = most is not None and len(expected.ran) >= most
            if call.name in RUNNABLE and not (forbidden or beside):
                if spent:
                    exhausted, required = True, False  # it may only answer from here on
                else:
                    expected.ran.append(_tag(call))
        ran = len(expected.ran) > before
        idle = 0 if ran else idle + 1
        if ran:
            required = False
            only = only if wish.lasting else None
        elif exhausted and idle > 1:
            break  # it was told, and calls on
    return expected


def _tag(call: Call) -> str:
    (tag,) = dict(cast("dict[str, str]", call.arguments)).values()
    return tag


def mode_of(choice: ToolChoice) -> str:
    if isinstance(choice, ToolRef):
        return "required"
    return choice.mode if isinstance(choice, AllowedTools) else choice


def tag_of(item: ToolCall | CodeInterpreterCall) -> str:
    return (item.code or "") if isinstance(item, CodeInterpreterCall) else item.arguments[9:-2]


@LAW
@given(
    script=wilful(),
    wish=WISHES,
    most=st.none() | st.integers(1, 5),
    parallel=st.none() | st.booleans(),
)
@example(script=LATER, wish=ONLY_ECHO, most=None, parallel=None)
def test_a_model_that_ignores_every_constraint_runs_only_what_is_allowed(
    script: Script, wish: Wish, most: int | None, parallel: bool | None
) -> None:
    async def law() -> None:
        count, backend, model = Count(), PaperSandboxes(), scripted(script)
        asked = request(
            own=BUILT_IN, tool_choice=wish.choice, max_tool_calls=most, parallel_tool_calls=parallel
        )
        events = await play(asked, model, deps=count, tools=kit(backend))
        response = check_whole(events)
        await check_answered(response.output)
        expected = expect(script, wish, most, parallel)
        cells = [line.removeprefix("begin ") for line in backend.log if line.startswith("begin")]
        assert sorted([*count.ran, *cells]) == sorted(expected.ran)
        assert [mode_of(one.tool_choice) for one in model.requests] == expected.modes
        for item in response.output:
            if (
                isinstance(item, ToolCall | CodeInterpreterCall)
                and tag_of(item) not in expected.ran
            ):
                assert item.status == "failed"
        if expected.unmet:
            assert response.status == "failed" and response.error is not None
            assert response.error.code == "tool_choice_unmet"
        else:
            assert response.status == "completed"

    anyio.run(law)


@LAW
@given(script=wilful(), wish=WISHES)
def test_the_model_is_shown_every_tool_all_the_time(script: Script, wish: Wish) -> None:
    async def law() -> None:
        model = scripted(script)
        await play(request(own=BUILT_IN, tool_choice=wish.choice), model)
        for one in model.requests:
            assert {tool.name for tool in one.tools} == {
                *BUILT_IN_NAMES,
                "code_interpreter",
                "ask",
                "crm__find",
            }

    anyio.run(law)


class Unordered:
    """A model that opens its calls in order and closes them in another."""

    name = "unordered"

    def __init__(self, closing: Sequence[int]) -> None:
        self._closing = closing
        self._asked = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        self._asked += 1
        for index in range(len(self._closing) if self._asked == 1 else 0):
            item = FunctionCallItem(call_id=f"call_{index}", name="echo", arguments="")
            yield ItemAdded(output_index=index, item=item)
        for index in self._closing if self._asked == 1 else ():
            arguments = f'{{"text":"t{index}"}}'
            yield ArgumentsDone(item_id="", output_index=index, arguments=arguments)
            item = FunctionCallItem(call_id=f"call_{index}", name="echo", arguments=arguments)
            yield ItemDone(output_index=index, item=item)
        yield Completed(response=Response(id="x"))

    async def aclose(self) -> None: ...


@LAW
@given(
    closing=st.permutations([0, 1, 2, 3]),
    most=st.none() | st.integers(1, 4),
    parallel=st.none() | st.booleans(),
)
@example(closing=[1, 0, 2, 3], most=1, parallel=None)
def test_places_are_taken_in_the_order_of_the_output_however_the_model_closes_its_calls(
    closing: list[int], most: int | None, parallel: bool | None
) -> None:
    async def law() -> None:
        count = Count()
        asked = request(max_tool_calls=most, parallel_tool_calls=parallel)
        check_whole(await play(asked, Unordered(closing), deps=count))
        places = 1 if parallel is False else 4 if most is None else most
        assert count.ran == ["t0", "t1", "t2", "t3"][:places]

    anyio.run(law)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("none", "tool_choice is none"),
        ({"type": "function", "name": "echo"}, "allowed: echo"),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "code_interpreter"}]},
            "allowed: code_interpreter",
        ),
    ],
)
def test_a_forbidden_call_of_the_clients_never_reaches_the_client(choice: Any, words: str) -> None:
    async def law() -> None:
        script: Script = [[Call("ask", {})], [Call("echo", {"text": "x"})], [Text("the end.")]]
        asked = request(tool_choice=choice)
        response = check_whole(await play(asked, scripted(script), deps=Count()))
        assert not [item for item in response.output if isinstance(item, FunctionCallItem)]
        refused = response.output[0]
        assert isinstance(refused, ToolCall) and refused.status == "failed"
        assert refused.name == "ask" and words in error_text(refused.error)

    anyio.run(law)


def test_a_call_of_the_clients_meets_what_is_required() -> None:
    async def law() -> None:
        for choice in ("required", {"type": "function", "name": "ask"}):
            response = check_whole(
                await play(request(tool_choice=choice), scripted([[Call("ask", {})]]))
            )
            assert response.status == "completed"

    anyio.run(law)


def test_a_call_that_failed_meets_what_is_required_but_one_that_leads_nowhere_does_not() -> None:
    async def law() -> None:
        for name, met in (("broken", True), ("nowhere", False)):
            model = scripted([[Reasoning("hm"), Call(name, {"text": "x"})], [Text("the end.")]])
            response = check_whole(await play(request(tool_choice="required"), model))
            assert (response.status == "completed") == met
            assert mode_of(model.requests[1].tool_choice) == ("auto" if met else "required")

    anyio.run(law)


def test_calls_of_the_clients_take_no_places_of_max_tool_calls() -> None:
    async def law() -> None:
        count = Count()
        script: Script = [[Call("ask", {}), Call("echo", {"text": "x"}), Call("ask", {})]]
        response = check_whole(await play(request(max_tool_calls=1), scripted(script), deps=count))
        assert count.ran == ["x"]
        assert [item.type for item in response.output] == [
            "function_call",
            "antiphon:tool_call",
            "function_call",
        ]

    anyio.run(law)


def test_one_call_at_a_time_counts_the_clients_calls_too() -> None:
    async def law() -> None:
        both = [Call("ask", {}), Call("echo", {"text": "x"})]
        asked = request(parallel_tool_calls=False)
        for first, ran in ((0, []), (1, ["x"])):
            count = Count()
            script: Script = [[both[first], both[1 - first]], [Text("the end.")]]
            model = ScriptedModel(script[: 1 + first])  # a call for the client ends the response
            response = check_whole(await play(asked, model, deps=count))
            await check_answered(response.output)
            assert count.ran == ran and response.status == "completed"
            (refused,) = [
                item
                for item in response.output
                if isinstance(item, ToolCall) and item.status == "failed"
            ]
            assert refused.name == ("echo" if first == 0 else "ask")

    anyio.run(law)
