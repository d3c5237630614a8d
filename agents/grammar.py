"""Grammars of custom tools: whether a text is in one, found out by a process that may be ended.

A client writes the grammar, and a model the text: together they may take for ever, so a child
process looks, with bounds on time and memory. Regular expressions are Python's; grammars in
lark's language need the library `lark`, and where it is not installed their texts pass as the
model wrote them. Above: `custom`. Below: `grammar_check.py`, the child.
"""

import importlib
import importlib.util
import json
import logging
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import anyio

from antiphon.errors import RequestError
from antiphon.items import Json

log: logging.Logger = logging.getLogger("antiphon.agents")

Syntax: TypeAlias = Literal["lark", "regex"]

LONGEST: Final = 64 * 1024
"""Characters of a definition."""

SECONDS: Final = 10.0
"""How long a text may be looked at; one that takes longer is not in the grammar."""

_CHILD: Final = Path(__file__).with_name("grammar_check.py")


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
        if self.syntax == "lark" and _lark() is None:
            return
        told = await _look(self, text)
        if told:
            raise ValueError(f"The input is not in the tool's {self.syntax} grammar: {told}")


def grammar_of(given: Json) -> Grammar:
    """The grammar of a custom tool's format.

    Raises:
        RequestError: It is too long, of an unknown syntax, or no grammar at all.
    """
    syntax, definition = given.get("syntax"), given.get("definition")
    if syntax not in ("lark", "regex"):
        raise _wrong("syntax", f"expected 'lark' or 'regex', got {syntax!r}")
    if not isinstance(definition, str) or not 0 < len(definition) <= LONGEST:
        raise _wrong("definition", f"expected a text of 1 to {LONGEST} characters")
    if syntax == "regex":
        try:
            re.compile(definition)
        except (re.error, RecursionError, OverflowError) as error:
            raise _wrong("definition", f"this is no regular expression: {error}") from error
    elif _lark() is None:
        log.warning("a lark grammar is not checked: install the library `lark`")
    else:
        _load(definition)
    return Grammar(syntax, definition)


def _load(definition: str) -> None:
    lark: Any = _lark()
    try:
        lark.Lark(definition, parser="earley")
    except Exception as error:  # its errors share no base
        words = str(error).split("\n", 1)[0][:300]
        raise _wrong("definition", f"this is no lark grammar: {words}") from error


def _lark() -> Any:
    """The library, where it is installed."""
    if importlib.util.find_spec("lark") is None:
        return None
    return importlib.import_module("lark")


async def _look(grammar: Grammar, text: str) -> str:
    """Why a text is not in the grammar; empty if it is."""
    question = {
        "syntax": grammar.syntax,
        "definition": grammar.definition,
        "text": text,
        "path": [str(Path(_lark().__file__).parent.parent)] if grammar.syntax == "lark" else [],
    }
    command = [sys.executable, "-I", str(_CHILD)]
    with anyio.move_on_after(SECONDS):
        done = await anyio.run_process(command, input=json.dumps(question).encode(), check=False)
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace").strip()
        log.warning("a grammar was not checked to its end: %s", done.stderr.decode()[-300:])
        return "it could not be looked at to its end"
    return f"looking at it took more than {SECONDS:g} seconds: write something simpler"


def _wrong(field: str, words: str) -> RequestError:
    return RequestError(f"format.{field}: {words}", param=f"format.{field}", code="invalid_value")
