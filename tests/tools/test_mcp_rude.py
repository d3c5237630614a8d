"""Programs that speak MCP badly: a run always ends, memory has a bound, and nothing is left."""

import sys
import tracemalloc
from pathlib import Path

import anyio
import pytest

from antiphon.items import Response
from antiphon.tools import MCPServer

from .mcp_kit import PATIENCE, call, call_of, end_of, gone, listing_of, play

pytestmark = pytest.mark.anyio

RUDE = str(Path(__file__).parent / "mcp_rude.py")
LOOK = [call("look")]


def rude(how: str, *, seconds: float = PATIENCE) -> MCPServer:
    return MCPServer.stdio("desk", sys.executable, RUDE, how, timeout=seconds)


async def looked(how: str) -> Response:
    """A run that calls such a program's tool; the program has ended afterwards."""
    async with rude(how) as server:
        response = end_of(await play(LOOK, "so be it", tools=[server]))
    assert response.status == "completed"
    assert response.output_text == "so be it"
    return response


async def test_a_line_that_never_ends_fails_the_call_and_fills_no_memory() -> None:
    tracemalloc.start()
    try:
        response = await looked("endless")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    receipt = call_of(response.output)
    assert receipt.status == "failed"
    assert "it sent a line of more than 16777216 bytes" in str(receipt.error)
    assert "nobody knows whether the call ran" in str(receipt.error)
    assert peak < 64 * 1024 * 1024


async def test_a_program_that_begins_with_an_endless_line_is_a_failed_listing() -> None:
    response = await looked("greeting")
    assert "it sent a line of more than 16777216 bytes" in str(listing_of(response.output).error)


async def test_messages_without_end_that_nobody_asked_for_fail_the_call() -> None:
    receipt = call_of((await looked("flood")).output)
    assert "it sent 20000 messages that nobody asked for" in str(receipt.error)


async def test_a_program_that_ends_inside_its_answer_fails_the_call() -> None:
    receipt = call_of((await looked("cut")).output)
    assert receipt.status == "failed"
    assert "the server hung up: nobody knows whether the call ran" in str(receipt.error)


async def test_a_long_answer_is_read_and_cut_for_the_model() -> None:
    output = call_of((await looked("long")).output).output or ""
    assert output.startswith("xxxx")
    assert "truncated" in output


async def test_lines_that_are_no_messages_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert call_of((await looked("chatty")).output).output == "seen"
    told = [one for one in caplog.records if "no messages" in one.getMessage()]
    assert len(told) == 1


async def test_an_answer_that_comes_byte_by_byte_is_one_answer() -> None:
    assert call_of((await looked("pieces")).output).output == "caf\u00e9 \U0001f375"


async def test_a_program_that_reads_no_more_is_left_in_time() -> None:
    turn = [call("look", {"text": "x" * 1_000_000}) for _ in range(3)]
    with anyio.fail_after(PATIENCE):
        async with rude("deaf", seconds=1.0) as server:
            events = await play(turn, "so be it", tools=[server])
    output = end_of(events).output
    failed = [item for item in output if item.type == "mcp_call"]
    assert [item.status for item in failed] == ["failed"] * 3
    assert all("took longer than 1 s" in str(item) for item in failed)


async def test_a_program_that_never_says_whether_it_will_tell_of_changes_is_used() -> None:
    pid = call_of((await looked("mute")).output).output or ""
    assert pid.isdigit()


async def test_what_a_program_started_ends_with_it() -> None:
    pids = [int(pid) for pid in (call_of((await looked("parent")).output).output or "").split()]
    assert len(pids) == 2
    for pid in pids:
        assert await gone(pid)


async def test_a_program_that_will_not_end_is_killed() -> None:
    with anyio.fail_after(PATIENCE):
        pid = int(call_of((await looked("stubborn")).output).output or "0")
    assert await gone(pid)


async def test_a_program_that_ends_at_what_was_unknown_before_2026_is_spoken_to_as_of_old(
    tmp_path: Path,
) -> None:
    book = tmp_path / "starts"
    server = MCPServer.stdio("desk", sys.executable, RUDE, "old", str(book))
    async with server:
        first = end_of(await play(LOOK, "ok", tools=[server]))
    began = book.read_text().split()
    async with server:
        second = end_of(await play(LOOK, "ok", tools=[server]))
    again = book.read_text().split()
    assert call_of(first.output).output == began[-1]
    assert call_of(second.output).output == again[-1]
    assert (len(began), len(again)) == (2, 3)  # what was found out once is known
    for pid in again:
        assert await gone(int(pid))
