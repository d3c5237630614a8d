"""The code interpreter over real interpreters on this machine."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from antiphon.items import (
    CodeInterpreterCall,
    CodeInterpreterTool,
    CodeOutputDelta,
    Image,
    Logs,
)
from antiphon.sandboxes import LocalSandboxes
from antiphon.testing.tool import begin, check_call_events, check_hosted_tool, play
from antiphon.tools import CodeInterpreter, Offer, Scope

pytestmark = pytest.mark.anyio

AUTO = CodeInterpreterTool()


@pytest.fixture
async def tool() -> AsyncIterator[CodeInterpreter]:
    made = CodeInterpreter(
        LocalSandboxes(grace=0.5), timeout=20, files=[("data.csv", b"a,b\n1,2\n")]
    )
    with anyio.fail_after(60):
        yield made
    await made.aclose()


async def cell(offer: Offer, code: str) -> tuple[str, str]:
    """Status and logs of one cell."""
    item = check_call_events(await play(offer, json.dumps({"code": code}), cuts=1000))
    assert isinstance(item, CodeInterpreterCall) and item.outputs is not None
    return item.status, "".join(part.logs for part in item.outputs if isinstance(part, Logs))


async def test_it_keeps_the_conformance_of_hosted_tools(tool: CodeInterpreter) -> None:
    (item,) = await check_hosted_tool(tool, AUTO, json.dumps({"code": "print('é')\n6 * 7"}))
    assert isinstance(item, CodeInterpreterCall)
    assert item.outputs == [Logs(logs="é\n42\n")]


async def test_state_files_and_tracebacks_are_as_the_description_says(
    tool: CodeInterpreter,
) -> None:
    (offer,) = tool.offers(AUTO, Scope())
    assert await cell(offer, "a = open('data.csv').read()") == ("completed", "")
    assert await cell(offer, "a") == ("completed", "'a,b\\n1,2\\n'\n")
    status, logs = await cell(offer, "print('before')\n1 / 0")
    assert status == "completed"
    assert logs.startswith("before\n") and "ZeroDivisionError" in logs
    assert tool.isolation == "none"
    assert "/mnt/data" not in (offer.function.description or "")


async def test_output_streams_while_the_code_runs(tool: CodeInterpreter) -> None:
    (offer,) = tool.offers(AUTO, Scope())
    call = begin(offer)
    opened: Any = next(iter(call.open()))
    call.ready(json.dumps({"code": "print('one', flush=True)\nwhile True: pass"}))
    events: Any = call.run()
    seen: list[str] = []
    async for event in events:
        seen.append(event.type.rpartition(".")[2])
        if isinstance(event, CodeOutputDelta):
            break
    await events.aclose()  # the reader leaves in the middle of an endless loop
    assert seen == ["interpreting", "output"]
    assert await cell(offer, "1 + 1") == ("completed", "2\n")
    again: Any = next(iter(begin(offer).open()))
    assert opened.item.container_id == again.item.container_id


async def test_a_cancelled_cell_leaves_the_sandbox_usable_with_its_state(
    tool: CodeInterpreter,
) -> None:
    (offer,) = tool.offers(AUTO, Scope())
    await cell(offer, "kept = 5")
    running = anyio.Event()

    async def drive() -> None:
        call = begin(offer)
        call.open()
        call.ready(json.dumps({"code": "while True: pass"}))
        async for _ in call.run():
            running.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(drive)
        await running.wait()
        tasks.cancel_scope.cancel()
    assert await cell(offer, "kept") == ("completed", "5\n")


async def test_a_crash_is_told_and_the_next_cell_runs_anew(tool: CodeInterpreter) -> None:
    (offer,) = tool.offers(AUTO, Scope())
    await cell(offer, "kept = 5")
    status, logs = await cell(offer, "import os; os._exit(3)")
    assert status == "failed" and "State was lost" in logs
    status, logs = await cell(offer, "kept")
    assert status == "completed" and "NameError" in logs


async def test_code_over_time_fails_and_says_after_how_long() -> None:
    async with LocalSandboxes(grace=0.5) as sandboxes:
        (offer,) = CodeInterpreter(sandboxes, timeout=0.2).offers(AUTO, Scope())
        with anyio.fail_after(60):
            status, logs = await cell(offer, "while True: pass")
            assert status == "failed" and "0.2 s" in logs
            assert await cell(offer, "1 + 1") == ("completed", "2\n")


async def test_an_image_comes_as_a_data_url(tool: CodeInterpreter) -> None:
    (offer,) = tool.offers(AUTO, Scope())
    code = "class Dot:\n def _repr_png_(self): return b'\\x89PNG\\r\\n\\x1a\\n'\nDot()"
    item = check_call_events(await play(offer, json.dumps({"code": code}), cuts=1000))
    assert isinstance(item, CodeInterpreterCall)
    assert item.outputs == [Image(url="data:image/png;base64,iVBORw0KGgo=")]


async def test_a_full_machine_fails_the_call_with_a_time_to_try_again() -> None:
    async with LocalSandboxes(live=1) as sandboxes:
        tool = CodeInterpreter(sandboxes)
        with anyio.fail_after(60):
            assert await cell(tool.offers(AUTO, Scope())[0], "1") == ("completed", "1\n")
            status, logs = await cell(tool.offers(AUTO, Scope())[0], "1")
    assert status == "failed" and "Try again in" in logs
