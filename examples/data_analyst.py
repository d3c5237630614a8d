"""An agent that answers a question about a file by writing Python and running it.

    python examples/data_analyst.py                                  a script plays the model
    python examples/data_analyst.py --unprotected --model openai:gpt-5
    python examples/data_analyst.py --unprotected --model qwen3 --base-url http://localhost:11434/v1

The code runs in a local process. That is fine for the script; a real model's code would run as
you, on this machine, so you have to say `--unprotected`.
"""

import argparse

import anyio

from antiphon.agents import Agent
from antiphon.items import CodeDelta, CodeOutputDelta, Event, Failed, TextDelta
from antiphon.models import FunctionCall, Model, ScriptedModel, Text, Upstream
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

SALES = b"""\
day,cups,rain
Mon,212,no
Tue,175,yes
Thu,168,yes
Fri,260,no
"""

CODE = """\
import csv, statistics
rows = list(csv.DictReader(open("sales.csv")))
for rain in ("no", "yes"):
    cups = [int(row["cups"]) for row in rows if row["rain"] == rain]
    print(f"rain {rain}: {statistics.mean(cups):.1f} cups a day")
"""

ANSWER = Text("Yes: 171.5 cups on rainy days against 236.0 on dry ones.")
SCRIPT = ScriptedModel([FunctionCall("code_interpreter", {"code": CODE}), ANSWER], fragment=12)


async def main() -> None:
    """Ask, and print code, output and answer as they come."""
    model = chosen()
    async with LocalSandboxes() as sandboxes:
        tool = CodeInterpreter(sandboxes, files=[("sales.csv", SALES)])
        agent = Agent(name="analyst", model=model, instructions="Compute, then say.", tools=[tool])
        async for event in agent.stream("Does rain cost us coffee sales? See sales.csv."):
            show(event)
    print()


def show(event: Event) -> None:
    """A few kinds of events matter here."""
    if isinstance(event, CodeDelta | CodeOutputDelta | TextDelta):
        print(event.delta, end="", flush=True)
    elif isinstance(event, Failed) and event.response.error:
        print(f"failed: {event.response.error.message}")


def chosen() -> Model | str:
    """The model that the command line names, or the script."""
    parser = argparse.ArgumentParser(usage=__doc__)
    for option in ("--model", "--base-url"):
        parser.add_argument(option)
    parser.add_argument("--unprotected", action="store_true")
    asked = parser.parse_args()
    if asked.model is None:
        return SCRIPT
    if not asked.unprotected:
        parser.error("the model's code would run on this machine as you: say --unprotected")
    return Upstream(asked.base_url).model(asked.model) if asked.base_url else asked.model


if __name__ == "__main__":
    anyio.run(main)
