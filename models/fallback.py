"""`Fallback`: one name, several models; the next is asked where one fails before it has spoken.

Above: agents and providers, to which it is a model. Below: any models. Once a model has begun to
speak, what it said cannot be taken back, and its failure is the answer's.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, Final, cast

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import Event, Failed, ResponseEvent

from .model import Model, ModelRequest

log: logging.Logger = logging.getLogger("antiphon.models")

_HOPELESS: Final = frozenset({400, 413, 422})
"""What a server says of a request that no other would take either."""


class Fallback:
    """Several models under one name.

    Args:
        models: In the order in which they are asked.
        name: The name under which requests find it; the first model's by default.

    Raises:
        ConfigurationError: There are fewer than two.
    """

    def __init__(self, *models: Model, name: str | None = None) -> None:
        if len(models) < 2:
            raise ConfigurationError(f"Fallback: expected two models or more, got {len(models)}")
        self._models: Sequence[Model] = models
        self._name = models[0].name if name is None else name

    def __repr__(self) -> str:
        return f"Fallback({', '.join(model.name for model in self._models)})"

    @property
    def name(self) -> str:
        """The name under which a request finds this model."""
        return self._name

    @property
    def native(self) -> frozenset[str]:
        """The tool types that every one of them runs itself."""
        owned = [frozenset(getattr(model, "native", ())) for model in self._models]
        return owned[0].intersection(*owned[1:])

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Ask one after the other, until one speaks.

        Raises:
            ModelError: The last one failed, or one did that had begun to speak; or the request
                is at fault (400, 413, 422), so that none would take it.
        """
        last = len(self._models) - 1
        for position, model in enumerate(self._models):
            asked = request if position == 0 else replace(request, memo={})
            spoke = False
            try:
                async with aclosing(cast("Any", model.stream(asked))) as events:
                    async for event in cast("AsyncIterator[Event]", events):
                        if not spoke and position < last and isinstance(event, Failed):
                            fault = event.response.error
                            raise ModelError(fault.message if fault else "it did not say why")
                        spoke = spoke or not isinstance(event, ResponseEvent)
                        yield event
                return
            except ModelError as error:
                if spoke or position == last or error.status in _HOPELESS:
                    raise
                log.warning("%s failed, %s is asked: %s", model.name, self._name, error.message)

    async def aclose(self) -> None:
        """Close all of them; one that cannot be closed stops no other."""
        async with AsyncExitStack() as still_open:
            for model in self._models:
                still_open.push_async_callback(model.aclose)
