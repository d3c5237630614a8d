"""Embedders: texts as vectors, by any server that has /v1/embeddings.

Above: `library`, `ingest`. Below: httpx2, numpy (an extra's). Not here: what is remembered of them.
Source: OpenAI's API reference, "Embeddings".
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

import anyio
import httpx2

from antiphon.errors import AntiphonError, ConfigurationError

from .engine import Matrix

_ATTEMPTS: Final = 5
_LONGEST_WAIT: Final = 30.0
_RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class EmbedderError(AntiphonError):
    """Texts could not be turned into vectors; the message may be shown to whoever asked."""


class Embedder(Protocol):
    """Turns texts into vectors of length 1."""

    @property
    def model(self) -> str:
        """The name of what makes them; a vector store holds vectors of one model only."""
        ...

    @property
    def window(self) -> int:
        """Tokens that the model reads of a text; longer passages get several vectors."""
        ...

    @property
    def passage_prefix(self) -> str:
        """What stands before every passage; part of what a vector is remembered by."""
        ...

    async def passages(self, texts: Sequence[str]) -> Matrix:
        """A float32 row for each text that is to be found.

        Raises:
            EmbedderError: It cannot be done now.
        """
        ...

    async def query(self, text: str) -> Matrix:
        """The vector of what is looked for.

        Raises:
            EmbedderError: It cannot be done now.
        """
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...


class HttpEmbedder:
    """Asks an OpenAI-compatible server.

    Args:
        model: The model's name there.
        base_url: Up to `/v1`, such as http://localhost:11434/v1.
        api_key: Sent as a bearer token.
        window: Tokens that the model reads of a text.
        batch: Texts of one call; halved where the server answers 413.
        dimensions: Numbers to ask for, where the model can give fewer than it has.
        passage_prefix: What the model wants before passages, such as `passage: `.
        query_prefix: What it wants before queries, such as `query: `.
        timeout: Seconds that one call may take.
        headers: More headers of every call.

    Raises:
        ConfigurationError: numpy is not installed, or a number is not above 0.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str | None = None,
        window: int = 512,
        batch: int = 64,
        dimensions: int | None = None,
        passage_prefix: str = "",
        query_prefix: str = "",
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        need_numpy()
        for name, number in (("window", window), ("batch", batch), ("timeout", timeout)):
            if not 0 < number < math.inf:
                raise ConfigurationError(f"{name}: expected a number above 0, got {number!r}")
        self._name = model
        self._window = window
        self._batch = batch
        self._dimensions = dimensions
        self._passage_prefix = passage_prefix
        self._query_prefix = query_prefix
        self._url = f"{base_url.rstrip('/')}/embeddings"
        own = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx2.AsyncClient(timeout=timeout, headers={**own, **(headers or {})})
        self._width: int | None = None

    @property
    def model(self) -> str:
        """The model's name; with the number of dimensions, where one is asked for."""
        return f"{self._name}@{self._dimensions}" if self._dimensions else self._name

    @property
    def window(self) -> int:
        """Tokens that the model reads of a text."""
        return self._window

    @property
    def passage_prefix(self) -> str:
        """What stands before every passage."""
        return self._passage_prefix

    async def passages(self, texts: Sequence[str]) -> Matrix:
        """A row for each text."""
        import numpy as np

        rows: list[Any] = []
        at = 0
        while at < len(texts):
            some = texts[at : at + self._batch]
            told = await self._ask([f"{self._passage_prefix}{text}" for text in some])
            if told is None:
                self._batch = max(1, len(some) // 2)  # stays so: the server's limit does, too
                continue
            rows.append(told)
            at += len(some)
        return np.concatenate(rows) if rows else np.zeros((0, self._width or 1), np.float32)

    async def query(self, text: str) -> Matrix:
        """The vector of a query."""
        told = await self._ask([f"{self._query_prefix}{text}"])
        assert told is not None
        return told[0]

    async def _ask(self, texts: list[str]) -> Matrix | None:
        """Their vectors; None where they are too many at once."""
        body: dict[str, Any] = {"model": self._name, "input": texts, "encoding_format": "float"}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        for attempt in range(1, _ATTEMPTS + 1):
            wait = min(2.0 ** (attempt - 2), _LONGEST_WAIT)
            try:
                answer = await self._client.post(self._url, json=body)
            except httpx2.TransportError as error:
                said = f"the embedding server cannot be reached ({type(error).__name__})"
            else:
                if answer.status_code == 413 and len(texts) > 1:
                    return None
                if answer.is_success:
                    return self._read(answer, len(texts))
                said = f"the embedding server answered {answer.status_code}"
                if answer.status_code not in _RETRIED:
                    raise EmbedderError(f"{said}: look at its log, and at the model's name")
                wait = _after(answer.headers.get("retry-after", ""), wait)
            if attempt == _ATTEMPTS or wait > _LONGEST_WAIT:
                raise EmbedderError(f"{said}: try again later")
            await anyio.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _read(self, answer: httpx2.Response, number: int) -> Matrix:
        """The vectors of an answer, in the order of the texts, each made 1 long."""
        import numpy as np

        try:
            data = cast("list[dict[str, Any]]", answer.json()["data"])
            by_place = {each.get("index", at): each["embedding"] for at, each in enumerate(data)}
            rows = np.asarray([by_place[at] for at in range(number)], np.float32)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EmbedderError(
                f"expected {number} embeddings as OpenAI's API has them, got something else"
                f" ({type(error).__name__}: {str(error)[:100]})"
            ) from error
        if rows.ndim != 2 or not rows.shape[1] or not np.isfinite(rows).all():
            raise EmbedderError("expected vectors of finite numbers from the embedding server")
        if self._width not in (None, rows.shape[1]):
            raise EmbedderError(
                f"expected vectors of {self._width} numbers, as before, got {rows.shape[1]}"
            )
        self._width = int(rows.shape[1])
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.maximum(lengths, 1e-12)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _after(said: str, otherwise: float) -> float:
    """The seconds of a Retry-After; `otherwise` where it says none."""
    try:
        seconds = float(said)
    except ValueError:
        return otherwise
    return seconds if 0 <= seconds < math.inf else otherwise


def need_numpy() -> None:
    """Refuse to go on without numpy.

    Raises:
        ConfigurationError: It is not installed.
    """
    from importlib.util import find_spec

    if find_spec("numpy") is None:
        raise ConfigurationError("vectors need numpy: pip install 'antiphon[search]'")
