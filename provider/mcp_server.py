"""The MCP server of one principal: its tools are what a provider offers to hosts.

Above: `mcp_sessions` (HTTP), and whoever serves it over other streams. Below: `mcp_call`, the
official SDK, which speaks every revision of the protocol. There are no prompts, no resources and
no logs; the list of tools stays as it is for as long as the provider lives.
"""

from collections.abc import Mapping
from typing import Any

from mcp.server import Server
from mcp_types import (
    CallToolRequestParams,
    ListToolsResult,
    PaginatedRequestParams,
    Tool,
)

from antiphon import __version__

from .mcp_asking import Context
from .mcp_call import Answer, HostCalls
from .mcp_offer import HostTools
from .rate import Throttle
from .seal import Seal


def server_of(
    tools: HostTools, *, principal: str, throttle: Throttle, seal: Seal
) -> "Server[dict[str, Any]]":
    """A server of the SDK's.

    Args:
        tools: What it offers.
        principal: Whose runs its calls are.
        throttle: How much each principal may ask for.
        seal: Seals what a host keeps of a call that waits for a person.
    """
    calls = HostCalls(tools, principal=principal, throttle=throttle, seal=seal)

    async def listed(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        # No annotations: whether a function only reads is not known, and is not claimed.
        return ListToolsResult(
            tools=[
                Tool(
                    name=each.name,
                    description=each.description,
                    input_schema=each.parameters,
                    output_schema=each.output_schema,
                )
                for each in tools.named.values()
            ]
        )

    async def call(context: Context, params: CallToolRequestParams) -> Answer:
        return await calls.answer(context, params)

    def schema(name: str) -> Mapping[str, Any] | None:
        found = tools.named.get(name)
        return None if found is None else found.parameters

    return Server(
        "antiphon",
        version=__version__,
        on_list_tools=listed,
        on_call_tool=call,
        get_tool_input_schema=schema,
    )
