"""Run files: what is written, and what is read of one that somebody else wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from antiphon.items import FunctionCall, Message, ToolCall

from .kit import Run
from .runs import Write, folded, lines, write as write

GUIDE = """
agent = Agent(name="guide", instructions="Be brief.", tools=[weather], model=ScriptedModel([
    [FunctionCall("weather", {"city": "Lisbon"}), Usage(10, 2)],
    [Text("Yes, 21 degrees."), Usage(20, 3)],
], fragment=6), options={"temperature": 0.5})
"""


@pytest.fixture
def recorded(antiphon: Run, write: Write) -> Path:
    """The run file of a guide."""
    ran = antiphon("run", write(GUIDE), "Is it warm?", "--record", "run.jsonl")
    assert ran.code == 0, ran.err
    return Path("run.jsonl")


def test_a_header_says_what_was_run_and_the_events_fold_to_the_response(recorded: Path) -> None:
    header, *told = lines(recorded)
    assert (header["antiphon"], header["version"], header["kind"]) == ("run", 1, "agent")
    assert header["target"].endswith(":agent")
    assert (header["agent"], header["model"]) == ("guide", "scripted")
    assert [item["content"] for item in header["request"]["input"]] == ["Is it warm?"]
    times = [line["t"] for line in told]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] < 60
    response = folded(recorded)
    assert response.status == "completed"
    assert [type(item) for item in response.output] == [ToolCall, Message]
    assert json.loads(response.to_json()) == told[-1]["event"]["response"]


def test_what_models_are_asked_is_noted_once_as_long_as_it_stays_the_same(recorded: Path) -> None:
    first, second = (line["asked"] for line in lines(recorded) if "asked" in line)
    assert (first["agent"], first["turn"], first["read"]) == ("guide", 1, 1)
    assert first["instructions"] == "Be brief."
    assert list(first["tools"]) == ["weather"]
    assert first["options"] == {"temperature": 0.5}
    assert second["digest"] != first["digest"]
    assert second.keys() == {"agent", "model", "run", "turn", "read", "digest"}
    used = [line["used"] for line in lines(recorded) if "used" in line]
    assert [(one["run"], one["turn"], one["usage"]["total_tokens"]) for one in used] == [
        (1, 1, 12),
        (1, 2, 23),
    ]


def test_nothing_of_the_environment_is_recorded(
    antiphon: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "key-of-mine")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    name = write('agent = Agent(name="one", model="ollama:qwen3")')
    assert antiphon("run", name, "go", "--record", "run.jsonl").code == 1
    text = Path("run.jsonl").read_text()
    assert "response.failed" in text
    assert not [name for name in ("key-of-mine", os.getcwd(), os.environ["PATH"]) if name in text]


def test_a_run_that_is_killed_leaves_what_had_happened(write: Write, antiphon: Run) -> None:
    name = write("""
import os, pathlib, signal

@tool
async def die() -> str:
    "Dies, when it is written down that it runs."
    with anyio.fail_after(60):
        while "tool_call.in_progress" not in pathlib.Path("run.jsonl").read_text():
            await anyio.lowlevel.checkpoint()
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"

agent = Agent(name="one", tools=[die], model=ScriptedModel([
    [Text("It ends here."), FunctionCall("die", {})],
]))
""")
    argv = [sys.executable, "-m", "antiphon.cli", "run", name, "go", "--record", "run.jsonl"]
    assert subprocess.run(argv, check=False, capture_output=True).returncode == -9
    assert folded("run.jsonl").output_text == "It ends here."
    ran = antiphon("trace", "run.jsonl")
    assert ran.code == 0
    assert "antiphon:tool_call die [in_progress]" in ran.out
    assert "the recording ends in the middle of the run" in ran.out
    ran = antiphon("replay", "run.jsonl")
    assert ran.code == 0, ran.out
    assert "in the middle of the run" in ran.out


def test_a_torn_last_line_is_read_past_and_told(recorded: Path, antiphon: Run) -> None:
    whole = recorded.read_bytes()
    recorded.write_bytes(whole[:-40])
    for command in ("trace", "replay"):
        ran = antiphon(command, "run.jsonl")
        assert ran.code == 0, ran.out
        assert "its last line is torn" in ran.out
        assert "in the middle of the run" in ran.out


def test_a_run_file_is_written_over_and_no_other_file_is(
    recorded: Path, antiphon: Run, write: Write
) -> None:
    before = recorded.read_bytes()
    assert antiphon("run", write(GUIDE), "Again?", "--record", "run.jsonl").code == 0
    assert recorded.read_bytes() != before
    assert len([line for line in lines(recorded) if "antiphon" in line]) == 1


HEAD: dict[str, Any] = {
    "antiphon": "run",
    "version": 1,
    "target": "app:agent",
    "kind": "agent",
    "agent": "guide",
    "model": "m",
    "request": {"input": "hi"},
    "started": 1_700_000_000.5,
}
DELTA = {"type": "response.output_text.delta", "item_id": "m", "output_index": 4}


def text(*told: Any) -> str:
    return "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in told)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "expected a run file"),
        ("hello\n", "expected a run file"),
        ("[]", "expected a run file"),
        ("\x00" * 100, "expected a run file"),
        (text({**HEAD, "version": 2}), "line 1: expected version 1; this run file has version 2"),
        (text({**HEAD, "version": "1"}), "line 1: expected version 1"),
        (text({**HEAD, "kind": "dog"}), "line 1: kind: "),
        (text({**HEAD, "started": -1}), "line 1: started: "),
        (text({**HEAD, "request": {"input": 7}}), "line 1: request.input"),
        (text(HEAD, {**HEAD, "antiphon": "walk"}, HEAD), "line 2: antiphon: "),
        (text(HEAD)[:-20], "line 1: "),
        (f"{text(HEAD)}nonsense\n{text(HEAD)}", "line 2: Invalid JSON"),
        (text(HEAD, [1]), "line 2: "),
        (text(HEAD, {"t": -1, "event": {"type": "error"}}, HEAD), "line 2: t: "),
        (text(HEAD, {"t": 0, "event": {"type": "response.created"}}, HEAD), "line 2: response: "),
        (text(HEAD, {"t": 0, "event": {**DELTA, "delta": "x", "content_index": 0}}), "line 2: exp"),
        (text(HEAD, {"t": 0, "asked": {"agent": "x"}}, HEAD), "line 2: asked.model: "),
        (f'{text(HEAD)}{{"t":0,"event":{"[" * 5000}\n{text(HEAD)}', "line 2: "),
        (f'{text(HEAD)}{{"t":1e999,"event":{{"type":"x"}}}}\n{text(HEAD)}', "line 2: t: "),
    ],
)
@pytest.mark.parametrize("command", ["trace", "replay"])
def test_what_is_no_run_file_of_this_version_is_refused_with_its_line(
    antiphon: Run, tmp_path: Path, command: str, content: str, said: str
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(content)
    ran = antiphon(command, str(path))
    assert (ran.code, ran.out) == (2, "")
    assert f"antiphon: {path}: {said}" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["trace", "replay"])
def test_a_file_that_is_not_there_or_too_long_is_refused(
    antiphon: Run, recorded: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    ran = antiphon(command, "nowhere.jsonl")
    assert (ran.code, "No such file" in ran.err) == (2, True)
    ran = antiphon(command, ".")
    assert (ran.code, "directory" in ran.err) == (2, True)
    monkeypatch.setattr("antiphon.cli.run_file.MAX_BYTES", 100)
    ran = antiphon(command, "run.jsonl")
    assert ran.code == 2
    assert "of at most 100 bytes; it is longer" in ran.err


def test_events_and_lines_of_a_later_version_are_passed_over(antiphon: Run, recorded: Path) -> None:
    told = lines(recorded)
    told.insert(2, {"t": 0.0, "event": {"type": "antiphon:weather", "wind": 3}})
    told.insert(3, {"t": 0.0, "noted": "something"})
    told.insert(1, {})
    recorded.write_text(text(*told))
    ran = antiphon("trace", "run.jsonl")
    assert ran.code == 0, ran.err
    assert "weather" in ran.out


def test_runs_inside_runs_inside_runs_are_read_as_deep_as_json_goes(
    antiphon: Run, tmp_path: Path
) -> None:
    created = {"id": "r", "status": "in_progress"}
    call = {"type": "antiphon:agent_call", "id": "ac", "status": "in_progress", "agent": "a"}
    run: list[dict[str, Any]] = [
        {"type": "response.created", "response": created},
        {"type": "response.output_item.added", "output_index": 0, "item": call},
    ]
    told = list(run)
    for depth in range(1, 60):
        for each in run:
            event: dict[str, Any] = each
            for _ in range(depth):
                event = {
                    "type": "antiphon:agent_call.event",
                    "item_id": "ac",
                    "output_index": 0,
                    "event": event,
                }
            told.append(event)
    path = tmp_path / "run.jsonl"
    path.write_text(text(HEAD, *({"t": 0.1, "event": event} for event in told)))
    ran = antiphon("trace", str(path))
    assert ran.code == 0, ran.err
    assert ran.out.count("antiphon:agent_call a") == 60


def test_a_client_s_call_survives_the_way_through_a_file(antiphon: Run, write: Write) -> None:
    name = write("""
ask = FunctionTool(name="ask", parameters={"type": "object"})
agent = Agent(name="one", tools=[ask], model=ScriptedModel([FunctionCall("ask", {"a": 1})]))
""")
    antiphon("run", name, "go", "--record", "run.jsonl")
    (call,) = folded("run.jsonl").output
    assert isinstance(call, FunctionCall)
    assert call.arguments == '{"a":1}'
    assert antiphon("replay", "run.jsonl").out == "identical: 7 events\n"
