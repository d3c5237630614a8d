"""`tools/call`: a host's call from its arguments to its answer.

Above: `mcp_server`. Below: `mcp_round` (a run), `mcp_asking` (people), `mcp_result` (the answer).
A call that cannot be served is answered with a failed result, which the host's model reads; what
is no call of ours at all is an error of the protocol.
"""

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolRequestParams, CallToolResult, InputRequiredResult
from pydantic import ValidationError

from antiphon.errors import RequestError, ToolFailed
from antiphon.items import Item

from .mcp_asking import MOST_ROUNDS, Context, Kept, People
from .mcp_offer import HostTool, HostTools
from .mcp_progress import Progress
from .mcp_result import failure, result_of
from .mcp_round import play
from .mcp_sessions import LEFT
from .problem import logged
from .rate import Throttle
from .seal import Seal

log: logging.Logger = logging.getLogger("antiphon.provider")

Answer = CallToolResult | InputRequiredResult


class HostCalls:
    """Answers the calls of one principal's hosts.

    Args:
        tools: What may be called.
        principal: Whose hosts they are.
        throttle: How much each principal may ask for.
        seal: Seals what a host keeps of a call that waits.
    """

    def __init__(self, tools: HostTools, *, principal: str, throttle: Throttle, seal: Seal) -> None:
        self._tools = tools
        self._principal = principal
        self._throttle = throttle
        self._seal = seal

    async def answer(self, context: Context, params: CallToolRequestParams) -> Answer:
        """Run a call.

        Raises:
            MCPError: There is no such tool, or its arguments are no JSON.
        """
        tool = self._tools.named.get(params.name)
        if tool is None:
            named = ", ".join(self._tools.named)
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:100]!r}: there is {named}")
        arguments = _arguments(params)
        try:
            release = self._throttle.take(self._principal)
        except RequestError as error:
            return failure(error.message)
        try:
            with _until_left(context):
                return await self._run(context, params, tool, arguments)
        except (RequestError, ToolFailed) as error:
            return failure(str(error))
        except MCPError:
            raise
        except Exception as error:
            log.error("a call of %s by an MCP host broke: %s", tool.name, logged(error))
            return failure("internal error: see the provider's log")
        finally:
            release()
        raise MCPError(INVALID_PARAMS, "the client left")  # nobody reads this

    async def _run(
        self, context: Context, params: CallToolRequestParams, tool: HostTool, arguments: str
    ) -> Answer:
        people = People(context, self._seal, self._principal)
        items, asked_before = self._given(people, params, tool, arguments)
        session = context.session

        async def report(step: float, message: str) -> None:
            await session.report_progress(step, message=message)

        progress = Progress(report)
        for number in range(asked_before, MOST_ROUNDS + 1):
            ended = await play(tool, items, principal=self._principal, tell=progress.tell)
            if not ended.asked or ended.response.status != "completed":
                return result_of(tool, ended.response)
            if number == MOST_ROUNDS:
                break
            people.check(tool, ended.asked)
            if people.modern:
                return people.require(
                    tool,
                    ended.asked,
                    Kept(
                        tool=tool.name,
                        arguments=arguments,
                        round=number + 1,
                        asked=[request.id or "" for request in ended.asked],
                        items=ended.items,
                    ),
                )
            items = [*ended.items, *await people.ask(tool, ended.asked)]
        return failure(
            f"{tool.name} asked for approvals {MOST_ROUNDS} times and has not come to an end"
        )

    @staticmethod
    def _given(
        people: People, params: CallToolRequestParams, tool: HostTool, arguments: str
    ) -> tuple[list[Item], int]:
        """What the run begins with, and how often people were asked already."""
        if params.request_state is not None:
            kept = people.kept(params.request_state, tool=tool.name, arguments=arguments)
            words = people.words(kept, params.input_responses or {})
            return [*kept.items, *words], kept.round
        try:
            return [tool.said(arguments)], 0
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise ToolFailed(f'{tool.name}: expected {{"input": "..."}}: {said}') from None


def _arguments(params: CallToolRequestParams) -> str:
    """A call's arguments as JSON.

    Raises:
        MCPError: They are what JSON cannot say.
    """
    try:
        text = json.dumps(
            params.arguments or {}, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        )
        text.encode()
    except (ValueError, RecursionError) as error:
        raise MCPError(INVALID_PARAMS, "arguments: expected JSON, with finite numbers") from error
    return text


@contextmanager
def _until_left(context: Context) -> Generator[None]:
    """Cancel what is inside when the client of the HTTP request has left."""
    request = context.request
    leaving: set[anyio.CancelScope] | None = request and request.scope.get(LEFT)
    with anyio.CancelScope() as scope:
        if leaving is None:
            yield
            return
        leaving.add(scope)
        try:
            yield
        finally:
            leaving.discard(scope)
