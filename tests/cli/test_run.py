"""`antiphon run`: one run of an agent or a workflow, from a command line."""

import io
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from antiphon.items import ITEMS, Item, Message, user

from .kit import Run
from .runs import Write, lines, write as write

GUIDE = """
agent = Agent(name="guide", tools=[weather], model=ScriptedModel([
    [Reasoning("I should look."), FunctionCall("weather", {"city": "Lisbon"})],
    [Text("Yes, 21 degrees.")],
]))
"""
ECHO = """
from antiphon.models import model

@model("echo")
async def echo(request):
    yield Text(" / ".join(item.text for item in request.items if isinstance(item, Message)))

agent = Agent(name="echo", model=echo)
"""


def test_the_answer_goes_to_standard_output_and_what_happens_to_standard_error(
    antiphon: Run, write: Write
) -> None:
    ran = antiphon("run", write(GUIDE), "Is it warm?")
    assert (ran.code, ran.out) == (0, "Yes, 21 degrees.\n")
    assert "● reasoning\n  I should look.\n" in ran.err
    assert "21 degrees in Lisbon" in ran.err


def test_quiet_says_the_answer_alone_and_json_the_whole_response(
    antiphon: Run, write: Write
) -> None:
    ran = antiphon("run", write(GUIDE), "Is it warm?", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "Yes, 21 degrees.\n", "")
    ran = antiphon("run", write(GUIDE), "Is it warm?", "--quiet", "--json")
    told = json.loads(ran.out)
    assert told["status"] == "completed"
    types = [item["type"] for item in told["output"]]
    assert types == ["reasoning", "antiphon:tool_call", "message"]


def test_a_workflow_runs_like_an_agent_and_the_variable_may_have_any_name(
    antiphon: Run, write: Write
) -> None:
    source = """
first = Agent(name="first", model=ScriptedModel([Text("one")]))

class Held:
    @workflow
    async def twice(text: str) -> str:
        "Says it twice."
        return 2 * (await run(first, text)).output_text
"""
    assert antiphon("run", f"{write(source)}:Held.twice", "go", "--quiet").out == "oneone\n"


def test_a_dash_reads_the_input_from_standard_input(
    antiphon: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long\nquestion\n"))
    assert antiphon("run", write(ECHO), "-", "--quiet").out == "a long\nquestion\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    ran = antiphon("run", write(ECHO), "-")
    assert ran.code == 2
    assert "it is empty" in ran.err


def test_it_goes_on_with_a_list_of_items_or_with_a_run_file(antiphon: Run, write: Write) -> None:
    given: list[Item] = [user("one"), Message(role="assistant", content="two")]
    Path("items.json").write_bytes(ITEMS.dump_json(given))
    name = write(ECHO)
    ran = antiphon("run", name, "three", "--items", "items.json", "--record", "run.jsonl")
    assert ran.out == "one / two / three\n"
    ran = antiphon("run", name, "four", "--items", "run.jsonl")
    assert ran.out == "one / two / three / one / two / three / four\n"
    assert antiphon("run", name, "--items", "items.json").out == "one / two\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "expected something to say"),
        ([""], "expected something to say"),
        (["go", "--items", "nowhere.json"], "No such file"),
        (["go", "--items", "bad.json"], "bad.json: expected a JSON list of items, or a run file"),
        (["go", "--items", "worse.json"], "items[1]"),
        (["go", "--record", "no/where/run.jsonl"], "it cannot be written"),
        (["go", "--record", "bad.json"], "it is no run file"),
        (["go", "--approve", "apr_1"], "waiting are: none"),
        (["go", "--reason", "no"], "say --refuse ID"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    antiphon: Run, write: Write, argv: list[str], said: str
) -> None:
    Path("bad.json").write_text("{}")
    Path("worse.json").write_text('[{"role": "user", "content": "a"}, {"type": "message"}]')
    ran = antiphon("run", write(GUIDE), *argv)
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert ran.out == ""
    assert Path("bad.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere_at_all", "there is no module 'nowhere_at_all'"),
        ("nowhere.py", "expected module:agent, such as nowhere:agent for nowhere.py"),
        ("{}:other", "got nothing: it holds agent: say {}:agent"),
        ("{}:weather", "got Tool: it holds agent"),
        ("json", "got nothing: write agent = Agent(...) there"),
    ],
)
def test_a_target_that_cannot_be_run_is_named_with_what_can(
    antiphon: Run, write: Write, target: str, said: str
) -> None:
    name = write(GUIDE)
    ran = antiphon("run", target.format(name), "go")
    assert ran.code == 2
    assert said.format(name) in ran.err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ('[Text("half"), Failure("oops", "the engine caught fire")]', "the engine caught fire"),
        ('[Text("half"), Stop("max_output_tokens")]', "max_output_tokens"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--quiet"]])
def test_a_run_that_did_not_complete_is_1_with_the_reason(
    antiphon: Run, write: Write, model: str, said: str, flags: list[str]
) -> None:
    name = write(f'agent = Agent(name="one", model=ScriptedModel([{model}]))')
    ran = antiphon("run", name, "go", *flags)
    assert (ran.code, ran.out) == (1, "half\n")
    assert said in ran.err


def test_an_answer_that_does_not_fit_the_output_type_is_1(antiphon: Run, write: Write) -> None:
    source = """
from pydantic import BaseModel
class City(BaseModel):
    name: str
agent = Agent(name="one", output_type=City, model=ScriptedModel([Text("Oslo")]))
"""
    ran = antiphon("run", write(source), "go", "--quiet")
    assert ran.code == 1
    assert "does not fit the output type" in ran.err


def test_a_call_that_the_caller_runs_is_waited_for(antiphon: Run, write: Write) -> None:
    name = write("""
ask = FunctionTool(name="ask", parameters={"type": "object"})
agent = Agent(name="one", tools=[ask], model=ScriptedModel([
    FunctionCall("ask", {"what": "age"}, call_id="call_7"),
]))
""")
    ran = antiphon("run", name, "go", "--quiet")
    assert (ran.code, ran.out) == (3, "")
    assert 'the output of ask({"what":"age"})' in ran.err
    assert '"call_id": "call_7"' in ran.err


def test_what_agents_hold_is_given_back(antiphon: Run, write: Write) -> None:
    name = write("""
class Held(ScriptedModel):
    async def aclose(self):
        print("closed", self.name)

inner = Agent(name="inner", instructions="Help.", model=Held([], name="inner's"))
agent = Agent(name="one", tools=[inner.as_tool()], model=Held([Text("hi")], name="one's"))
""")
    ran = antiphon("run", name, "go", "--quiet")
    assert sorted(ran.out.splitlines()) == ["closed inner's", "closed one's", "hi"]


def test_control_characters_of_a_model_reach_a_pipe_and_no_terminal(
    antiphon: Run, write: Write
) -> None:
    name = write('agent = Agent(name="one", model=ScriptedModel([Text("a\\x1b[2Jb")]))')
    ran = antiphon("run", name, "go")
    assert ran.out == "a\x1b[2Jb\n"  # what a program reads is what was said
    assert "\x1b" not in ran.err


def test_json_holds_every_character_and_commands_no_terminal(antiphon: Run, write: Write) -> None:
    words = "a\x1b\x9b\u202e\u2028\u00e9\n"
    name = write(f'agent = Agent(name="one", model=ScriptedModel([Text({words!r})]))')
    out = antiphon("run", name, "go", "--json", "--quiet").out
    assert "\u00e9" in out
    assert not {"\x1b", "\x9b", "\u202e"} & set(out)
    assert json.loads(out)["output"][0]["content"][0]["text"] == words


PAYER = """
@tool(needs_approval=True)
async def pay(amount: int) -> str:
    "Pay somebody."
    return f"paid {amount}"

def said(request):
    asked = any(item.type == "function_call_output" for item in request.items)
    return Text("It is done.") if asked else FunctionCall("pay", {"amount": 3})

agent = Agent(name="payer", tools=[pay], model=ScriptedModel([said, said]))
"""


def test_a_run_that_waits_says_how_to_go_on_and_goes_on(antiphon: Run, write: Write) -> None:
    name = write(PAYER)
    ran = antiphon("run", name, "go", "--record", "run.jsonl")
    assert (ran.code, ran.out) == (3, "")
    assert 'waiting for approval: pay({"amount":3})' in ran.err
    command = ran.err.partition("to continue: antiphon ")[2].splitlines()[0].split()
    assert command[-1] == "next.jsonl"
    ran = antiphon(*command)
    assert (ran.code, ran.out) == (0, "It is done.\n")
    done = [line["event"] for line in lines("next.jsonl") if "event" in line][-1]
    assert done["response"]["output"][0]["output"] == "paid 3"


def test_requests_may_be_answered_one_by_one(antiphon: Run, write: Write) -> None:
    one, two = ('FunctionCall("pay", {"amount": 3})', 'FunctionCall("pay", {"amount": 4})')
    name = write(PAYER.replace(one, f"[{one}, {two}]"))
    ran = antiphon("run", name, "go", "--record", "run.jsonl")
    ids = ran.err.partition("--approve ")[2].split()
    first, second = ids[0], ids[2]
    flags = ["--items", "run.jsonl", "--approve", first, "--record", "next.jsonl"]
    ran = antiphon("run", name, *flags, "--quiet")
    assert ran.code == 3
    assert f'waiting for approval: pay({{"amount":4}}) is {second}' in ran.err
    flags = ["--items", "next.jsonl", "--refuse", second, "--approve", first]
    ran = antiphon("run", name, *flags)
    assert ran.code == 2
    assert f"--approve {first}: expected the id of a request that waits" in ran.err
    ran = antiphon("run", name, *flags[:4], "--quiet")
    assert (ran.code, ran.out) == (0, "It is done.\n")


def test_a_refusal_is_told_to_the_model_with_its_reason(antiphon: Run, write: Write) -> None:
    name = write(PAYER)
    antiphon("run", name, "go", "--record", "run.jsonl")
    item = lines("run.jsonl")[-1]["event"]["response"]["output"][0]
    flags = ["--refuse", item["id"], "--reason", "too much", "--json"]
    ran = antiphon("run", name, "--items", "run.jsonl", *flags)
    assert json.loads(ran.out)["output"][0]["error"].endswith("too much")
    ran = antiphon("run", name, "--items", "run.jsonl", "--approve", "apr_other")
    assert ran.code == 2
    assert f"waiting are: {item['id']}" in ran.err


def test_without_a_recording_it_is_said_that_one_is_needed(antiphon: Run, write: Write) -> None:
    ran = antiphon("run", write(PAYER), "go")
    assert ran.code == 3
    assert "run it again with --record run.jsonl" in ran.err


def at_terminal(*argv: str, typed: str, until: str) -> tuple[int, str]:
    """Run it at a terminal, type a line when it asks; its exit code and all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "antiphon.cli", *argv],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "dumb", "COLUMNS": "80"},
    )
    os.close(theirs)
    seen, asked = "", False
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], 60)
            assert ready, f"it said nothing more after {seen!r}"
            try:
                data = os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
            seen += data.decode()
            if not asked and until in seen:
                asked = True
                os.write(ours, f"{typed}\n".encode())
            if not data:
                break
        return process.wait(timeout=60), seen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_at_a_terminal_the_answer_is_shown_once_quiet_or_not(write: Write) -> None:
    name = write(GUIDE)
    for flags in ([], ["--quiet"]):
        code, seen = at_terminal("run", name, "go", *flags, typed="", until="never")
        assert code == 0
        assert seen.count("Yes, 21 degrees.") == 1
        assert ("I should look." in seen) is not bool(flags)


@pytest.mark.parametrize(("typed", "shown"), [("y", "paid 3"), ("no", "did not approve")])
def test_at_a_terminal_the_word_is_asked_for_and_the_run_goes_on(
    write: Write, typed: str, shown: str, antiphon: Run
) -> None:
    name = write(PAYER)
    argv = ("run", name, "go", "--record", "run.jsonl")
    code, seen = at_terminal(*argv, typed=typed, until="may it run? [y/n]")
    assert code == 0, seen
    assert shown in seen
    assert seen.count("It is done.") == 1
    assert [line.get("antiphon") for line in lines("run.jsonl")].count("run") == 2
    assert antiphon("replay", "run.jsonl").out.count("identical") == 2


def test_help_imports_nothing_that_takes_time_and_shows_examples(antiphon: Run) -> None:
    for command in ("run", "replay", "trace"):
        ran = antiphon(command, "--help")
        assert ran.code == 0
        assert f"antiphon {command}" in ran.out.partition("examples:")[2]


def test_a_run_that_is_asked_to_stop_ends_with_130_and_its_file_says_so(
    write: Write, antiphon: Run, interrupt: Callable[[list[str], str], int]
) -> None:
    name = write("""
@tool
async def wait() -> str:
    "Waits for ever."
    await anyio.sleep_forever()

agent = Agent(name="one", tools=[wait], model=ScriptedModel([
    [Text("Let me wait."), FunctionCall("wait", {})],
], fragment=4))
""")
    code = interrupt(["run", name, "go", "--record", "run.jsonl"], "antiphon:tool_call wait")
    assert code == 130
    last = lines("run.jsonl")[-1]["event"]
    assert (last["type"], last["response"]["status"]) == ("response.incomplete", "cancelled")
    ran = antiphon("replay", "run.jsonl")
    assert ran.code == 0, ran.out
    assert "The run was stopped there." in ran.out
    assert "[incomplete]" in antiphon("trace", "run.jsonl").out


@pytest.fixture
def interrupt() -> Callable[[list[str], str], int]:
    """Run a command line, interrupt it when it has said something, and give its exit code."""

    def run(argv: list[str], until: str) -> int:
        with subprocess.Popen(
            [sys.executable, "-m", "antiphon.cli", *argv],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if until in line:
                    break
            process.send_signal(2)
            assert "Traceback" not in process.stderr.read()
            return process.wait(timeout=60)

    return run
