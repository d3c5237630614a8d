"""A web search of one's own: an agent searches, opens a page, and cites both to any client.

python examples/web_researcher.py           a script plays the model; the "web" is data/*.md
python examples/web_researcher.py --model ollama:qwen3
"""

import argparse
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from openai import OpenAI

from antiphon.agents import Agent
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import ToolFailed, WebPage, WebQuery, WebResult, WebSearch

HOST = "https://shop.example/"
PAGES = {HOST + path.stem: path for path in Path(__file__).with_name("data").glob("*.md")}

SCRIPT = [
    FunctionCall("web_search", {"type": "search", "query": "thin box cost of a return"}),
    FunctionCall("web_search", {"type": "open_page", "url": HOST + "costs"}),
    "A return costs 6.50 euros [cite:2]. The box saves 0.20 a piece [cite:1].",
]


async def search(query: WebQuery) -> list[WebResult]:
    """The pages that have most words of a query: this is all that a provider has to bring."""
    words = query.lower().split()
    found = [WebResult(url, path.stem, path.read_text("utf-8")) for url, path in PAGES.items()]
    found.sort(key=lambda one: (-sum(word in one.text.lower() for word in words), one.url))
    return found[: query.limit]


async def open_page(url: str) -> WebPage:
    """A page of this little web. Leave it out, and pages of the real one are opened."""
    if url not in PAGES:
        raise ToolFailed(f"there is no page {url}")
    return WebPage(url, PAGES[url].stem, PAGES[url].read_text("utf-8"))


def ask(client: OpenAI) -> None:
    """One request; every client reads its answer as that of any provider."""
    question = "Is the thin box worth it? Say what a return costs."
    response = client.responses.create(model="researcher", input=question)
    if response.error:
        print(f"failed: {response.error.message}")
    for item in response.output:
        if item.type == "web_search_call":
            print(f"{item.action.type}: {item.status}")
        elif item.type == "message" and item.content[0].type == "output_text":
            print(item.content[0].text)
            for cited in item.content[0].annotations:
                if cited.type == "url_citation":
                    print(f"- {cited.title}: {cited.url}")


def main() -> None:
    """Serve it on a free port, and ask."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--model")
    model = parser.parse_args().model or ScriptedModel(SCRIPT, fragment=7)
    web = WebSearch(search=search, open_page=open_page)
    app = Provider(agents=[Agent(name="researcher", model=model, tools=[web])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        threads.submit(server.run, [listening])
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
            ask(OpenAI(base_url=url, api_key="none"))
        finally:
            server.should_exit = True


if __name__ == "__main__":
    main()
