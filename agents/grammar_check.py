"""A program: says why texts are not in grammars, or grammars none; nothing of those that are.

It reads one JSON object {looks: [[syntax, definition, text or null]], path}, writes a list of
answers and ends. It is run alone, with bounds
on its memory; whoever started it bounds its time. Not here: anything of antiphon.
"""

import importlib
import json
import re
import sys
from typing import Any

_MEMORY = 1024**3


def why_not(syntax: str, definition: str, text: str | None) -> str:
    """One line for whoever wrote it; empty if the text, or without one the grammar, is right."""
    if syntax == "regex":
        try:
            pattern = re.compile(definition)
        except (re.error, RecursionError, OverflowError) as error:
            return str(error)
        fits = text is None or pattern.fullmatch(text)
        return "" if fits else f"it does not match {definition[:2000]!r}"
    lark: Any = importlib.import_module("lark")
    try:
        parser = lark.Lark(definition, parser="earley")
    except Exception as error:  # its errors share no base
        return _brief(error, 1)
    try:
        if text is not None:
            parser.parse(text)
    except lark.exceptions.LarkError as error:
        return _brief(error, 8)
    return ""


def _brief(error: Exception, most: int) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:most])[:600] or "it cannot be parsed"


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
    told = [why_not(*look) for look in question["looks"]]
    sys.stdout.buffer.write(json.dumps(told).encode())


if __name__ == "__main__":
    main()
