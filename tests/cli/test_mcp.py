"""`antiphon mcp` as a process of its own: over stdio and over HTTP, with the official client."""

import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent

from .served import COMMAND

pytestmark = pytest.mark.anyio

PATIENCE = 60.0
REVISIONS = ("legacy", "2026-07-28")

APP = '''
import os
import subprocess
from pathlib import Path

import anyio
from antiphon.agents import Agent, workflow
from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import CodeInterpreter, tool

print("imported")

@tool
def loud(word: str) -> str:
    """Say it."""
    print("printed", word)
    os.write(1, b"written\\n")
    subprocess.run(["echo", "echoed"])
    return word + "!"

@tool
async def waits() -> str:
    """Wait for the file `go`, and then a second: MCP's SDK looks for a server's end that often."""
    Path("begun").touch()
    try:
        while not await anyio.Path("go").exists():
            await anyio.sleep(0.02)
        await anyio.sleep(1)
        return "went"
    finally:
        Path("stopped").touch()

@tool(needs_approval=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"

agent = Agent(name="guide", model=ScriptedModel(["Hello."]), instructions="Greet.")

@workflow
async def report(text: str) -> str:
    """Report."""
    return text.upper()

both = [loud, waits, agent, report]
app = Provider(agents=[agent], tools=[loud], api_keys={"sk-ann": "ann"})
number = 7
'''


@pytest.fixture(autouse=True)
def in_a_folder_with_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hosted.py").write_text(APP)
    Path("mcp.py").write_text("raise SystemExit('the folder stands before the SDK')")


def environment() -> dict[str, str]:
    left_out = ("PYTHONSAFEPATH", "ANTIPHON_API_KEYS")
    return {name: value for name, value in os.environ.items() if name not in left_out}


@asynccontextmanager
async def stdio(target: str, revision: str, **options: Any) -> AsyncGenerator[Client]:
    program = StdioServerParameters(command=COMMAND, args=["mcp", target], env=environment())
    with anyio.fail_after(PATIENCE):
        async with Client(program, mode=revision, **options) as client:
            yield client


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_host_that_starts_it_lists_and_calls(revision: str) -> None:
    async with stdio("hosted:both", revision) as client:
        listed = [each.name for each in (await client.list_tools()).tools]
        said = [
            text_of(await client.call_tool("loud", {"word": "hey"})),
            text_of(await client.call_tool("guide", {"input": "go"})),
            text_of(await client.call_tool("report", {"input": "go"})),
        ]
    assert listed == ["loud", "waits", "guide", "report"]
    assert said == ["hey!", "Hello.", "GO"]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_people_are_asked_and_progress_is_told_over_stdio(revision: str) -> None:
    told: list[str | None] = []
    asked: list[str] = []

    async def ask(context: Any, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={})

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with stdio("hosted:pay", revision, elicitation_callback=ask) as client:
        result = await client.call_tool("pay", {"amount": 5}, progress_callback=hear)
    assert (text_of(result), len(asked)) == ("paid 5", 1)
    assert told[0] == "pay: waits for approval"


@pytest.mark.parametrize(
    ("target", "tools"),
    [("app", ["loud", "guide"]), ("agent", ["guide"]), ("loud", ["loud"])],
)
async def test_whatever_is_named_is_served(target: str, tools: list[str]) -> None:
    async with stdio(f"hosted:{target}", "legacy") as client:
        assert [each.name for each in (await client.list_tools()).tools] == tools


@contextmanager
def process(*argv: str) -> Generator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [COMMAND, "mcp", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def rpc(number: int, method: str, **params: Any) -> str:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(message) + "\n"


OPENING = rpc(
    1,
    "initialize",
    protocolVersion="2025-06-18",
    capabilities={},
    clientInfo={"name": "t", "version": "0"},
)


def look(name: str) -> None:
    limit = time.monotonic() + PATIENCE
    while not Path(name).exists():
        assert time.monotonic() < limit, f"nobody made {name!r}"
        time.sleep(0.02)  # or it would take the time of the process that it waits for


async def there(name: str) -> None:
    """Wait for a file, which another process makes."""
    await anyio.to_thread.run_sync(look, name)


def test_what_user_code_prints_never_reaches_the_protocol() -> None:
    with process("hosted:both") as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(OPENING)
        running.stdin.write(rpc(2, "tools/call", name="loud", arguments={"word": "hey"}))
        running.stdin.flush()
        lines = [running.stdout.readline() for _ in range(2)]
        out, err = running.communicate(timeout=PATIENCE)
    assert [json.loads(line)["id"] for line in lines] == [1, 2]
    assert out == ""
    for printed in ("imported", "printed hey", "written", "echoed"):
        assert printed in err
    assert running.returncode == 0


@pytest.mark.parametrize(("end", "code"), [("eof", 0), ("SIGTERM", 0), ("SIGINT", 130)])
async def test_its_end_stops_what_runs(end: str, code: int) -> None:
    with process("hosted:both") as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(OPENING + rpc(2, "tools/call", name="waits", arguments={}))
        running.stdin.flush()
        await there("begun")
        if end == "eof":
            running.stdin.close()
        else:
            running.send_signal(signal.Signals[end])
        assert running.wait(PATIENCE) == code
    await there("stopped")
    assert not await anyio.Path("go").exists()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["hosted:number"], "expected a Provider, an Agent, a Workflow, a @tool function"),
        (["hosted:nothing"], "got nothing: it holds "),
        (["hosted:CodeInterpreter"], "expected a Provider"),
        (["absent:app"], "there is no module"),
        (["hosted:agent", "--api-key", "k=ann"], "--api-key and --keys belong to --http"),
        (["hosted:app", "--http", "--api-key", "k=ann"], "write Provider(api_keys=...)"),
        (["hosted:agent", "--http", "--host", "0.0.0.0"], "there is no API key"),
    ],
)
def test_what_cannot_be_served_is_said_with_a_cure(argv: list[str], told: str) -> None:
    with process(*argv) as running:
        _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 2
    assert told in err


@contextmanager
def over_http(*argv: str) -> Generator[tuple["subprocess.Popen[str]", str]]:
    with process(*argv, "--http", "--port", "0") as running:
        assert running.stdout is not None
        hello = next(line for line in running.stdout if " at http://" in line)
        yield running, hello.strip().rpartition(" at ")[2]


@asynccontextmanager
async def remote(url: str, revision: str, key: str = "") -> AsyncGenerator[Client]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with anyio.fail_after(PATIENCE):
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=revision) as client:
                yield client


async def test_over_http_keys_hold_and_nothing_else_is_served() -> None:
    with over_http("hosted:both", "--api-key", "sk-bob=bob") as (_, url):
        assert url.endswith("/mcp")
        base = url.removesuffix("/mcp")
        assert httpx2.post(url, json={}).status_code == 401
        assert httpx2.get(f"{base}/v1/models").status_code == 404
        assert httpx2.get(f"{base}/healthz").status_code == 200
        async with remote(url, "2026-07-28", "sk-bob") as client:
            assert text_of(await client.call_tool("report", {"input": "go"})) == "GO"


async def refused(url: str) -> None:
    """Wait until no connection is taken any more."""
    with anyio.fail_after(PATIENCE):
        async with httpx2.AsyncClient() as http:
            with suppress(httpx2.ConnectError):
                while True:
                    await http.get(url.replace("/mcp", "/healthz"))


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_server_that_is_stopped_lets_calls_end(revision: str) -> None:
    with over_http("hosted:both") as (running, url):
        said: list[str] = []

        async def call() -> None:
            async with remote(url, revision) as client:
                await client.list_tools()  # or the client would list them when it has the answer
                said.append(text_of(await client.call_tool("waits", {})))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await there("begun")
            running.send_signal(signal.SIGTERM)
            await refused(url)
            await anyio.Path("go").touch()
        assert running.wait(PATIENCE) == 0
    assert said == ["went"]
