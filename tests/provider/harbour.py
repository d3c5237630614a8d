"""What the tests of containers share: a Provider with a code interpreter, behind a real server.

Its model runs whatever it is told, and says what came.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from antiphon.items import FunctionCallOutput, Message
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.provider import DiskFiles, Provider
from antiphon.sandboxes import LocalSandboxes, Sandboxes
from antiphon.tools import CodeInterpreter
from tests.sandboxes.docker_kit import docker as docker, docker_sandboxes

from .keeping import KEYS
from .serving import PATIENCE, serve


@model("runner")
async def runner(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Runs the last text as code, and says what it printed."""
    last = request.items[-1]
    if isinstance(last, FunctionCallOutput):
        yield Text(str(last.output))
    elif isinstance(last, Message):
        said = last.content if isinstance(last.content, str) else last.content[0].text  # pyright: ignore[reportAttributeAccessIssue]
        yield FunctionCall("code_interpreter", {"code": said})


class Clock:
    """Seconds, moved by hand; never back."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Harbour:
    """Where it is served."""

    def __init__(self, url: str) -> None:
        self.url = url

    def http(self, key: str = "sk-a") -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {key}"}
        return httpx2.AsyncClient(
            base_url=f"{self.url}/v1", headers=headers, timeout=PATIENCE, trust_env=False
        )

    def client(self, key: str = "sk-a") -> AsyncOpenAI:
        return AsyncOpenAI(
            api_key=key,
            base_url=f"{self.url}/v1",
            max_retries=0,
            http_client=httpx2.AsyncClient(timeout=PATIENCE, trust_env=False),
        )


def provider_of(folder: Path, sandboxes: Sandboxes, **options: Any) -> Provider:
    """A Provider whose code interpreter runs code there."""
    options.setdefault("api_keys", KEYS)
    options.setdefault("files", DiskFiles(folder / "files"))
    return Provider(models=[runner], tools=[CodeInterpreter(sandboxes)], **options)


@contextmanager
def harbour_at(folder: Path, sandboxes: Sandboxes, **options: Any) -> Generator[Harbour]:
    """Serve such a Provider; its end closes the sandboxes."""
    with serve(provider_of(folder, sandboxes, **options)) as url:
        yield Harbour(url)


async def run(client: AsyncOpenAI, container_id: str, code: str) -> str:
    """Run code in a container, as a model's; gives what the model then said."""
    response = await client.responses.create(
        model="runner",
        input=code,
        tools=[{"type": "code_interpreter", "container": container_id}],
    )
    assert response.status == "completed", response
    return response.output_text


async def upload(client: AsyncOpenAI, container_id: str, name: str, data: bytes) -> Any:
    return await client.containers.files.create(container_id, file=(name, data))


async def names(client: AsyncOpenAI, container_id: str) -> list[str]:
    """The files of a container, by their paths, the oldest first."""
    page = await client.containers.files.list(container_id, order="asc", limit=100)
    return sorted([file.path.removeprefix("/mnt/data/") for file in page.data])


async def content(client: AsyncOpenAI, container_id: str, file_id: str) -> bytes:
    answer = await client.containers.files.content.retrieve(file_id, container_id=container_id)
    return answer.content


@pytest.fixture(params=["local", "docker"])
def place(request: pytest.FixtureRequest) -> Sandboxes:
    if request.param == "docker":
        request.getfixturevalue("docker")
        return docker_sandboxes()
    return LocalSandboxes(grace=0.5)


@pytest.fixture
def harbour(tmp_path: Path, place: Sandboxes) -> Iterator[Harbour]:
    with harbour_at(tmp_path, place) as made:
        yield made
