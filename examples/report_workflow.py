"""A report as one request: search, compute, sum up with sources, draft a mail that waits for you.

python examples/report_workflow.py                 a script plays the models; --yes asks nobody
python examples/report_workflow.py --model ollama:qwen3     after `antiphon sandbox build`

The `openai` client sends it to a Provider on this machine, and watches; your yes is a second one.
"""

import argparse
import socket
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from openai import OpenAI

from antiphon.agents import Agent, Result, run, workflow
from antiphon.errors import SandboxUnavailable
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.sandboxes import DockerSandboxes, LocalSandboxes, Sandboxes, find_image
from antiphon.tools import CodeInterpreter, FileSearch, tool

FILES = sorted(Path(__file__).with_name("data").iterdir())
CODE = """\
import csv
for row in csv.DictReader(open("returns.csv")):
    orders, returned = int(row["orders"]), int(row["returned"])
    print(f"{row['month']}: {returned / orders:.1%}, {6.5 * returned:.2f} euros")
"""
ANSWER = "The box is thinner,[cite:1] so 7% come back, not 3%: 200 euros a month, not 80.[cite:2]"
MAIL = "The box is thinner, so 7% come back: 200 euros a month.\n\nSources: packing.md, costs.md"


@tool(needs_approval=True)
def write_draft(to: str, subject: str, body: str) -> str:
    """Write the draft of an e-mail to a file, for a person to send."""
    path = Path(tempfile.mkdtemp(prefix="antiphon-")) / "draft.txt"
    path.write_text(f"To: {to}\nSubject: {subject}\n\n{body}\n", "utf-8")
    return f"The draft is in {path}"


def build(sandboxes: Sandboxes, model: str | None) -> Provider:
    """Four agents, and the workflow that a request calls by its name."""

    def agent(name: str, instructions: str, script: list[Any], *tools: Any) -> Agent[str]:
        speaks = model or ScriptedModel(script, fragment=9)
        return Agent(name=name, model=speaks, instructions=instructions, tools=tools)

    find = FunctionCall("file_search", {"queries": ["a teapot that comes back", "thinner box"]})
    compute = FunctionCall("code_interpreter", {"code": CODE})
    draft = FunctionCall("write_draft", {"to": "me@example.com", "subject": "Box", "body": MAIL})
    interpreter = CodeInterpreter(sandboxes, files=FILES)
    documents = FileSearch(files=FILES, quotes=True)  # what one agent finds, another may cite
    librarian = agent("librarian", "You search the shop's documents.", [find, "Found."], documents)
    analyst = agent("analyst", "You compute with files.", [compute, "Computed."], interpreter)
    editor = agent("editor", "You write plainly, and cite.", [ANSWER], documents)
    secretary = agent("secretary", "You draft mails.", [draft, "That is all."], write_draft)

    @workflow
    async def report(question: str) -> str:
        found = await run(librarian, question)
        computed = await run(analyst, [*found.items, "Compute what it takes to answer."])
        answer = await run(editor, [*computed.items, "Answer in three sentences."])
        mail = f"Draft a mail to me@example.com. Its last line: Sources: {sources(answer)}"
        return (await run(secretary, [*answer.items, mail])).output

    return Provider(workflows=[report], tools=[interpreter])


def sources(answer: Result[Any]) -> str:
    """The files that an answer cites."""
    said = [part for item in answer.response.output for part in getattr(item, "content", ())]
    notes = [note for part in said for note in getattr(part, "annotations", ())]
    return ", ".join({note.filename: None for note in notes if note.type == "file_citation"})


def place(*, trusted: bool) -> Sandboxes:
    """Where code runs: in a container if there is one; on this machine only if it is trusted."""
    with suppress(SandboxUnavailable):
        if image := anyio.run(find_image):
            return DockerSandboxes(image=image)
    if not trusted:
        sys.exit("no container for a model's code: `antiphon sandbox build`, or --unprotected")
    print("No container: the code runs on this machine, unprotected.")
    return LocalSandboxes()


def show(event: dict[str, Any]) -> None:
    """Print an event; what happens inside a sub-agent comes inside an event of its call."""
    kind, item = event["type"], event.get("item", {})
    if kind == "antiphon:agent_call.event":
        show(event["event"])
    elif kind == "response.output_item.added" and item["type"] != "antiphon:approval_request":
        print(f"\n[{item['type']}]", item.get("agent") or item.get("name") or "")
    elif kind == "response.content_part.done":
        cited = event["part"].get("annotations", ())
        print(*(f"[{one['filename']}, from line {one['antiphon:lines'][0]}]" for one in cited))
    elif kind == "response.output_item.done" and item["type"] == "antiphon:tool_call":
        print(f"{item['arguments']}\n-> {item['output'] or item['error']}")
    elif kind.endswith(("text.delta", "text.done", "code.delta", "code.done", "call.output")):
        print(event.get("delta", "\n"), end="", flush=True)


def ask(client: OpenAI, given: Any, *, yes: bool, last: str | None = None) -> None:
    """Send a request; if anything in it waits for a person, another one with their word."""
    asked: Any = {"model": "report", "input": given, "previous_response_id": last}
    shown: dict[str, Any] = {}
    for event in client.responses.create(**asked, stream=True):
        shown = event.to_dict(warnings=False)
        show(shown)
    if error := shown["response"]["error"]:
        sys.exit(error["message"])
    words: list[Any] = []
    for item in shown["response"]["output"]:
        if item["type"] == "antiphon:approval_request":
            print(f"\n[{item['type']}] {item['name']}\n{item['arguments']}\nApprove? [y/N]")
            word = {"type": "mcp_approval_response", "approval_request_id": item["id"]}
            words.append({**word, "approve": yes or sys.stdin.readline().strip().lower() == "y"})
    if words:
        ask(client, words, yes=yes, last=shown["response"]["id"])


def main() -> None:
    """Serve the workflow on a free port, and ask it."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--model")
    for option in ("--yes", "--unprotected"):
        parser.add_argument(option, action="store_true")
    asked = parser.parse_args()
    sandboxes = place(trusted=asked.unprotected or not asked.model)
    server = uvicorn.Server(uvicorn.Config(build(sandboxes, asked.model), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        threads.submit(server.run, [listening])
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        opted_in = {"OpenResponses-Extensions": "antiphon"}  # to see what happens inside
        client = OpenAI(base_url=url, api_key="none", default_headers=opted_in)
        try:
            ask(client, "Why do more teapots come back, and what does it cost?", yes=asked.yes)
        finally:
            server.should_exit = True  # which gives the sandboxes back


if __name__ == "__main__":
    main()
