"""Names and files that mean harm, made by code or sent by a client: told truly, or not at all."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from antiphon.models import FunctionCall, Text
from antiphon.sandboxes import LocalSandboxes, Sandboxes
from tests.sandboxes.docker_kit import docker as docker, docker_sandboxes

from .test_code_files import House, code, run, spans, uploaded

INCLUDE: Any = ["code_interpreter_call.outputs"]

TRAPS = r"""
import os
os.mkfifo('pipe.txt')
os.symlink('/etc/passwd', 'link.txt')
os.mkdir('folder.txt')
open('folder.txt/inner.txt', 'w').close()
with open('sparse.bin', 'wb') as file:
    file.truncate(2**40)
open('two\nlines.txt', 'w').close()
open('\u202etxt.exe', 'w').close()
open('x' * 230 + '.txt', 'w').close()
open('fine.txt', 'w').close()
"""
NAMED = "pipe.txt link.txt folder.txt inner.txt lines.txt exe.txt sparse.bin fine.txt ../fine.txt"


@pytest.fixture(params=["local", "docker"])
def place(request: pytest.FixtureRequest) -> Sandboxes:
    if request.param == "docker":
        request.getfixturevalue("docker")
        return docker_sandboxes()
    return LocalSandboxes(grace=0.5)


@pytest.fixture
def boxed(docker: None) -> Sandboxes:
    return docker_sandboxes()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_still:
        yield open_still


def logs(response: Any, at: int = 0) -> str:
    return "".join(one.logs for one in response.output[at].outputs or () if one.type == "logs")


def test_only_regular_files_of_honest_names_are_told_and_cited(
    place: Sandboxes, stack: ExitStack
) -> None:
    client = House(stack, place, run(TRAPS), Text(NAMED)).client()
    response: Any = client.responses.create(model="m", input="x", tools=code(), include=INCLUDE)
    assert logs(response) == (
        f"[Files written: fine.txt (0 bytes), sparse.bin ({2**40:,} bytes)]\n"
    )
    part = response.output[-1].content[0]
    assert [name for name, _ in spans(part)] == ["sparse.bin", "fine.txt"]
    sparse, fine = part.annotations
    get = client.containers.files.content.retrieve
    assert get(fine.file_id, container_id=fine.container_id).content == b""
    with pytest.raises(openai.APIStatusError, match="bytes") as caught:
        get(sparse.file_id, container_id=sparse.container_id)
    assert caught.value.status_code < 500


def test_a_hundred_thousand_files_leave_the_answer_small_and_the_container_usable(
    boxed: Sandboxes, stack: ExitStack
) -> None:
    many = "for number in range(100_000):\n    open(f'f{number}.txt', 'w').close()"
    cells = (run(many), run("print('still here')"))
    client = House(stack, boxed, *cells, Text("See f1.txt."), fragment=None).client()
    response: Any = client.responses.create(model="m", input="x", tools=code(), include=INCLUDE)
    assert len(logs(response)) < 3_000  # the disk may be full of files before that
    assert "more]" in logs(response)
    assert logs(response, 1).startswith("still here\n")
    assert response.status == "completed"


def test_a_zip_bomb_goes_in_as_it_is(place: Sandboxes, stack: ExitStack) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big", b"\0" * 50_000_000)
    source = "import os; print(os.path.getsize('bomb.zip'), sorted(os.listdir('.')))"
    house = House(stack, place, run(source), "Fine.")
    client = house.client()
    file_id = uploaded(client, "bomb.zip", packed.getvalue())
    response = client.responses.create(model="m", input="x", tools=code(file_id), include=INCLUDE)
    assert logs(response) == f"{len(packed.getvalue())} ['bomb.zip']\n"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\autoexec.bat", "autoexec.bat"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("x" * 250 + ".csv", "x" * 196 + ".csv"),
        ("'; rm -rf *; '.csv", "'; rm -rf _; '.csv"),
    ],
)
def test_the_name_of_an_upload_leads_nowhere_else(stack: ExitStack, given: str, name: str) -> None:
    source = "import os; print(sorted(os.listdir('.')))"
    house = House(stack, LocalSandboxes(grace=0.5), run(source), "Fine.")
    client = house.client()
    file_id = uploaded(client, given, b"x")
    response = client.responses.create(model="m", input="x", tools=code(file_id), include=INCLUDE)
    assert logs(response) == f"{[name]}\n"


def test_an_upload_larger_than_the_disk_of_its_container_fails_the_call(
    boxed: Sandboxes, stack: ExitStack
) -> None:
    fill = run("with open('big.bin', 'wb') as file:\n    while True: file.write(b'x' * 2**20)")
    house = House(stack, boxed, fill, "Full.", run("1"), "It failed.")
    client = house.client()
    first = client.responses.create(model="m", input="x", tools=code(), include=INCLUDE)
    file_id = uploaded(client, "more.bin", b"x" * 2**20)
    response: Any = client.responses.create(
        model="m",
        input="x",
        previous_response_id=first.id,
        tools=code(file_id),
        include=INCLUDE,
    )
    assert (response.status, response.output[0].status) == ("completed", "failed")
    assert "No space left" in logs(response)


def test_what_a_shell_command_is_made_to_write_is_told_alike(
    place: Sandboxes, stack: ExitStack
) -> None:
    trap = FunctionCall("shell", {"commands": ["ln -s /etc/passwd link.txt; mkfifo p; echo > a.b"]})
    client = House(stack, place, trap, Text("link.txt, a.b")).client()
    response: Any = client.responses.create(model="m", input="x", tools=[{"type": "shell"}])
    assert response.output[1].output[0].stderr == "[Files written: a.b (1 bytes)]"
    assert [name for name, _ in spans(response.output[-1].content[0])] == ["a.b"]
