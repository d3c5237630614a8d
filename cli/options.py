"""What each command was asked to do: the command line, parsed and typed.

Above: `parser`, which fills these. Below: the commands, each of which takes one. Not here: any
import that takes time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Api: TypeAlias = Literal["auto", "responses", "chat"]
"""What a server speaks: the Responses API, Chat Completions, or whichever it answers to."""

SandboxChoice: TypeAlias = Literal["auto", "local", "docker", "none"]
"""Where code may run; see `isolation`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model and where it is.

    Attributes:
        model: Its name; with no `base_url`, one that `antiphon.models` finds by its prefix.
        base_url: The server, such as `http://localhost:11434/v1`.
        api_key_env: The environment variable that holds the key.
        api: What the server speaks.
    """

    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api: Api = "auto"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`antiphon demo`."""

    endpoint: Endpoint
    sandbox: SandboxChoice
    chart: str | None
    fast: bool


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """`antiphon chat`."""

    endpoint: Endpoint
    instructions: str | None
    tools: Sequence[str]
    sandbox: SandboxChoice
    demo: bool


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """`antiphon serve`."""

    app: str | None
    host: str
    port: int
    upstream: str | None
    models: Sequence[str]
    api: Api
    api_key_env: str | None
    sandbox: SandboxChoice
    api_keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """`antiphon check`."""

    endpoint: Endpoint
    timeout: float
    json: bool


SandboxAction: TypeAlias = Literal["build", "check", "ls", "prune"]
"""What may be done with the sandboxes of an engine."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """`antiphon sandbox`, with one of its actions.

    Attributes:
        action: What is to be done.
        engine: A container engine's URL, or the name of a docker context; None looks for one.
        base: The image to build on; None takes the environment's, or the one that is known.
        extra: More packages for the image.
        rebuild: Build even if the image is there.
        runtime: The engine's runtime to check, such as `runsc`.
        json: Print JSON.
    """

    action: SandboxAction
    engine: str | None = None
    base: str | None = None
    extra: Sequence[str] = ()
    rebuild: bool = False
    runtime: str | None = None
    json: bool = False


Options: TypeAlias = DemoOptions | ChatOptions | ServeOptions | CheckOptions | SandboxOptions
"""What a command line asks for."""
