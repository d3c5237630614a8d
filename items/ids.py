"""Ids and the clock: the only two sources of chance, so that tests can hold both still."""

import random
import secrets
import time
from collections.abc import Callable
from typing import Final

PREFIX: Final[dict[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "compaction": "cmp",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "code_interpreter_call": "ci",
    "file_search_call": "fs",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "computer_call": "cu",
    "mcp_list_tools": "mcpl",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcpr",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "local_shell_call": "lsh",
    "apply_patch_call": "apc",
    "antiphon:tool_call": "tc",
    "antiphon:agent_call": "ac",
    "antiphon:handoff": "ho",
    "antiphon:approval_request": "apr",
}
"""The id prefix of each item type."""


class Ids:
    """Makes ids such as `msg_` and 48 hexadecimal digits.

    Args:
        seed: With a seed the sequence repeats (tests, replays); without, ids are unguessable.
    """

    __slots__ = ("_hex",)

    def __init__(self, *, seed: int | None = None) -> None:
        self._hex: Callable[[], str] = lambda: secrets.token_hex(24)
        if seed is not None:
            chance = random.Random(seed)
            self._hex = lambda: f"{chance.getrandbits(192):048x}"

    def __call__(self, prefix: str) -> str:
        """A new id with this prefix (`resp`, `msg`, `call`, ...)."""
        return f"{prefix}_{self._hex()}"

    def item(self, type: str) -> str:  # noqa: A002  (the wire's own word)
        """A new id for an item of this type."""
        return self(PREFIX.get(type, "item"))


Clock = Callable[[], float]
"""Gives seconds since 1970."""

now: Clock = time.time
