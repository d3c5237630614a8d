"""`antiphon replay` of hosted tools: code, shell, MCP servers. None of them is really used."""

from pathlib import Path

import pytest

from .kit import Run
from .runs import Changed, Write, changed as changed, lines, write as write


def types() -> list[str]:
    """The types of the items of the run."""
    return [item["type"] for item in lines("run.jsonl")[-1]["event"]["response"]["output"]]


CODE = """
from antiphon.sandboxes import LocalSandboxes
agent = Agent(name="one", tools=[CodeInterpreter(LocalSandboxes())], model=ScriptedModel([
    [FunctionCall("code_interpreter", {"code": "for n in range(3):\\n  print(n)\\n6 * 7"})],
    [FunctionCall("code_interpreter", {"code": "n"}), FunctionCall("code_interpreter", "{")],
    [Text("42")],
], fragment=5))
"""


def test_code_replays_as_it_ran_and_runs_again_with_live_tools(changed: Changed) -> None:
    assert changed(CODE).code == 0
    ran = changed(CODE, live=True)
    assert ran.code == 0, ran.out
    ran = changed(CODE.replace('n"}', "__import__('os').getpid()\"}"), live=True)
    assert ran.code == 1
    assert '    recorded  "' in ran.out


def test_what_a_model_reads_of_a_hosted_tool_is_compared(changed: Changed) -> None:
    ran = changed(CODE, ("LocalSandboxes())", "LocalSandboxes(), timeout=7)"))
    assert ran.code == 1
    assert "tool code_interpreter" in ran.out  # its description says how long a call may take
    assert "events are the same" in ran.out


SHELL = """
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import Shell
agent = Agent(name="one", tools=[Shell(LocalSandboxes())], model=ScriptedModel([
    [FunctionCall("shell", {"commands": ["echo a", "echo b; exit 3"]}),
     FunctionCall("shell", {"commands": ["echo c"]})],
    [FunctionCall("shell", {"commands": 7})],
    [Text("abc")],
], fragment=7))
"""


def test_commands_replay_with_their_outputs_which_are_items_of_their_own(changed: Changed) -> None:
    ran = changed(SHELL)
    assert ran.code == 0, ran.out
    assert types().count("shell_call") == types().count("shell_call_output") == 3
    ran = changed(SHELL, live=True)
    assert ran.code == 0, ran.out


def test_commands_that_are_refused_now_differ(changed: Changed) -> None:
    ran = changed(SHELL, ("fragment=7)", "fragment=7), options={'max_tool_calls': 1}"))
    assert ran.code == 1
    assert "  max_tool_calls\n" in ran.out
    assert "max_tool_calls is reached" in ran.out


OWN = """
from antiphon.tools import hosted_tool

@hosted_tool("acme:count", timeout=5)
async def count(last: int):
    "Count."
    for n in range(last):
        yield Progress(f"{n}")
    if last > 2:
        raise ToolFailed("too many")
    yield last

agent = Agent(name="one", tools=[count], model=ScriptedModel([
    FunctionCall("acme__count", {"last": 2}),
    FunctionCall("acme__count", {"last": 9}),
    FunctionCall("acme__count", {"first": 1}),
    Text("2"),
], fragment=4))
"""


def test_a_tool_of_one_s_own_replays_and_runs_again_with_live_tools(changed: Changed) -> None:
    ran = changed(OWN)
    assert ran.code == 0, ran.out
    assert types() == ["acme:count_call"] * 3 + ["message"]
    told = [line["event"]["type"] for line in lines("run.jsonl") if "event" in line]
    assert {"acme:count_call_arguments.delta", "acme:count_call.progress"} <= {*told}
    assert changed(OWN, live=True).code == 0
    ran = changed(OWN, ("yield last", "yield last + 1"), live=True)
    assert ran.code == 1
    assert "recorded" in ran.out


MCP = """
import sys
from antiphon.tools import MCPServer
desk = MCPServer.stdio("desk", sys.executable, "desk.py"OPTIONS)
agent = Agent(name="one", tools=[desk], model=ScriptedModel([
    [FunctionCall("desk__add", {"a": 1, "b": 2}), FunctionCall("desk__nothing", {})],
    [Text("3")],
], fragment=4))
"""
DESK = """
from mcp.server import MCPServer
server = MCPServer("desk")

@server.tool()
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

server.run()
"""


@pytest.fixture
def desk(write: Write) -> None:
    """A server in the folder that the command runs in."""
    write("", instead_of="unused")
    Path("desk.py").write_text(DESK)


@pytest.mark.usefixtures("desk")
def test_a_server_s_list_and_calls_replay_and_the_server_is_not_started(
    antiphon: Run, write: Write
) -> None:
    name = write(MCP.replace("OPTIONS", ""))
    assert antiphon("run", name, "go", "--record", "run.jsonl", "--quiet").code == 0
    assert types() == ["mcp_list_tools", "mcp_call", "antiphon:tool_call", "message"]
    Path("desk.py").write_text("open('started', 'w')\n")
    ran = antiphon("replay", "run.jsonl")
    assert ran.code == 0, ran.out
    assert not Path("started").exists()


@pytest.mark.usefixtures("desk")
def test_a_server_of_which_other_tools_are_allowed_makes_another_menu(changed: Changed) -> None:
    source = MCP.replace("OPTIONS", "")
    ran = changed(source, ('"desk.py")', '"desk.py", allowed_tools=["mul"])'))
    assert ran.code == 1, ran.out
    assert "tool desk__add" in ran.out or "mcp_list_tools" in ran.out


@pytest.mark.usefixtures("desk")
def test_with_live_tools_the_server_is_asked(changed: Changed) -> None:
    ran = changed(MCP.replace("OPTIONS", ""), live=True)
    assert ran.code == 0, ran.out


@pytest.mark.usefixtures("desk")
def test_a_call_of_a_server_that_waits_replays_and_goes_on(antiphon: Run, write: Write) -> None:
    name = write(MCP.replace("OPTIONS", ', require_approval="always"'))
    ran = antiphon("run", name, "go", "--record", "run.jsonl", "--quiet")
    assert ran.code == 3, ran.err
    assert "mcp_approval_request" in types()
    assert antiphon("replay", "run.jsonl").code == 0
    command = ran.err.partition("to continue: antiphon ")[2].splitlines()[0].split()
    ran = antiphon(*command, "--quiet")
    assert ran.code in (0, 3), ran.err
    ran = antiphon("replay", "next.jsonl")
    assert ran.code == 0, ran.out
