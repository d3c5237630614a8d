"""Research in parallel, and a critic who is not soon content: a workflow in plain Python.

python examples/deep_research.py                   a script plays the models; all else is real
python examples/deep_research.py --turns 2         the budget ends before the critic is content
python examples/deep_research.py --model openai:gpt-5

A planner picks sources, readers take notes side by side, a writer drafts, and a critic sends the
draft back until it is good or the budget ends. Each run is one item, with its own items inside.
"""

import argparse
from pathlib import Path

import anyio
from pydantic import BaseModel

from antiphon.agents import Agent, Workflow, budget, run, workflow
from antiphon.errors import RunError
from antiphon.items import AgentCall, Item, Message, ToolCall
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel
from antiphon.tools import ModelRetry, tool

SOURCES = {path.name: path for path in sorted(Path(__file__).with_name("data").iterdir())}


class Plan(BaseModel):
    """Which sources to read."""

    sources: list[str]


class Verdict(BaseModel):
    """What a critic says of a draft; the advice is for the next one."""

    good: bool
    advice: str


@tool
def open_source(name: str) -> str:
    """The text of a source."""
    if name not in SOURCES:
        raise ModelRetry(f"there is no {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name].read_text("utf-8")


def heard(request: ModelRequest) -> str:
    """What a scripted model has just read: a message, or what a tool said."""
    last = request.items[-1]
    return last.text if isinstance(last, Message) else str(last.model_dump()["output"])


def noted(request: ModelRequest) -> str | FunctionCall:
    """A scripted reader: opens the source that it is given, and notes the first line."""
    said = heard(request)
    return FunctionCall("open_source", {"name": said}) if said in SOURCES else said.split("\n")[0]


def judged(request: ModelRequest) -> str:
    """A scripted critic: wants the two figures that decide."""
    missing = [figure for figure in ("0.20", "6.50") if figure not in heard(request)]
    advice = f"Say what {' and '.join(missing)} euros are for." if missing else "Good."
    return Verdict(good=not missing, advice=advice).model_dump_json()


PLAN = Plan(sources=["packing.md", "costs.md", "reviews.md"])
DRAFTS = [
    "Yes: spouts break in the thin box, and each return costs 6.50 euros.",
    "Yes: the thin box saves 0.20 euros a piece, but spouts break, and a return costs 6.50 euros.",
]


def build(model: str | None, *, turns: int) -> Workflow[str]:
    """Four agents, and the function that runs them."""
    planner = Agent(
        name="planner",
        model=model or ScriptedModel([PLAN.model_dump_json()]),
        instructions=f"Pick the sources that bear on the question, of {', '.join(SOURCES)}.",
        output_type=Plan,
    )
    reader = Agent(
        name="reader",
        model=model or ScriptedModel([noted], repeat=True),
        instructions="Open the source that you are given, and note its facts in a sentence.",
        tools=[open_source],
    )
    writer = Agent(
        name="writer",
        model=model or ScriptedModel(DRAFTS),
        instructions="Answer the question in one sentence, from the notes alone.",
    )
    critic = Agent(
        name="critic",
        model=model or ScriptedModel([judged], repeat=True),
        instructions="Judge the answer: is it plain, and does it give the figures that decide?",
        output_type=Verdict,
    )

    @workflow
    async def research(question: str) -> str:
        notes: dict[str, str] = {}

        async def take_notes(source: str) -> None:
            notes[source] = (await run(reader, source)).output

        plan = (await run(planner, question)).output
        async with anyio.create_task_group() as tasks:
            for source in plan.sources:
                tasks.start_soon(take_notes, source)
        listed = "\n".join(f"{source}: {notes[source]}" for source in plan.sources)
        draft = await run(writer, f"{question}\n\n{listed}")
        try:
            with budget(turns=turns):  # what the critic and the writer may use together
                while not (verdict := (await run(critic, draft.output)).output).good:
                    draft = await run(writer, [*draft.items, verdict.advice])
        except RunError as error:
            if error.response.status != "incomplete":  # not the budget: something broke
                raise
        return draft.output

    return research


def show(items: list[Item], depth: int = 0) -> None:
    """Print items as a tree: a sub-agent's run holds items of its own."""
    for item in items:
        indent = "  " * depth
        if isinstance(item, AgentCall):
            print(f"{indent}{item.agent} <- {str(item.input).splitlines()[0]}")
            show(item.output, depth + 1)
            if item.error:
                print(f"{indent}  {item.status}: {item.error}")
        elif isinstance(item, ToolCall):
            print(f"{indent}{item.name} {item.arguments}")
        elif isinstance(item, Message):
            print(f"{indent}-> {item.text}")


async def main() -> None:
    """Research, and show everything that happened."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--turns", type=int, default=6, help="for critic and writer")
    asked = parser.parse_args()
    result = await build(asked.model, turns=asked.turns).run("Should we go back to the old box?")
    show(result.response.output)


if __name__ == "__main__":
    anyio.run(main)
