"""What each command was asked to do: the command line, parsed and typed.

Above: `parser`, which fills these. Below: the commands, each of which takes one. Not here: any
import that takes time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .conformance_parser import ConformanceOptions
from .files_parser import FilesOptions
from .mcp_parser import McpOptions

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
    """`antiphon serve`.

    Attributes:
        app: What to serve, as `module:app`.
        host: The address to bind.
        port: The port to bind; 0 takes a free one.
        upstream: The model server to stand in front of.
        models: Models of it; none means all.
        api: What it speaks.
        api_key_env: The environment variable that holds its key.
        sandbox: Where `code_interpreter` runs.
        index: The file that `file_search` has its vector stores in; None: it is not offered.
        api_keys: Keys of callers, as `KEY=NAME`.
        keys: A file of keys.
        store: Where responses are kept, as a URL; None takes the best that is installed.
        rate: Requests a minute that each caller may make.
        at_once: Responses that each caller may have in the making.
        drain: Seconds that answers under way are given at the end.
        log: How requests are logged to standard error; None logs none.
    """

    app: str | None
    host: str
    port: int
    upstream: str | None
    models: Sequence[str]
    api: Api
    api_key_env: str | None
    sandbox: SandboxChoice
    index: str | None
    api_keys: Sequence[str]
    keys: str | None
    store: str | None
    rate: int | None
    at_once: int | None
    drain: float
    log: Literal["json", "text"] | None


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


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`antiphon run`.

    Attributes:
        target: What to run, as `module:name`.
        text: What to say; `-` reads it from standard input.
        items: A file of items, or a run file, to go on with.
        record: Where the run file goes.
        json: Print the response as JSON.
        quiet: Show nothing while it goes on.
        approve: Requests that are approved, by id.
        refuse: Requests that are refused, by id.
        reason: Why they are refused, in words for the model.
    """

    target: str
    text: str | None
    items: str | None
    record: str | None
    json: bool
    quiet: bool
    approve: Sequence[str]
    refuse: Sequence[str]
    reason: str | None


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """`antiphon replay`.

    Attributes:
        file: The run file.
        target: What to drive, as `module:name`; None takes what was recorded.
        live_tools: Whether tools really run.
    """

    file: str
    target: str | None
    live_tools: bool


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """`antiphon trace`.

    Attributes:
        file: The run file.
        prices: A file of prices, by model.
        json: Print JSON.
    """

    file: str
    prices: str | None
    json: bool


Options: TypeAlias = (
    DemoOptions
    | ChatOptions
    | ServeOptions
    | CheckOptions
    | ConformanceOptions
    | FilesOptions
    | McpOptions
    | SandboxOptions
    | RunOptions
    | ReplayOptions
    | TraceOptions
)
"""What a command line asks for."""
