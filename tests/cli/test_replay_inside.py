"""`antiphon replay` of runs inside runs: sub-agents, workflows, handoffs, approvals."""

import pytest

from .kit import Outcome, Run
from .runs import Changed, Write, changed as changed, lines, write as write


def places(ran: Outcome) -> str:
    """Where it differs."""
    return ran.out.splitlines()[0].partition(": ")[2]


NESTED = """
inner = Agent(name="inner", instructions="Look.\\n\\nWell.", tools=[weather], model=ScriptedModel([
    [FunctionCall("weather", {"city": "Oslo"}), Usage(1, 2)], [Text("cold"), Usage(3, 4)],
    [FunctionCall("weather", {"city": "Rome"})], [Text("warm")],
], fragment=4))
middle = Agent(name="middle", instructions="Ask.", tools=[inner.as_tool()], model=ScriptedModel([
    [FunctionCall("inner", {"input": "Oslo?"})], [Text("It is cold.")],
    [FunctionCall("inner", {"input": "Rome?"})], [Text("It is warm.")],
]))
agent = Agent(name="outer", tools=[middle.as_tool(name="ask")], model=ScriptedModel([
    [FunctionCall("ask", {"input": "one"}), FunctionCall("ask", "no json")],
    [FunctionCall("ask", {"input": "two"})], [Text("cold and warm")],
]))
"""


def test_agents_inside_agents_replay_as_deep_as_they_go(changed: Changed) -> None:
    assert changed(NESTED).out.startswith("identical: ")
    assert changed(NESTED, live=True).out.startswith("identical: ")


def test_what_a_tool_of_an_inner_agent_gives_is_compared_where_it_stands(changed: Changed) -> None:
    ran = changed(
        NESTED.replace("[weather]", "[look]")
        .replace('"weather"', '"look"')
        .replace(
            "inner = ",
            '@tool\nasync def look(city: str) -> str:\n    "Look."\n    return city\n\ninner = ',
        ),
        ("return city", "return city.upper() if city == 'Rome' else city"),
        live=True,
    )
    assert ran.code == 1
    assert places(ran) == (
        "item 3, antiphon:agent_call ask > item 1, antiphon:agent_call inner > "
        "item 1, antiphon:tool_call look"
    )
    assert '    recorded  "Rome"\n    now       "ROME"' in ran.out


def test_an_inner_agent_s_instructions_and_menu_are_compared(changed: Changed) -> None:
    ran = changed(NESTED, ("Well.", "Very well."))
    assert places(ran) == "the model of inner gets another request, in turn 1"
    ran = changed(NESTED, ('Well.", tools=[weather]', 'Well."'))
    assert "the model of inner gets another request" in ran.out
    assert "there is no tool named 'weather'" in ran.out


def test_an_agent_that_became_a_tool_is_another_item(changed: Changed) -> None:
    ran = changed(NESTED, ("tools=[inner.as_tool()]", "tools=[weather]"))
    assert ran.code == 1
    assert "tool inner" in ran.out
    assert "item 1, antiphon:agent_call ask > item 1, antiphon:agent_call inner" in ran.out
    assert '    recorded  "antiphon:agent_call"\n    now       "antiphon:tool_call"' in ran.out


WORKFLOW = """
one = Agent(name="one", instructions="One.", tools=[weather], model=ScriptedModel([
    [FunctionCall("weather", {"city": "Oslo"})], [Text("first")],
    [Text("second")], [Text("third")], [Text("fourth")],
], fragment=2))

@workflow
async def agent(text: str) -> str:
    "Asks several times."
    first = (await run(one, text)).output_text
    found = []

    async def ask(word):
        found.append((await run(one, word)).output_text)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(ask, f"{first} {number}")
    return ", ".join(found)
"""


def test_a_workflow_s_function_runs_again_and_its_agents_say_what_they_said(
    changed: Changed,
) -> None:
    assert changed(WORKFLOW).out.startswith("identical: ")
    assert changed(WORKFLOW, live=True).out.startswith("identical: ")


def test_a_workflow_that_gives_another_answer_differs_in_its_message(changed: Changed) -> None:
    ran = changed(WORKFLOW, ('", ".join', '"; ".join'))
    assert ran.code == 1
    assert places(ran) == "item 5, message assistant"
    assert '    recorded  "second, third' in ran.out
    assert '    now       "second; third' in ran.out


def test_a_workflow_that_asks_otherwise_differs_in_the_run_that_is_asked(changed: Changed) -> None:
    ran = changed(WORKFLOW, ('f"{first} {number}"', 'f"{number} {first}"'))
    assert ran.code == 1
    assert "the model of one gets another request, in turn 1\n  items that it reads" in ran.out
    assert "  item.input" in ran.out


def test_a_workflow_that_runs_one_more_says_that_nothing_is_known_of_it(changed: Changed) -> None:
    ran = changed(WORKFLOW, ("range(3)", "range(4)"))
    assert ran.code == 1
    assert "now one would run here, of which nothing was recorded" in ran.out


def test_a_workflow_that_runs_one_less_differs_where_that_began(changed: Changed) -> None:
    ran = changed(WORKFLOW, ("range(3)", "range(2)"))
    assert ran.code == 1
    assert "antiphon:agent_call one" in places(ran)
    assert '    recorded  "antiphon:agent_call"\n    now       "message"\n' in ran.out


def test_a_workflow_that_retries_for_ever_is_stopped(changed: Changed) -> None:
    endless = """    while True:
        try:
            return (await run(one, "again")).output_text
        except Exception:
            pass
"""
    ran = changed(WORKFLOW, ('    return ", ".join(found)\n', endless))
    assert ran.code == 1
    assert "nothing was recorded" in ran.out


def test_agents_made_inside_a_workflow_are_never_really_asked(changed: Changed) -> None:
    source = """
@workflow
async def agent(text: str) -> str:
    "Makes an agent."
    made = Agent(name="made", model=ScriptedModel([Text("hi")]), tools=[weather])
    return (await run(made, text)).output_text
"""
    assert changed(source).code == 0
    ran = changed(source, ('[Text("hi")]', "[]"))
    assert ran.out.startswith("identical: "), ran.out


STOPPED = """
gate = anyio.Event()

@tool
async def wait() -> str:
    "Waits until it is stopped."
    gate.set()
    await anyio.sleep_forever()

@tool
async def after() -> str:
    "Fails when the other waits."
    await gate.wait()
    return "now"

slow = Agent(name="slow", tools=[wait], model=ScriptedModel([
    [Text("Let me see."), FunctionCall("wait", {})],
], fragment=3))
bad = Agent(name="bad", tools=[after], model=ScriptedModel([
    [FunctionCall("after", {})], [Text("half"), Failure("oops", "it broke")],
]))
agent = parallel(bad, slow, name="both")
"""


def test_a_run_that_was_stopped_by_the_failure_of_another_is_stopped_again(
    changed: Changed,
) -> None:
    ran = changed(STOPPED)
    assert ran.code == 0, ran.out
    assert lines("run.jsonl")[-1]["event"]["type"] == "response.failed"


def test_a_run_that_nothing_stops_now_is_not_waited_for_for_ever(
    changed: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.cli.stage.PATIENCE", 0.01)
    monkeypatch.setattr("antiphon.cli.score.QUIET", 0.01)
    ran = changed(STOPPED, ("parallel(bad, slow", "parallel(slow"))
    assert ran.code == 1
    assert "antiphon:agent_call bad" in places(ran)
    assert "a run that was stopped then goes on" in ran.out


HANDOFF = """
talk = [[FunctionCall("weather", {"city": "Lima"})], [Text("Hola.")]]
words = "Habla.\\n\\nMucho."
spanish = Agent(name="spanish", instructions=words, tools=[weather], model=ScriptedModel(talk))
agent = Agent(name="front", instructions="Welcome.", handoffs=[spanish], model=ScriptedModel([
    [Reasoning("Spanish."), FunctionCall("transfer_to_spanish", {"reason": "habla"})],
]))
spanish.handoffs = [agent]
"""


def test_a_handoff_replays_with_both_agents_code(changed: Changed) -> None:
    assert changed(HANDOFF).out.startswith("identical: ")
    ran = changed(HANDOFF, ("Mucho.", "Poco."))
    assert places(ran) == "the model of spanish gets another request, in turn 1"
    ran = changed(HANDOFF, ("handoffs=[spanish], ", ""))
    assert "tool transfer_to_spanish" in ran.out
    assert '    recorded  "antiphon:handoff"\n    now       "antiphon:tool_call"' in ran.out


APPROVAL = """
@tool(needs_approval=lambda amount: amount > 2)
async def pay(amount: int) -> str:
    "Pay somebody."
    return f"paid {amount}"

def said(request):
    done = [item for item in request.items if item.type == "function_call_output"]
    if len(done) > 1:
        return Text("Done.")
    return [FunctionCall("pay", {"amount": 1}), FunctionCall("pay", {"amount": 3})]

payer = Agent(name="payer", instructions="Pay.", tools=[pay], model=ScriptedModel([said] * 4))
asks = ScriptedModel([
    lambda request: Text("All is paid.") if request.items[-1].type == "function_call_output"
    else FunctionCall("payer", {"input": "pay"})
] * 4)
"""
WAITING = {
    "an agent": "agent = payer",
    "an agent inside": 'agent = Agent(name="boss", tools=[payer.as_tool()], model=asks)',
    "a workflow": """
@workflow
async def agent(text: str) -> str:
    "Pays."
    return (await run(payer, text)).output_text
""",
}


@pytest.mark.parametrize("kind", WAITING)
def test_a_run_that_waits_and_the_run_that_goes_on_replay(
    antiphon: Run, write: Write, kind: str
) -> None:
    name = write(APPROVAL + WAITING[kind])
    ran = antiphon("run", name, "go", "--record", "run.jsonl", "--quiet")
    assert ran.code == 3
    command = ran.err.partition("to continue: antiphon ")[2].splitlines()[0].split()
    assert command.count("--approve") == 1
    ran = antiphon(*command)
    assert ran.code == 0, ran.err
    for file in ("run.jsonl", "next.jsonl"):
        ran = antiphon("replay", file)
        assert ran.code == 0, ran.out


def test_a_call_that_waits_now_differs_from_one_that_ran(changed: Changed) -> None:
    source = APPROVAL + WAITING["an agent"]
    ran = changed(source, ("amount > 2", "amount > 0"))
    assert ran.code == 1
    assert places(ran) == "item 1, antiphon:tool_call pay"
    assert '    now       "antiphon:approval_request"' in ran.out
    ran = changed(source, ("amount > 2", "amount > 4"))
    assert ran.code == 1
    assert places(ran) == "item 2, antiphon:approval_request pay"
