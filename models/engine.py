"""`@model`: an engine of one's own, written as an asynchronous generator of pieces.

Above: `agents` and `provider`, which see a Model like any other. Below: `voice`. Not here: any
network.
"""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeAlias

from antiphon.errors import ConfigurationError
from antiphon.items import Event

from .model import ModelRequest
from .speech import Speech
from .voice import tell
from .writer import Writer

EngineFunction: TypeAlias = Callable[[ModelRequest], AsyncGenerator[Speech, None]]
"""What `@model` decorates."""


class Engine:
    """A Model made of a function. Calling it gives the function's own pieces.

    Args:
        name: The name under which requests find it.
        function: Yields what the model says.
    """

    def __init__(self, name: str, function: EngineFunction) -> None:
        self._name = name
        self._function = function
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __repr__(self) -> str:
        return f"<model {self._name!r}>"

    def __call__(self, request: ModelRequest) -> AsyncGenerator[Speech, None]:
        """The pieces, as the function yields them."""
        return self._function(request)

    @property
    def name(self) -> str:
        """The name under which a request finds this model."""
        return self._name

    def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Ask once; closing the iterator closes the function's generator.

        Raises:
            ModelError: The function raised (`server_error`), or yielded what is no piece
                (`bad_engine`).
        """
        return tell(self._function(request), Writer(request, model=self._name), self._name)

    async def aclose(self) -> None:
        """Nothing is held."""


def model(name: str) -> Callable[[EngineFunction], Engine]:
    """Make a Model of an asynchronous generator function.

    The function takes a `ModelRequest` and yields `Text`, `Reasoning`, `Refusal` and
    `FunctionCall` as the model says them; `Usage`, and `Stop` or `Failure` where it ends early.

    Args:
        name: The name under which requests find the model.

    Raises:
        ConfigurationError: There is no name, or the function is not an asynchronous generator.
    """
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"@model: expected a name for the model; got {_shown(name)}: "
            'write @model("my-engine") above the function'
        )

    def decorate(function: EngineFunction) -> Engine:
        inside = type(function).__call__  # an object may be a function, too
        if not (inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(inside)):
            raise ConfigurationError(
                f"@model({name!r}): expected an `async def` function that yields; "
                f"got {_shown(function)}: make it `async def` and `yield Text(...)` in it"
            )
        return Engine(name, function)

    return decorate


def _shown(value: object) -> str:
    if inspect.iscoroutinefunction(value):
        return "an `async def` function that never yields"
    if inspect.isgeneratorfunction(value):
        return "a plain `def` generator"
    if inspect.isfunction(value):
        return "a plain `def` function"
    return repr(value)
