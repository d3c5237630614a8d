"""Asking: the request by which a call waits for a person's word.

Above: `sampling` (a model's calls), `resuming` (calls that are asked for again). Below: `tools`.
Not here: what is said of it (`approval`).
"""

from antiphon.items import ApprovalRequest
from antiphon.tools import Asked, Asks, Offer, Scope


async def asked(offer: Offer, name: str, arguments: str, scope: Scope) -> Asked:
    """The request for one call; whoever serves the run knows of it before anybody sees it."""
    if isinstance(offer, Asks):
        request = offer.ask(arguments, scope.ids)
    else:
        request = ApprovalRequest(
            id=scope.ids.item("antiphon:approval_request"),
            name=name,
            arguments=arguments,
            agent=scope.path[-1] if len(scope.path) > 1 else None,
        )
    if scope.approvals is not None:
        await scope.approvals.ask(request, scope)
    return request
