"""A hosted tool of a provider's own, `acme:units`: one function, and any client may declare it.

    python examples/own_tool.py                      asks for it over HTTP, without a network
    antiphon serve own_tool:app                      serves it (in this folder); then
    curl localhost:8000/v1/responses -H 'Content-Type: application/json' \\
         -d '{"model": "scripted", "input": "26.2 miles?", "tools": [{"type": "acme:units"}]}'
"""

from typing import Annotated, Any, Literal

import anyio
import httpx2
from pydantic import BaseModel, ConfigDict, Field

from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import hosted_tool

Unit = Literal["m", "km", "ft", "mi"]
METRES: dict[Unit, float] = {"m": 1.0, "km": 1000.0, "ft": 0.3048, "mi": 1609.344}


class Options(BaseModel):
    """What a request may say of the tool: `{"type": "acme:units", "digits": 1}`."""

    model_config = ConfigDict(extra="forbid")

    digits: Annotated[int, Field(ge=0, le=12)] = 3


@hosted_tool("acme:units", options=Options, timeout=5)
async def units(value: float, source: Unit, target: Unit, options: Options) -> str:
    """Convert a length from one unit to another.

    Args:
        value: How many of the source unit.
        source: The unit that it is in.
        target: The unit that it is wanted in.
    """
    return f"{round(value * METRES[source] / METRES[target], options.digits)} {target}"


CALL = FunctionCall("acme__units", {"value": 26.2, "source": "mi", "target": "km"})
model = ScriptedModel([CALL, "A marathon is 42.2 km.", "As I said: 42.2 km."], repeat=True)

app = Provider(models=[model], tools=[units])


async def ask(client: httpx2.AsyncClient, **fields: Any) -> Any:
    tools = [{"type": "acme:units", "digits": 1}]
    answer = await client.post("/v1/responses", json={"tools": tools, **fields})
    return answer.raise_for_status().json()


async def main() -> None:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        # What every SDK can read: a client that says nothing sees the call as an `mcp_call`.
        first = await ask(client, input="How long is a marathon?")
        call, message = first["output"]
        print(f"{call['type']} {call['name']} {call['arguments']} -> {call['output']}")
        print(message["content"][0]["text"])

        # What is stored is the tool's own receipt; clients that know the tool ask for it.
        client.headers["OpenResponses-Extensions"] = "antiphon"
        stored = (await client.get(f"/v1/responses/{first['id']}")).json()
        print(f"{stored['output'][0]['type']} {stored['output'][0]['status']}")

        # And whatever the client sends back, the model reads what it read then.
        again = await ask(client, input="Again?", previous_response_id=first["id"])
        print(again["output"][-1]["content"][0]["text"])
        print(*(item.type for item in model.requests[-1].items))


if __name__ == "__main__":
    anyio.run(main)
