"""MCP servers and trust: where URLs lead, what is kept of credentials, what strangers can show."""

import importlib
import json
import logging
from typing import Any

import anyio
import httpx2
import pytest

from antiphon.models import FunctionCall
from antiphon.provider import MemoryStore
from antiphon.tools import MCPServers

from .mcp_serving import TOOL, Stranger, mcp, one, post, provider, text, wired
from .serving import Serve

pytestmark = pytest.mark.anyio

SECRET = "tok-0123456789"
LOOK = [FunctionCall("desk__look", {})]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/mcp",
        "http://localhost/mcp",
        "http://10.0.0.8/mcp",
        "http://[::1]/mcp",
        "http://169.254.169.254/latest",
        "http://2130706433/",
        "http://redis:6379/",
        "data:text/plain,x",
    ],
)
async def test_a_private_url_of_a_client_is_a_400(url: str) -> None:
    error = await post(provider(private_urls=False), mcp(url), status=400)
    assert error["param"] == "tools[0].server_url"


async def test_a_private_url_inside_an_inline_agent_is_a_400() -> None:
    agent = {"type": "antiphon:agent", "name": "a", "tools": [mcp("http://127.0.0.1/mcp")]}
    error = await post(provider(private_urls=False), agent, status=400)
    assert error["param"] == "tools[0].tools[0].server_url"


async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    serving: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Stranger()
    with serving(stranger) as base:
        port = int(base.rsplit(":", 1)[1])

        async def resolve(host: object, *args: object, **more: object) -> list[Any]:
            return [(2, 1, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(anyio, "getaddrinfo", resolve)
        app = provider("without", private_urls=False)
        response = await post(app, mcp(f"http://rebinding.example:{port}/mcp"))
        await app.aclose()
    assert "leads to a private address" in one(response, "mcp_list_tools")["error"]
    assert stranger.seen == []


async def test_credentials_go_to_the_server_and_nowhere_else(
    serving: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stranger = Stranger()
    store = MemoryStore()
    stranger.tools = [{**TOOL, "description": f"Send {SECRET} along."}]
    stranger.answers["tools/call"] = text(f"your key is {SECRET}", isError=True)
    with serving(stranger) as base:
        app = provider(LOOK, "ok", store=store)
        url = f"{base}/mcp?key=q-{SECRET}"
        tool = mcp(url, authorization=SECRET, headers={"X-Team": f"h-{SECRET}"})
        response = await post(app, tool)
        await app.aclose()
    _, headers = stranger.seen[-1]
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["x-team"] == f"h-{SECRET}"
    assert SECRET not in json.dumps(response)
    assert SECRET not in repr(store._shelves)  # pyright: ignore[reportPrivateUsage]
    ours = [record for record in caplog.records if record.name.split(".")[0] != "uvicorn"]
    assert not [record for record in ours if SECRET in record.getMessage()]
    model: Any = app._desk.catalogue.find("m")  # pyright: ignore[reportPrivateUsage]
    read = [(request.items, request.tools, request.instructions) for request in model.requests]
    assert SECRET not in repr(read)
    assert "[redacted]" in repr(read)


async def test_a_word_of_a_url_or_a_header_is_no_secret(serving: Serve) -> None:
    stranger = Stranger()
    stranger.answers["tools/call"] = text("the archive of engineering")
    with serving(stranger) as base:
        app = provider(LOOK, "ok")
        tool = mcp(f"{base}/mcp?toolset=archive", headers={"X-Team": "engineering"})
        response = await post(app, tool)
        await app.aclose()
    assert one(response, "mcp_call")["output"] == "the archive of engineering"


async def test_sessions_are_not_shared_between_credentials(serving: Serve) -> None:
    stranger = Stranger()
    with serving(stranger) as base:
        app = provider("a", "b", "c")
        await post(app, mcp(base, authorization="one-token"))
        await post(app, mcp(base, authorization="two-token"))
        await post(app, mcp(base, authorization="one-token"))
        await app.aclose()
    assert stranger.sessions == 2


async def test_a_url_s_query_reaches_the_server_and_no_log(serving: Serve) -> None:
    queries: list[str] = []

    class Asked(Stranger):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            queries.append(scope.get("query_string", b"").decode())
            await super().__call__(scope, receive, send)

    with serving(Asked()) as base:
        app = provider("ok")
        response = await post(app, mcp(f"{base}/mcp?key={SECRET}"))
        await app.aclose()
    assert one(response, "mcp_list_tools")["error"] is None
    assert f"key={SECRET}" in queries


async def test_what_nobody_sees_is_taken_out_of_what_a_server_says(serving: Serve) -> None:
    hidden = "\u202e\u2066\U000e0041\x1b[2J\x00"
    stranger = Stranger()
    schema = {"type": "object", "properties": {"a": {"description": f"x{hidden}y"}}}
    stranger.tools = [
        {**TOOL, "description": f"Look{hidden}.", "inputSchema": schema},
        {**TOOL, "name": f"lo{hidden}ok2"},
    ]
    stranger.answers["tools/call"] = text(f"a{hidden}b\n\tc")
    with serving(stranger) as base:
        app = provider(LOOK, "ok")
        response = await post(app, mcp(base))
        await app.aclose()
    (tool,) = one(response, "mcp_list_tools")["tools"]
    assert tool["description"] == "Look[2J."
    assert tool["input_schema"]["properties"]["a"]["description"] == "x[2Jy"
    assert one(response, "mcp_call")["output"] == "a[2Jb\n\tc"


async def test_a_provider_may_take_no_urls_at_all() -> None:
    app = provider(tools=MCPServers(urls=False))
    error = await post(app, mcp("https://x.example"), status=400)
    assert error["param"] == "tools[0].server_url"


async def test_a_redirect_to_another_origin_is_not_followed() -> None:
    from starlette.responses import RedirectResponse

    async def away(message: dict[str, Any], request: Any) -> Any:
        return RedirectResponse("http://169.254.169.254/latest", 307)

    stranger = Stranger()
    stranger.answers["initialize"] = away
    app = provider("without", tools=wired(stranger))
    response = await post(app, mcp("http://desk.example/mcp"))
    await app.aclose()
    assert one(response, "mcp_list_tools")["error"]
    assert {headers["host"] for _, headers in stranger.seen} == {"desk.example"}


async def test_the_query_of_a_url_goes_to_that_place_alone() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200)

    http: Any = importlib.import_module("antiphon.tools.mcp.http")
    url = httpx2.URL("https://desk.example/mcp?key=k")
    guard = http.Guard(httpx2.MockTransport(answer), url, left=asked.append, event=1)
    for url in ("https://desk.example/mcp", "https://login.example/mcp", "https://desk.example/x"):
        await guard.handle_async_request(httpx2.Request("GET", url))
    assert asked == [
        "https://desk.example/mcp?key=k",
        "https://login.example/mcp",
        "https://desk.example/x",
    ]
