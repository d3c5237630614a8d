"""What nobody sees is taken out of what a server says; what scripts and emoji need stays."""

import importlib
from typing import Any

import pytest
from mcp.server import MCPServer as Server

from antiphon.tools import MCPServer

from .mcp_kit import call, call_of, end_of, listing_of, play

pytestmark = pytest.mark.anyio

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HEART = "\u2764\ufe0f\u200d\U0001f525"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


async def shown(text: str) -> str:
    """What a model reads of a tool that says this."""
    server = Server("desk")

    def say() -> str:
        """Says it."""
        return text

    server.add_tool(say)
    async with MCPServer.in_process("desk", server) as desk:
        output = end_of(await play([call("say")], "ok", tools=[desk])).output
    return call_of(output).output or ""


@pytest.mark.parametrize(
    "hidden",
    [
        *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u180e\u200b\u200e\u200f\u202e\u2060\u2064\u2066\u206f",
        *"\u3164\ufeff\uffa0\ufff9\U0001d173\U000e0041\U000e0101\U000e01ef",
        " \ufe0f",
        " \u200d",
    ],
)
async def test_what_nobody_sees_is_taken_out(hidden: str) -> None:
    assert await shown(f"er{hidden}ase") == f"er{hidden[:-1]}ase"


@pytest.mark.parametrize("text", [FAMILY, HEART, PERSIAN, "1\ufe0f\u20e3", "caf\u00e9\tna\u00efve"])
async def test_what_scripts_and_emoji_need_stays(text: str) -> None:
    assert await shown(f"so: {text}.") == f"so: {text}."


@pytest.mark.parametrize(
    ("hiding", "seen"),
    [
        ("a\ufe00\ufe01\ufe02", "a\ufe00"),
        ("a\u200c\u200d\u200c\u200c", "a\u200c"),
        ("a\ufe00\u200d\ufe01\u200d\ufe02", "a\ufe00\u200d"),
        ("a\ufe00\u200b\ufe01\u200b\ufe02", "a\ufe00"),
        ("\ufe0f\u200da", "a"),
    ],
)
async def test_a_run_that_could_hide_words_becomes_what_a_reader_needs(
    hiding: str, seen: str
) -> None:
    assert await shown(hiding) == seen


@pytest.mark.parametrize("odd", ["\u200d", "\u200c", "\ufe0f", "\u200b", "\U000e0101", "\u3164"])
async def test_a_tool_whose_name_hides_something_is_left_out(odd: str) -> None:
    server = Server("desk")

    def look() -> str:
        """Look."""
        return "seen"

    server.add_tool(look)
    server.add_tool(look, name=f"lo{odd}ok")
    async with MCPServer.in_process("desk", server) as desk:
        listing = listing_of(end_of(await play("ok", tools=[desk])).output)
    assert [tool.name for tool in listing.tools] == ["look"]


def test_the_longer_of_two_secrets_is_looked_for_first() -> None:
    module: Any = importlib.import_module("antiphon.tools.mcp.plain")
    plain = module.Plain(("secret-1", "secret-1-and-more"))
    assert plain.whole("it is secret-1-and-more") == "it is [redacted]"
