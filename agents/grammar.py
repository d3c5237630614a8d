"""Grammars of custom tools: whether a text is in one, found out by a process that may be ended.

A client writes the grammar, and a model the text. Either may take for ever, alone or together, so
nothing is compiled here: a child process looks, with bounds on time and memory. Regular
expressions are Python's; grammars in lark's language need the library `lark`, and where it is not
installed their texts pass as the model wrote them. Above: `custom`. Below: `grammar_check.py`,
the child.
"""

import importlib
import importlib.util
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import anyio
from anyio.lowlevel import RunVar

from antiphon.errors import RequestError
from antiphon.items import Json

log: logging.Logger = logging.getLogger("antiphon.agents")

Syntax: TypeAlias = Literal["lark", "regex"]

LONGEST: Final = 64 * 1024
"""Characters of a definition."""

SECONDS: Final = 10.0
"""How long may be looked; a text or a grammar that takes longer is none."""

_CHILD: Final = Path(__file__).with_name("grammar_check.py")
_CHILDREN: Final = 2
_REMEMBERED: Final = 256

_room: RunVar[anyio.CapacityLimiter] = RunVar("antiphon_grammars")
_good: "dict[Grammar, None]" = {}  # clients send theirs again with every request


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the texts of a custom tool have to be."""

    syntax: Syntax
    definition: str

    async def check(self, text: str) -> None:
        """Refuse a text that is not in it.

        Raises:
            ValueError: It is not; its words are for the model.
        """
        if self.known:
            (told,) = await _look([(self, text)])
            if told:
                raise ValueError(f"The input is not in the tool's {self.syntax} grammar: {told}")

    @property
    def known(self) -> bool:
        """Whether it can be looked at here."""
        return self.syntax == "regex" or _lark() is not None


def grammar_of(given: Json) -> Grammar:
    """The grammar of a custom tool's format; nobody has looked at its definition yet.

    Raises:
        RequestError: It is too long, or of an unknown syntax.
    """
    syntax, definition = given.get("syntax"), given.get("definition")
    if syntax not in ("lark", "regex"):
        raise _wrong("format.syntax", f"expected 'lark' or 'regex', got {syntax!r}")
    if not isinstance(definition, str) or not 0 < len(definition) <= LONGEST:
        raise _wrong("format.definition", f"expected a text of 1 to {LONGEST} characters")
    return Grammar(syntax, definition)


async def check_grammars(grammars: Mapping[str, Grammar]) -> None:
    """Refuse definitions that are none.

    Args:
        grammars: By the place of their definitions in the request.

    Raises:
        RequestError: One is none, or to find that out takes too long.
    """
    if any(not grammar.known for grammar in grammars.values()):
        log.warning("a lark grammar is not checked: install the library `lark`")
    new = {place: one for place, one in grammars.items() if one.known and one not in _good}
    if not new:
        return
    told = await _look([(grammar, None) for grammar in new.values()])
    for (place, grammar), words in zip(new.items(), told, strict=True):
        if words:
            raise _wrong(place, f"this is no {grammar.syntax} grammar: {words}")
        _good[grammar] = None
    while len(_good) > _REMEMBERED:
        del _good[next(iter(_good))]


def _lark() -> Any:
    """The library, where it is installed."""
    if importlib.util.find_spec("lark") is None:
        return None
    return importlib.import_module("lark")


async def _look(questions: Sequence[tuple[Grammar, str | None]]) -> list[str]:
    """Why each text is not in its grammar, or (without a text) the grammar none; empty if it is."""
    lark = any(grammar.syntax == "lark" for grammar, _ in questions)
    asked = {
        "looks": [(grammar.syntax, grammar.definition, text) for grammar, text in questions],
        "path": [str(Path(_lark().__file__).parent.parent)] if lark else [],
    }
    command = [sys.executable, "-I", str(_CHILD)]
    room = _room.get(None)
    if room is None:
        room = anyio.CapacityLimiter(_CHILDREN)
        _room.set(room)
    async with room:
        with anyio.move_on_after(SECONDS):
            done = await anyio.run_process(command, input=json.dumps(asked).encode(), check=False)
            if done.returncode == 0:
                return json.loads(done.stdout)
            log.warning("a grammar was not checked to its end: %s", done.stderr.decode()[-300:])
            return ["it could not be looked at to its end"] * len(questions)
    why = f"looking at it took more than {SECONDS:g} seconds: write something simpler"
    return [why] * len(questions)


def _wrong(param: str, words: str) -> RequestError:
    return RequestError(f"{param}: {words}", param=param, code="invalid_value")
