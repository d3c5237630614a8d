"""Behind a Provider: an upstream that knows the names, and what is told when things break."""

import errno
import json
import logging
from typing import Any

import pytest

from antiphon.errors import ModelError, SandboxBusy
from antiphon.items import ToolDefinition
from antiphon.models import Model, ScriptedModel
from antiphon.provider import MemoryStore, Provider, Record
from antiphon.tools import Offer, Scope

from .serving import events_of, exchange

pytestmark = pytest.mark.anyio


class Above:
    """An upstream with any model; its list may be out of reach."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.closed = False

    def model(self, name: str) -> Model:
        return ScriptedModel([f"I am {name}"], name=name)

    async def names(self) -> list[str]:
        if self.fault is not None:
            raise self.fault
        return ["far", "near"]

    async def aclose(self) -> None:
        self.closed = True


async def test_names_that_nobody_has_here_lead_upstream() -> None:
    app = Provider(models=[ScriptedModel(["I am here"], name="near")], upstream=Above())
    for name, words in (
        ("near", "I am here"),
        ("far", "I am far"),
        ("org/x:free", "I am org/x:free"),
    ):
        one = await exchange(app, {"model": name, "input": "x"})
        said = json.loads(one.body)
        assert (said["model"], said["output"][0]["content"][0]["text"]) == (name, words)


async def test_an_upstream_needs_a_name() -> None:
    one = await exchange(Provider(upstream=Above()), {"input": "x"})
    assert one.status == 400
    error = json.loads(one.body)["error"]
    assert (error["param"], error["code"]) == ("model", "missing_required_parameter")
    assert "/v1/models" in error["message"]


async def test_its_models_are_listed_after_ours_and_once() -> None:
    app = Provider(models=[ScriptedModel([], name="near")], upstream=Above())
    one = await exchange(app, method="GET", path="/v1/models")
    assert [listed["id"] for listed in json.loads(one.body)["data"]] == ["near", "far"]


async def test_an_upstream_out_of_reach_is_a_bad_gateway() -> None:
    app = Provider(upstream=Above(ModelError("it does not answer", code="unreachable")))
    one = await exchange(app, method="GET", path="/v1/models")
    assert one.status == 502
    error = json.loads(one.body)["error"]
    assert (error["message"], error["code"]) == ("it does not answer", "unreachable")


async def test_it_is_closed_with_its_provider() -> None:
    above = Above()
    await Provider(upstream=above).aclose()
    assert above.closed


class Full:
    """A hosted tool whose machine is full when a request is admitted."""

    type = "code_interpreter"

    def offers(self, definition: ToolDefinition, scope: Scope) -> list[Offer]:
        raise SandboxBusy("all 2 sandboxes are in use", retry_after=1.2)

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("stream", [False, True])
async def test_a_full_machine_is_told_at_admission(stream: bool) -> None:
    app = Provider(models=[ScriptedModel(["x"])], tools=[Full()])
    body = {"input": "x", "stream": stream, "tools": [{"type": "code_interpreter"}]}
    one = await exchange(app, body)
    assert one.status == 429
    assert one.headers["retry-after"] == "2"
    assert json.loads(one.body)["error"]["code"] == "sandbox_busy"


class Broken(MemoryStore):
    """A store that cannot keep anything."""

    async def save(self, record: Record) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_could_not_be_stored_fails_and_says_so(
    caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    app = Provider(models=[ScriptedModel(["x"])], store=Broken())
    with caplog.at_level(logging.ERROR):
        one = await exchange(app, {"input": "x", "stream": stream})
    assert one.status == 200
    events = events_of(one.body) if stream else []
    said = events[-1]["response"] if stream else json.loads(one.body)
    assert (said["status"], said["error"]["code"]) == ("failed", "server_error")
    assert "could not be stored" in said["error"]["message"]
    assert said["output"][0]["content"][0]["text"] == "x"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert b"response.completed" not in one.body
    assert b"disk" not in one.body
    assert "the disk is full" in caplog.text


async def test_what_is_not_to_be_stored_asks_nothing_of_a_broken_store() -> None:
    app = Provider(models=[ScriptedModel(["x"])], store=Broken())
    one = await exchange(app, {"input": "x", "store": False})
    assert json.loads(one.body)["status"] == "completed"


async def test_a_model_that_breaks_is_a_failed_response() -> None:
    def breaks(request: Any) -> Any:
        raise ModelError("the upstream hung up", code="stream_cut")

    for stream in False, True:
        app = Provider(models=[ScriptedModel([breaks])])
        one = await exchange(app, {"input": "x", "stream": stream})
        assert one.status == 200
        said = events_of(one.body)[-1]["response"] if stream else json.loads(one.body)
        assert said["status"] == "failed"
        assert said["error"] == {"code": "stream_cut", "message": "the upstream hung up"}
