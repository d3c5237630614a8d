"""What a Provider's agents hold is given back when the Provider is closed: no program is left."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from antiphon.agents import Agent
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import MCPServer
from tests.tools.mcp_kit import gone

from .mcp_serving import of_type, post
from .serving import BUILT_IN

pytestmark = pytest.mark.anyio

PROGRAM = str(Path(__file__).parents[1] / "tools" / "mcp_program.py")
WHO = [FunctionCall("desk__who", {})]


def program() -> MCPServer:
    return MCPServer.stdio("desk", sys.executable, PROGRAM)


def clerk(server: MCPServer) -> Agent[str]:
    """An agent that asks its server which process it is."""
    model = ScriptedModel([WHO, "told"])
    return Agent(name="clerk", model=model, tools=[server], instructions="Tells.")


def pid_in(response: Any) -> int:
    (call,) = [item for item in of_type(response, "mcp_call") if item["name"] == "who"]
    return int(call["output"])


async def test_the_program_of_a_served_agent_ends_with_the_provider() -> None:
    app = Provider(agents=[clerk(program())])
    pid = pid_in(await post(app, tools=None, model="clerk"))
    os.kill(pid, 0)  # it lives until then
    await app.aclose()
    assert await gone(pid)


async def test_the_program_of_an_agent_that_was_handed_the_conversation_ends_too() -> None:
    handing = FunctionCall("transfer_to_clerk", {"reason": "theirs"})
    desk = Agent(
        name="desk", model=ScriptedModel([[handing]]), handoffs=[clerk(program())], tools=[]
    )
    app = Provider(agents=[desk])
    pid = pid_in(await post(app, tools=None, model="desk"))
    await app.aclose()
    assert await gone(pid)


@pytest.mark.parametrize("where", ["of an agent", "of the provider"])
async def test_the_program_of_a_sub_agent_ends_too(where: str) -> None:
    inner = clerk(program())
    call = [FunctionCall("clerk", {"input": "who?"})]
    if where == "of an agent":
        outer = Agent(name="m", model=ScriptedModel([call, "done"]), tools=[inner.as_tool()])
        app = Provider(agents=[outer])
        await post(app, tools=None)
    else:
        app = Provider(models=[ScriptedModel([call, "done"], name="m")], tools=[inner.as_tool()])
        await post(app, BUILT_IN)
    model: Any = inner.model
    pid = int(model.requests[1].items[-1].output)
    await app.aclose()
    assert await gone(pid)


async def test_agents_that_call_each_other_are_closed_once_each() -> None:
    one_server, other = program(), program()
    first = clerk(one_server)
    second = Agent(
        name="second", model=ScriptedModel(["never"]), tools=[other, first.as_tool()],
        handoffs=[first],
    )  # fmt: skip
    app = Provider(agents=[first, second])
    pid = pid_in(await post(app, tools=None, model="clerk"))
    await app.aclose()
    await app.aclose()
    assert await gone(pid)


async def test_one_that_cannot_be_closed_stops_no_other() -> None:
    class Stuck(ScriptedModel):
        async def aclose(self) -> None:
            raise RuntimeError("stuck")

    stuck = Agent(name="stuck", model=Stuck(["never"]))
    app = Provider(agents=[stuck, clerk(program()), Agent(name="third", model=Stuck(["never"]))])
    pid = pid_in(await post(app, tools=None, model="clerk"))
    with pytest.raises(RuntimeError, match="stuck"):
        await app.aclose()
    assert await gone(pid)
