"""Every python block in the documentation runs, against real HTTP servers on loopback."""

import inspect
import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from .provider.fates import table
from .serving import serve

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OLLAMA = "http://localhost:11434/v1"
PROVIDER = "http://127.0.0.1:8000"


class Chat(BaseHTTPRequestHandler):
    """A Chat Completions server: calls the first tool once for each question, then answers."""

    def do_POST(self) -> None:
        size = int(self.headers["content-length"])
        asked: dict[str, Any] = json.loads(self.rfile.read(size))
        last = asked["messages"][-1]
        delta: dict[str, Any] = {"content": f"Yes: {last['content']}"}
        if last["role"] == "user" and asked.get("tools"):
            name = asked["tools"][0]["function"]["name"]
            function = {"name": name, "arguments": '{"city":"Oslo"}'}
            delta = {"tool_calls": [{"index": 0, "id": "call_1", "function": function}]}
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the test's output is the test's."""


@contextmanager
def chat_server() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(code: str, names: dict[str, Any]) -> None:
    names.pop("main", None)
    exec(compile(code, "block", "exec"), names)
    main = names.get("main")
    if inspect.iscoroutinefunction(main):
        anyio.run(main)


def promised(code: str) -> list[str]:
    """What the code says that it prints: `# -> words`, behind a line or on one of its own."""
    return re.findall(r"# -> (.*)$", code, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_in_the_documentation_runs_and_prints_what_it_says(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "documentation"}
    with chat_server() as ollama:
        for code in blocks(page):
            code = code.replace(OLLAMA, ollama)
            if PROVIDER in code:
                with serve(names["app"]) as url:
                    run(code.replace(PROVIDER, url), names)
            else:
                run(code, names)
            printed = capsys.readouterr().out.splitlines()
            if promised(code):
                assert printed == promised(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_of_the_documentation_leads_to_a_file(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_the_readme_shows_an_agent_a_provider_and_a_client() -> None:
    text = "\n".join(blocks(ROOT / "README.md"))
    assert all(word in text for word in ("Agent(", "Provider(", "OpenAI(", "@model", "@tool"))


def test_the_readme_tells_the_fate_of_every_request_field_as_the_tests_prove_it() -> None:
    assert table() in (ROOT / "README.md").read_text("utf-8")
