"""The built-in connector: which of the provider's own functions a request asks for, and about
which of them it wants to be asked.

Source: `allowed_tools` and `require_approval` of OpenAI's `mcp` tool, for `connector_id:
"antiphon"`. A function's own gate holds beside the request's. Above: `agents.menu`. Below:
`mcp`, `gate`.
"""

from collections.abc import Callable, Mapping

from antiphon.errors import RequestError
from antiphon.items import BUILT_IN, McpServerTool, McpTool

from .gate import Gate
from .hosted import Offer
from .mcp import policy_of


def built_in(
    definition: McpServerTool, known: Mapping[str, Offer]
) -> tuple[list[str], dict[str, Gate]]:
    """The names that a definition asks for, known or not; and the gates that it puts before some.

    Unlike a stranger's tools these do not wait without a word: whoever offers them has said with
    each which calls do. `read_only` takes none of them: a function does not say that of itself.

    Args:
        definition: What the request says.
        known: The provider's functions.

    Raises:
        RequestError: 400; `param` is relative to the definition.
    """
    if definition.server_label != BUILT_IN or definition.server_url:
        raise RequestError(
            f"server_label: connector_id {BUILT_IN!r} takes server_label {BUILT_IN!r} and no "
            "server_url",
            param="server_label",
            code="invalid_value",
        )
    policy = policy_of(definition.allowed_tools, definition.require_approval)
    names = list(known)
    if policy.allowed is not None:
        if policy.allowed.read_only is not None:
            raise RequestError(
                "allowed_tools.read_only: not supported here: name the functions",
                param="allowed_tools.read_only",
                code="unsupported_value",
            )
        asked = policy.allowed.names or frozenset()
        names = [*(name for name in known if name in asked), *sorted(asked.difference(known))]
    if definition.require_approval is None:
        return names, {}
    shapes = {name: McpTool(name=name, input_schema=None) for name in names if name in known}
    return names, {name: _gate(known[name]) for name, each in shapes.items() if policy.asks(each)}


def _gate(offer: Offer) -> Gate:
    """Every call waits that may come to anything. Only the offer itself can say of one that it
    cannot: by its schema alone, which strict models want stricter than it is, calls would pass
    here that run all the same.
    """
    takes: Callable[[str], bool] | None = getattr(offer, "takes", None)

    async def gate(arguments: str) -> bool:
        return takes is None or takes(arguments)

    return gate
