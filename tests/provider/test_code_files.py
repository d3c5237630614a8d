"""Files in and files out, as OpenAI's own client sees them; on this machine and in Docker."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest
from openai import OpenAI

from antiphon.agents import Agent
from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes, Sandboxes
from antiphon.tools import CodeInterpreter, Shell
from tests.sandboxes.docker_kit import docker as docker, docker_sandboxes

from .keeping import KEYS
from .serving import serve

SHEET = """
import csv
rows = list(csv.reader(open('sales.csv')))
with open('total.csv', 'w') as file:
    file.write('total\\n%d\\n' % sum(int(row[1]) for row in rows[1:]))
"""
SALES = b"month,sold\njan,40\nfeb,2\n"
ANSWER = "The sum is 42: [total.csv](sandbox:/mnt/data/total.csv)."


@pytest.fixture(params=["local", "docker"])
def place(request: pytest.FixtureRequest) -> Sandboxes:
    if request.param == "docker":
        request.getfixturevalue("docker")
        return docker_sandboxes()
    return LocalSandboxes(grace=0.5)


@pytest.fixture
def open_still() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class House:
    """A Provider with a script, a code interpreter and a shell, behind a real server."""

    def __init__(self, stack: ExitStack, place: Sandboxes, *turns: Any, **options: Any) -> None:
        fragment = options.pop("fragment", 3)
        self.script = ScriptedModel(turns, name="m", fragment=fragment)
        tools = [CodeInterpreter(place), Shell(place)]
        self._app = Provider(models=[self.script], tools=tools, api_keys=KEYS, **options)
        self._url = stack.enter_context(serve(self._app))

    def client(self, key: str = "sk-a", **headers: str) -> OpenAI:
        return OpenAI(
            api_key=key, base_url=f"{self._url}/v1", max_retries=0, default_headers=headers
        )


def code(*file_ids: str) -> Any:
    container: dict[str, Any] = {"type": "auto"}
    if file_ids:
        container["file_ids"] = list(file_ids)
    return [{"type": "code_interpreter", "container": container}]


def shell(*file_ids: str) -> Any:
    place = {"type": "container_auto", "file_ids": list(file_ids)}
    return [{"type": "shell", "environment": place}]


def uploaded(client: OpenAI, name: str = "sales.csv", data: bytes = SALES) -> str:
    return client.files.create(file=(name, data), purpose="user_data").id


def run(source: str) -> FunctionCall:
    return FunctionCall("code_interpreter", {"code": source})


def spans(part: Any) -> list[tuple[str, str]]:
    return [(one.filename, part.text[one.start_index : one.end_index]) for one in part.annotations]


def test_a_sheet_goes_in_and_its_sum_comes_out_cited_and_downloadable(
    place: Sandboxes, open_still: ExitStack
) -> None:
    house = House(open_still, place, run(SHEET), Text(ANSWER))
    client = house.client()
    asked: Any = {"model": "m", "input": "Sum it.", "tools": code(uploaded(client))}
    events: list[Any] = list(client.responses.create(**asked, stream=True))
    told = [event for event in events if event.type == "response.output_text.annotation.added"]
    response = events[-1].response
    part = response.output[-1].content[0]
    assert spans(part) == [
        ("total.csv", "total.csv"),
        ("total.csv", "sandbox:/mnt/data/total.csv"),
    ]
    assert [event.annotation.model_dump() for event in told] == [
        one.model_dump() for one in part.annotations
    ]
    assert [event.annotation_index for event in told] == [0, 1]
    one = part.annotations[0]
    got = client.containers.files.content.retrieve(one.file_id, container_id=one.container_id)
    assert got.content == b"total\n42\n"
    listed = client.containers.files.list(one.container_id)
    assert {(file.path, file.source) for file in listed} == {
        ("/mnt/data/sales.csv", "user"),
        ("/mnt/data/total.csv", "assistant"),
    }
    words = house.script.requests[0].tools[0].description or ""
    assert words.endswith("\nFiles of the user there: sales.csv.")
    stored = client.responses.retrieve(response.id)
    assert stored.output[-1].model_dump() == response.output[-1].model_dump()


def test_a_plain_answer_is_the_fold_of_the_streamed_one(
    place: Sandboxes, open_still: ExitStack
) -> None:
    house = House(open_still, place, run(SHEET), Text(ANSWER))
    client = house.client()
    response: Any = client.responses.create(model="m", input="Sum.", tools=code(uploaded(client)))
    assert [name for name, _ in spans(response.output[-1].content[0])] == ["total.csv"] * 2


def test_a_later_response_knows_the_files_of_the_earlier_ones(
    place: Sandboxes, open_still: ExitStack
) -> None:
    copied = FunctionCall("shell", {"commands": ["cp total.csv copy.csv", "cat copy.csv"]})
    house = House(
        open_still, place, run(SHEET), "Done.", copied, Text("copy.csv is total.csv, of new.csv")
    )
    client = house.client()
    first = client.responses.create(model="m", input="Sum.", tools=code(uploaded(client)))
    new = uploaded(client, "new.csv", b"x")
    later: Any = client.responses.create(
        model="m", input="Copy.", previous_response_id=first.id, tools=shell(new)
    )
    assert [name for name, _ in spans(later.output[-1].content[0])] == ["copy.csv", "total.csv"]
    output = later.output[1].output
    assert output[0].stderr == "[Files written: copy.csv (9 bytes)]"
    assert (output[1].stdout, output[1].stderr) == ("total\n42\n", "")
    listed = client.containers.files.list(later.output[0].environment.container_id)
    assert len(list(listed)) == 4


def test_a_replay_without_the_store_knows_them_too(place: Sandboxes, open_still: ExitStack) -> None:
    house = House(open_still, place, run(SHEET), "Done.", "See total.csv.")
    client = house.client()
    given: list[Any] = [{"role": "user", "content": "Sum."}]
    asked: Any = {"model": "m", "store": False, "include": ["code_interpreter_call.outputs"]}
    first = client.responses.create(**asked, input=given, tools=code(uploaded(client)))
    replay = [item.model_dump(exclude_none=True) for item in first.output]
    later: Any = client.responses.create(**asked, input=[*given, *replay], tools=code())
    assert spans(later.output[-1].content[0]) == [("total.csv", "total.csv")]
    receipts = [house.script.requests[turn].items[2] for turn in (1, 2)]
    outputs: list[Any] = [getattr(receipt, "output", None) for receipt in receipts]
    assert outputs[0] == outputs[1] == "[Files written: total.csv (9 bytes)]\n"


@pytest.fixture
def near(open_still: ExitStack) -> House:
    """One on this machine, whose model is never asked."""
    return House(open_still, LocalSandboxes())


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        (code("file-none"), "tools[0].container.file_ids[0]"),
        (shell("file-none"), "tools[0].environment.file_ids[0]"),
        (
            [{"type": "antiphon:agent", "name": "a", "model": "m", "tools": code("file-none")}],
            "tools[0].tools[0].container.file_ids[0]",
        ),
    ],
)
@pytest.mark.parametrize("options", [{}, {"stream": True}, {"background": True}])
def test_a_file_that_is_not_there_is_a_404_before_anything_is_created(
    near: House, tools: Any, param: str, options: Any
) -> None:
    client = near.client(**{"openresponses-extensions": "antiphon"})
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="m", input="x", tools=tools, **options)
    error: Any = caught.value
    assert (error.param, error.code) == (param, "file_not_found")
    assert near.script.requests == []


def test_the_file_of_another_principal_is_the_same_404(near: House) -> None:
    file_id = uploaded(near.client("sk-b"))
    with pytest.raises(openai.NotFoundError, match="it was never uploaded"):
        near.client("sk-a").responses.create(model="m", input="x", tools=code(file_id))


def test_an_agent_that_a_client_composes_works_on_its_files(open_still: ExitStack) -> None:
    turns = (FunctionCall("sums", {"input": "go"}), run(SHEET), "total.csv", "Done.")
    house = House(open_still, LocalSandboxes(), *turns)
    client = house.client(**{"openresponses-extensions": "antiphon"})
    inline: Any = [
        {"type": "antiphon:agent", "name": "sums", "model": "m", "instructions": "Sum.",
         "tools": code(uploaded(client))}
    ]  # fmt: skip
    response: Any = client.responses.create(model="m", input="x", tools=inline)
    (call, _) = response.output
    child: Any = call.output if hasattr(call, "output") else call.model_extra["output"]
    annotations = child[-1]["content"][0]["annotations"]
    assert [one["filename"] for one in annotations] == ["total.csv"]


def test_a_background_response_has_its_files_and_citations(open_still: ExitStack) -> None:
    house = House(open_still, LocalSandboxes(), run(SHEET), "See total.csv.")
    client = house.client()
    events: Any = client.responses.create(
        model="m", input="x", tools=code(uploaded(client)), background=True, stream=True
    )
    last: Any = list(events)[-1]
    assert last.type == "response.completed"
    assert spans(last.response.output[-1].content[0]) == [("total.csv", "total.csv")]


def test_a_served_agent_works_on_the_files_of_a_request(open_still: ExitStack) -> None:
    place = LocalSandboxes(grace=0.5)
    analyst = Agent(
        name="analyst",
        model=ScriptedModel([run(SHEET), "See total.csv."]),
        tools=[CodeInterpreter(place)],
    )
    house = House(open_still, place, agents=[analyst])
    client = house.client()
    response: Any = client.responses.create(
        model="analyst", input="Sum.", tools=code(uploaded(client))
    )
    assert spans(response.output[-1].content[0]) == [("total.csv", "total.csv")]
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="analyst", input="Sum.", tools=code("file-none"))
