"""The demo's question, and the script that answers it: read from the wheel's data.

Above: `demo`. Below: `antiphon/data/`. Not here: any claim about the numbers; the code of the
script really runs, and a test recomputes the answer.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import NotRequired, TypedDict, cast

from antiphon.models import FunctionCall, Reasoning, ScriptedModel, Speech, Text

FRAGMENT = 9
"""Characters that the scripted model writes at a time: about two tokens."""


class Cell(TypedDict):
    """One turn of the script: a thought, then code; another pair where there is matplotlib."""

    reasoning: str
    code: str
    thought_with_matplotlib: NotRequired[str]
    code_with_matplotlib: NotRequired[str]


class _Script(TypedDict):
    question: str
    answer: str
    turn: list[Cell]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is asked, what is done, and what is answered."""

    question: str
    cells: list[Cell]
    answer: str

    @classmethod
    def load(cls) -> "Rehearsal":
        """The script that antiphon carries."""
        text = (files("antiphon") / "data" / "demo.toml").read_text(encoding="utf-8")
        script = cast("_Script", tomllib.loads(text))
        return cls(script["question"].strip(), script["turn"], script["answer"].strip())

    def model(self, *, pace: float, matplotlib: bool = False) -> ScriptedModel:
        """A model that plays it.

        Args:
            pace: Seconds between fragments.
            matplotlib: Whether the place where its code runs has matplotlib.
        """
        turns: list[list[Speech]] = []
        for cell in self.cells:
            thought, code = cell["reasoning"], cell["code"]
            if matplotlib:
                thought = cell.get("thought_with_matplotlib", thought)
                code = cell.get("code_with_matplotlib", code)
            call = FunctionCall("code_interpreter", {"code": code.strip() + "\n"})
            turns.append([Reasoning(thought.strip()), call])
        return ScriptedModel(
            [*turns, [Text(self.answer)]], name="scripted", fragment=FRAGMENT, pace=pace
        )


def rides() -> bytes:
    """The file that the question is about: `rides.csv`."""
    return (files("antiphon") / "data" / "rides.csv").read_bytes()
