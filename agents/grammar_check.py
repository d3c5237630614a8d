"""A program: says why a text is not in a grammar, or nothing if it is.

It reads one JSON object {syntax, definition, text, path} and ends. It is run alone, with bounds
on its memory; whoever started it bounds its time. Not here: anything of antiphon.
"""

import importlib
import json
import re
import sys
from typing import Any

_MEMORY = 1024**3


def why_not(syntax: str, definition: str, text: str) -> str:
    """One line for the model; empty if the text is in the grammar."""
    if syntax == "regex":
        return "" if re.fullmatch(definition, text) else f"it does not match {definition!r}"
    lark: Any = importlib.import_module("lark")
    try:
        lark.Lark(definition, parser="earley").parse(text)
    except lark.exceptions.LarkError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return " ".join(lines[:8])[:600] or "it cannot be parsed"
    return ""


def main() -> None:
    """Read the question, write the answer."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # Windows has none, macOS refuses
        pass
    question = json.loads(sys.stdin.buffer.read())
    sys.path += question["path"]
    told = why_not(question["syntax"], question["definition"], question["text"])
    sys.stdout.buffer.write(told.encode("utf-8", "backslashreplace"))


if __name__ == "__main__":
    main()
