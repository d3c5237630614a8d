"""What can be typed: every command, its options and its help.

Above: `entry`. Below: `options`. Not here: any import that takes time, and what a command does.
"""

import argparse
from collections.abc import Callable
from typing import Any, Final, Protocol

from antiphon import __version__

from .conformance_parser import add_conformance
from .files_parser import EPILOG as _FILES, add_files
from .mcp_parser import add_mcp
from .options import (
    ChatOptions,
    CheckOptions,
    DemoOptions,
    Endpoint,
    Options,
    ServeOptions,
)
from .run_parser import add_runs
from .sandbox_parser import EPILOG, add_actions
from .serve_parser import add_operations

_STYLE: Final[dict[str, Any]] = {
    "formatter_class": argparse.RawDescriptionHelpFormatter,  # epilogs stay as written
    "allow_abbrev": False,  # scripts must not break when an option is added
}


class Commands(Protocol):
    """Where commands are added: what `add_subparsers` gives."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """Another command."""
        ...


_MAIN = """\
examples:
  antiphon demo                                  an agent at work on a file, here and now
  antiphon chat --model ollama:qwen3             talk to a model
  antiphon serve app:app                         serve the Provider `app` of app.py
  antiphon serve --upstream http://localhost:11434/v1
  antiphon mcp app:agent                         an agent as an MCP server, for any host
  antiphon check http://localhost:11434/v1 --model qwen3
  antiphon conformance http://localhost:8000/v1  does it speak Open Responses? rule by rule
  antiphon run app:agent "Is it warm?" --record run.jsonl
  antiphon trace run.jsonl                       what that run did, when, for how many tokens
  antiphon replay run.jsonl                      would the code of today do the same?
  antiphon files add docs --index docs.db        documents that FileSearch("docs.db") finds
  antiphon sandbox check                         see that code in a sandbox stays there

exit codes: 0 all is well, 1 it failed, 2 it was asked wrongly, 3 it waits for somebody,
130 it was interrupted
"""

_DEMO = """\
examples:
  antiphon demo                     a scripted model; the code really runs: in a container if the
                                    sandbox image is there, else in a local process
  antiphon demo --fast              the same at once
  antiphon demo --model qwen3 --base-url http://localhost:11434/v1
                                    a real model; its code runs in a container
  antiphon demo --model qwen3 --base-url http://localhost:11434/v1 --sandbox local
                                    the same on this machine, unprotected

environment: ANTIPHON_DEMO_PACE, seconds between fragments of the script (0 is --fast)
"""

_CHAT = """\
examples:
  antiphon chat --demo
  antiphon chat --model ollama:qwen3 --instructions "Be brief."
  antiphon chat --model qwen3 --base-url http://localhost:11434/v1
  antiphon chat --model openai:gpt-5 --tools code_interpreter
  echo "Is it warm in Lisbon?" | antiphon chat --model ollama:qwen3

in the chat: /items shows the state as JSON, /reset empties it, /quit (or Ctrl-D) ends;
Ctrl-C stops an answer
"""

_SERVE = """\
examples:
  antiphon serve app:app            the Provider (or any ASGI app) named `app` in app.py
  antiphon serve --upstream http://localhost:11434/v1 --index docs.db
  antiphon serve --upstream https://api.openai.com/v1 --api-key-env OPENAI_API_KEY \\
                 --model gpt-5 --host 0.0.0.0 --keys keys.txt --log json

a file of keys has a line key:name for each, # begins a comment, and others may not read it

environment: ANTIPHON_API_KEYS, keys for --upstream as key:name,key2:name2 (a command line is
shown to every user of this machine; the environment is not)
"""

_CHECK = """\
examples:
  antiphon check http://localhost:11434/v1 --model qwen3
  antiphon check https://api.openai.com/v1 --model gpt-5 --api-key-env OPENAI_API_KEY --json

exit code: 1 if it does not answer, or does not stream
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `parse` turns its result into `Options`."""
    parser = argparse.ArgumentParser(
        prog="antiphon",
        description="Agents whose state is a list of Open Responses items.",
        epilog=_MAIN,
        **_STYLE,
    )
    parser.add_argument("--version", action="version", version=f"antiphon {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_chat(commands)
    _add_serve(commands)
    add_mcp(commands, command=_command, port=_port)
    _add_check(commands)
    add_conformance(commands, command=_command)
    add_runs(commands, command=_command)
    _add_sandbox(commands)
    _add_files(commands)
    return parser


def parse(given: argparse.Namespace) -> Options:
    """What the parsed command line asks for."""
    make: Callable[[argparse.Namespace], Options] = given.make
    return make(given)


def _command(
    commands: Commands,
    name: str,
    *,
    brief: str,
    epilog: str,
    make: Callable[[argparse.Namespace], Options],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=brief,
        description=f"{brief[:1].upper()}{brief[1:]}.",
        epilog=epilog,
        **_STYLE,
    )
    # SUPPRESS: a subcommand's default must not undo `antiphon --debug <command>`.
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    parser.set_defaults(make=make)
    return parser


def _add_endpoint(parser: argparse.ArgumentParser, *, api: bool = True) -> None:
    parser.add_argument(
        "--model", metavar="NAME", help="the model; without --base-url, such as ollama:qwen3"
    )
    parser.add_argument("--base-url", metavar="URL", help="the server's address, up to /v1")
    _add_key(parser)
    if api:
        _add_api(parser)


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--api-key-env", metavar="VAR", help="the environment variable that holds the server's key"
    )


def _add_api(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--api",
        choices=("auto", "responses", "chat"),
        default="auto",
        help="what the server speaks (default: auto, it is asked)",
    )


def _endpoint(given: argparse.Namespace) -> Endpoint:
    return Endpoint(
        model=given.model,
        base_url=given.base_url,
        api_key_env=given.api_key_env,
        api=given.api,
    )


def _add_demo(commands: Commands) -> None:
    parser = _command(
        commands,
        "demo",
        brief="watch an agent answer a question about a file by writing and running code",
        epilog=_DEMO,
        make=lambda given: DemoOptions(
            endpoint=_endpoint(given),
            sandbox=given.sandbox,
            chart=given.chart,
            fast=given.fast,
        ),
    )
    _add_endpoint(parser)
    parser.add_argument(
        "--sandbox",
        choices=("auto", "local", "docker"),
        default="auto",
        help="where the code runs (default: auto; a model's code never runs unprotected unasked)",
    )
    parser.add_argument(
        "--chart",
        metavar="PATH",
        help="where the chart goes (default: ./antiphon-demo.svg or .png)",
    )
    parser.add_argument("--fast", action="store_true", help="do not pace the script")


def _add_chat(commands: Commands) -> None:
    parser = _command(
        commands,
        "chat",
        brief="talk to a model; the conversation is a list of items",
        epilog=_CHAT,
        make=lambda given: ChatOptions(
            endpoint=_endpoint(given),
            instructions=given.instructions,
            tools=tuple(given.tools),
            sandbox=given.sandbox,
            demo=given.demo,
        ),
    )
    _add_endpoint(parser)
    parser.add_argument("--instructions", metavar="TEXT", help="what the model is told first")
    parser.add_argument(
        "--tools",
        nargs="+",
        choices=("code_interpreter",),
        default=(),
        metavar="TOOL",
        help="hosted tools to offer: code_interpreter",
    )
    parser.add_argument(
        "--sandbox",
        choices=("auto", "local", "docker"),
        default="auto",
        help="where the model's code runs (default: auto)",
    )
    parser.add_argument(
        "--demo", action="store_true", help="a built-in engine that tells what it was given"
    )


def _add_serve(commands: Commands) -> None:
    parser = _command(
        commands,
        "serve",
        brief="serve a Provider, or put one in front of a model server",
        epilog=_SERVE,
        make=lambda given: ServeOptions(
            app=given.app,
            host=given.host,
            port=given.port,
            upstream=given.upstream,
            models=tuple(given.model),
            api=given.api,
            api_key_env=given.api_key_env,
            sandbox=given.sandbox,
            index=given.index,
            api_keys=tuple(given.api_key),
            keys=given.keys,
            store=given.store,
            rate=given.rate,
            at_once=given.at_once,
            drain=given.drain,
            log=given.log,
        ),
    )
    parser.add_argument("app", nargs="?", metavar="module:app", help="what to serve")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=_port, default=8000, help="port to bind (default: 8000; 0 takes a free one)"
    )
    upstream = parser.add_argument_group("in front of a model server")
    upstream.add_argument("--upstream", metavar="URL", help="the server's address, up to /v1")
    upstream.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="serve only this model of it; may be repeated (default: all)",
    )
    _add_key(parser)
    _add_api(parser)
    upstream.add_argument(
        "--sandbox",
        choices=("none", "local", "docker"),
        default="none",
        help="where code_interpreter runs (default: none, it is not offered)",
    )
    upstream.add_argument(
        "--api-key",
        action="append",
        default=[],
        metavar="KEY=NAME",
        help="a key that callers may use, and whose it is; may be repeated",
    )
    add_operations(parser, upstream)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, got {number}")
    return number


def _add_check(commands: Commands) -> None:
    parser = _command(
        commands,
        "check",
        brief="see what a model server can do: stream, reason, call tools, see, follow a schema",
        epilog=_CHECK,
        make=lambda given: CheckOptions(
            endpoint=_endpoint(given), timeout=given.timeout, json=given.json
        ),
    )
    parser.add_argument("base_url", metavar="URL", help="the server's address, up to /v1")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model to ask")
    _add_key(parser)
    _add_api(parser)
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="for each question (default: 60)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 86_400:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text}")
    return number


def _add_sandbox(commands: Commands) -> None:
    parser = commands.add_parser(
        "sandbox",
        help="build the sandboxes' image, try to break out of one, list and remove containers",
        epilog=EPILOG,
        **_STYLE,
    )
    add_actions(parser, command=_command)


def _add_files(commands: Commands) -> None:
    brief = "put folders of documents into vector stores, and search them"
    parser = commands.add_parser("files", help=brief, epilog=_FILES, **_STYLE)
    add_files(parser, command=_command)
