"""A provider with its own engine, in ten lines, inside a FastAPI application at /llm.

    python examples/embed_in_fastapi.py              asks it once, without a network
    python examples/embed_in_fastapi.py --model qwen3 --base-url http://localhost:11434/v1
    antiphon serve embed_in_fastapi:app              serves it (in this folder); then
    curl -N localhost:8000/llm/v1/responses -H 'Content-Type: application/json' \\
         -d '{"model": "shout", "input": "hello", "stream": true}'
"""

import argparse
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx2
from fastapi import FastAPI

from antiphon.items import Message
from antiphon.models import ModelRequest, Reasoning, Speech, Text, Upstream, model
from antiphon.provider import Provider


@model("shout")
async def shout(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """An engine of one's own: it yields what it says, as it says it."""
    last = request.items[-1]
    words = last.text.split() if isinstance(last, Message) else []
    yield Reasoning(f"{len(words)} words, to be said louder")
    for word in words:
        yield Text(f"{word.upper()}! ")


def build(provider: Provider) -> FastAPI:
    """An application of one's own, with the provider under /llm."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        yield
        await provider.aclose()  # a mounted application has no lifespan of its own

    app = FastAPI(lifespan=lifespan)
    app.mount("/llm", provider)
    return app


app = build(Provider(models=[shout]))


async def ask(app: FastAPI, name: str) -> None:
    """One streamed request, and the events that answer it."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        body = {"model": name, "input": "items are the only state", "stream": True}
        answer = await client.post("/llm/v1/responses", json=body)
        for line in answer.text.splitlines():
            if line.startswith(("event:", "data: [DONE]")):
                print(line)
        body = {"model": name, "input": "items are the only state"}
        told = (await client.post("/llm/v1/responses", json=body)).json()
        failed = told["error"] and told["error"]["message"]
        print(failed or told["output"][-1]["content"][0]["text"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shout")
    parser.add_argument("--base-url")
    asked = parser.parse_args()
    if asked.base_url:
        app = build(Provider(upstream=Upstream(asked.base_url)))
    anyio.run(ask, app, asked.model)
