"""`antiphon run`: one run of an agent or a workflow, shown as it goes, and recorded.

Above: `entry`. Below: `target` (what is run), `screen`, `recorder`, `waiting` (what a run waits
for). Not here: conversations of many turns; that is `chat`.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from typing import Final

from pydantic import ValidationError
from rich.console import Console

from antiphon.agents import Result
from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.items import ITEMS, Item, Response, ResponseEvent, user

from .options import RunOptions
from .paper import Paper
from .picture import saver
from .prose import harmless, json_text
from .recorder import Recorder
from .run_file import is_run_file, read_bytes, read_runs
from .screen import Screen
from .target import Target, find_target
from .waiting import Waiting, ask_at_terminal, waiting_in, words_for

MAX_ITEMS: Final = 64 * 1024 * 1024
"""Bytes that a file of items may have."""

WAITS: Final = 3
"""The exit code of a run that waits for somebody."""


def run(options: RunOptions) -> int:
    """Run it, and say what came of it.

    Raises:
        ConfigurationError: There is no such target, or nothing to say to it.
        RequestError: The input cannot be served as it stands.
        OutputError: The answer is not of the agent's output type.
    """
    target = find_target(options.target)
    items = _given(options)
    live = sys.stdout.isatty() and not options.json and not options.quiet
    with ExitStack() as stack:
        recorder = None if options.record is None else Recorder(options.record)
        stack.enter_context(recorder or nullcontext())
        paper = stack.enter_context(_paper(live))
        screen = None if options.quiet else Screen(paper, picture=saver("antiphon-run", fresh=True))
        runner = stack.enter_context(asyncio.Runner())
        stack.callback(lambda: runner.run(target.aclose()))
        while True:
            response = runner.run(_once(target, items, recorder, screen))
            items = [*items, *response.output]
            waits = waiting_in(Result(None, items, response))
            words = ask_at_terminal(waits, paper) if _may_ask(options, waits) else []
            if not words:
                break
            items = [*items, *words]
        paper.end()
        if not live:
            _answer(response, json=options.json)
        return _ended(options, target, response, waits, paper)


async def _once(
    target: Target, items: Sequence[Item], recorder: Recorder | None, screen: Screen | None
) -> Response:
    """One run; its terminal response."""
    if recorder is not None:
        recorder.begin(target, items)
        recorder.watch(target.agents)
    response: Response | None = None
    async for event in target.runnable.stream(items):
        if recorder is not None:
            recorder.event(event)
        if screen is not None:
            screen.show(event)
        if isinstance(event, ResponseEvent):
            response = event.response
    if response is None:
        raise AntiphonError("the run gave no events: this is a bug, please report it")
    return response


def _given(options: RunOptions) -> list[Item]:
    """What the command line says to it.

    Raises:
        ConfigurationError: Nothing, or an answer to what was not asked.
    """
    items = [] if options.items is None else read_items(options.items)
    items += words_for(items, options.approve, options.refuse, options.reason)
    text = options.text
    if text == "-":
        text = sys.stdin.read().strip()
        if not text:
            raise ConfigurationError("expected a text on standard input; it is empty")
    if text:
        items.append(user(text))
    elif text is not None or not items:
        raise ConfigurationError(
            "expected something to say: antiphon run app:agent "
            '"Is it warm in Lisbon?", or - to read it from standard input, or --items FILE'
        )
    return items


def read_items(path: str) -> list[Item]:
    """The items of a file: a JSON list of them, or the conversation of a run file.

    Raises:
        ConfigurationError: It holds neither.
    """
    data = read_bytes(path, MAX_ITEMS, "a file of items")
    if is_run_file(data[:64]):
        return read_runs(path)[-1].items
    try:
        return ITEMS.validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{step}]" for step in fault["loc"][:1])
        raise ConfigurationError(
            f"{path}: expected a JSON list of items, or a run file: items{place}: {fault['msg']}"
        ) from None


def _paper(live: bool) -> Paper:
    """Where what happens is shown: away from the answer, unless a person reads both."""
    return Paper() if live else Paper(Console(file=sys.stderr, highlight=False))


def _may_ask(options: RunOptions, waits: Waiting) -> bool:
    at_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return bool(waits.requests) and at_terminal and not options.quiet


def _answer(response: Response, *, json: bool) -> None:
    if json:
        sys.stdout.write(f"{json_text(response.model_dump(mode='json'))}\n")
    elif text := response.output_text:
        # A pipe gets the text as it is: what commands a terminal is harmless in a file.
        sys.stdout.write((harmless(text) if sys.stdout.isatty() else text).rstrip("\n") + "\n")


def _ended(
    options: RunOptions, target: Target, response: Response, waits: Waiting, paper: Paper
) -> int:
    """Say how it ended where that is not plain; the exit code."""
    if response.status != "completed":
        if options.quiet:  # else the screen has said it
            sys.stderr.write(f"antiphon: {harmless(_why(response))}\n")
        return 1
    if waits:
        for line in waits.told(options.target, record=options.record):
            paper.note(line, style="yellow")
        return WAITS
    target.runnable.answer(response)
    return 0


def _why(response: Response) -> str:
    details = response.incomplete_details
    why = response.error.message if response.error else details and details.reason
    return f"the run ended {response.status}: {why or 'it did not say why'}"
