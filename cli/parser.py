"""What can be typed: every command, its options and its help.

Above: `entry`. Below: the parsers of the larger commands, `options`. Not here: any import that
takes time, and what a command does.
"""

import argparse
from collections.abc import Callable
from typing import Any, Final

from antiphon import __version__

from . import values
from .command import STYLE, add_command
from .conformance_parser import add_conformance
from .files_parser import add_files
from .mcp_parser import add_mcp
from .options import ChatOptions, CheckOptions, DemoOptions, Options
from .run_parser import add_runs
from .sandbox_parser import add_sandbox
from .serve_parser import add_serve
from .shared import add_endpoint, add_server, endpoint_of

_MAIN: Final = """\
examples:
  antiphon demo                                  watch an agent work on a file
  antiphon chat --model ollama:qwen3             talk to a model
  antiphon serve app:app                         serve the Provider `app` of app.py
  antiphon serve --upstream http://localhost:11434/v1
  antiphon mcp app:agent                         an agent as an MCP server
  antiphon check http://localhost:11434/v1 --model qwen3
  antiphon conformance http://localhost:8000/v1  does it speak Open Responses?
  antiphon run app:agent "Is it warm?" --record run.jsonl
  antiphon trace run.jsonl                       what did that run do, when, at what cost?
  antiphon replay run.jsonl                      would today's code do the same?
  antiphon files add docs --index docs.db        documents for FileSearch("docs.db")
  antiphon sandbox check                         test that sandboxes isolate code

exit codes: 0 success, 1 failure, 2 usage error, 3 the run waits for an approval or for calls of
yours, 130 interrupted
"""

_DEMO: Final = """\
examples:
  antiphon demo                     a script plays the model; its code really runs: in a container
                                    if the sandbox image exists, otherwise in a local process
  antiphon demo --fast              the same without pauses
  antiphon demo --model qwen3 --base-url http://localhost:11434/v1
                                    a real model; its code runs in a container
  antiphon demo --model qwen3 --base-url http://localhost:11434/v1 --sandbox local
                                    the same on this machine, without protection

environment:
  ANTIPHON_DEMO_PACE    seconds between fragments of the script (0 is --fast)
"""

_CHAT: Final = """\
examples:
  antiphon chat --demo
  antiphon chat --model ollama:qwen3 --instructions "Be brief."
  antiphon chat --model qwen3 --base-url http://localhost:11434/v1
  antiphon chat --model openai:gpt-5 --tools code_interpreter
  echo "Is it warm in Lisbon?" | antiphon chat --model ollama:qwen3

In the chat, /items shows the state as JSON, /reset empties it, and /quit (or Ctrl-D) ends the chat.
Ctrl-C stops an answer.
"""

_CHECK: Final = """\
examples:
  antiphon check http://localhost:11434/v1 --model qwen3
  antiphon check https://api.openai.com/v1 --model gpt-5 --api-key-env OPENAI_API_KEY --json

exit code: 1 if the model does not answer, or does not stream
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `parse` turns its result into `Options`."""
    parser = argparse.ArgumentParser(
        prog="antiphon",
        description="Agents whose state is a list of Open Responses items.",
        epilog=_MAIN,
        **STYLE,
    )
    parser.add_argument("--version", action="version", version=f"antiphon {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_chat(commands)
    add_serve(commands)
    add_mcp(commands)
    _add_check(commands)
    add_conformance(commands)
    add_runs(commands)
    add_sandbox(commands)
    add_files(commands)
    return parser


def parse(given: argparse.Namespace) -> Options:
    """What the parsed command line asks for."""
    make: Callable[[argparse.Namespace], Options] = given.make
    return make(given)


def _add_demo(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        brief="watch an agent answer a question about a file by writing and running code",
        epilog=_DEMO,
        make=lambda given: DemoOptions(
            endpoint=endpoint_of(given),
            sandbox=given.sandbox,
            chart=given.chart,
            fast=given.fast,
        ),
    )
    add_endpoint(parser)
    _add_sandbox_choice(parser, "where the code runs (default: auto; a real model's code runs ")
    parser.add_argument(
        "--chart",
        metavar="PATH",
        help="where to save the chart (default: ./antiphon-demo.svg or .png)",
    )
    parser.add_argument("--fast", action="store_true", help="play the script without pauses")


def _add_chat(commands: Any) -> None:
    parser = add_command(
        commands,
        "chat",
        brief="talk to a model; the conversation is a list of items",
        epilog=_CHAT,
        make=lambda given: ChatOptions(
            endpoint=endpoint_of(given),
            instructions=given.instructions,
            tools=tuple(given.tools),
            sandbox=given.sandbox,
            demo=given.demo,
        ),
    )
    add_endpoint(parser)
    parser.add_argument("--instructions", metavar="TEXT", help="the model's instructions")
    parser.add_argument(
        "--tools",
        nargs="+",
        choices=("code_interpreter",),
        default=(),
        metavar="TOOL",
        help="hosted tools to offer: code_interpreter",
    )
    _add_sandbox_choice(parser, "where the model's code runs (default: auto; it runs ")
    parser.add_argument(
        "--demo",
        action="store_true",
        help="talk to a built-in engine that repeats what it was given",
    )


def _add_sandbox_choice(parser: argparse.ArgumentParser, where: str) -> None:
    parser.add_argument(
        "--sandbox",
        choices=("auto", "local", "docker"),
        default="auto",
        help=f"{where}on this machine, unprotected, only with `local`)",
    )


def _add_check(commands: Any) -> None:
    parser = add_command(
        commands,
        "check",
        brief="find out what a model can do: stream, reason, call tools, see, follow a schema",
        epilog=_CHECK,
        make=lambda given: CheckOptions(
            endpoint=endpoint_of(given), timeout=given.timeout, json=given.json
        ),
    )
    parser.add_argument(
        "base_url", type=values.url, metavar="URL", help="the model server's address, up to /v1"
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the model to ask")
    add_server(parser)
    parser.add_argument(
        "--timeout",
        type=values.timeout,
        default=60.0,
        metavar="SECONDS",
        help="how long one question may take (default: 60)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
