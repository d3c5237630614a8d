"""Files that code has written are cited where the answer names them, while it streams."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from antiphon.agents import Agent, run, workflow
from antiphon.items import (
    AgentCall,
    AnnotationAdded,
    CodeInterpreterCall,
    CodeInterpreterTool,
    ContainerFileCitation,
    Event,
    Item,
    Message,
    OutputText,
    PartDone,
    TextDelta,
    TextDone,
)
from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, Scope, Shell, WebResult, WebSearch

from .kit import asked, end_of, play

pytestmark = pytest.mark.anyio

CODE = {"type": "code_interpreter"}
LINK = "sandbox:/mnt/data/"


@pytest.fixture
async def sandboxes() -> AsyncGenerator[LocalSandboxes]:
    async with LocalSandboxes() as found:
        yield found


def wrote(*names: str, text: str = "x") -> FunctionCall:
    """A cell that writes these files."""
    lines = [f"open({name!r}, 'w').write({text!r})" for name in names]
    return FunctionCall("code_interpreter", {"code": "; ".join([*lines, "None"])})


async def said(sandboxes: LocalSandboxes, *turns: Any, **how: Any) -> list[Event]:
    """The events of a run with a code interpreter, a shell and a web search."""
    model = ScriptedModel([*turns], fragment=how.pop("fragment", None))
    tools = [CodeInterpreter(sandboxes), Shell(sandboxes)]
    return await play(asked(tools=how.pop("tools", [CODE])), model, tools, **how)


def part_of(events: list[Event]) -> OutputText:
    """The answer's text, which every event of it tells alike."""
    message = end_of(events).output[-1]
    assert isinstance(message, Message) and isinstance(message.content[0], OutputText)
    part = message.content[0]
    (done,) = [event for event in events if isinstance(event, TextDone)]
    (closed,) = [event for event in events if isinstance(event, PartDone)]
    told = [event for event in events if isinstance(event, AnnotationAdded)]
    shown = "".join(event.delta for event in events if isinstance(event, TextDelta))
    assert done.text == part.text == shown
    assert closed.part == part
    assert [event.annotation for event in told] == part.annotations
    assert [event.annotation_index for event in told] == list(range(len(told)))
    return part


def cited(part: OutputText) -> list[tuple[str, str]]:
    """The file and the span of each citation."""
    return [
        (one.filename, part.text[one.start_index : one.end_index])
        for one in part.annotations
        if isinstance(one, ContainerFileCitation)
    ]


def cell_of(events: list[Event]) -> CodeInterpreterCall:
    return next(one for one in end_of(events).output if isinstance(one, CodeInterpreterCall))


@pytest.mark.parametrize("fragment", [None, 1, 2, 5, 17])
async def test_an_answer_that_names_a_file_cites_it(
    sandboxes: LocalSandboxes, fragment: int | None
) -> None:
    text = f"Größe 🦊: [a.csv]({LINK}a.csv), not data.csv or a.csv.gz"
    events = await said(sandboxes, wrote("a.csv"), Text(text), fragment=fragment)
    part = part_of(events)
    assert part.text == text
    assert cited(part) == [("a.csv", "a.csv"), ("a.csv", f"{LINK}a.csv")]
    first = part.annotations[0]
    assert isinstance(first, ContainerFileCitation)
    assert first.container_id == cell_of(events).container_id
    assert first.file_id.startswith("cfile_")


async def test_a_citation_is_told_as_soon_as_the_name_is_complete(
    sandboxes: LocalSandboxes,
) -> None:
    events = await said(sandboxes, wrote("a.csv"), Text("It is a.csv, and so on"), fragment=1)
    at = next(n for n, event in enumerate(events) if isinstance(event, AnnotationAdded))
    before = "".join(event.delta for event in events[:at] if isinstance(event, TextDelta))
    assert before == "It is a.csv, "


async def test_the_id_of_a_file_is_the_same_wherever_it_is_asked_for(
    sandboxes: LocalSandboxes,
) -> None:
    events = await said(sandboxes, wrote("a.csv"), "a.csv")
    (one,) = part_of(events).annotations
    containers = CodeInterpreter(sandboxes).containers
    (file,) = await containers.files(cell_of(events).container_id, "local")
    assert isinstance(one, ContainerFileCitation)
    assert (one.file_id, one.filename) == (file.id, file.name)
    assert (file.path, file.source, file.bytes) == ("/mnt/data/a.csv", "assistant", 1)


async def test_words_that_name_no_file_pass_as_they_are(sandboxes: LocalSandboxes) -> None:
    text = "No [cite:1] and b.csv and /mnt/data/ [c"
    part = part_of(await said(sandboxes, wrote("a.csv"), Text(text), fragment=1))
    assert (part.text, part.annotations) == (text, [])


async def test_indexes_count_what_stands_in_place_of_markers(sandboxes: LocalSandboxes) -> None:
    async def search(query: str) -> list[WebResult]:
        return [WebResult("https://www.a.example/x", "A")]

    searched = FunctionCall("web_search", {"type": "search", "query": "q"})
    model = ScriptedModel(
        [searched, wrote("a.csv"), Text("From [cite:1] I made a.csv [cite:1] for you.")], fragment=2
    )
    tools = [WebSearch(search=search, open_page=False), CodeInterpreter(sandboxes)]
    part = part_of(await play(asked(tools=[{"type": "web_search"}, CODE]), model, tools))
    kinds = sorted(type(one).__name__ for one in part.annotations)
    assert kinds == ["ContainerFileCitation", "UrlCitation", "UrlCitation"]
    assert cited(part) == [("a.csv", "a.csv")]


async def test_the_order_of_citations_does_not_depend_on_how_the_words_came() -> None:
    async def search(query: str) -> list[WebResult]:
        return [WebResult("https://www.a.example/x", "A")]

    searched = FunctionCall("web_search", {"type": "search", "query": "q"})
    text = Text("a.csv[cite:1]a.csv [cite:1, 1] and a.csv, a.csv")
    orders: list[list[Any]] = []
    for fragment in (1, 3, 7, 1000):
        model = ScriptedModel([searched, wrote("a.csv"), text], fragment=fragment)
        async with LocalSandboxes() as sandboxes:
            tools = [WebSearch(search=search, open_page=False), CodeInterpreter(sandboxes)]
            part = part_of(await play(asked(tools=[{"type": "web_search"}, CODE]), model, tools))
        orders.append([(one.type, getattr(one, "start_index", 0)) for one in part.annotations])
    assert len(orders[0]) == 7 and all(order == orders[0] for order in orders)


async def test_a_file_of_an_earlier_response_is_known_again(sandboxes: LocalSandboxes) -> None:
    first = await said(sandboxes, wrote("a.csv"), "Done.")
    history = end_of(first).output
    later = await said(sandboxes, "It is a.csv.", history=history)
    assert cited(part_of(later)) == [("a.csv", "a.csv")]


async def test_the_shell_knows_the_files_of_the_code_interpreter(
    sandboxes: LocalSandboxes,
) -> None:
    history = end_of(await said(sandboxes, wrote("a.csv"), "Done.")).output
    run = FunctionCall("shell", {"commands": ["cp a.csv b.csv", "true"]})
    later = await said(
        sandboxes, run, "a.csv and b.csv", history=history, tools=[{"type": "shell"}]
    )
    assert [name for name, _ in cited(part_of(later))] == ["a.csv", "b.csv"]


async def test_a_file_of_a_container_that_is_gone_is_not_cited(sandboxes: LocalSandboxes) -> None:
    events = await said(sandboxes, wrote("a.csv"), "Done.")
    containers = CodeInterpreter(sandboxes).containers
    assert await containers.delete(cell_of(events).container_id, "local")
    later = await said(sandboxes, "It was a.csv.", history=end_of(events).output)
    assert part_of(later).annotations == []


async def test_a_file_of_another_principal_is_not_cited(sandboxes: LocalSandboxes) -> None:
    history = end_of(await said(sandboxes, wrote("a.csv"), "Done.", principal="ada")).output
    later = await said(sandboxes, "It was a.csv.", history=history, principal="eve")
    assert part_of(later).annotations == []


READ = FunctionCall("code_interpreter", {"code": "open('given.csv').read()"})


@pytest.mark.parametrize(
    ("cell", "names"), [(READ, []), (wrote("given.csv", text="3"), ["given.csv"])]
)
async def test_what_the_user_gave_is_cited_once_code_has_changed_it(
    sandboxes: LocalSandboxes, tmp_path: Path, cell: FunctionCall, names: list[str]
) -> None:
    (tmp_path / "given.csv").write_text("1,2")
    tool = CodeInterpreter(sandboxes, files=[tmp_path / "given.csv"])
    events = await play(asked(tools=[CODE]), ScriptedModel([cell, "given.csv"]), [tool])
    assert [name for name, _ in cited(part_of(events))] == names


async def test_what_a_sub_agent_made_is_cited_by_it_and_by_its_caller(
    sandboxes: LocalSandboxes,
) -> None:
    maker = Agent(
        name="maker",
        model=ScriptedModel([wrote("a.csv"), "I made a.csv."]),
        tools=[CodeInterpreter(sandboxes)],
    )
    boss = Agent(
        name="boss",
        model=ScriptedModel([FunctionCall("maker", {"input": "go"}), "It made a.csv."]),
        tools=[maker.as_tool(description="Makes files.")],
    )
    result = await boss.run("go")
    (call,) = [item for item in result.response.output if isinstance(item, AgentCall)]
    answer: Any = call.output[-1]
    assert cited(answer.content[0]) == [("a.csv", "a.csv")]
    last: Any = result.response.output[-1]
    assert cited(last.content[0]) == [("a.csv", "a.csv")]


async def test_the_answer_of_a_workflow_cites_what_its_agents_made(
    sandboxes: LocalSandboxes,
) -> None:
    maker = Agent(
        name="maker",
        model=ScriptedModel([wrote("a.csv"), "Done."]),
        tools=[CodeInterpreter(sandboxes)],
    )

    @workflow
    async def report(question: str) -> str:
        await run(maker, question)
        return "It is in a.csv [cite:1]."

    answer: Any = (await report.run("go")).response.output[-1]
    assert answer.content[0].text == "It is in a.csv [cite:1]."
    assert cited(answer.content[0]) == [("a.csv", "a.csv")]


async def test_the_words_of_a_run_without_files_are_not_looked_at(
    sandboxes: LocalSandboxes,
) -> None:
    scope = Scope()
    CodeInterpreter(sandboxes).offers(CodeInterpreterTool(), scope)
    assert not scope.citations.awake


async def test_a_replay_gives_the_model_the_same_words(sandboxes: LocalSandboxes) -> None:
    events = await said(sandboxes, wrote("a.csv"), "See a.csv.")
    output: list[Item] = end_of(events).output
    model = ScriptedModel(["Fine."])
    await play(asked([item.model_dump() for item in output], tools=[CODE]), model,
               [CodeInterpreter(sandboxes)])  # fmt: skip
    receipt: Any = model.requests[0].items[1]
    assert receipt.output == "[Files written: a.csv (1 bytes)]\n"
    message: Any = model.requests[0].items[2]
    assert message.content[0].annotations == part_of(events).annotations
