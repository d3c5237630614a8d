"""Servers that ask: for a model, for a person, for folders. What is not offered is refused at once,
and the model reads why.
"""

from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from antiphon.agents import Agent
from antiphon.models import ScriptedModel

from .mcp_kit import call, call_of
from .mcp_lively import LATEST
from .mcp_reaching import SOME, reached

pytestmark = pytest.mark.anyio

ways = pytest.mark.parametrize(("way", "revision"), SOME)

SOON = 60.0
"""Seconds, far less than a call may take."""


async def asked(way: str, revision: str, tool: str, **options: Any) -> tuple[Any, str]:
    """The receipt of a call of such a tool, and what the model read of it."""
    model = ScriptedModel([[call(tool)], "I see."])
    with anyio.fail_after(SOON):
        async with reached(way, revision, **options) as server:
            result = await Agent(name="clerk", model=model, tools=[server]).run("go")
    assert result.output == "I see."
    return call_of(result.response.output), cast("Any", model.requests[1].items[-1]).output


@ways
@pytest.mark.parametrize(
    ("tool", "what"),
    [("elicit", "elicitation/create"), ("sample", "sampling/createMessage")],
)
async def test_a_server_that_asks_a_person_or_a_model_is_refused_at_once_and_the_model_reads_why(
    way: str, revision: str, tool: str, what: str
) -> None:
    receipt, read = await asked(way, revision, tool)
    assert receipt.status == "failed"
    if revision == LATEST:  # nothing can be asked there but by a result
        assert f"Cannot send '{what}'" in read
    else:
        assert "not supported" in read or "Method not found" in read
    assert read.startswith("Error: ")
    assert "took longer" not in read


@pytest.mark.parametrize("way", ["stdio", "http", "in process"])
async def test_a_server_that_answers_with_a_question_is_refused_at_once(way: str) -> None:
    receipt, read = await asked(way, LATEST, "form")
    assert receipt.status == "failed"
    assert read == (
        "Error: the server asks for elicitation/create in the middle of a call, and is refused: "
        "servers ask neither people nor models here"
    )


@ways
async def test_a_server_is_told_beforehand_that_it_need_not_ask(way: str, revision: str) -> None:
    receipt, _ = await asked(way, revision, "offered")
    assert receipt.output == "nothing"


@pytest.mark.parametrize(
    ("way", "revision"), [("stdio", "2025-06-18"), ("http", "2025-06-18"), ("sse", "2024-11-05")]
)
async def test_a_server_is_told_the_folders_that_it_was_given_and_no_others(
    way: str, revision: str, tmp_path: Path
) -> None:
    receipt, _ = await asked(way, revision, "roots", roots=[tmp_path, tmp_path / "notes"])
    assert receipt.output == f"{tmp_path.as_uri()} {tmp_path.as_uri()}/notes"
    refused, read = await asked(way, revision, "roots")
    assert refused.status == "failed"
    assert "not supported" in read
