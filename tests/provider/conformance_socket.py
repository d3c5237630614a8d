"""The reference provider's WebSocket: one response after another, each made over HTTP within."""

import json
from typing import Any, TypeAlias, cast

from starlette.responses import JSONResponse
from starlette.routing import Mount, Router, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from antiphon.items import CreateResponse, opening

from .conformance_reference import Reference, messages
from .serving import events_of

Json: TypeAlias = dict[str, Any]


def _error(status: int, code: str, message: str) -> Json:
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return {"type": "error", "status": status, "error": error}


_LOST = _error(400, "previous_response_not_found", "there is no such response")


class _Talk:
    """One connection and what it remembers."""

    def __init__(self, reference: Reference, socket: WebSocket) -> None:
        self._reference = reference
        self._socket = socket
        self._kept: dict[str, list[Json]] = {}

    async def run(self) -> None:
        while True:
            try:
                text = await self._socket.receive_text()
            except WebSocketDisconnect:
                return
            for event in await self._answer(text):
                await self._socket.send_text(json.dumps(event))

    async def _answer(self, text: str) -> list[Json]:
        try:
            body: Any = json.loads(text)
        except ValueError:
            return [_error(400, "invalid_json", "expected JSON")]
        asked: Json = {**cast("Json", body), "stream": True} if isinstance(body, dict) else {}
        if asked.get("type") != "response.create":
            return [_error(400, "invalid_type", "expected response.create")]
        before = asked.get("previous_response_id")
        opened = self._reference.opened(asked.get("input"))
        given = [*self._kept.get(before or "", []), *messages(opened, self._reference.name)]
        if before in self._kept:
            asked = {**asked, "input": given}
            del asked["previous_response_id"]
        elif opened != asked.get("input"):
            asked["input"] = opened
        if asked.get("generate") is False:
            return self._warm(asked, given)
        return await self._told(asked, before, given)

    async def _told(self, asked: Json, before: str | None, given: list[Json]) -> list[Json]:
        told = await self._reference.inner.ask(asked, self._socket.headers)
        if told.status_code != 200:
            self._kept.pop(before or "", None)
            if told.status_code == 404 and "previous_response_id" in asked:
                return [_LOST]
            error = told.json()["error"]
            code = error["code"] or "invalid_request"
            return [_error(told.status_code, code, error["message"])]
        events = events_of(told.content)
        for event in events:
            if "response" in event:
                event["response"]["previous_response_id"] = before
        end = events[-1]["response"]
        self._kept[end["id"]] = [*given, *end["output"]]
        return events

    def _warm(self, asked: Json, given: list[Json]) -> list[Json]:
        name = self._reference.name("resp")
        begun = opening(CreateResponse.model_validate(asked), id=name, created_at=1)
        response = begun.model_dump(mode="json")
        self._kept[name] = given
        ended = {**response, "status": "completed", "completed_at": 1}
        kinds = ("response.created", "response.in_progress", "response.completed")
        told = (response, response, ended)
        return [
            {"type": kind, "sequence_number": at, "response": each}
            for at, (kind, each) in enumerate(zip(kinds, told, strict=True))
        ]


def with_socket(reference: Reference) -> ASGIApp:
    """The reference provider, spoken to over WebSocket, too."""

    async def endpoint(socket: WebSocket) -> None:
        allowed = await reference.inner.ask(b"", socket.headers)
        if allowed.status_code == 401:
            await socket.send_denial_response(JSONResponse(allowed.json(), 401))
            return
        await socket.accept()
        await _Talk(reference, socket).run()

    return Router([WebSocketRoute("/v1/responses", endpoint), Mount("/", reference)])
