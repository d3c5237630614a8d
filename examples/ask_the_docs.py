"""Ask a tree of documents: this project's own, and what Python's library says of itself.

python examples/ask_the_docs.py                   a few lines play the model; all else is real
python examples/ask_the_docs.py --model ollama:qwen3 "How do I pause a coroutine?"
python examples/ask_the_docs.py --folder ~/notes "What did we decide about boats?"

The `openai` client sends the files to a Provider on this machine, and asks; answers cite file and
lines. (`antiphon files add FOLDER` does what `index` does here, and again only for what changed.)
"""

import argparse
import importlib
import inspect
import json
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from openai import OpenAI
from rich.progress import Progress

from antiphon.items import FunctionCallOutput
from antiphon.models import FunctionCall, ModelRequest, Text, model, resolve
from antiphon.provider import Provider
from antiphon.tools import FileSearch, search as kept

HERE = Path(__file__).resolve().parent.parent
MODULES = "argparse asyncio csv json logging pathlib random re shutil sqlite3 statistics tempfile"
SIZES: Any = {"max_chunk_size_tokens": 150, "chunk_overlap_tokens": 0}  # about one function
QUESTIONS = ["How do I wait for a coroutine with a timeout?", "When must a person approve a call?"]


@model("librarian")
async def librarian(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Plays the model: it searches for the question, and answers with the best passage."""
    last = request.items[-1]
    if not isinstance(last, FunctionCallOutput):
        yield FunctionCall("file_search", {"queries": [getattr(last, "text", "")]})
        return
    best = (json.loads(str(last.output)) or [{"text": "Nothing here answers that.", "cite": ""}])[0]
    lines = [line for line in best["text"].splitlines() if line[:1].isalpha()]
    yield Text(f"{' '.join(lines)[:200]} ... {best['cite']}")


def write_docstrings(folder: Path) -> None:
    """A Markdown file for each of some modules of Python's library: what its functions say."""
    for name in MODULES.split():
        module = importlib.import_module(name)
        told = [f"# {name}\n\n{inspect.getdoc(module) or ''}\n"]
        for key, value in sorted(vars(module).items()):
            said = inspect.getdoc(value) if callable(value) and key[0] != "_" else None
            if said:
                told.append(f"## {name}.{key}\n\n{said}\n")
        (folder / f"{name}.md").write_text("\n".join(told), "utf-8")


def index(client: OpenAI, folders: list[Path]) -> str:
    """Send the files of some folders into a new vector store; bars show how far it has come."""
    paths = [path for folder in folders for _, path in kept.walk(folder) if path.is_file()]
    store, batches = client.vector_stores.create(name="docs"), client.vector_stores.file_batches
    with Progress() as bar:
        sent, read = (bar.add_task(what, total=len(paths)) for what in ("sending", "reading"))
        ids: list[str] = []
        for path in paths:
            ids.append(client.files.create(file=path, purpose="user_data").id)
            bar.advance(sent)
        for at in range(0, len(ids), 2_000):
            cut: Any = {"type": "static", "static": SIZES}
            batches.create(store.id, file_ids=ids[at : at + 2_000], chunking_strategy=cut)
        while (counts := client.vector_stores.retrieve(store.id).file_counts).in_progress:
            bar.update(read, completed=counts.completed)
            time.sleep(0.1)
        bar.update(read, completed=counts.completed)
    print(f"{counts.completed} files can be searched, {counts.failed} could not be read")
    return store.id


def ask(client: OpenAI, name: str, store_id: str, question: str) -> None:
    """One answer, and where it comes from: each citation has the place and the words."""
    search: Any = {"type": "file_search", "vector_store_ids": [store_id], "antiphon:quotes": True}
    response = client.responses.create(model=name, input=question, tools=[search])
    print(f"\n> {question}\n{response.error.message if response.error else response.output_text}")
    for cited in citations(response):
        kind = "pages" if "antiphon:pages" in cited else "lines"
        first, last = cited.get(f"antiphon:{kind}", (1, 1))
        quote = " ".join(cited["antiphon:quote"].split())
        print(f"  [{cited['filename']}, {kind} {first} to {last}] {quote[:70]} ...")


def citations(response: Any) -> Iterator[dict[str, Any]]:
    """What the answer cites."""
    for item in response.to_dict()["output"]:
        for part in item["content"] if item["type"] == "message" else ():
            yield from part["annotations"]


def main() -> None:
    """Serve on a free port, send the documents, and ask."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    parser.add_argument("--model")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.folder and not asked.folder.is_dir():
        parser.error(f"--folder: expected a folder, got {asked.folder}")
    served = resolve(asked.model) if asked.model else librarian
    app = Provider(models=[served], tools=[FileSearch()])  # FileSearch("docs.db") would keep it
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        threads.submit(server.run, [listening])
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        client = OpenAI(base_url=url, api_key="none")
        try:
            with tempfile.TemporaryDirectory() as folder:
                write_docstrings(Path(folder))
                folders = [asked.folder] if asked.folder else [HERE / "docs", Path(folder)]
                store_id = index(client, folders)
            for question in asked.questions:
                ask(client, served.name, store_id, question)
        finally:
            server.should_exit = True


if __name__ == "__main__":
    main()
