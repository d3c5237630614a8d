"""`antiphon chat`: over pipes and at a terminal; the state is a list of items."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from antiphon.agents import Agent
from antiphon.items import Message
from antiphon.models import (
    Failure,
    FunctionCall,
    ModelRequest,
    ScriptedModel,
    Speech,
    Text,
    model,
)
from antiphon.provider import Provider

from .kit import Run, Serving

pytestmark = pytest.mark.usefixtures("no_engine")

if TYPE_CHECKING:
    from cli.chat import Conversation
    from cli.paper import Paper
else:
    from antiphon.cli.chat import Conversation
    from antiphon.cli.paper import Paper


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What comes down the pipe."""

    def pipe(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return pipe


def shown_items(out: str) -> list[list[dict[str, Any]]]:
    """Every list that /items printed."""
    decoder = json.JSONDecoder()
    found: list[list[dict[str, Any]]] = []
    for start in (at for at in range(len(out)) if out.startswith(("\n[\n", "\n[]"), at)):
        found.append(decoder.raw_decode(out, start + 1)[0])
    return found


def test_the_demo_tells_what_it_was_given_and_items_are_the_state(
    antiphon: Run, typed: Callable[[str], None]
) -> None:
    typed("hello\n\n/items\n/reset\n/items\n/dance\n/quit\nnever said\n")
    ran = antiphon("chat", "--demo")
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.out
    assert "> hello\n" in ran.out
    assert "● reasoning\n  I was given 1 item: message.\n" in ran.out
    assert "  You said: hello\n" in ran.out
    assert "there is no command /dance" in ran.out
    assert "never said" not in ran.out
    full, empty = shown_items(ran.out)
    assert [item["type"] for item in full] == ["message", "reasoning", "message"]
    assert empty == []


@model("counting")
async def counting(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Says what it sees; fails, or draws, when told to."""
    last = request.items[-1]
    said = last.text if isinstance(last, Message) else ""
    if said == "fail":
        yield Text("half an ")
        yield Failure("server_error", "the engine caught fire")
    elif said == "draw":
        code = "class P:\n    def _repr_svg_(self): return '<svg/>'\ndisplay(P())\nprint(6 * 7)"
        yield FunctionCall("code_interpreter", {"code": code})
    else:
        yield Text(f"{len(request.items)} items; told {request.instructions}")


def test_the_whole_list_goes_along_and_a_failed_answer_leaves_no_trace(
    antiphon: Run, typed: Callable[[str], None], serving: Serving
) -> None:
    url = serving(Provider(models=[counting]))
    typed("one\nfail\ntwo\n/items\n")
    ran = antiphon("chat", "--model", "counting", "--base-url", url, "--instructions", "be quick")
    assert ran.code == 1  # something failed, and nobody was there to see it
    assert "1 items; told be quick" in ran.out
    assert "the engine caught fire" in ran.out
    assert "neither your message nor the answer is kept" in ran.out
    assert "3 items; told be quick" in ran.out
    (items,) = shown_items(ran.out)
    assert [item["role"] for item in items] == ["user", "assistant"] * 2


def test_code_runs_where_it_is_allowed_to_and_pictures_are_saved_never_over_a_file(
    antiphon: Run, typed: Callable[[str], None], serving: Serving
) -> None:
    url = serving(Provider(models=[counting]))
    Path("antiphon-chat.svg").write_text("mine")
    typed("draw\n")
    named = ("--model", "counting", "--base-url", url, "--tools", "code_interpreter")
    ran = antiphon("chat", *named, "--sandbox", "local")
    assert ran.code == 0, ran.err
    assert "warning: --sandbox local" in ran.out
    assert "  42\n" in ran.out
    assert "picture: antiphon-chat-2.svg" in ran.out
    assert Path("antiphon-chat-2.svg").read_text() == "<svg/>"
    assert Path("antiphon-chat.svg").read_text() == "mine"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "say --model NAME"),
        (["--demo", "--model", "m"], "got both"),
        (["--demo", "--sandbox", "local"], "--sandbox needs --tools"),
        (["--demo", "--tools", "code_interpreter"], "say --sandbox local"),
        (["--demo", "--tools", "telepathy"], "invalid choice"),
        (["--model", "nobody"], "ollama:"),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(antiphon: Run, argv: list[str], said: str) -> None:
    ran = antiphon("chat", *argv)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""


def test_a_server_that_is_not_there_fails_the_answer(
    antiphon: Run, typed: Callable[[str], None]
) -> None:
    typed("hello\n")
    ran = antiphon("chat", "--model", "m", "--base-url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "is it running" in ran.out


def test_what_is_refused_before_it_begins_is_said_and_not_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    talk = Conversation(Agent(name="chat", model=ScriptedModel([])), Paper())
    anyio.run(talk.ask, "hello")
    assert "one more was asked for" in capsys.readouterr().out
    assert (talk.items, talk.failed) == ([], True)


class Terminal:
    """A program at a terminal of 80 columns, and what has come on the screen."""

    def __init__(self, *argv: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "antiphon.cli", *argv],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
        )
        os.close(theirs)
        self.seen = ""

    def type(self, line: str) -> None:
        os.write(self._ours, f"{line}\n".encode())

    def until(self, text: str) -> str:
        """Wait for a text; gives what came up to it."""
        while text not in self.seen:
            ready, _, _ = select.select([self._ours], [], [], 60)
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self._ours, 65536).decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def interrupted(self) -> int:
        """Interrupt it at the prompt; its exit code. Python's `input` misses a signal that comes
        between its prompt and its waiting, so that one may not be enough.
        """
        for _ in range(4):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout=15)  # a second one would cut its end short
        raise AssertionError("it does not end")

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def run(*argv: str) -> Terminal:
        opened.append(Terminal(*argv))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def test_at_a_terminal_there_are_colours_and_ctrl_c_at_the_prompt_ends(
    terminal: Callable[..., Terminal],
) -> None:
    chat = terminal("chat", "--demo")
    chat.until("> ")
    chat.type("hello")
    assert "\x1b[" in chat.until("You said: hello")
    chat.until("> ")
    assert chat.interrupted() == 130


@model("endless")
async def endless(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Begins, and never ends."""
    yield Text("it was a dark and stormy night ")
    await anyio.sleep_forever()


def test_ctrl_c_stops_an_answer_and_keeps_what_was_said(
    terminal: Callable[..., Terminal], serving: Serving
) -> None:
    chat = terminal("chat", "--model", "endless", "--base-url", serving(Provider(models=[endless])))
    chat.until("> ")
    chat.type("tell me a story")
    chat.until("stormy")
    chat.process.send_signal(signal.SIGINT)
    chat.until("stopped")
    chat.until("> ")
    chat.type("/items")
    items = chat.until("> ")
    assert '"status": "incomplete"' in items
    assert "dark and stormy night" in items
    chat.type("/quit")
    assert chat.process.wait(timeout=60) == 0
