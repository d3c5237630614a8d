"""What can be typed after `antiphon run`, `replay` and `trace`: options and help.

Above: `parser`. Below: `options`. Not here: what they do.
"""

from typing import Any, Final

from .command import add_command
from .options import ReplayOptions, RunOptions, TraceOptions

_RUN: Final = """\
examples:
  antiphon run app:agent "Is it warm in Lisbon?"   the Agent (or Workflow) `agent` of app.py
  antiphon run app "Is it warm?" --record run.jsonl
  antiphon run app:report - < question.txt > answer.txt
  antiphon run app "And in Oslo?" --items run.jsonl  the conversation of that run continues
  antiphon run app --items run.jsonl --approve apr_... --record next.jsonl

On a terminal, everything is shown as it happens. When standard output is a pipe or a file, it gets
the answer alone; the rest goes to standard error.

exit codes: 0 the run completed, 1 it failed or ended early, 2 usage error, 3 it waits for an
approval, or for calls that you run yourself
"""

_REPLAY: Final = """\
examples:
  antiphon replay run.jsonl                        the recorded model, today's code
  antiphon replay run.jsonl --target app:agent     another agent than the recorded one
  antiphon replay run.jsonl --live-tools           tools really run; their output is compared

The recorded model says what it said, recorded tools return what they returned, and today's code
does everything else: instructions, menus of tools, the loop, workflows. No model is asked. Ids,
times, and the order of things that happened at the same time are not compared.

The target's module is imported; instructions that are functions, and workflows, run again. With
--live-tools, every call in the file runs with the arguments in the file: use it only for files
that you trust.

exit codes: 0 identical, 1 something differs (the first difference is shown), 2 the file cannot be
replayed
"""

_TRACE: Final = """\
examples:
  antiphon trace run.jsonl
  antiphon trace run.jsonl --prices prices.json    {"gpt-5": {"input": 1.25, "output": 10}}
  antiphon trace run.jsonl --json

Prices are given by the model's name, for a million tokens; `cached_input` is optional.
"""


def add_runs(commands: Any) -> None:
    """Add `run`, `replay` and `trace`."""
    _add_run(commands)
    _add_replay(commands)
    _add_trace(commands)


def _add_run(commands: Any) -> None:
    parser = add_command(
        commands,
        "run",
        brief="run one of your agents or workflows once, and record the run if you like",
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
    parser.add_argument(
        "target", metavar="TARGET", help="what to run, as module:name; the default name is `agent`"
    )
    parser.add_argument(
        "input", nargs="?", metavar="INPUT", help="what to say; - reads it from standard input"
    )
    parser.add_argument(
        "--items", metavar="FILE", help="continue from a JSON list of items, or from a run file"
    )
    parser.add_argument("--record", metavar="FILE", help="record the run in this run file")
    parser.add_argument("--json", action="store_true", help="print the whole response as JSON")
    parser.add_argument("--quiet", action="store_true", help="print the answer and nothing else")
    waiting = parser.add_argument_group("when the run in --items waits for an approval")
    for name, does in (("approve", "let this call run"), ("refuse", "do not let this call run")):
        waiting.add_argument(
            f"--{name}", action="append", default=[], metavar="ID", help=f"{does}; may be repeated"
        )
    waiting.add_argument("--reason", metavar="TEXT", help="why not, in words for the model")


def _add_replay(commands: Any) -> None:
    parser = add_command(
        commands,
        "replay",
        brief="run today's code against a recorded run, and show the first difference",
        epilog=_REPLAY,
        make=lambda given: ReplayOptions(
            file=given.file, target=given.target, live_tools=given.live_tools
        ),
    )
    parser.add_argument("file", metavar="FILE", help="a run file, from antiphon run --record")
    parser.add_argument(
        "--target", metavar="module:name", help="what to run (default: what was recorded)"
    )
    parser.add_argument("--live-tools", action="store_true", help="really run the tools")


def _add_trace(commands: Any) -> None:
    parser = add_command(
        commands,
        "trace",
        brief="show the items of a recorded run as a tree, with times, tokens and costs",
        epilog=_TRACE,
        make=lambda given: TraceOptions(file=given.file, prices=given.prices, json=given.json),
    )
    parser.add_argument("file", metavar="FILE", help="a run file, from antiphon run --record")
    parser.add_argument("--prices", metavar="FILE", help="what the models cost, as JSON")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a tree")
