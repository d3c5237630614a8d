"""A Provider inside other applications: at any path, several at once, closed when they close."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message

from antiphon.agents import Agent
from antiphon.errors import ConfigurationError
from antiphon.items import ToolDefinition
from antiphon.models import ModelRequest, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import Offer, Scope, tool

from .serving import PATIENCE, Exchange, Serve, exchange, inside

pytestmark = pytest.mark.anyio


class Closing:
    """A hosted tool that notes how often it was closed."""

    type = "shell"

    def __init__(self) -> None:
        self.closed = 0

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[Offer]:
        return ()

    async def aclose(self) -> None:
        self.closed += 1


class ClosingModel(ScriptedModel):
    """A model that notes how often it was closed."""

    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


def provider(says: str = "hi", **options: Any) -> Provider:
    return Provider(models=[ScriptedModel([says], repeat=True)], **options)


def mounted(app: ASGIApp, path: str) -> FastAPI:
    """A FastAPI application with a route of its own, and a Provider."""
    outer = FastAPI()

    async def own() -> dict[str, str]:
        return {"who": "outer"}

    outer.add_api_route("/own", own)
    outer.mount(path, app)
    return outer


@pytest.mark.parametrize("path", ["/llm", "/a/b/c", "/v1", "/v1/responses"])
async def test_in_fastapi_at_any_path(path: str) -> None:
    async with inside(mounted(provider(), path)) as client:
        said = await client.post(f"{path}/v1/responses", json={"input": "x"})
        assert said.status_code == 200
        kept = await client.get(f"{path}/v1/responses/{said.json()['id']}")
        assert kept.json() == said.json()
        assert (await client.get(f"{path}/v1/models")).status_code == 200
        assert (await client.get(f"{path}/healthz")).json() == {"status": "ok"}
        assert (await client.get("/own")).json() == {"who": "outer"}
        lost = await client.get(f"{path}/nowhere")
        assert (lost.status_code, lost.json()["error"]["type"]) == (404, "not_found_error")


async def test_in_an_application_in_an_application() -> None:
    outer = Starlette(routes=[Mount("/outer", mounted(provider(), "/llm"))])
    async with inside(outer) as client:
        said = await client.post("/outer/llm/v1/responses", json={"input": "x"})
        assert said.status_code == 200


@pytest.mark.parametrize("path", ["/v1/responses", "/proxy/v1/responses"])
async def test_behind_a_proxy_with_a_root_path(path: str) -> None:
    """Some servers leave the prefix in `path`, others take it off."""
    one = await exchange(provider(), {"input": "x"}, path=path, root_path="/proxy")
    assert one.status == 200


async def test_several_in_one_application() -> None:
    outer = FastAPI()
    for name in "ab":
        outer.mount(f"/{name}", provider(name, api_keys={f"sk-{name}": name}))
    async with inside(outer) as client:
        for name, other in ("a", "b"), ("b", "a"):
            url, headers = f"/{name}/v1/responses", {"authorization": f"Bearer sk-{name}"}
            said = await client.post(url, json={"input": "x"}, headers=headers)
            assert said.json()["output"][0]["content"][0]["text"] == name
            theirs = f"/{other}/v1/responses"
            assert (
                await client.post(theirs, json={"input": "x"}, headers=headers)
            ).status_code == 401
            kept = f"{theirs}/{said.json()['id']}"
            own = {"authorization": f"Bearer sk-{other}"}
            assert (await client.get(kept, headers=own)).status_code == 404


async def test_a_client_of_a_mounted_provider(serving: Serve) -> None:
    with serving(mounted(provider(), "/llm")) as url:
        async with AsyncOpenAI(base_url=f"{url}/llm/v1", api_key="x", timeout=PATIENCE) as client:
            stream = await client.responses.create(model="scripted", input="x", stream=True)
            assert [event.type async for event in stream][-1] == "response.completed"


def test_a_server_closes_what_it_serves(serving: Serve) -> None:
    closing, model = Closing(), ClosingModel(["hi"])
    with serving(Provider(models=[model], tools=[closing])) as url:
        assert httpx2.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
        assert (closing.closed, model.closed) == (0, 0)
    assert (closing.closed, model.closed) == (1, 1)


def test_a_mounted_provider_is_closed_by_its_application(serving: Serve) -> None:
    closing = Closing()
    inner = provider(tools=[closing])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        yield
        await inner.aclose()

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/llm", inner)
    with serving(outer) as url:
        said = httpx2.post(f"{url}/llm/v1/responses", json={"input": "x"}, timeout=PATIENCE)
        assert said.status_code == 200
        assert closing.closed == 0
    assert closing.closed == 1


class Breaking(Closing):
    """A hosted tool that cannot be closed."""

    type = "computer"

    async def aclose(self) -> None:
        await super().aclose()
        raise RuntimeError("stuck")


async def test_what_cannot_be_closed_leaves_nothing_else_open() -> None:
    breaking, closing, model = Breaking(), Closing(), ClosingModel(["hi"])
    app = Provider(models=[model], tools=[breaking, closing])
    with pytest.raises(RuntimeError, match="stuck"):
        await app.aclose()
    assert (breaking.closed, closing.closed, model.closed) == (1, 1, 1)


async def test_one_model_under_several_agents_is_closed_once() -> None:
    model = ClosingModel(["hi"])
    agents = [Agent(name=name, model=model) for name in "ab"]
    await Provider(agents=agents).aclose()
    assert model.closed == 1


async def test_agents_are_served_as_models() -> None:
    @tool
    async def secret() -> str:
        """Known to the agent alone."""
        return "7"

    script = ScriptedModel(["hi"], repeat=True)
    agent = Agent(name="guide", model=script, instructions="Be brief.", tools=[secret])
    app = Provider(models=[ScriptedModel(["other"], name="plain")], agents=[agent])
    one = await exchange(app, {"model": "guide", "input": "x", "instructions": "Be kind."})
    said = json.loads(one.body)
    assert (said["model"], said["instructions"], said["tools"]) == ("guide", "Be kind.", [])
    asked: ModelRequest = script.requests[0]
    assert asked.instructions == "Be brief.\n\nBe kind."
    assert [function.name for function in asked.tools] == ["secret"]


async def test_a_websocket_is_closed_politely() -> None:
    one = Exchange(provider())
    one.scope["type"] = "websocket"
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    one.scope["path"] = "/nowhere"
    await provider()(one.scope, receive, send)
    assert {message["type"] for message in sent} <= {
        "websocket.close",
        "websocket.http.response.start",
    }
    assert len(sent) >= 1


@tool
async def weather() -> str:
    """Today's weather."""
    return "sunny"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "at least one model"),
        ({"models": ["gpt"]}, "expected Model objects, got str"),
        ({"agents": [ScriptedModel([])]}, "expected Agent objects"),
        ({"models": [ScriptedModel([]), ScriptedModel([])]}, "named 'scripted'"),
        (
            {
                "models": [ScriptedModel([], name="a")],
                "agents": [Agent(name="a", model=ScriptedModel([]))],
            },
            "named 'a'",
        ),
        ({"models": [ScriptedModel([])], "tools": [print]}, "decorate the function with @tool"),
        ({"models": [ScriptedModel([])], "tools": [weather, weather]}, "two tools are named"),
        ({"models": [ScriptedModel([])], "tools": [Closing(), Closing()]}, "two tools are named"),
        ({"models": [ScriptedModel([])], "default_tools": [{"type": 5}]}, "default_tools"),
        ({"models": [ScriptedModel([])], "default_tools": ["x"]}, "default_tools"),
        ({"models": [ScriptedModel([])], "store": 5}, "expected a Store"),
    ],
)
def test_a_provider_that_cannot_work_says_so_at_once(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Provider(**options)


async def test_default_tools_are_there_for_every_model() -> None:
    script = ScriptedModel(["hi"], repeat=True)
    default = {"type": "antiphon:function", "name": "weather"}
    app = Provider(models=[script], tools=[weather], default_tools=[default])
    one = await exchange(app, {"input": "x"})
    assert json.loads(one.body)["tools"] == [], "what the client did not declare is not echoed"
    assert [function.name for function in script.requests[0].tools] == ["weather"]
    await exchange(app, {"input": "x", "tools": [default]})
    assert [function.name for function in script.requests[1].tools] == ["weather"]
