"""What a compaction keeps beside its summary: what is state, and what is still open."""

from typing import Any

import pytest

from antiphon.models import Reasoning, ScriptedModel, Text

from .compacting import mounted
from .serving import EXTENDED, inside

pytestmark = pytest.mark.anyio

HI = {"role": "user", "content": "hi"}
THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}


def call(call_id: str, kind: str = "function_call") -> dict[str, Any]:
    fields: dict[str, Any] = {"name": "f", "arguments": "{}"}
    if kind == "custom_tool_call":
        fields = {"name": "f", "input": "x"}
    elif kind == "shell_call":
        fields = {"action": {"commands": ["ls"]}, "status": "completed"}
    elif kind == "apply_patch_call":
        fields = {"operation": {"type": "delete_file", "path": "x"}, "status": "completed"}
    return {"type": kind, "call_id": call_id, **fields}


def output(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "done"}


def code(container: str, text: str) -> dict[str, Any]:
    return {
        "type": "code_interpreter_call",
        "id": f"ci_{text}",
        "status": "completed",
        "container_id": container,
        "code": text,
        "outputs": [{"type": "logs", "logs": "1"}],
    }


def transfer(target: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "mcp_call",
        "id": f"mcp_{target}",
        "server_label": "antiphon",
        "name": f"transfer_to_{target}",
        "arguments": "{}",
        "status": "completed",
        **fields,
    }


async def kept(*items: dict[str, Any], headers: dict[str, str] | None = None) -> list[Any]:
    """What comes after the summary."""
    app = mounted(ScriptedModel(["in short"]), keys=None)
    async with inside(app) as http:
        answer = await http.post(
            "/v1/responses/compact",
            json={"model": "scripted", "input": list(items)},
            headers=headers or {},
        )
    assert answer.status_code == 200, answer.text
    out = answer.json()["output"]
    at = [item["type"] for item in out].index("compaction")
    assert {item["type"] for item in out[:at]} <= {"message"}
    return out[at + 1 :]


@pytest.mark.parametrize(
    "kind", ["function_call", "custom_tool_call", "shell_call", "apply_patch_call"]
)
async def test_a_call_that_waits_for_its_output_stays(kind: str) -> None:
    (waiting,) = await kept(HI, call("c", kind))
    assert (waiting["type"], waiting["call_id"]) == (kind, "c")


async def test_a_call_that_was_answered_goes_with_its_output() -> None:
    assert await kept(HI, call("c"), output("c")) == []


async def test_of_several_calls_only_those_that_wait_stay() -> None:
    waiting = await kept(HI, call("a"), call("b"), call("c"), output("b"))
    assert [item["call_id"] for item in waiting] == ["a", "c"]


async def test_the_thought_behind_a_waiting_call_stays_with_it_and_sealed() -> None:
    other = {**THOUGHT, "summary": [{"type": "summary_text", "text": "long ago"}]}
    thought, waiting = await kept(HI, other, call("a"), output("a"), THOUGHT, call("b"))
    assert (thought["summary"][0]["text"], waiting["call_id"]) == ("hm", "b")
    assert thought["encrypted_content"].startswith("antiphon.v1.")


async def test_a_call_that_somebody_spoke_after_waits_no_longer() -> None:
    assert await kept(HI, call("c"), {"role": "user", "content": "never mind"}) == []


async def test_a_request_without_a_word_on_it_stays() -> None:
    asks = {"type": "mcp_approval_request", "server_label": "s", "name": "f", "arguments": "{}"}
    said = {"type": "mcp_approval_response", "approval_request_id": "one", "approve": True}
    (waiting,) = await kept(HI, {**asks, "id": "one"}, {**asks, "id": "two"}, said)
    assert waiting["id"] == "two"


async def test_the_last_call_in_each_container_stays_so_that_its_state_is_found() -> None:
    calls = [code("a", "one"), code("b", "two"), code("a", "three"), HI]
    assert [item["code"] for item in await kept(HI, *calls)] == ["two", "three"]


def shell(container: str | None, command: str) -> list[dict[str, Any]]:
    """A call of the shell and its output; None: on the client's machine."""
    place = {"type": "container_reference", "container_id": container}
    line = {"stdout": command, "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    return [
        {
            "type": "shell_call",
            "id": f"sh_{command}",
            "call_id": "call_1",
            "status": "completed",
            "action": {"commands": [command]},
            "environment": {"type": "local"} if container is None else place,
        },
        {
            "type": "shell_call_output",
            "id": f"sho_{command}",
            "call_id": "call_1",
            "status": "completed",
            "output": [line],
        },
    ]


async def test_the_shell_counts_and_its_output_stays_with_it() -> None:
    calls = [*shell("a", "one"), code("a", "two"), *shell("b", "three"), *shell("b", "four")]
    found = await kept(HI, *calls, *shell(None, "five"), HI)
    assert [item["id"] for item in found] == ["ci_two", "sh_four", "sho_four"]


async def test_the_last_handoff_stays_so_that_its_target_goes_on() -> None:
    failed = transfer("nobody", error={"type": "x", "content": []})
    foreign = transfer("elsewhere", server_label="theirs")
    last = [transfer("one"), transfer("two"), failed, foreign, HI]
    assert [item["name"] for item in await kept(HI, *last)] == ["transfer_to_two"]


async def test_a_client_without_extensions_gets_receipts_that_it_parses() -> None:
    asks = {"type": "antiphon:approval_request", "id": "apr_1", "name": "f", "arguments": "{}"}
    (seen,) = await kept(HI, asks)
    assert seen["type"] == "mcp_approval_request"
    (seen,) = await kept(HI, asks, headers=EXTENDED)
    assert seen["type"] == "antiphon:approval_request"


async def test_kept_state_and_summary_stay_the_same_when_compacted_again() -> None:
    app = mounted(ScriptedModel([[Reasoning("x"), Text("in short")]], repeat=True), keys=None)
    async with inside(app) as http:

        async def compacted(items: Any) -> Any:
            body = {"model": "scripted", "input": items}
            return (await http.post("/v1/responses/compact", json=body)).json()["output"]

        once = await compacted([HI, code("a", "one"), THOUGHT, call("c")])
        twice = await compacted(once)
    same = [item for item in once if item["type"] != "compaction"]
    assert [item for item in twice if item["type"] != "compaction"] == same
    assert [item["type"] for item in twice] == [item["type"] for item in once]
