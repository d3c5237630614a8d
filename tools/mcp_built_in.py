"""The built-in connector's caution: which of the provider's own functions a request wants to be
asked about.

Source: `require_approval` of OpenAI's `mcp` tool, for `connector_id: "antiphon"`. A function's own
gate holds beside it. Above: `agents.menu`. Below: `mcp_policy`, `gate`.
"""

from collections.abc import Iterable

from antiphon.errors import ToolFailed
from antiphon.items import McpTool

from .gate import Gate
from .hosted import Offer
from .mcp_call import arguments_of
from .mcp_policy import Policy, policy_of


def gates_of(offers: Iterable[Offer], require_approval: object) -> dict[str, Gate]:
    """The gates that a request puts before functions of the provider's, by their names.

    Unlike a stranger's tools these do not wait without a word: whoever offers them has said with
    each which calls do. `read_only` takes none of them: a function does not say that of itself.

    Args:
        offers: The functions that the request asks for.
        require_approval: `always`, `never`, filters, or None.

    Raises:
        RequestError: 400; `param` is relative to the definition.
    """
    if require_approval is None:
        return {}
    policy = policy_of(None, require_approval)
    return {
        offer.function.name: gate for offer in offers if (gate := _gate(offer, policy)) is not None
    }


def _gate(offer: Offer, policy: Policy) -> Gate | None:
    function = offer.function
    shape = McpTool(name=function.name, input_schema=function.parameters)
    if not policy.asks(shape):
        return None

    async def gate(arguments: str) -> bool:
        try:
            arguments_of(arguments, shape)
        except ToolFailed:
            return False  # nobody is asked about a call that can only fail
        return True

    return gate
