"""What a cell may count on: names, output, displays, errors."""

from __future__ import annotations

from contextlib import aclosing

import anyio

from antiphon.sandboxes import Display, Finished, Output, Sandbox, Sandboxes

from .kit import (
    SandboxCheck,
    open_new,
    run_cell,
    run_ok,
    wait_for,
)


async def check_names_are_kept_between_cells(sandboxes: Sandboxes) -> None:
    """What one cell defines, the next one has."""
    sandbox = await open_new(sandboxes)
    first = await run_ok(sandbox, "import math\ndef double(x): return 2 * x\nn = 21")
    again = await run_ok(sandbox, "print(double(n), math.pi > 3)")
    assert again.stdout == "42 True\n"
    assert first.finished == again.finished == Finished("ok", None, False, 1)


async def check_main_is_a_real_module(sandboxes: Sandboxes) -> None:
    """pickle, dataclasses and inspect find what a cell defined."""
    sandbox = await open_new(sandboxes)
    await run_ok(
        sandbox,
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f():\n    pass\n",
    )
    ran = await run_ok(
        sandbox,
        "import pickle, inspect\nassert __name__ == '__main__'\n"
        "print(pickle.loads(pickle.dumps(P(3))), inspect.getsource(f))",
    )
    assert ran.stdout == "P(x=3) def f():\n    pass\n\n"


async def check_output_arrives_while_the_cell_runs(sandboxes: Sandboxes) -> None:
    """A line is seen before the cell ends, and a file put meanwhile is seen by the cell."""
    sandbox = await open_new(sandboxes)
    code = "print('waiting')\n" + wait_for("go") + "print('done')"
    seen: list[str] = []
    async with aclosing(sandbox.run(code)) as events:
        async for event in events:
            if isinstance(event, Output):
                seen.append(event.text)
                if seen == ["waiting\n"]:
                    await sandbox.put("go", b"")
            elif isinstance(event, Finished):
                assert event.status == "ok", event
    assert "".join(seen) == "waiting\ndone\n"


async def check_a_partial_line_is_not_held_back(sandboxes: Sandboxes) -> None:
    """A prompt without a newline comes out while the cell runs."""
    sandbox = await open_new(sandboxes)
    code = "print('50 %', end='')\n" + wait_for("go")
    seen = ""
    async for event in sandbox.run(code):
        if isinstance(event, Output):
            seen += event.text
            if seen == "50 %":
                await sandbox.put("go", b"")
        elif isinstance(event, Finished):
            assert event.status == "ok", event
    assert seen == "50 %"


async def check_stderr_is_told_apart(sandboxes: Sandboxes) -> None:
    """stdout and stderr are two streams."""
    ran = await run_ok(
        await open_new(sandboxes), "import sys\nprint('out')\nprint('err', file=sys.stderr)"
    )
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")


async def check_bare_descriptors_and_subprocesses_are_heard(sandboxes: Sandboxes) -> None:
    """What never passes `sys.stdout` is output too, in its order."""
    code = (
        "import os, subprocess, sys\nprint('a')\n"
        "subprocess.run([sys.executable, '-c', 'print(\"b\")'])\n"
        "print('c')\nos.write(1, b'd\\n')\nprint('e')\nos.write(2, b'f\\n')\n"
        "for i in range(300):\n    os.write(1, b'.')\n    print(end=',')\n"
    )
    ran = await run_ok(await open_new(sandboxes), code)
    assert (ran.stdout, ran.stderr) == ("a\nb\nc\nd\ne\n" + ".," * 300, "f\n")


async def check_text_that_is_not_utf8_does_no_harm(sandboxes: Sandboxes) -> None:
    """Stray bytes and lone surrogates become visible marks; split characters are joined."""
    code = "import os\nos.write(1, b'\\xff|')\nos.write(1, '\\u20ac'.encode())\nprint('\\ud800')"
    ran = await run_ok(await open_new(sandboxes), code)
    assert ran.stdout == "\ufffd|\u20ac\\ud800\n"


async def check_the_last_expression_is_shown(sandboxes: Sandboxes) -> None:
    """The value of a last expression comes as text/plain; None, or a `;`, shows nothing."""
    sandbox = await open_new(sandboxes)
    ran = await run_ok(sandbox, "x = 20\nx * 2 + 2")
    assert ran.shown == [Display("text/plain", b"42", "42")] and not ran.stdout
    assert not (await run_ok(sandbox, "None")).shown
    assert not (await run_ok(sandbox, "x;")).shown
    assert not (await run_ok(sandbox, "")).shown


async def check_rich_values_are_shown_richly(sandboxes: Sandboxes) -> None:
    """SVG, PNG, HTML and MIME bundles, from `display` and as last expressions, in order."""
    code = (
        "class Svg:\n    def _repr_svg_(self): return '<svg/>'\n"
        "    def __repr__(self): return 'S'\n"
        "class Html:\n    def _repr_html_(self): return '<b>h</b>'\n"
        "    def __repr__(self): return 'H'\n"
        "class Bundle:\n    def _repr_mimebundle_(self, include=None, exclude=None):\n"
        "        return {'image/png': 'iVBORw==', 'text/plain': 'P'}\n"
        "display(Svg(), Html())\nBundle()"
    )
    ran = await run_ok(await open_new(sandboxes), code)
    assert ran.shown == [
        Display("image/svg+xml", b"<svg/>", "S"),
        Display("text/html", b"<b>h</b>", "H"),
        Display("image/png", b"\x89PNG", "P"),
    ]


async def check_open_figures_become_pictures(sandboxes: Sandboxes) -> None:
    """Figures of pyplot that a cell leaves open are shown at its end, once, and closed."""
    sandbox = await open_new(sandboxes)
    code = (
        "import sys, types\nopen_now = {1: b'one', 2: b'two'}\n"
        "class Figure:\n    def __init__(self, data): self.data = data\n"
        "    def savefig(self, file, format, **kw): file.write(format.encode() + self.data)\n"
        "plot = types.ModuleType('matplotlib.pyplot')\nplot.get_fignums = lambda: list(open_now)\n"
        "plot.figure = lambda n: Figure(open_now[n])\nplot.close = lambda n: open_now.pop(n)\n"
        "sys.modules['matplotlib.pyplot'] = plot\n"
    )
    ran = await run_ok(sandbox, code)
    assert ran.shown == [Display("image/png", b"pngone"), Display("image/png", b"pngtwo")]
    assert not (await run_ok(sandbox, "assert not open_now")).shown


async def check_await_works_at_the_top_level(sandboxes: Sandboxes) -> None:
    """One event loop serves all cells; `asyncio.run` works in the others."""
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, "import asyncio\nq = asyncio.Queue()\nawait q.put(7)")
    ran = await run_ok(sandbox, "async def f(): return 1\nasyncio.run(f())")
    assert [shown.text for shown in ran.shown] == ["1"]
    await run_ok(sandbox, "task = asyncio.create_task(asyncio.sleep(0))\nawait task")
    ran = await run_ok(sandbox, "async with asyncio.Lock():\n    n = await q.get()\nawait f() + n")
    assert [shown.text for shown in ran.shown] == ["8"]


async def check_shell_lines_run(sandboxes: Sandboxes) -> None:
    """`!command`, also indented; its output streams, its failure is told, strings are left be."""
    code = (
        "text = '''\n!no\n'''\nfor i in range(2):\n    !echo it\\'s $((1+1))\n!exit 3\nprint(text)"
    )
    ran = await run_ok(await open_new(sandboxes), code)
    assert ran.stdout == "it's 2\nit's 2\n\n!no\n\n"
    assert "3" in ran.stderr


async def check_errors_show_the_cell_and_nothing_else(sandboxes: Sandboxes) -> None:
    """A traceback has the source lines of the cells and no frame of the machinery."""
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, "def f(x):\n    return 1 / x")
    ran = await run_cell(sandbox, "print('before')\nf(0)")
    assert ran.finished.status == "error" and ran.stdout == "before\n"
    lines = ran.error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "    f(0)" in lines and "    return 1 / x" in lines
    assert [line.split(",")[0] for line in lines if line.startswith("  File")] == [
        '  File "<cell 2>"',
        '  File "<cell 1>"',
    ]
    ran = await run_cell(sandbox, "if True print(1)")
    assert "SyntaxError" in ran.error and "if True print(1)" in ran.error
    ran = await run_cell(sandbox, "async def g(): raise ValueError('inner')\nawait g()")
    assert ran.error.count("  File") == 2 and ran.error.endswith("ValueError: inner")


async def check_exit_and_input_do_not_end_the_interpreter(sandboxes: Sandboxes) -> None:
    """SystemExit is an error of the cell; `input` has nobody to ask and says so."""
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, "kept = 1")
    assert "SystemExit: 3" in (await run_cell(sandbox, "raise SystemExit(3)")).error
    assert (await run_cell(sandbox, "exit()")).finished.status == "error"
    assert "EOFError" in (await run_cell(sandbox, "input('name? ')")).error
    assert (await run_ok(sandbox, "print(kept)")).finished.generation == 1


async def check_cells_of_one_sandbox_take_turns(sandboxes: Sandboxes) -> None:
    """Two cells at once run one after the other, whole."""
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, "log = []")
    code = "import time\nfor i in range(3):\n    log.append({name!r}); time.sleep(0.01)"
    async with anyio.create_task_group() as tasks:
        for name in "ab":
            tasks.start_soon(run_ok, sandbox, code.format(name=name))
    ran = await run_ok(sandbox, "print(''.join(log))")
    assert ran.stdout in ("aaabbb\n", "bbbaaa\n")


async def check_sandboxes_run_side_by_side(sandboxes: Sandboxes) -> None:
    """Two sandboxes that wait for each other both end; they share no names and no files."""
    left, right = await open_new(sandboxes), await open_new(sandboxes)
    await run_ok(left, "who = 'left'")
    await run_ok(right, "assert 'who' not in globals()")

    async def meet(mine: Sandbox, other: Sandbox) -> None:
        async for event in mine.run("print('here')\n" + wait_for("go")):
            if isinstance(event, Output):
                await other.put("go", b"")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(meet, left, right)
        tasks.start_soon(meet, right, left)
    await left.put("mine.txt", b"")
    assert [file.name for file in await right.files()] == ["go"]


CELL_CHECKS: list[SandboxCheck] = [
    check_names_are_kept_between_cells,
    check_main_is_a_real_module,
    check_output_arrives_while_the_cell_runs,
    check_a_partial_line_is_not_held_back,
    check_stderr_is_told_apart,
    check_bare_descriptors_and_subprocesses_are_heard,
    check_text_that_is_not_utf8_does_no_harm,
    check_the_last_expression_is_shown,
    check_rich_values_are_shown_richly,
    check_open_figures_become_pictures,
    check_await_works_at_the_top_level,
    check_shell_lines_run,
    check_errors_show_the_cell_and_nothing_else,
    check_exit_and_input_do_not_end_the_interpreter,
    check_cells_of_one_sandbox_take_turns,
    check_sandboxes_run_side_by_side,
]
