"""The vector stores of a served Provider, or of any server that has OpenAI's endpoints of them.

Above: `files`. Below: httpx2. Source: OpenAI's API reference, "Files" and "Vector stores".
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import anyio
import httpx2

from antiphon.errors import AntiphonError

from .endpoint import shown
from .files_shelf import Attributes, Hit, Kept, Refused, Status, Store, place_of
from .files_tree import Found

_ATTEMPTS: Final = 5
_LONGEST_WAIT: Final = 30.0
_AGAIN: Final = frozenset({429, 502, 503, 504})
_REFUSED: Final = frozenset({400, 413, 415, 422})


class WireShelf:
    """The stores at an address.

    Args:
        url: Up to /v1.
        api_key: Sent as a bearer token.
        timeout: Seconds that an answer may take.
    """

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 120.0) -> None:
        self._url = url.rstrip("/")
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx2.AsyncClient(timeout=timeout, headers=headers)
        self._reached = False

    @property
    def where(self) -> str:
        """Its address."""
        return shown(self._url)

    async def stores(self) -> list[Store]:
        """All stores, the newest first."""
        return [_store(each) async for each in self._all("/vector_stores")]

    async def store(self, store_id: str) -> Store:
        """A store as it is now."""
        return _store(await self._ask("GET", f"/vector_stores/{store_id}"))

    async def check(self, store: Store) -> None:
        """The server has what it needs."""

    async def make(self, name: str) -> Store:
        """A new store."""
        return _store(await self._ask("POST", "/vector_stores", json={"name": name}))

    async def kept(self, store_id: str, status: Status | None = None) -> AsyncIterator[Kept]:
        """The files of a store."""
        wanted = {} if status is None else {"filter": status}
        async for each in self._all(f"/vector_stores/{store_id}/files", wanted):
            fault = each.get("last_error")
            yield Kept(
                each["id"],
                each["status"],
                each.get("attributes") or {},
                None if fault is None else (fault["code"], fault["message"]),
            )

    async def put(self, found: Found, data: bytes) -> str:
        """Upload a file."""
        name = found.name.rpartition("/")[2]
        form: Any = {"data": {"purpose": "user_data"}, "files": {"file": (name, data)}}
        return (await self._ask("POST", "/files", **form))["id"]

    async def attach(self, store_id: str, files: Sequence[tuple[str, Attributes]]) -> None:
        """Have uploads read."""
        body = {"files": [{"file_id": each, "attributes": dict(told)} for each, told in files]}
        await self._ask("POST", f"/vector_stores/{store_id}/file_batches", json=body)

    async def expect(self, file_id: str, found: Found) -> bool:
        """Whether an upload is still there."""
        return await self._ask("GET", f"/files/{file_id}", absent=None) is not None

    async def describe(self, store_id: str, file_id: str, attributes: Attributes) -> None:
        """Other attributes."""
        body = {"attributes": dict(attributes)}
        await self._ask("POST", f"/vector_stores/{store_id}/files/{file_id}", json=body)

    async def remove(self, store_id: str, file_id: str) -> None:
        """Take a file out of its store, then delete the upload."""
        path = f"/vector_stores/{store_id}/files/{file_id}"
        for each in (path, f"/files/{file_id}"):
            await self._ask("DELETE", each, absent=None)

    async def search(self, store_id: str, query: str, limit: int) -> list[Hit]:
        """The passages that answer best."""
        body = {"query": query, "max_num_results": limit}
        told = await self._ask("POST", f"/vector_stores/{store_id}/search", json=body)
        return [_hit(each) for each in told["data"]]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _all(self, path: str, wanted: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
        """A list, page by page."""
        query: dict[str, str] = {"limit": "100", **(wanted or {})}
        while True:
            told = await self._ask("GET", path, params=query)
            for each in told["data"]:
                yield each
            if not told["has_more"] or not told["data"]:
                return
            query["after"] = told["data"][-1]["id"]

    async def _ask(self, method: str, path: str, *, absent: Any = ..., **sent: Any) -> Any:
        """What the server says; `absent`, if that is given, where it says 404.

        Raises:
            Refused: It does not take what was sent.
            AntiphonError: It cannot be reached, or says that it cannot be done.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            wait = 2.0 ** (attempt - 2)
            try:
                answer = await self._client.request(method, f"{self._url}{path}", **sent)
            except httpx2.TransportError as error:
                said = f"{self.where} cannot be reached ({type(error).__name__})"
                if not self._reached:
                    raise AntiphonError(f"{said}: is it the address, up to /v1?") from error
                if not isinstance(error, httpx2.ConnectError) and method == "POST":
                    raise AntiphonError(f"{said}: run the same command to go on") from error
            else:
                self._reached = True
                if answer.status_code == 404 and absent is not ...:
                    return absent
                if answer.is_success:
                    return _json(answer, self.where)
                said = f"{self.where} answered {answer.status_code}: {_words(answer)}"
                if answer.status_code in _REFUSED:
                    raise Refused(_words(answer))
                if answer.status_code == 404 and path == "/vector_stores":
                    said += ": is it the address, up to /v1, of a Provider that has a FileSearch?"
                if answer.status_code not in _AGAIN:
                    raise AntiphonError(said)
                wait = _after(answer, wait)
            if attempt == _ATTEMPTS or wait > _LONGEST_WAIT:
                raise AntiphonError(f"{said}: run the same command later to go on")
            await anyio.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")


def _json(answer: httpx2.Response, where: str) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise AntiphonError(
            f"expected JSON from {where}, got something else: is it the address up to /v1?"
        ) from error


def _words(answer: httpx2.Response) -> str:
    """Why it is an error, as the server has it."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase or "it did not say why"


def _after(answer: httpx2.Response, otherwise: float) -> float:
    """The seconds that the server asks to wait."""
    try:
        return max(0.0, float(answer.headers.get("retry-after", "")))
    except ValueError:
        return otherwise


def _store(told: Any) -> Store:
    counts = told["file_counts"]
    return Store(
        id=told["id"],
        name=told.get("name") or "",
        reading=counts["in_progress"],
        files=counts["total"],
        failed=counts["failed"],
        size=told.get("usage_bytes") or 0,
        model=told.get("antiphon:embedding_model"),
    )


def _hit(told: Any) -> Hit:
    parts: list[dict[str, Any]] = told["content"]
    part = parts[0] if parts else {}
    attributes: dict[str, Any] = told.get("attributes") or {}
    return Hit(
        name=str(attributes.get("path") or told["filename"]),
        place=place_of(part.get("antiphon:pages"), part.get("antiphon:lines")),
        heading=part.get("antiphon:heading") or "",
        score=told["score"],
        text=part.get("text", ""),
        file_id=told["file_id"],
    )
