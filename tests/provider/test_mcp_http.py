"""/mcp over HTTP: what hosts get there, whose they are, and what becomes of calls they leave."""

import asyncio
import subprocess
import sys
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, InputRequiredResult

from antiphon.agents import Agent
from antiphon.models import ScriptedModel
from antiphon.provider import MemoryStore, Provider, Rate

from .hosting import REVISIONS, Endless, Person, Till, hello, names, remote, rpc, text_of, weather
from .serving import PATIENCE, Exchange, Serve, exchange, inside

pytestmark = pytest.mark.anyio

KEYS = {"sk-ann": "ann", "sk-bob": "bob"}


def guide(*turns: Any) -> Agent[str]:
    return Agent(name="guide", model=ScriptedModel(list(turns)), instructions="Secret words.")


async def session(app: Any, **headers: str) -> str:
    """A new session's id."""
    opened = await exchange(app, **hello(**headers))
    assert opened.status == 200, opened.body
    return opened.headers["mcp-session-id"]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_hosts_list_and_call_with_a_key(serving: Serve, revision: str) -> None:
    app = Provider(agents=[guide("Hi.")], tools=[weather], api_keys=KEYS)
    with serving(app) as url:
        async with remote(url, revision, key="sk-ann") as client:
            listed = (await client.list_tools()).tools
            result = await client.call_tool("weather", {"city": "Oslo"})
            said = await client.call_tool("guide", {"input": "go"})
    assert names(listed) == ["weather", "guide"]
    assert result.structured_content == {"city": "Oslo", "degrees": 21.5}
    assert text_of(said) == "Hi."
    assert "Secret" not in str(listed)  # an agent's instructions are its owner's


@pytest.mark.parametrize("revision", REVISIONS)
async def test_people_are_asked_over_http(serving: Serve, revision: str) -> None:
    till, person = Till(), Person("accept")
    with serving(Provider(tools=[till.pay])) as url:
        async with remote(url, revision, elicitation_callback=person) as client:
            result = await client.call_tool("pay", {"amount": 5})
    assert (text_of(result), till.paid, len(person.asked)) == ("paid 5 to ann", [5], 1)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_progress_comes_while_a_call_runs(serving: Serve, revision: str) -> None:
    endless, told = Endless(), anyio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert message == "wait: called"
        told.set()

    with serving(Provider(tools=[endless.wait])) as url:
        async with remote(url, revision) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "wait", None, None, hear)
            await told.wait()
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-eve"}])
async def test_nobody_comes_in_without_a_key(headers: dict[str, str]) -> None:
    refused = await exchange(Provider(tools=[weather], api_keys=KEYS), **hello(**headers))
    assert refused.status == 401


async def test_the_session_of_another_is_none() -> None:
    app = Provider(tools=[weather], api_keys=KEYS)
    ann, bob = ({"authorization": f"Bearer {key}"} for key in KEYS)
    hers = await session(app, **ann)
    asks: dict[str, Any] = {"body": rpc("tools/list"), "path": "/mcp"}
    accept = {"accept": "application/json, text/event-stream"}
    mine = await exchange(app, **asks, headers={**accept, **ann, "mcp-session-id": hers})
    stolen = await exchange(app, **asks, headers={**accept, **bob, "mcp-session-id": hers})
    absent = await exchange(app, **asks, headers={**accept, **bob, "mcp-session-id": "f" * 32})
    await app.aclose()
    assert (mine.status, stolen.status) == (200, 404)
    assert (stolen.status, stolen.body) == (absent.status, absent.body)


async def test_a_call_that_waits_is_another_principals_to_nobody(serving: Serve) -> None:
    till = Till()
    app = Provider(tools=[till.pay], api_keys=KEYS)
    options: Any = {"elicitation_callback": Person("accept")}
    with serving(app) as url:
        async with remote(url, "2026-07-28", key="sk-ann", **options) as ann:
            first = await ann.session.call_tool("pay", {"amount": 5}, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        said = {key: ElicitResult(action="accept") for key in first.input_requests or {}}
        async with remote(url, "2026-07-28", key="sk-bob", **options) as bob:
            with pytest.raises(MCPError, match="as it was"):
                await bob.session.call_tool(
                    "pay",
                    {"amount": 5},
                    input_responses={**said},
                    request_state=first.request_state,
                )
    assert till.paid == []


async def test_a_rate_holds_for_calls() -> None:
    app = Provider(tools=[weather], rate=Rate(per_minute=1))
    async with inside(app) as http:
        opened = await http.post("/mcp", content=hello()["body"], headers=_headers())
        known = {**_headers(), "mcp-session-id": opened.headers["mcp-session-id"]}
        call = rpc("tools/call", {"name": "weather", "arguments": {"city": "Oslo"}})
        first = await http.post("/mcp", content=call, headers=known)
        second = await http.post("/mcp", content=call, headers=known)
    await app.aclose()
    assert '"isError":false' in first.text
    assert '"isError":true' in second.text and "1 requests a minute" in second.text


async def test_a_call_that_was_stopped_gives_its_place_back(serving: Serve) -> None:
    endless = Endless()
    app = Provider(tools=[endless.wait, weather], rate=Rate(at_once=1))
    with serving(app) as url:
        async with remote(url, "legacy") as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "wait")
                await endless.begun.wait()
                crowded = await client.call_tool("weather", {"city": "Oslo"})
                assert crowded.is_error and "at the same time" in text_of(crowded)
                tasks.cancel_scope.cancel()
            await endless.stopped.wait()
            while (result := await client.call_tool("weather", {"city": "Oslo"})).is_error:
                assert "at the same time" in text_of(result)


async def test_many_calls_of_one_host_are_answered_side_by_side(serving: Serve) -> None:
    cities = [f"city {number}" for number in range(30)]
    found: set[str] = set()

    async def ask(client: Client, city: str) -> None:
        result = await client.call_tool("weather", {"city": city})
        found.add(result.structured_content["city"])

    with serving(Provider(tools=[weather])) as url:
        for revision in REVISIONS:
            found.clear()
            async with remote(url, revision) as client, anyio.create_task_group() as tasks:
                for city in cities:
                    tasks.start_soon(ask, client, city)
            assert found == set(cities)


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_revision_with_a_handshake_is_spoken(version: str) -> None:
    app = Provider(tools=[weather])
    told = {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    }
    async with inside(app) as http:
        opened = await http.post("/mcp", content=rpc("initialize", told), headers=_headers())
        assert f'"protocolVersion":"{version}"' in opened.text
        known = {
            **_headers(),
            "mcp-session-id": opened.headers["mcp-session-id"],
            "mcp-protocol-version": version,
        }
        listed = await http.post("/mcp", content=rpc("tools/list"), headers=known)
        call = rpc("tools/call", {"name": "weather", "arguments": {"city": "Oslo"}})
        called = await http.post("/mcp", content=call, headers=known)
    await app.aclose()
    assert '"name":"weather"' in listed.text
    assert "21.5" in called.text


@pytest.mark.parametrize("revision", ["2025-06-18", "2026-07-28"])
async def test_a_client_that_leaves_stops_its_call(revision: str) -> None:
    endless = Endless()
    app = Provider(tools=[endless.wait])
    params: dict[str, Any] = {"name": "wait", "arguments": {}}
    headers = {**_headers(), "mcp-protocol-version": revision}
    if revision == "2025-06-18":
        headers["mcp-session-id"] = await session(app)
    else:
        headers |= {"mcp-method": "tools/call", "mcp-name": "wait"}
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    call = Exchange(app, rpc("tools/call", params), headers=headers, path="/mcp")
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            await endless.begun.wait()
            call.leave()
            await endless.stopped.wait()
    await app.aclose()


async def test_closing_the_provider_stops_what_runs() -> None:
    endless = Endless()
    app = Provider(tools=[endless.wait])
    headers = {**_headers(), "mcp-session-id": await session(app)}
    body = rpc("tools/call", {"name": "wait", "arguments": {}})
    call = Exchange(app, body, headers=headers, path="/mcp")
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            await endless.begun.wait()
            await app.aclose()
            await endless.stopped.wait()


async def test_it_is_there_under_a_mount_without_a_lifespan_of_its_own(serving: Serve) -> None:
    inner = Provider(tools=[weather], agents=[guide("Hi.")])
    outer = FastAPI()
    outer.mount("/ai", inner)
    with serving(outer) as url:
        for revision in REVISIONS:
            async with remote(url, revision, path="/ai/mcp") as client:
                assert names((await client.list_tools()).tools) == ["weather", "guide"]


def test_it_lives_on_any_loop() -> None:
    app = Provider(tools=[weather])

    async def twice() -> None:
        assert await session(app) != await session(app)

    asyncio.run(twice())
    asyncio.run(twice())


async def test_nothing_of_a_call_is_stored() -> None:
    kept: list[Any] = []

    class Watched(MemoryStore):
        async def save(self, record: Any) -> None:
            kept.append(record)

    app = Provider(agents=[guide("Hi.")], store=Watched())
    async with inside(app) as http:
        opened = await http.post("/mcp", content=hello()["body"], headers=_headers())
        known = {**_headers(), "mcp-session-id": opened.headers["mcp-session-id"]}
        call = rpc("tools/call", {"name": "guide", "arguments": {"input": "go"}})
        assert "Hi." in (await http.post("/mcp", content=call, headers=known)).text
    await app.aclose()
    assert kept == []


@pytest.mark.parametrize(
    "app",
    [
        Provider(tools=[weather], mcp=False),
        Provider(models=[ScriptedModel([], name="m")]),
    ],
)
async def test_it_is_not_there_where_it_is_not_wanted_or_has_nothing(app: Provider) -> None:
    assert (await exchange(app, **hello())).status == 404


def test_who_is_never_asked_never_imports_the_sdk() -> None:
    code = (
        "import sys\n"
        "from antiphon.provider import Provider\n"
        "from antiphon.tools import tool\n"
        "@tool\n"
        "def f(x: int) -> dict[str, int]:\n"
        "    return {}\n"
        "Provider(tools=[f])\n"
        "print({'mcp', 'mcp_types', 'jsonschema', 'sse_starlette'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def _headers() -> dict[str, str]:
    return {"accept": "application/json, text/event-stream", "content-type": "application/json"}
