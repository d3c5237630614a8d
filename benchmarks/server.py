"""The process between client and upstream: a Provider, or Starlette that copies chunks.

`python server.py provider|copy httpx2|aiohttp UPSTREAM`: both under the same uvicorn, with the
same client to the upstream. It prints its port, and for each line it is given the CPU seconds
and bytes of memory that it has used. Above: `relay`.
"""

import importlib
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from antiphon.models import ResponsesModel
from antiphon.provider import Provider

CASES = ("burst/2000", "burst/500", "burst/1", "paced/30/10")
"""Paths of the upstream; each is a model of the Provider, and a path of the copier."""


def provider(fast: bool, upstream: str) -> Any:
    """We: one model for each case."""
    models = [
        ResponsesModel(case, base_url=f"{upstream}/{case}/v1", api_key="none", fast=fast)
        for case in CASES
    ]
    return Provider(models=models)


def copy(fast: bool, upstream: str) -> Any:
    """Starlette that reads nothing of what it passes on but the model's name."""
    # The Provider's own client, so that both ask in the very same way; it has no public door.
    clients: Any = importlib.import_module("antiphon.models.clients")
    http: httpx2.AsyncClient = clients.client(fast)
    headers = {"content-type": "application/json", "authorization": "Bearer none"}

    async def relay(request: Request) -> StreamingResponse:
        body = await request.body()
        case = json.loads(body)["model"]
        url = f"{upstream}/{case}/v1/responses"
        asked = http.build_request("POST", url, content=body, headers=headers)
        answer = await http.send(asked, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            media_type="text/event-stream",
            background=BackgroundTask(answer.aclose),
        )

    return Starlette(routes=[Route("/v1/responses", relay, methods=["POST"])])


def _memory() -> int | None:
    """Resident bytes, where the system tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    import resource

    return pages * resource.getpagesize()


def _report() -> None:
    for _ in sys.stdin:
        print(json.dumps({"cpu": time.process_time(), "memory": _memory()}), flush=True)
    os._exit(0)  # whoever asked is gone


def main() -> None:
    """Serve until nobody asks any more."""
    kind, transport, upstream = sys.argv[1:]
    app = (provider if kind == "provider" else copy)(transport == "aiohttp", upstream)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    threading.Thread(target=_report, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, backlog=2048)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
