"""What the tests of bad input share: a provider, and what a refusal has to look like."""

import json
from typing import Any

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, tool

from .serving import Exchange, exchange

DEEP = 100_000
"""Levels of nesting that no parser follows."""


@tool
async def weather(city: str) -> str:
    """Today's weather."""
    return f"sunny in {city}"


def provider(**options: Any) -> Provider:
    tools = [weather, CodeInterpreter(LocalSandboxes())]
    return Provider(models=[ScriptedModel(["hi"], repeat=True)], tools=tools, **options)


def problem(one: Exchange) -> dict[str, Any]:
    """The error object of an answer, which has to be one."""
    said = json.loads(one.body)
    assert said.keys() == {"error"}
    error = said["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert one.headers["content-type"] == "application/json"
    assert one.headers["x-request-id"]
    return error


async def refused(body: Any, status: int = 400, **options: Any) -> dict[str, Any]:
    """What a provider says to this body; and afterwards it serves as before."""
    app = provider()
    one = await exchange(app, body, **options)
    assert one.status == status, one.body
    error = problem(one)
    again = await exchange(app, {"input": "hi"})
    assert again.status == 200
    assert json.loads(again.body)["status"] == "completed"
    return error


def items(*given: Any) -> dict[str, Any]:
    """A request with these items."""
    return {"input": list(given)}


def one_part(part: Any) -> dict[str, Any]:
    """A request whose message has this part."""
    return items({"role": "user", "content": [part]})
