"""Background: responses that are made without their client, followed by anybody, and cancelled."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from antiphon.agents import Agent, run, workflow
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text, model
from antiphon.provider import Provider
from antiphon.tools import tool

from .serving import BUILT_IN, EXTENDED, PATIENCE, events_of, inside, types

pytestmark = pytest.mark.anyio

BODY = {"model": "teller", "input": "go", "background": True}


class Story:
    """A model that tells as far as it is let."""

    def __init__(self) -> None:
        self.go = anyio.Event()
        self.told = anyio.Event()
        self.calls = 0

    def model(self) -> Any:
        @model("teller")
        async def teller(request: ModelRequest) -> AsyncGenerator[Any, None]:
            self.calls += 1
            yield Text("once ")
            self.told.set()
            await self.go.wait()
            yield Text("upon a time")

        return teller

    def provider(self, **options: Any) -> Provider:
        return Provider(models=[self.model()], **options)


async def post(client: httpx2.AsyncClient, **fields: Any) -> Any:
    answer = await client.post("/v1/responses", json={**BODY, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ended(client: httpx2.AsyncClient, response_id: str) -> Any:
    """The response when it has ended: its stream is followed until then."""
    with anyio.fail_after(PATIENCE):
        await client.get(f"/v1/responses/{response_id}?stream=true")
    return (await client.get(f"/v1/responses/{response_id}")).json()


async def test_a_response_goes_on_without_its_client() -> None:
    story = Story()
    async with inside(story.provider()) as client:
        first = await post(client)
        assert (first["status"], first["output"], first["background"]) == ("queued", [], True)
        story.go.set()
        whole = await ended(client, first["id"])
    assert whole["status"] == "completed"
    assert whole["output"][0]["content"][0]["text"] == "once upon a time"
    assert whole["completed_at"] is not None


async def test_while_it_is_made_it_can_be_looked_at() -> None:
    story = Story()
    async with inside(story.provider()) as client:
        first = await post(client)
        with anyio.fail_after(PATIENCE):
            await story.told.wait()
            while True:
                now = (await client.get(f"/v1/responses/{first['id']}")).json()
                if now["status"] == "in_progress":
                    break
                await anyio.lowlevel.checkpoint()
        story.go.set()
        await ended(client, first["id"])


async def test_any_number_of_followers_see_the_identical_stream_from_wherever_they_begin() -> None:
    story = Story()
    async with inside(story.provider()) as client:
        first = await post(client)
        story.go.set()
        url = f"/v1/responses/{first['id']}?stream=true"
        streams: dict[int, bytes] = {}

        async def follow(after: int) -> None:
            rest = "" if after < 0 else f"&starting_after={after}"
            streams[after] = (await client.get(url + rest)).content

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for after in range(-1, 6):
                    tasks.start_soon(follow, after)
    events = events_of(streams[-1])
    assert types(events)[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for after, stream in streams.items():
        assert events_of(stream) == events[after + 1 :]


async def test_the_one_who_asked_may_watch_at_once() -> None:
    story = Story()
    story.go.set()
    async with inside(story.provider()) as client:
        answer = await client.post("/v1/responses", json={**BODY, "stream": True})
        events = events_of(answer.content)
        again = await client.get(f"/v1/responses/{events[0]['response']['id']}?stream=true")
    assert events[-1]["type"] == "response.completed"
    assert again.content == answer.content


async def test_cancel_ends_it_cancelled_with_everything_closed_and_may_be_said_twice() -> None:
    story = Story()
    async with inside(story.provider()) as client:
        first = await post(client)
        with anyio.fail_after(PATIENCE):
            await story.told.wait()
            one = await client.post(f"/v1/responses/{first['id']}/cancel")
            two = await client.post(f"/v1/responses/{first['id']}/cancel")
        events = events_of((await client.get(f"/v1/responses/{first['id']}?stream=true")).content)
    assert one.json()["status"] == two.json()["status"] == "cancelled"
    assert one.json()["output"][0]["status"] == "incomplete"
    assert events[-1]["type"] == "response.incomplete"
    assert one.json()["incomplete_details"] == {"reason": "cancelled"}


async def test_a_finished_one_stays_as_it_is_when_it_is_cancelled() -> None:
    story = Story()
    story.go.set()
    async with inside(story.provider()) as client:
        first = await post(client)
        whole = await ended(client, first["id"])
        after = await client.post(f"/v1/responses/{first['id']}/cancel")
    assert after.json() == whole


async def test_only_a_background_response_is_followed_or_cancelled() -> None:
    story = Story()
    story.go.set()
    async with inside(story.provider()) as client:
        plain = await post(client, background=False)
        follow = await client.get(f"/v1/responses/{plain['id']}?stream=true")
        cancel = await client.post(f"/v1/responses/{plain['id']}/cancel")
        absent = await client.post("/v1/responses/resp_absent/cancel")
    assert (follow.status_code, follow.json()["error"]["param"]) == (400, "stream")
    assert (cancel.status_code, cancel.json()["error"]["code"]) == (400, "not_cancellable")
    assert absent.status_code == 404


@pytest.mark.parametrize("query", ["starting_after=1", "stream=true&starting_after=x", "stream=2"])
async def test_a_query_that_makes_no_sense_is_refused(query: str) -> None:
    story = Story()
    story.go.set()
    async with inside(story.provider()) as client:
        first = await post(client)
        answer = await client.get(f"/v1/responses/{first['id']}?{query}")
    assert answer.status_code == 400


async def test_deleting_one_in_the_making_stops_it() -> None:
    story = Story()
    async with inside(story.provider()) as client:
        first = await post(client)
        with anyio.fail_after(PATIENCE):
            await story.told.wait()
            gone = await client.delete(f"/v1/responses/{first['id']}")
            assert gone.json()["deleted"] is True
            assert (await client.get(f"/v1/responses/{first['id']}")).status_code == 404


async def test_a_response_may_go_on_from_one_made_in_the_background() -> None:
    story = Story()
    story.go.set()
    async with inside(story.provider()) as client:
        first = await post(client)
        await ended(client, first["id"])
        second = await post(client, background=False, previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]


async def test_another_s_job_is_as_good_as_absent() -> None:
    story = Story()
    app = story.provider(api_keys={"a": "alice", "m": "mallory"})
    async with inside(app, headers={"authorization": "Bearer a"}) as client:
        first = await post(client)
    async with inside(app, headers={"authorization": "Bearer m"}) as client:
        for method, path in (("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
            answer = await client.request(method, f"/v1/responses/{first['id']}{path}")
            assert answer.status_code == 404
    story.go.set()
    async with inside(app, headers={"authorization": "Bearer a"}) as client:
        assert (await ended(client, first["id"]))["status"] == "completed"


async def test_a_request_that_is_wrong_is_refused_at_once() -> None:
    story = Story()
    async with inside(story.provider()) as client:
        answer = await client.post("/v1/responses", json={**BODY, "model": "nobody"})
    assert answer.status_code == 404


async def test_agents_workflows_and_approvals_work_in_the_background() -> None:
    @tool(needs_approval=True)
    def send() -> str:
        """Send."""
        return "sent"

    script = ScriptedModel([[FunctionCall("send", {})], "out"])
    mailer = Agent(name="mailer", model=script, instructions="Mails.", tools=[send])

    @workflow
    async def report(text: str) -> str:
        return (await run(mailer, text)).output

    app = Provider(workflows=[report])
    async with inside(app, headers=EXTENDED) as client:
        first = await ended(client, (await post(client, model="report"))["id"])
        asked = first["output"][-1]["id"]
        word = {"type": "antiphon:approval_response", "approval_request_id": asked, "approve": True}
        fields = {"model": "report", "previous_response_id": first["id"], "input": [word]}
        second = await ended(client, (await post(client, **fields))["id"])
    assert types(second["output"]) == ["antiphon:agent_call", "message"]


# --- another process ---------------------------------------------------------


async def test_the_next_process_goes_on_where_this_one_let_go(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'antiphon.db'}"
    ran: list[str] = []

    @tool
    def note() -> str:
        """Note."""
        ran.append("noted")
        return "noted"

    story = Story()

    @model("teller")
    async def teller(request: ModelRequest) -> AsyncGenerator[Any, None]:
        if not any(item.type == "function_call_output" for item in request.items):
            yield FunctionCall("note", {})
            return
        yield Text("so far ")
        story.told.set()
        await story.go.wait()
        yield Text("and on")

    def provider() -> Provider:
        return Provider(models=[teller], tools=[note], store=url)

    one = provider()
    async with inside(one) as client:
        first = await post(client, tools=[BUILT_IN])
        with anyio.fail_after(PATIENCE):
            await story.told.wait()
    await one.aclose()
    story.go.set()
    two = provider()
    async with inside(two) as client:
        whole = await ended(client, first["id"])
        stream = await client.get(f"/v1/responses/{first['id']}?stream=true")
    await two.aclose()
    events = events_of(stream.content)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert whole["status"] == "completed"
    assert types(whole["output"]) == ["mcp_call", "message", "message"]
    assert [item["status"] for item in whole["output"]] == ["completed", "incomplete", "completed"]
    assert ran == ["noted"]


async def test_a_job_whose_request_held_credentials_ends_failed_and_says_why(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'antiphon.db'}"
    story = Story()
    secret = {
        "type": "mcp",
        "server_label": "x",
        "server_url": "https://example.com/mcp",
        "authorization": "s3cret",
    }
    one = story.provider(store=url)
    async with inside(one) as client:
        first = await post(client, tools=[secret])
        with anyio.fail_after(PATIENCE):
            await story.told.wait()
    await one.aclose()
    assert b"s3cret" not in (tmp_path / "antiphon.db").read_bytes()
    two = story.provider(store=url)
    async with inside(two) as client:
        whole = await ended(client, first["id"])
    await two.aclose()
    assert whole["status"] == "failed"
    assert "credentials, which are not kept" in whole["error"]["message"]
