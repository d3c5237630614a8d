"""The way to a program on this machine: started when it is wanted, and once more in an older manner
where it ends at the question by which a session begins since 2026.

Above: whoever has such a program. Below: `way` (its session), `stdio` (its pipes), `secrets`.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from .fault import leaf
from .secrets import plain_in, secrets_in
from .stdio import POKE, piped
from .traffic import Traffic, Watch
from .way import carried

if TYPE_CHECKING:
    from mcp.client import Client


@dataclass(frozen=True, slots=True)
class Program:
    """A program on this machine that speaks over its standard input and output.

    Attributes:
        command: The program.
        args: Its arguments.
        env: Variables beside the few that are harmless (PATH, HOME ...).
        cwd: Where it runs.
        roots: URIs of the folders that it is told to keep to, if it asks.
        named: Variables that are secrets beside those that are called so.
        old: Not empty once it was found to end when it is asked what was not known before 2026.
    """

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str | None = None
    roots: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    old: list[bool] = field(default_factory=list[bool], repr=False, compare=False)

    @property
    def secrets(self) -> Sequence[str]:
        """Those of its own variables that `secrets` takes for keys."""
        return [each for each in dict.fromkeys(secrets_in(self.env.items(), self.named)) if each]

    @property
    def place(self) -> Sequence[str]:
        """The command line, its folders, and those of its variables that are no secrets."""
        told = plain_in(self.env.items(), self.named)
        return [self.command, *self.args, self.cwd or "", *self.roots, *told]

    @property
    def hidden(self) -> Sequence[object]:
        """All of its variables."""
        return [sorted(self.env.items())] if self.env else []

    @property
    def slow(self) -> bool:
        """It is not."""
        return False

    def tokens(self) -> Sequence[str]:
        """None."""
        return ()

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, Traffic]":
        """Start it."""
        from mcp.client.stdio import StdioServerParameters, get_default_environment, stdio_client
        from mcp.shared.exceptions import MCPError

        errors = sys.__stderr__ or stack.enter_context(open(os.devnull, "w"))  # noqa: ASYNC230
        if sys.platform == "win32":  # where ending what a program started takes the SDK's ways
            given = StdioServerParameters(
                command=self.command, args=list(self.args), env=dict(self.env), cwd=self.cwd
            )
            sdk = stdio_client(given, errlog=errors)
            return await carried(stack, sdk, watch, roots=self.roots)
        env = {**get_default_environment(), **self.env}
        start = partial(piped, [self.command, *self.args], env=env, cwd=self.cwd, errors=errors)
        left: list[str] = []

        def ended(why: str | None) -> None:
            left.extend([] if why is None else [why])
            watch.ended(why)

        told = replace(watch, ended=ended)
        if not self.old:
            try:
                async with AsyncExitStack() as trying:
                    found = await carried(trying, start(poke=POKE), told, roots=self.roots)
                    stack.push_async_exit(trying.pop_all())
                    return found
            except Exception as error:  # it ended, maybe since it was asked what it did not know
                if left or not isinstance(leaf(error), MCPError):
                    raise
        found = await carried(stack, start(), told, mode="legacy", roots=self.roots)
        self.old.append(True)
        return found
