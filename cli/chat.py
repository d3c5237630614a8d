"""`antiphon chat`: a conversation whose state is a list of items.

Above: `entry`. Below: an `Agent`, `screen`. Not here: history files and sessions; /items is
the whole state, and it is JSON.
"""

import asyncio
import importlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import anyio

from antiphon.agents import Agent
from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.items import Item, Response, ResponseEvent, user
from antiphon.models import Model
from antiphon.tools import CodeInterpreter, HostedTool

from .endpoint import open_model
from .isolation import place
from .options import ChatOptions
from .paper import Paper
from .parrot import parrot
from .picture import saver
from .prose import json_text
from .screen import Screen

_COMMANDS = "/items shows the state, /reset empties it, /quit ends"


def chat(options: ChatOptions) -> int:
    """Talk until the input ends.

    Raises:
        ConfigurationError: The model or the place for its code is not to be had.
        KeyboardInterrupt: Ctrl-C at the prompt, or anywhere without a terminal.
    """
    model = _model(options)
    tools, notice = _tools(options)
    agent = Agent(name="chat", model=model, instructions=options.instructions, tools=tools)
    interactive = sys.stdin.isatty()
    with asyncio.Runner() as runner, Paper() as paper:
        paper.note(f"antiphon chat: {model.name} ({_COMMANDS})", style="bold")
        if notice:
            paper.note(notice, style="yellow")
        talk = Conversation(agent, paper)
        try:
            for line in _lines(paper, interactive):
                if line == "/quit":
                    break
                if talk.command(line):
                    continue
                try:
                    runner.run(talk.ask(line))
                except KeyboardInterrupt:
                    if not interactive:
                        raise
                    paper.line("stopped", style="yellow")
        finally:
            runner.run(_close(model, tools))
    return 1 if talk.failed and not interactive else 0


class Conversation:
    """What was said so far.

    Attributes:
        items: All of it.
        failed: Whether some answer failed.
    """

    def __init__(self, agent: Agent[str], paper: Paper) -> None:
        self.items: list[Item] = []
        self.failed = False
        self._agent = agent
        self._paper = paper
        self._screen = Screen(paper, picture=saver("antiphon-chat", fresh=True))

    def command(self, line: str) -> bool:
        """Do what a line commands; False if it is none, and is to be said to the model."""
        if not line.startswith("/"):
            return False
        if line == "/items":
            items = [item.model_dump(mode="json") for item in self.items]
            self._paper.line(json_text(items))
        elif line == "/reset":
            self.items = []
            self._paper.line("the list is empty", style="dim")
        else:
            self._paper.line(f"there is no command {line.split()[0]}: {_COMMANDS}", style="yellow")
        return True

    async def ask(self, line: str) -> None:
        """Say this, show the answer, and remember both; a failed answer is not remembered."""
        asked = [*self.items, user(line)]
        response: Response | None = None
        try:
            async for event in self._agent.stream(asked):
                self._screen.show(event)
                if isinstance(event, ResponseEvent):
                    response = event.response
        except AntiphonError as error:
            self._paper.note(str(error), style="red")
            response = None
        finally:  # a cancelled answer has closed all its items, and they are kept
            if response is None or response.status in ("failed", "in_progress"):
                self.failed: bool = True
                self._paper.line("neither your message nor the answer is kept", style="dim")
            else:
                self.items = [*asked, *response.output]


def _model(options: ChatOptions) -> Model:
    if not options.demo:
        return open_model(options.endpoint)
    asked = options.endpoint
    if asked.model or asked.base_url or asked.api_key_env or asked.api != "auto":
        raise ConfigurationError("expected --demo or --model; got both: leave one out")
    return parrot


def _tools(options: ChatOptions) -> tuple[list[HostedTool], str]:
    if not options.tools:
        if options.sandbox != "auto":
            raise ConfigurationError("--sandbox needs --tools code_interpreter: nothing runs code")
        return [], ""
    where = anyio.run(partial(place, options.sandbox, own_code=False))
    return [CodeInterpreter(where.sandboxes)], where.notice


def _lines(paper: Paper, interactive: bool) -> Iterator[str]:
    """What is typed, or piped in, line by line."""
    if not interactive:
        for line in sys.stdin:
            if line.strip():
                paper.line("")
                paper.line(f"> {line.strip()}", style="bold")
                yield line.strip()
        return
    with suppress(ImportError):
        importlib.import_module("readline")  # gives `input` history and editing
    with suppress(EOFError):
        while True:
            paper.line("")
            line = input("> ").strip()
            if line:
                yield line
    paper.line("")


async def _close(model: Model, tools: list[HostedTool]) -> None:
    for tool in tools:
        await tool.aclose()
    await model.aclose()
