"""`antiphon trace`: what a recorded run did, when, and for how many tokens."""

import json
from pathlib import Path
from typing import Any

import pytest

from .kit import Run
from .runs import Write, lines, write as write

TEAM = """
inner = Agent(name="inner", instructions="Look.", tools=[weather], model=ScriptedModel([
    [FunctionCall("weather", {"city": "Oslo"}), Usage(100, 20)],
    [Text("cold"), Usage(200, 30, cached_tokens=100)],
], name="small"))
agent = Agent(name="guide", tools=[inner.as_tool()], model=ScriptedModel([
    [Reasoning("Hm."), FunctionCall("inner", {"input": "Oslo?"}), Usage(1000, 50)],
    [Text("It is cold."), Usage(2000, 60, reasoning_tokens=40)],
], name="large"))
"""


@pytest.fixture
def traced(antiphon: Run, write: Write) -> Path:
    """The run file of a team, at even times."""
    assert antiphon("run", write(TEAM), "Is it cold?", "--record", "run.jsonl").code == 0
    at_even_times("run.jsonl")
    return Path("run.jsonl")


def at_even_times(path: str) -> None:
    """Let an event happen every half second."""
    header, *told = lines(path)
    kept = [json.dumps(header, separators=(",", ":"))]
    kept += [json.dumps({**line, "t": 0.5 * at}) for at, line in enumerate(told)]
    Path(path).write_text("\n".join(kept) + "\n")


def test_the_tree_shows_what_happened_when_and_what_came_of_it(traced: Path, antiphon: Run) -> None:
    ran = antiphon("trace", "run.jsonl")
    assert ran.code == 0, ran.err
    head, _, *rest = ran.out.splitlines()
    assert head.endswith(":agent, agent guide on large")
    rows = [line.split(maxsplit=4) for line in rest if " s " in line or "ms" in line]
    told = {(row[4].split()[0], row[4].split()[1]): row for row in rows}
    assert rest[2].split() == ["message", "user", "Is", "it", "cold?"]
    assert "  antiphon:agent_call inner [300 in, 50 out] Oslo? -> cold" in ran.out
    assert '    antiphon:tool_call weather {"city":"Oslo"} -> 21 degrees in Oslo' in ran.out
    events = [line.get("event", {}) for line in lines(traced)[1:]]
    types = [event.get("type") for event in events]
    added = types.index("response.output_item.added")
    done = types.index("response.output_item.done")
    assert told["reasoning", "Hm."][:4] == [
        *seconds(0.5 * added).split(),
        *seconds(0.5 * (done - added)).split(),
    ]


def seconds(number: float) -> str:
    return f"{number * 1000:.1f} ms" if number < 1 else f"{number:.2f} s"


def test_sums_stand_at_the_end(traced: Path, antiphon: Run) -> None:
    last = 0.5 * (len(lines(traced)) - 2)
    assert antiphon("trace", "run.jsonl").out.splitlines()[-3:] == [
        f"completed after {seconds(last)}",
        "4 turns, 2 calls",
        "tokens: 3,300 in (100 cached), 160 out (40 reasoning)",
    ]


def prices(**told: Any) -> str:
    Path("prices.json").write_text(json.dumps(told))
    return "prices.json"


def test_each_run_costs_what_its_own_model_costs(traced: Path, antiphon: Run) -> None:
    small = {"input": 1, "cached_input": 0.5, "output": 10}
    path = prices(small=small, large={"input": 100, "output": 1000})
    ran = antiphon("trace", "run.jsonl", "--prices", path)
    inner = (200 * 1 + 100 * 0.5 + 50 * 10) / 1e6
    outer = (3000 * 100 + 110 * 1000) / 1e6
    assert f"[{inner:.6f}]" in ran.out
    assert ran.out.splitlines()[-1] == f"cost: {inner + outer:.6f}"
    told = json.loads(antiphon("trace", "run.jsonl", "--prices", path, "--json").out)[0]
    assert told["cost"] == pytest.approx(inner + outer)
    (call,) = (item for item in told["items"] if item["type"] == "antiphon:agent_call")
    assert call["cost"] == pytest.approx(inner)
    assert told["no_price_for"] == []


def test_a_call_costs_what_the_runs_inside_it_cost_too(antiphon: Run, write: Write) -> None:
    name = write("""
low = Agent(name="low", model=ScriptedModel([[Text("a"), Usage(1, 0)]], name="m"))
mid = Agent(name="mid", tools=[low.as_tool(description="Low.")], model=ScriptedModel([
    [FunctionCall("low", {"input": "x"}), Usage(10, 0)], [Text("b"), Usage(100, 0)],
], name="m"))
agent = Agent(name="top", tools=[mid.as_tool(description="Mid.")], model=ScriptedModel([
    [FunctionCall("mid", {"input": "x"}), Usage(1000, 0)], [Text("c")],
], name="m"))
""")
    antiphon("run", name, "go", "--record", "run.jsonl", "--quiet")
    path = prices(m={"input": 1_000_000, "output": 0})
    (told,) = json.loads(antiphon("trace", "run.jsonl", "--prices", path, "--json").out)
    call = told["items"][0]
    assert (told["cost"], call["cost"], call["items"][0]["cost"]) == (1111, 111, 1)
    usage = [one["usage"]["input_tokens"] for one in (told, call, call["items"][0])]
    assert usage == [1111, 111, 1]


def test_handoffs_and_approvals_say_who_and_what(antiphon: Run, write: Write) -> None:
    name = write("""
@tool(needs_approval=True)
async def pay(amount: int) -> str:
    "Pay somebody."
    return f"paid {amount}"

def said(request):
    asked = any(item.type == "function_call_output" and "paid" in item.output
                for item in request.items)
    return Text("Done.") if asked else FunctionCall("pay", {"amount": 3})

desk = Agent(name="desk", instructions="Pay.", tools=[pay], model=ScriptedModel([said] * 3))
agent = Agent(name="front", handoffs=[desk], model=ScriptedModel([
    FunctionCall("transfer_to_desk", {"reason": "money"}),
]))
""")
    ran = antiphon("run", name, "go", "--record", "run.jsonl", "--quiet")
    ran = antiphon(*ran.err.partition("to continue: antiphon ")[2].splitlines()[0].split())
    assert ran.code == 0, ran.err
    out = antiphon("trace", "run.jsonl").out
    assert "antiphon:handoff transfer_to_desk front -> desk" in out
    assert 'antiphon:approval_request pay {"amount":3}' in out
    assert "antiphon:approval_response approved" in antiphon("trace", "next.jsonl").out
    assert antiphon("replay", "next.jsonl").code == 0


def test_a_model_without_a_price_is_named(traced: Path, antiphon: Run) -> None:
    ran = antiphon("trace", "run.jsonl", "--prices", prices(large={"input": 1, "output": 1}))
    assert ran.out.splitlines()[-1].endswith(", and no price for small")


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"m": 3}', '{"m": {"input": 1}}', '{"m": {"input": -1, "output": 1}}',
     '{"m": {"input": NaN, "output": 1}}', '{"m": {"input": 1, "output": 1, "tax": 2}}'],
)  # fmt: skip
def test_what_are_no_prices_is_refused(antiphon: Run, traced: Path, content: str) -> None:
    Path("prices.json").write_text(content)
    ran = antiphon("trace", "run.jsonl", "--prices", "prices.json")
    assert (ran.code, ran.out) == (2, "")
    assert "prices.json: expected prices such as" in ran.err


def test_json_tells_the_same(traced: Path, antiphon: Run) -> None:
    (told,) = json.loads(antiphon("trace", "run.jsonl", "--json").out)
    assert (told["agent"], told["model"], told["status"]) == ("guide", "large", "completed")
    assert (told["turns"], told["calls"]) == (4, 2)
    assert told["usage"]["total_tokens"] == 3460
    assert [item["type"] for item in told["items"]] == [
        "reasoning",
        "antiphon:agent_call",
        "message",
    ]
    call = told["items"][1]
    assert [item["name"] for item in call["items"]] == ["weather", None]
    assert call["usage"]["input_tokens"] == 300
    assert call["start"] < call["items"][0]["start"] < told["items"][2]["start"]
    assert call["seconds"] > call["items"][0]["seconds"] > 0
    assert "cost" not in told


def test_what_failed_says_why(antiphon: Run, write: Write) -> None:
    name = write("""
@tool
async def unable() -> str:
    "Cannot."
    raise ToolFailed("no hands")

agent = Agent(name="one", tools=[unable], model=ScriptedModel([
    [FunctionCall("unable", {})], [Text("half"), Failure("oops", "it broke")],
]))
""")
    antiphon("run", name, "go", "--record", "run.jsonl", "--quiet")
    ran = antiphon("trace", "run.jsonl")
    assert ran.code == 0
    assert "antiphon:tool_call unable [failed] {} -> no hands" in ran.out
    assert "message assistant [incomplete] half" in ran.out
    assert ": it broke" in ran.out


def test_a_model_s_words_command_no_terminal(antiphon: Run, write: Write) -> None:
    name = write(
        'agent = Agent(name="one", model=ScriptedModel([Text("a\\x1b]0;b\\x07\\r\\nc\\u202ed")]))'
    )
    antiphon("run", name, "go\x1b[2J", "--record", "run.jsonl", "--quiet")
    for argv in (["trace", "run.jsonl"], ["trace", "run.jsonl", "--json"]):
        out = antiphon(*argv).out
        assert not {"\x1b", "\x07", "\r", "\u202e"} & set(out)
    Path("run.jsonl").write_bytes(Path("run.jsonl").read_bytes().replace(b'"one"', b'"o\\u001bne"'))
    assert "\x1b" not in antiphon("trace", "run.jsonl").out


def test_long_words_are_cut_to_a_line(antiphon: Run, write: Write) -> None:
    name = write('agent = Agent(name="one", model=ScriptedModel([Text("many words\\n" * 500)]))')
    antiphon("run", name, "go", "--record", "run.jsonl", "--quiet")
    out = antiphon("trace", "run.jsonl").out
    assert max(len(line) for line in out.splitlines()) <= 120
    assert "many words many words" in out


def test_several_runs_of_one_file_are_shown_one_after_another(traced: Path, antiphon: Run) -> None:
    traced.write_bytes(2 * traced.read_bytes())
    assert antiphon("trace", "run.jsonl").out.count("4 turns, 2 calls") == 2
    assert len(json.loads(antiphon("trace", "run.jsonl", "--json").out)) == 2
    ran = antiphon("replay", "run.jsonl")
    assert ran.out.count("identical") == 2
    assert "run 2 of 2" in ran.out


def test_a_run_that_was_refused_before_it_began_has_nothing_to_show(
    antiphon: Run, write: Write
) -> None:
    name = write('agent = Agent(name="one", model=ScriptedModel([]))')
    Path("items.json").write_text('[{"type":"item_reference","id":"msg_1"}]')
    ran = antiphon("run", name, "--items", "items.json", "--record", "run.jsonl")
    assert ran.code == 1
    ran = antiphon("trace", "run.jsonl")
    assert ran.code == 0
    assert "cut off" in ran.out
    ran = antiphon("replay", "run.jsonl")
    assert ran.code == 2
    assert "there is nothing to replay" in ran.err
