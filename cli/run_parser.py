"""What can be typed after `antiphon run`, `replay` and `trace`: options and help.

Above: `parser`. Below: `options`. Not here: what they do.
"""

from typing import Any, Final

from .command import Command
from .options import ReplayOptions, RunOptions, TraceOptions

_RUN: Final = """\
examples:
  antiphon run app:agent "Is it warm in Lisbon?"   the Agent (or Workflow) `agent` of app.py
  antiphon run app "Is it warm?" --record run.jsonl
  antiphon run app:report - < question.txt > answer.txt
  antiphon run app "And in Oslo?" --items run.jsonl  the conversation of that run goes on
  antiphon run app --items run.jsonl --approve apr_... --record next.jsonl

On a terminal everything that happens is shown. With standard output in a pipe or a file, the
answer alone goes there, and the rest to standard error.

exit codes: 1 the run failed, or ended early; 3 it waits: for a person's word, or for calls that
you run yourself
"""

_REPLAY: Final = """\
examples:
  antiphon replay run.jsonl                        the recorded words, today's code
  antiphon replay run.jsonl --target app:agent     another agent than the recorded one
  antiphon replay run.jsonl --live-tools           tools really run; what they give is compared

The model says again what it said, tools give again what they gave, and the code of today does
everything else: instructions, menus, the loop, workflows. No model is asked. Ids, times and
the order of what happened at the same time do not count.

The target's module is imported; instructions that are functions, and workflows, run again. With
--live-tools every call in the file runs, with the file's arguments: only for files you trust.

exit codes: 0 identical, 1 something differs (the first such thing is shown), 2 it cannot be
replayed
"""

_TRACE: Final = """\
examples:
  antiphon trace run.jsonl
  antiphon trace run.jsonl --prices prices.json    {"gpt-5": {"input": 1.25, "output": 10}}
  antiphon trace run.jsonl --json

prices: by the model's name, in money for a million tokens; `cached_input` may be given, too
"""


def add_runs(commands: Any, *, command: Command) -> None:
    """Add `run`, `replay` and `trace`."""
    _add_run(commands, command)
    _add_replay(commands, command)
    _add_trace(commands, command)


def _add_run(commands: Any, command: Command) -> None:
    parser = command(
        commands,
        "run",
        brief="run an agent or a workflow of yours once, and record it if you like",
        epilog=_RUN,
        make=lambda given: RunOptions(
            target=given.target,
            text=given.input,
            items=given.items,
            record=given.record,
            json=given.json,
            quiet=given.quiet,
            approve=tuple(given.approve),
            refuse=tuple(given.refuse),
            reason=given.reason,
        ),
    )
    parser.add_argument("target", metavar="TARGET", help="what to run: module:name (name: agent)")
    parser.add_argument(
        "input", nargs="?", metavar="INPUT", help="what to say; - reads it from standard input"
    )
    parser.add_argument(
        "--items", metavar="FILE", help="go on with these: a JSON list of items, or a run file"
    )
    parser.add_argument("--record", metavar="FILE", help="write what happens to a run file")
    parser.add_argument("--json", action="store_true", help="print the whole response as JSON")
    parser.add_argument("--quiet", action="store_true", help="print the answer and nothing else")
    waiting = parser.add_argument_group("where a run in --items waits for a person's word")
    for name, does in (("approve", "let this call run"), ("refuse", "do not let it run")):
        waiting.add_argument(
            f"--{name}", action="append", default=[], metavar="ID", help=f"{does}; may be repeated"
        )
    waiting.add_argument("--reason", metavar="TEXT", help="why not, in words for the model")


def _add_replay(commands: Any, command: Command) -> None:
    parser = command(
        commands,
        "replay",
        brief="drive your code with what a recorded run's model said; show what differs first",
        epilog=_REPLAY,
        make=lambda given: ReplayOptions(
            file=given.file, target=given.target, live_tools=given.live_tools
        ),
    )
    parser.add_argument("file", metavar="FILE", help="a run file, as antiphon run --record writes")
    parser.add_argument(
        "--target", metavar="module:name", help="what to drive (default: what was recorded)"
    )
    parser.add_argument("--live-tools", action="store_true", help="run the tools, really")


def _add_trace(commands: Any, command: Command) -> None:
    parser = command(
        commands,
        "trace",
        brief="show the items of a recorded run as a tree, with times, tokens and costs",
        epilog=_TRACE,
        make=lambda given: TraceOptions(file=given.file, prices=given.prices, json=given.json),
    )
    parser.add_argument("file", metavar="FILE", help="a run file, as antiphon run --record writes")
    parser.add_argument("--prices", metavar="FILE", help="what models cost, as JSON")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a tree")
