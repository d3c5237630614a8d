"""The screen: what events look like, at a terminal and without one."""

import io
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, strategies as st
from rich.console import Console

from antiphon.items import (
    AgentCall,
    AgentEvent,
    ArgumentsDelta,
    CallStatus,
    CodeDelta,
    CodeDone,
    CodeInterpreterCall,
    CodeOutput,
    CodeOutputDelta,
    ErrorEvent,
    Event,
    Failed,
    Fault,
    Image,
    Incomplete,
    IncompleteDetails,
    InProgress,
    ItemAdded,
    ItemDone,
    Logs,
    McpCall,
    Message,
    Reasoning,
    ReasoningDelta,
    Response,
    TextDelta,
    ToolCall,
    ToolProgress,
)

if TYPE_CHECKING:
    from cli.paper import Paper
    from cli.prose import Prose
    from cli.screen import Screen
else:
    from antiphon.cli.paper import Paper
    from antiphon.cli.prose import Prose
    from antiphon.cli.screen import Screen

CODE = "def f(x):\n    return x"


def show(*events: Event, terminal: bool = False, width: int = 60) -> str:
    """What is written when these happen."""
    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=terminal,
        color_system="standard" if terminal else None,
        width=width,
        highlight=False,
    )
    with Paper(console) as paper:
        screen = Screen(paper, picture=lambda url: f"<{url}>")
        for event in events:
            screen.show(event)
    return file.getvalue()


def plain(text: str) -> str:
    """Without colours and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def cell(index: int = 0) -> ItemAdded:
    item = CodeInterpreterCall(id=f"ci_{index}", status="in_progress", container_id="c1", code="")
    return ItemAdded(output_index=index, item=item)


def finished(*outputs: CodeOutput, status: str = "completed") -> ItemDone:
    item = CodeInterpreterCall(
        id="ci_0", status=status, container_id="c1", code="", outputs=[*outputs]
    )
    return ItemDone(output_index=0, item=item)


def printed(text: str, stream: str = "stdout", index: int = 0) -> CodeOutputDelta:
    return CodeOutputDelta(
        item_id="ci_0",
        output_index=index,
        stream="stderr" if stream == "stderr" else "stdout",
        delta=text,
    )


def code(text: str, index: int = 0) -> CodeDelta:
    return CodeDelta(item_id="ci_0", output_index=index, delta=text)


def said(text: str, index: int = 0) -> TextDelta:
    return TextDelta(item_id="msg_0", output_index=index, content_index=0, delta=text)


def message(index: int = 0) -> ItemAdded:
    return ItemAdded(output_index=index, item=Message(role="assistant", content=[]))


RUNNING = CallStatus(
    type="response.code_interpreter_call.interpreting", item_id="ci_0", output_index=0
)
DONE = CodeDone(item_id="ci_0", output_index=0, code=CODE)


def test_printed_text_is_shown_once_and_values_and_tracebacks_after_it() -> None:
    out = show(
        cell(),
        code(CODE),
        DONE,
        RUNNING,
        printed("one\ntw"),
        printed("o"),
        finished(Logs(logs="one\ntwo\n[1, 2]\nValueError: odd\n"), Image(url="u")),
    )
    assert out.startswith(
        "\n● code_interpreter_call c1\n  │ def f(x):\n  │     return x\n  interpreting ...\n"
        "  one\n  two\n  [1, 2]\n  ValueError: odd\n  picture: <u>\n  completed in "
    )


def test_a_value_shown_between_prints_is_not_lost() -> None:
    out = show(cell(), RUNNING, printed("a\nb\n"), finished(Logs(logs="a\n5\nb\n")))
    assert [line.strip() for line in out.splitlines()[3:6]] == ["a", "b", "5"]


def test_calls_that_run_at_once_take_turns_under_their_own_titles() -> None:
    out = show(cell(0), cell(1), printed("first\n", index=0), printed("second\n", index=1))
    assert out.count("● code_interpreter_call c1") == 4
    assert out.index("first") < out.index("second")


def test_a_failed_call_says_so() -> None:
    assert "  failed in " in show(cell(), RUNNING, finished(status="failed"))
    assert "  failed\n" in show(cell(), finished(Logs(logs="no room\n"), status="failed"))


def test_a_provider_s_call_shows_arguments_progress_and_output() -> None:
    call = ToolCall(id="tc", status="in_progress", name="weather", arguments="")
    done = call.model_copy(update={"status": "completed", "output": "warm"})
    out = show(
        ItemAdded(output_index=0, item=call),
        ArgumentsDelta(item_id="tc", output_index=0, delta='{"city":'),
        ArgumentsDelta(item_id="tc", output_index=0, delta='"Oslo"}'),
        ToolProgress(item_id="tc", output_index=0, message="asking", fraction=0.5),
        ItemDone(output_index=0, item=done),
    )
    assert out.startswith(
        '\n● antiphon:tool_call weather\n  {"city":"Oslo"}\n  50% asking\n  warm\n  completed in '
    )


def test_an_mcp_call_that_failed_shows_its_error() -> None:
    call = McpCall(
        id="m", status="failed", server_label="s", name="dig", arguments="{}", error="no spade"
    )
    out = show(ItemAdded(output_index=0, item=call), ItemDone(output_index=0, item=call))
    assert out == "\n● mcp_call dig\n  no spade\n  failed\n"


def test_a_sub_agent_shows_which_items_it_makes() -> None:
    call = AgentCall(id="ac", status="in_progress", agent="reader")
    inner = ItemAdded(output_index=0, item=Reasoning())
    more = TextDelta(item_id="m", output_index=1, content_index=0, delta="x")
    out = show(
        ItemAdded(output_index=0, item=call),
        AgentEvent(item_id="ac", output_index=0, event=inner),
        AgentEvent(item_id="ac", output_index=0, event=more),
    )
    assert out == "\n● antiphon:agent_call reader\n  reasoning\n"


def test_a_response_that_did_not_complete_says_why() -> None:
    failed = Response(id="r", status="failed", error=Fault(code="c", message="out of coal"))
    cut = Response(
        id="r", status="incomplete", incomplete_details=IncompleteDetails(reason="max_turns")
    )
    assert show(Failed(response=failed)) == "response failed: out of coal\n"
    assert show(Incomplete(response=cut)) == "response incomplete: max_turns\n"
    assert show(ErrorEvent(error={"message": "cut"})) == "error: cut\n"


def test_no_stranger_commands_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\rok"
    added = ItemAdded(output_index=0, item=Message(role="assistant", content=[]))
    for terminal in (False, True):
        out = show(
            added, said(evil), cell(1), code(evil, 1), printed(evil, index=1), terminal=terminal
        )
        assert "\x07" not in out
        assert "\x9b" not in out
        assert "\x1b]" not in out
        assert "\x1b[2J" not in out
        assert "31m\r" not in out
        assert plain(re.sub("[^\n]*\r\x1b\\[2K", "", out)).count("ok") == 3


def test_at_a_terminal_finished_lines_of_code_are_written_again_in_colour() -> None:
    out = show(cell(), *(code(each) for each in CODE), DONE, terminal=True)
    assert plain(out.replace("\r\x1b[2K", "<again>")).splitlines()[2:] == [
        "  │ def f(x):<again>  │ def f(x):",
        "  │     return x<again>  │     return x",
    ]
    assert re.search(r"\x1b\[[0-9;]*m(def|return)", out.partition("\x1b[2K")[2])


def test_a_line_of_code_wider_than_the_terminal_is_left_as_it_was_written() -> None:
    out = show(cell(), code("x = '" + "y" * 80), code("'\n"), DONE, terminal=True)
    assert "\x1b[2K" not in out
    assert "y" * 80 + "'" in plain(out)


def test_at_a_terminal_words_are_broken_between_and_the_spinner_leaves_nothing() -> None:
    begun = InProgress(response=Response(id="r"))
    words = "the quick brown fox jumps over the lazy dog"
    out = show(begun, message(), *(said(each) for each in words), terminal=True, width=24)
    assert "waiting for the model" in out
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h") == 1
    shown = plain(out).partition("message\n")[2].splitlines()
    assert [line.strip() for line in shown] == ["the quick brown fox", "jumps over the lazy", "dog"]


def test_reasoning_then_text_each_stand_under_their_title() -> None:
    thought = ReasoningDelta(item_id="rs", output_index=0, content_index=0, delta="hm")
    out = show(
        ItemAdded(output_index=0, item=Reasoning(id="rs")), thought, message(1), said("yes", 1)
    )
    assert out == "\n● reasoning\n  hm\n\n● message\n  yes\n"


TEXTS = st.text(st.sampled_from("ab 界\n"), max_size=60)


@given(TEXTS, st.integers(2, 12), st.lists(st.integers(0, 60), max_size=6))
def test_prose_keeps_every_word_whatever_the_fragments(
    text: str, width: int, cuts: list[int]
) -> None:
    whole = Prose(width)
    once = whole.feed(text) + whole.end()
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = Prose(width)
    parts = [pieces.feed(text[a:b]) for a, b in pairwise(edges)]
    assert once.split() == text.split()
    assert ("".join(parts) + pieces.end()).split() == text.split()
    for line in once.splitlines():
        columns = sum(2 if each == "界" else 1 for each in line)
        assert columns <= width or len(line.split()) == 1


def test_prose_without_a_width_waits_for_nothing() -> None:
    prose = Prose(None)
    assert prose.feed("a long wo") == "a long wo"
    assert prose.end() == ""
