"""What lets us into a server is not shown when it gives it back, in whatever form; all else is."""

import base64
import importlib
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from antiphon.errors import ConfigurationError
from antiphon.tools import MCPServer
from tests.provider.mcp_serving import Stranger
from tests.serving import serve

from .mcp_kit import call, call_of, end_of, play, program

pytestmark = pytest.mark.anyio

PASSWORD = "p@ss/w\u00f6rd-1"
QUOTED = "p%40ss%2Fw%C3%B6rd-1"


def address(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """The way to this URL, which nobody goes."""
    module: Any = importlib.import_module("antiphon.tools.mcp.address")
    return module.Address(url, httpx2.AsyncHTTPTransport, headers or {})


async def said_back(name: str, url: str = "", **options: Any) -> tuple[str, str]:
    """The header that a server was sent, and what the model reads when it gives it back."""
    got: list[str] = []

    async def say(message: dict[str, Any], request: Request) -> Any:
        got.append(request.headers.get(name, "nothing"))
        return {"content": [{"type": "text", "text": got[-1]}]}

    stranger = Stranger()
    stranger.answers["tools/call"] = say
    with serve(stranger) as base:
        whole = base.replace("http://", f"http://{url}") + "/mcp"
        async with MCPServer.http("desk", whole, **options) as server:
            output = end_of(await play([call("look")], "ok", tools=[server])).output
    return got[0], call_of(output).output or ""


async def test_a_quoted_password_of_a_url_is_sent_as_it_is_meant_and_never_shown() -> None:
    sent, shown = await said_back("authorization", f"bob:{QUOTED}@")
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == f"bob:{PASSWORD}"
    assert shown == "Basic [redacted]"


@pytest.mark.parametrize("form", [PASSWORD, QUOTED])
async def test_a_password_of_a_url_is_redacted_in_each_form(form: str) -> None:
    way = address(f"http://b:{QUOTED}@h/")
    plain = importlib.import_module("antiphon.tools.mcp.plain").Plain(tuple(way.secrets))
    assert plain.whole(f"it is {form}.") == "it is [redacted]."


async def test_a_password_inside_a_basic_header_is_redacted() -> None:
    header = "Basic " + base64.b64encode(b"bob:hunter2-hunter2").decode()
    way = address("http://h/", {"authorization": header})
    assert "hunter2-hunter2" in way.secrets


async def test_a_user_without_a_password_is_a_token_and_never_shown() -> None:
    sent, shown = await said_back("authorization", "ghp-0123456789@")
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"ghp-0123456789:"
    assert shown == "Basic [redacted]"


@pytest.mark.parametrize(
    "name", ["X-Api-Key", "X-Auth-Token", "Cookie", "dbPassword", "Client-Secret", "X-PAT"]
)
async def test_a_header_that_is_called_a_key_is_never_shown(name: str) -> None:
    _, shown = await said_back(name, headers={name: "short-key"})
    assert shown == "[redacted]"


@pytest.mark.parametrize("name", ["X-Team", "X-Monitor", "X-Token-File", "X-Keyboard", "X-Path"])
async def test_a_long_header_that_is_called_otherwise_is_a_word(name: str) -> None:
    _, shown = await said_back(name, headers={name: "the-engineering-department"})
    assert shown == "the-engineering-department"


async def test_a_header_that_the_owner_names_is_never_shown() -> None:
    _, shown = await said_back("x-team", headers={"X-Team": "h-0123"}, secrets=["X-Team"])
    assert shown == "[redacted]"


async def test_a_folder_among_the_variables_of_a_program_is_shown() -> None:
    folder = "/srv/company/files"
    async with program(env={"DESK_ROOT": folder}) as server:
        events = await play([call("variable", {"name": "DESK_ROOT"})], "ok", tools=[server])
    assert call_of(end_of(events).output).output == folder


@pytest.mark.parametrize(
    ("env", "secrets"),
    [
        ({"DESK_KEY": "abc-123"}, []),
        ({"DESK_TEAM": "abc-123"}, ["DESK_TEAM"]),
        ({"DESK_URL": "postgres://desk:abc-123@db.example/desk"}, []),
    ],
)
async def test_keys_among_the_variables_of_a_program_are_not(
    env: dict[str, str], secrets: list[str]
) -> None:
    (name,) = env
    async with program(env=env, secrets=secrets) as server:
        events = await play([call("variable", {"name": name})], "ok", tools=[server])
    output = call_of(end_of(events).output).output or ""
    assert "abc-123" not in output and "[redacted]" in output


def test_a_secret_that_is_not_sent_cannot_be_named() -> None:
    with pytest.raises(ConfigurationError, match="got 'DESK_KEI': expected one of desk_key"):
        MCPServer.stdio("desk", "true", env={"DESK_KEY": "x"}, secrets=["DESK_KEI"])
    with pytest.raises(ConfigurationError, match="nothing is sent"):
        MCPServer.http("desk", "http://h/", secrets=["X-Team"])


def test_a_field_of_a_url_that_is_called_a_key_is_a_secret() -> None:
    assert address("http://h/?key=abc-123&toolset=archive-of-everything").secrets == ["abc-123"]
