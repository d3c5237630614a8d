"""/v1/models: the names that a request's `model` may say.

Above: `app`, which puts the routes up. Below: `catalogue`. Source: OpenAI's API reference,
"Models".
"""

from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import RequestError
from antiphon.items import Json

from .desk import Desk
from .door import Door
from .manner import Manner


class ModelsApi:
    """The endpoints of models.

    Args:
        desk: Who answers to which name.
        manner: How requests are read.
    """

    def __init__(self, desk: Desk, manner: Manner) -> None:
        self._desk = desk
        self._manner = manner

    def routes(self) -> list[Route]:
        """Where they are. A name may have slashes, as those of an upstream's often have."""
        return [
            Route("/v1/models", Door({"GET": self._list})),
            Route("/v1/models/{name:path}", Door({"GET": self._retrieve})),
        ]

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manner.principal(scope)
        shown = [self._shown(name) for name in await self._desk.catalogue.names()]
        await JSONResponse({"object": "list", "data": shown})(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manner.principal(scope)
        name: str = scope["path_params"]["name"]
        if not await self._desk.catalogue.has(name):
            raise RequestError(
                f"model: there is no {name[:100]!r} here: GET /v1/models lists what there is",
                param="model",
                code="model_not_found",
                status=404,
                type="not_found_error",
            )
        await JSONResponse(self._shown(name))(scope, receive, send)

    def _shown(self, name: str) -> Json:
        created = int(self._desk.clock())  # nobody knows better: models are as they are now
        return {"id": name, "object": "model", "created": created, "owned_by": "antiphon"}
