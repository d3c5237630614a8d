"""A Responses API with provider-run tools, in front of Ollama's Chat Completions.

python examples/serve_ollama.py                  asks it once; a script plays Ollama's model
python examples/serve_ollama.py --model qwen3    asks it once, with Ollama running
python examples/serve_ollama.py --model qwen3 --port 8000        serves it
"""

import argparse

import anyio
import httpx2
import uvicorn

from antiphon.models import ChatModel, FunctionCall, Model, ScriptedModel, Text
from antiphon.provider import Provider
from antiphon.tools import tool

OLLAMA = "http://localhost:11434/v1"


@tool
async def stock(article: str) -> int:
    """How many of an article are in stock.

    Args:
        article: Its name, in the singular.
    """
    return {"lamp": 7, "chair": 0}.get(article, 0)


def build(model: Model) -> Provider:
    """Every client gets the tool; the provider runs it, and the client sees a receipt."""
    offered = {"type": "mcp", "server_label": "antiphon", "connector_id": "antiphon"}
    return Provider(models=[model], tools=[stock], default_tools=[offered])


async def ask(provider: Provider, name: str) -> None:
    """One request, as any client would send it, and the items that answer it."""
    transport = httpx2.ASGITransport(app=provider)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        body = {"model": name, "input": "Are there lamps in stock?"}
        answer = (await client.post("/v1/responses", json=body, timeout=None)).json()
    if answer["error"]:
        print("failed:", answer["error"]["message"])
    for item in answer["output"]:
        if item["type"] == "message":
            print("message:", item["content"][0]["text"])
        else:
            print(f"{item['type']}:", item.get("name", ""), item.get("arguments", ""), end=" ")
            print("->", item.get("output", ""))
    await provider.aclose()


def main() -> None:
    """Ask it once, or serve it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a model that Ollama has")
    parser.add_argument("--base-url", default=OLLAMA)
    parser.add_argument("--port", type=int, help="serve it here, instead of asking once")
    asked = parser.parse_args()
    model: Model = ScriptedModel(
        [FunctionCall("stock", {"article": "lamp"}), Text("Yes, 7 lamps.")], repeat=True
    )
    if asked.model:
        model = ChatModel(asked.model, base_url=asked.base_url)
    if asked.port:
        uvicorn.run(build(model), port=asked.port)
    else:
        anyio.run(ask, build(model), model.name)


if __name__ == "__main__":
    main()
