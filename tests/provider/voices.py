"""Models and a tool that real clients are tried with."""

from collections.abc import AsyncGenerator
from typing import Any

from antiphon.models import FunctionCall, ModelRequest, Reasoning, Text, model
from antiphon.tools import tool


@tool
async def climate(city: str) -> str:
    """The climate of a city."""
    return f"mild in {city}"


@model("caller")
async def caller(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Thinks, calls its first tool, then says what came of it."""
    last = request.items[-1]
    if last.type == "function_call_output":
        yield Text(f"It is {last.output}.")
        return
    yield Reasoning("I should look.")
    yield FunctionCall(request.tools[0].name, {"city": "Oslo"})


@model("coder")
async def coder(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Runs a little code, and says what it printed."""
    last = request.items[-1]
    if last.type == "function_call_output":
        yield Text(f"It printed {last.output}")
        return
    yield FunctionCall("code_interpreter", {"code": "print(6 * 7)"})
