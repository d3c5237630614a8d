"""From the text of a cell to code objects."""

from __future__ import annotations
import __future__

import ast
from types import CodeType
from typing import NamedTuple

SHELL = "__antiphon_shell__"
"""The name under which `!` lines find their function."""

_FUTURES = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})


class Program(NamedTuple):
    """A compiled cell: its statements, its last expression, and the flags later cells inherit."""

    body: CodeType | None
    last: CodeType | None
    flags: int


def compile_cell(source: str, filename: str, flags: int) -> Program:
    """Compile a cell. Raises: SyntaxError, ValueError (null bytes), RecursionError, MemoryError."""
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = _parse(source, filename, flags)
    last = None
    quiet = source.rstrip().endswith(";")  # as in a notebook: the value is not wanted
    if tree.body and isinstance(end := tree.body[-1], ast.Expr) and not quiet:
        del tree.body[-1]
        last = ast.Expression(end.value)
    body = compile(tree, filename, "exec", flags, True) if tree.body else None
    if body is not None:
        flags |= body.co_flags & _FUTURES
    value_code = compile(last, filename, "eval", flags, True) if last is not None else None
    return Program(body, value_code, flags)


def _parse(source: str, filename: str, flags: int) -> ast.Module:
    lines = source.splitlines(keepends=True)
    while True:
        try:
            tree = compile("".join(lines), filename, "exec", flags | ast.PyCF_ONLY_AST, True)
        except SyntaxError as error:
            if not _lower(lines, error.lineno or 0):
                raise
        else:
            assert isinstance(tree, ast.Module)
            return tree


def _lower(lines: list[str], number: int) -> bool:
    """Turn the `!` line at fault into a call; a `!` inside a string is never at fault."""
    shells = [i for i, line in enumerate(lines) if line.lstrip().startswith("!")]
    if number - 1 in shells:
        shells = [number - 1]
    for i in shells:
        line = lines[i]
        indent = line[: len(line) - len(line.lstrip())]
        command = line.strip()[1:].strip()
        lines[i] = f"{indent}{SHELL}({command!r})\n"
    return bool(shells)
