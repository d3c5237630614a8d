"""`JsonSearch`: a web search behind any HTTP endpoint that answers with JSON.

Above: `WebSearch(search=JsonSearch(...))`. Below: httpx2. Such endpoints differ in where the
query goes and where the results stand; both are said by example.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from antiphon.errors import ConfigurationError, ToolFailed
from antiphon.items import Json

from .query import WebQuery

if TYPE_CHECKING:
    import httpx2

_ANSWER: Final = 8 * 1024 * 1024


class JsonSearch:
    """Searches by one HTTP request; called with a query it gives the results as they came.

    In every text of `params` and `body`, `{query}` stands for the query, `{limit}` for how many
    results are wanted, `{domains}` for the allowed domains, joined by commas, and `{country}`
    for the user's country. A text that is `{limit}` alone becomes a number.

    Args:
        url: The endpoint, such as `https://search.example/search`.
        params: The query string, by example: `{"q": "{query}", "format": "json"}`.
        body: A JSON body, by example; it makes the request a POST.
        headers: Sent with every request, such as a key; never shown to anybody.
        results: Where the list of results stands in the answer: names joined by dots, such as
            `web.results`; empty where the answer is the list.
        timeout: Seconds for one search.
        http_client: One's own `httpx2.AsyncClient`; it stays one's own to close.

    Raises:
        ConfigurationError: Neither `params` nor `body` says where the query goes.
    """

    def __init__(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        results: str = "results",
        timeout: float = 15.0,
        http_client: "httpx2.AsyncClient | None" = None,
    ) -> None:
        if "{query}" not in f"{params}{body}":
            raise ConfigurationError(
                "expected {query} somewhere in params or body, such as "
                f'params={{"q": "{{query}}"}}; got params={params!r}, body={body!r}'
            )
        self._url = url
        self._params = dict(params or {})
        self._body = body
        self._headers = dict(headers or {})
        self._path = [step for step in results.split(".") if step]
        self._timeout = timeout
        self._client = http_client

    def __repr__(self) -> str:
        return f"JsonSearch({self._url!r})"

    async def __call__(self, query: WebQuery) -> list[Any]:
        """The results of one search.

        Raises:
            ToolFailed: The endpoint was not reached, refused, or gave no list there.
        """
        import httpx2

        try:
            if self._client is not None:
                answer = await self._ask(self._client, query)
            else:
                async with httpx2.AsyncClient() as client:
                    answer = await self._ask(client, query)
        except httpx2.HTTPError as error:
            raise ToolFailed(f"the search cannot be reached ({type(error).__name__})") from error
        except ValueError as error:
            raise ToolFailed("the search did not answer with JSON") from error
        for step in self._path:
            answer = cast("Json", answer).get(step) if isinstance(answer, dict) else None
        if not isinstance(answer, list):
            raise ToolFailed(f"the search gave no list at {'.'.join(self._path) or 'its top'}")
        return cast("list[Any]", answer)

    async def _ask(self, client: "httpx2.AsyncClient", query: WebQuery) -> Any:
        answer = await client.request(
            "GET" if self._body is None else "POST",
            self._url,
            params=_filled(self._params, query) or None,
            json=None if self._body is None else _filled(self._body, query),
            headers={"accept": "application/json", **self._headers},
            timeout=self._timeout,
        )
        if answer.status_code >= 400:
            raise ToolFailed(f"the search answered {answer.status_code}")
        if len(answer.content) > _ANSWER:
            raise ToolFailed("the search answered with more than 8 MiB")
        return answer.json()


def _filled(example: Any, query: WebQuery) -> Any:
    """An example with what it stands for."""
    if isinstance(example, str):
        if example == "{limit}":
            return query.limit
        text = example.replace("{limit}", str(query.limit))
        text = text.replace("{domains}", ",".join(query.allowed_domains))
        text = text.replace("{country}", str((query.user_location or {}).get("country") or ""))
        return text.replace("{query}", query)  # last: what the model writes is filled in no more
    if isinstance(example, Mapping):
        given = cast("Mapping[str, Any]", example)
        return {key: _filled(value, query) for key, value in given.items()}
    if isinstance(example, list):
        return [_filled(value, query) for value in cast("list[Any]", example)]
    return example
