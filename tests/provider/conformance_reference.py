"""A provider that offers everything, as plainly as can be, to try the conformance kit on.

Responses are made by a Provider with the kit's own obliging model; what stands here is beside it,
in memory: input items, background, conversations, compaction, tokens, files, and (in
`conformance_socket`) WebSockets. Whole answers only: nothing here is for anybody's use.
"""

import asyncio
import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.items import CreateResponse, opening
from antiphon.provider import Provider
from antiphon.testing.provider import obliging_model
from antiphon.tools import tool

from .serving import events_of

Json: TypeAlias = dict[str, Any]

KEY = "sk-conformance-kit"
FOREVER = "3000"
"""What a background run never comes to the end of."""

_USAGE = {
    "input_tokens": 1,
    "output_tokens": 1,
    "total_tokens": 2,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


@tool
async def moon_phase(day: str) -> str:
    """The phase of the moon.

    Args:
        day: A day.
    """
    return f"full on {day}"


def plain_provider(**options: Any) -> Provider:
    """A Provider whose model does what it is asked."""
    return Provider(models=[obliging_model], tools=[moon_phase], **options)


def refused(message: str, *, status: int = 400, code: str | None = None) -> JSONResponse:
    """An error object."""
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": error}, status)


def messages(given: Any, name: Callable[[], str]) -> list[Json]:
    """An input as items with ids, texts as parts."""
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    made: list[Json] = []
    for item in items:
        whole: Json = {"type": "message", "id": name(), "status": "completed", **item}
        if isinstance(whole.get("content"), str):
            kind = "output_text" if whole.get("role") == "assistant" else "input_text"
            part: Json = {"type": kind, "text": whole["content"]}
            whole["content"] = [part | ({"annotations": []} if kind == "output_text" else {})]
        made.append(whole)
    return made


def frames(events: list[Json]) -> bytes:
    """Events as a stream."""
    told = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return "".join([*told, "data: [DONE]\n\n"]).encode()


@dataclass
class Run:
    """A background run: its response, its events when it has ended, and its task."""

    response: Json
    events: list[Json] = field(default_factory=list[Json])
    task: "asyncio.Task[None] | None" = None


class Inner:
    """Asks the Provider within, whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://localhost", timeout=20
        )

    async def ask(self, body: Any, headers: Mapping[str, str]) -> httpx2.Response:
        """POST /v1/responses."""
        kept = ("authorization", "user-agent", "content-type")
        more = {"content-type": "application/json"}
        more |= {
            name: value
            for name, value in headers.items()
            if name in kept or name.startswith(("openresponses-", "x-stainless-", "openai-"))
        }
        content = body if isinstance(body, bytes) else json.dumps(body)
        return await self._http.post("/v1/responses", content=content, headers=more)


class Reference:
    """The provider, as an ASGI application."""

    def __init__(self, inner: ASGIApp | None = None) -> None:
        app = inner or plain_provider(api_keys={KEY: "kit"})
        self.inner = Inner(app)
        self._numbers = itertools.count()
        self._given: dict[str, list[Json]] = {}
        self._runs: dict[str, Run] = {}
        self._talks: dict[str, Json] = {}
        self._talked: dict[str, list[Json]] = {}
        self._files: dict[str, tuple[Json, bytes]] = {}
        one, items = "/v1/responses/{id}", "/v1/conversations/{id}"
        self._router = Router(
            [
                Route("/v1/responses", self._create, methods=["POST"]),
                Route("/v1/responses/compact", self._compact, methods=["POST"]),
                Route("/v1/responses/input_tokens", self._tokens, methods=["POST"]),
                Route(f"{one}/input_items", self._input_items, methods=["GET"]),
                Route(f"{one}/cancel", self._cancel, methods=["POST"]),
                Route(one, self._again, methods=["GET"]),
                Route("/v1/conversations", self._talk, methods=["POST"]),
                Route(items, self._one_talk, methods=["GET", "POST", "DELETE"]),
                Route(f"{items}/items", self._talk_items, methods=["GET"]),
                Route("/v1/files", self._all_files, methods=["GET", "POST"]),
                Route("/v1/files/{id}", self._one_file, methods=["GET", "DELETE"]),
                Route("/v1/files/{id}/content", self._content, methods=["GET"]),
                Mount("/", app),
            ]
        )
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    def name(self, prefix: str = "msg") -> str:
        """A new id."""
        return f"{prefix}_reference_{next(self._numbers)}"

    # --- responses

    async def _create(self, request: Request) -> Response:
        raw = await request.body()
        try:
            body: Any = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return _passed(await self.inner.ask(raw, request.headers))
        return await self._made(cast("Json", body), raw, request)

    async def _made(self, body: Json, raw: bytes, request: Request) -> Response:
        opened = self.opened(body.get("input"))
        if opened is None:
            return refused("a compaction was not sealed here")
        asked = {**body, "input": opened} if opened != body.get("input") else body
        talk = body.get("conversation")
        if talk is not None:
            return await self._in_talk(asked, talk, request)
        if body.get("background"):
            return await self._begun(asked, request)
        told = await self.inner.ask(raw if asked is body else asked, request.headers)
        if told.status_code == 200:
            end = events_of(told.content)[-1]["response"] if body.get("stream") else told.json()
            self._given[end["id"]] = messages(body.get("input"), self.name)
        return _passed(told)

    def opened(self, given: Any) -> Any:
        """An input with compactions opened; None where one was forged."""
        if not isinstance(given, list):
            return given
        opened: list[Any] = []
        for item in cast("list[Any]", given):
            if not isinstance(item, dict) or cast("Json", item).get("type") != "compaction":
                opened.append(item)
                continue
            mark, _, text = str(cast("Json", item)["encrypted_content"]).partition(".")
            if _mark(text) != mark:
                return None
            opened += json.loads(base64.b64decode(text))
        return opened

    async def _again(self, request: Request) -> Response:
        run = self._runs.get(request.path_params["id"])
        if run is None:
            return _Elsewhere(self._app)
        if request.query_params.get("stream") != "true":
            return JSONResponse(run.response)
        if run.task is not None:
            await asyncio.wait([run.task])
        after = int(request.query_params.get("starting_after", -1))
        return Response(frames(run.events[after + 1 :]), media_type="text/event-stream")

    async def _input_items(self, request: Request) -> Response:
        given = self._given.get(request.path_params["id"])
        return refused("no such response", status=404) if given is None else _page(given, request)

    # --- background

    async def _begun(self, body: Json, request: Request) -> Response:
        if body.get("store") is False:
            return refused("background needs store")
        asked = CreateResponse.model_validate({**body, "stream": None})
        begun = opening(asked, id=self.name("resp"), created_at=1, model="obliging")
        run = Run({**begun.model_dump(mode="json"), "status": "queued"})
        self._runs[run.response["id"]] = run
        queued = dict(run.response)
        run.task = asyncio.create_task(self._ran(run, body, dict(request.headers)))
        if not body.get("stream"):
            return JSONResponse(queued)
        await run.task
        return Response(frames(run.events), media_type="text/event-stream")

    async def _ran(self, run: Run, body: Json, headers: Json) -> None:
        if FOREVER in json.dumps(body["input"]):
            await asyncio.Event().wait()
        asked = {**body, "background": False, "stream": True}
        told = await self.inner.ask(asked, headers)
        run.events = events_of(told.content)
        for event in run.events:
            if "response" in event:
                event["response"] |= {"id": run.response["id"], "background": True}
        run.response.update(run.events[-1]["response"])

    async def _cancel(self, request: Request) -> Response:
        name = request.path_params["id"]
        run = self._runs.get(name)
        if run is None:
            known = name in self._given
            return refused("not in the background", status=400 if known else 404)
        if run.response["status"] in ("queued", "in_progress"):
            assert run.task is not None
            run.task.cancel()
            run.response |= {"status": "cancelled", "incomplete_details": {"reason": "cancelled"}}
        return JSONResponse(run.response)

    # --- beside them

    async def _tokens(self, request: Request) -> Response:
        count = len(await request.body()) // 4
        return JSONResponse({"object": "response.input_tokens", "input_tokens": count})

    async def _compact(self, request: Request) -> Response:
        body = await request.json()
        if "model" not in body:
            return refused("model: expected a name, got none")
        text = base64.b64encode(json.dumps(messages(body["input"], self.name)).encode()).decode()
        sealed = {
            "type": "compaction",
            "id": self.name("cmp"),
            "encrypted_content": f"{_mark(text)}.{text}",
        }
        return JSONResponse(
            {
                "id": self.name("resp"),
                "object": "response.compaction",
                "created_at": 1,
                "output": [sealed],
                "usage": _USAGE,
            }
        )

    async def _talk(self, request: Request) -> Response:
        body = await request.json()
        name = self.name("conv")
        self._talked[name] = messages(body.get("items"), self.name)
        self._talks[name] = {
            "id": name,
            "object": "conversation",
            "created_at": 1,
            "metadata": body.get("metadata", {}),
        }
        return JSONResponse(self._talks[name])

    async def _one_talk(self, request: Request) -> Response:
        talk = self._talks.get(request.path_params["id"])
        if talk is None:
            return refused("no such conversation", status=404)
        if request.method == "DELETE":
            del self._talks[talk["id"]]
            gone = {"id": talk["id"], "object": "conversation.deleted", "deleted": True}
            return JSONResponse(gone)
        if request.method == "POST":
            talk["metadata"] = (await request.json())["metadata"]
        return JSONResponse(talk)

    async def _talk_items(self, request: Request) -> Response:
        return _page(self._talked[request.path_params["id"]], request)

    async def _in_talk(self, body: Json, talk: Any, request: Request) -> Response:
        name = str(cast("Json", talk)["id"] if isinstance(talk, dict) else talk)
        if name not in self._talks:
            return refused("no such conversation", status=404)
        if body.get("previous_response_id"):
            return refused("conversation and previous_response_id: expected one of them")
        new = messages(body.get("input"), self.name)
        asked = {**body, "input": [*self._talked[name], *new]}
        del asked["conversation"]
        told = await self.inner.ask(asked, request.headers)
        response: Json = {**told.json(), "conversation": {"id": name}}
        self._talked[name] += [*new, *response["output"]]
        return JSONResponse(response)

    async def _all_files(self, request: Request) -> Response:
        if request.method == "GET":
            return _list([row for row, _ in self._files.values()])
        async with request.form() as form:
            upload: Any = form["file"]
            content = await upload.read()
            row: Json = {
                "id": self.name("file"),
                "object": "file",
                "bytes": len(content),
                "created_at": 1,
                "filename": upload.filename,
                "purpose": form["purpose"],
            }
        self._files[row["id"]] = (row, content)
        return JSONResponse(row)

    async def _one_file(self, request: Request) -> Response:
        name = request.path_params["id"]
        if name not in self._files:
            return refused("no such file", status=404)
        row, _ = self._files[name]
        if request.method == "DELETE":
            del self._files[name]
            return JSONResponse({"id": name, "object": "file", "deleted": True})
        return JSONResponse(row)

    async def _content(self, request: Request) -> Response:
        return Response(self._files[request.path_params["id"]][1])


class _Elsewhere(Response):
    """An answer that another application gives."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _passed(told: httpx2.Response) -> Response:
    kept = {
        name: value
        for name, value in told.headers.items()
        if name in ("content-type", "x-request-id", "www-authenticate")
    }
    return Response(told.content, told.status_code, kept)


def _mark(text: str) -> str:
    return hashlib.sha256(f"a secret {text}".encode()).hexdigest()


def _list(rows: list[Json], *, more: bool = False) -> Response:
    ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {}
    return JSONResponse({"object": "list", "data": rows, "has_more": more, **ends})


def _page(rows: list[Json], request: Request) -> Response:
    query = request.query_params
    rows = rows if query.get("order") == "asc" else rows[::-1]
    after, limit = query.get("after"), int(query.get("limit", 20))
    names = [row["id"] for row in rows]
    start = names.index(after) + 1 if after else 0
    page = rows[start : start + limit]
    return _list(page, more=start + limit < len(rows))
