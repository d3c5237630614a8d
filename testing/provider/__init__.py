"""The conformance kit of providers: is this server an Open Responses provider, rule by rule?

    from antiphon.testing.provider import check_provider

    report = await check_provider("http://localhost:8000/v1", model="qwen3")
    assert report.ok, str(report)

It speaks raw HTTP and WebSocket, needs no client library, and is stricter than the public
compliance suite: the order and the fields of every event, deltas against what they add up to,
tool_choice, errors, tolerance, continuation, cancelling, receipts. Each rule is a sentence with
its source ("spec": the Open Responses specification; "schema": its schema; "wire": what runs of
real clients showed that they need; "openai": the `openai` SDK). A rule is `skipped`, with the
reason, where the provider says that it does not do it, or where its model does not do its part.

`obliging_model` is a model that does its part, for providers that serve models of their own:

    app = Provider(models=[obliging_model])

`antiphon conformance URL` is this kit on the command line. Above: tests of providers. Not here:
tests of antiphon itself.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final, Self, get_args

from antiphon.errors import ConfigurationError

from .background import background
from .bench import AS_CLIENT, Bench, Check as Check, Dialect as Dialect, Theme
from .containers import containers
from .crowd import crowd
from .dialect import dialects
from .endpoints import endpoints
from .errors import errors
from .hosted import hosted
from .items import items
from .line import Line
from .memory import memory
from .model import obliging_model as obliging_model
from .report import (
    Broken,
    Report as Report,
    Result as Result,
    Skipped,
    Verdict as Verdict,
    safe,
)
from .response import response
from .schema import schema_theme
from .sse import objects
from .stream import stream
from .tolerance import tolerance
from .tools import tools
from .websocket import websockets

SECONDS: Final = 60.0
"""How long one answer may take, whole, unless said otherwise."""

_THEMES: Final[Sequence[Theme]] = (
    response,
    stream,
    items,
    tools,
    errors,
    tolerance,
    memory,
    background,
    dialects,
    endpoints,
    hosted,
    containers,
    crowd,
    websockets,
)

CHECKS: Final[Sequence[Check]] = [check for theme in _THEMES for check in theme.checks]
"""Every rule, in the order in which they are tried; those of a schema file come after them."""


class Examination:
    """The rules, tried on one provider one after another. Use it as a context manager.

    Args:
        base_url: Such as `http://localhost:8000/v1`; `/v1` is added where there is no path.
        model: The model to ask; by default the first that the server lists.
        api_key: Sent to this server as a bearer token; never part of a result.
        dialect: As whose client to speak; by default nothing is said about it.
        only: Words: a rule is tried if its name or its theme contains one of them.
        websocket: Whether WebSockets are tried.
        seconds: How long one answer may take, whole.
        schema: The openapi.json of Open Responses: answers and events are validated against it,
            too (needs the `jsonschema` library).

    Attributes:
        checks: The rules that are tried.

    Raises:
        ConfigurationError: The URL is none, no rule has such a word, or the schema cannot be read.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        dialect: Dialect | None = None,
        only: Sequence[str] = (),
        websocket: bool = True,
        seconds: float = SECONDS,
        schema: str | PathLike[str] | None = None,
    ) -> None:
        if dialect is not None and dialect not in get_args(Dialect):
            raise ConfigurationError(
                f"dialect: expected one of {', '.join(get_args(Dialect))}, got {dialect!r}"
            )
        self.checks: list[Check] = chosen(only, schema=schema)
        headers = AS_CLIENT[dialect]
        self._line = Line(base_url, api_key=api_key, headers=headers, seconds=seconds)
        self._bench = Bench(self._line, model=model, dialect=dialect, websocket=websocket)
        self._results: list[Result] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._line.aclose()

    async def results(self) -> AsyncGenerator[Result, None]:
        """Try the rules; each result as it is found."""
        if self._bench.model is None:
            self._bench.model = await _first_model(self._line)
        for check in self.checks:
            result = await check(self._bench)
            self._results.append(result)
            yield result

    @property
    def report(self) -> Report:
        """What was found so far."""
        model = self._bench.model
        shown = None if model is None else self._line.clean(safe(model))
        return Report(self._line.clean(self._line.shown), shown, list(self._results))


async def check_provider(
    base_url: str,
    *,
    model: str | None = None,
    api_key: str | None = None,
    dialect: Dialect | None = None,
    only: Sequence[str] = (),
    websocket: bool = True,
    seconds: float = SECONDS,
    schema: str | PathLike[str] | None = None,
) -> Report:
    """Try every rule on a provider; the arguments, and what is raised, are `Examination`'s."""
    async with Examination(
        base_url,
        model=model,
        api_key=api_key,
        dialect=dialect,
        only=only,
        websocket=websocket,
        seconds=seconds,
        schema=schema,
    ) as examination:
        async for _ in examination.results():
            pass
        return examination.report


def chosen(only: Sequence[str] = (), *, schema: str | PathLike[str] | None = None) -> list[Check]:
    """The rules whose name or theme contains one of these words; all, if there are no words.

    Raises:
        ConfigurationError: There is no such rule, or the schema cannot be read.
    """
    more = schema_theme(Path(schema)).checks if schema is not None else []
    words = [word.casefold() for word in only]
    every = [*CHECKS, *more]
    found = [
        check
        for check in every
        if not words or any(word in f"{check.theme} {check.name}".casefold() for word in words)
    ]
    if not found:
        themes = ", ".join(dict.fromkeys(check.theme for check in every))
        raise ConfigurationError(
            f"only: expected words of a rule, got {', '.join(only)}: the themes are {themes}"
        )
    return found


async def _first_model(line: Line) -> str | None:
    """The first model that the server lists, if it does."""
    with suppress(Broken, Skipped):
        rows = objects((await line.ask("GET", "/models")).json.get("data"))
        names = [row.get("id") for row in rows]
        return next((name for name in names if isinstance(name, str) and name), None)
    return None
