"""What each command was asked to do: the command line, parsed and typed.

Above: the parsers, which fill these. Below: the commands, each of which takes one. Not here: any
import that takes time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Api: TypeAlias = Literal["auto", "responses", "chat"]
"""What a server speaks: the Responses API, Chat Completions, or whichever it answers to."""

SandboxChoice: TypeAlias = Literal["auto", "local", "docker", "none"]
"""Where code may run; see `isolation`."""

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""Larger files are not added unless the command says so."""


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
class Embedding:
    """The embedding model of an index.

    Attributes:
        model: Its name; None: the index is searched by words alone.
        url: Its server, up to /v1.
        key_env: The environment variable that holds that server's key.
        window: Tokens that the model reads of a text.
        passage_prefix: What the model wants before passages.
        query_prefix: What it wants before queries.
    """

    model: str | None = None
    url: str | None = None
    key_env: str | None = None
    window: int = 512
    passage_prefix: str = ""
    query_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Listening:
    """A server on this machine, whatever it serves.

    Attributes:
        host: The address to bind.
        port: The port to bind; 0 takes a free one.
        api_keys: Keys of callers, as `KEY=NAME`.
        keys: A file of keys.
        drain: Seconds that answers under way are given at the end.
        log: How requests are logged to standard error; None logs none.
    """

    host: str
    port: int
    api_keys: Sequence[str]
    keys: str | None
    drain: float
    log: Literal["json", "text"] | None


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
        listening: Where, and for whom.
        upstream: The model server to stand in front of.
        models: Models of it; none means all.
        api: What it speaks.
        api_key_env: The environment variable that holds its key.
        sandbox: Where `code_interpreter` runs.
        index: The file that `file_search` has its vector stores in; None: it is not offered.
        embedding: What makes the vectors of that index.
        store: Where responses are kept, as a URL; None takes the best that is installed.
        rate: Requests a minute that each caller may make.
        at_once: Responses that each caller may have in the making.
    """

    app: str | None
    listening: Listening
    upstream: str | None
    models: Sequence[str]
    api: Api
    api_key_env: str | None
    sandbox: SandboxChoice
    index: str | None
    embedding: Embedding
    store: str | None
    rate: int | None
    at_once: int | None


@dataclass(frozen=True, slots=True)
class McpOptions:
    """`antiphon mcp`.

    Attributes:
        target: What to serve, as `module:name`.
        http: Whether over HTTP; else over stdin and stdout.
        listening: Where over HTTP, and for whom; how it logs, in either case.
    """

    target: str
    http: bool
    listening: Listening


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """`antiphon check`."""

    endpoint: Endpoint
    timeout: float
    json: bool


@dataclass(frozen=True, slots=True)
class ConformanceOptions:
    """`antiphon conformance`.

    Attributes:
        url: The provider, up to /v1.
        model: The model to ask; None takes the first that the provider lists.
        api_key_env: The environment variable that holds the key.
        only: Words of the rules to try; none are all.
        dialect: As whose client to speak.
        websocket: Whether WebSockets are tried.
        timeout: Seconds that one answer may take.
        schema: The openapi.json of Open Responses, to validate against.
        json: Print JSON.
    """

    url: str
    model: str | None
    api_key_env: str | None
    only: Sequence[str]
    dialect: Literal["openresponses", "openai"] | None
    websocket: bool
    timeout: float
    schema: str | None
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


Value: TypeAlias = str | bool | int | float
"""What an attribute of a file may be."""

FilesAction: TypeAlias = Literal["add", "ls", "search"]
"""What may be done with vector stores."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where vector stores are.

    Attributes:
        url: A served Provider, up to /v1; None for an index.
        api_key_env: The environment variable that holds its key.
        index: The path of an index file; None for a Provider.
        principal: Whose the stores in the index are.
        embedding: What makes the vectors of the index.
    """

    url: str | None = None
    api_key_env: str | None = None
    index: str | None = None
    principal: str = "local"
    embedding: Embedding = field(default_factory=Embedding)


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """`antiphon files`, with one of its actions.

    Attributes:
        action: What is to be done.
        where: Where the stores are.
        store: A store's name or id; None takes `docs`, or for `ls` lists the stores.
        paths: Folders and files to add.
        query: What to look for.
        name: What the folder is called in the store; None takes its own name.
        attributes: What every added file gets.
        include: Patterns, one of which a file has to match; none: all do.
        exclude: Patterns of files and folders that are passed over.
        max_bytes: Files of more bytes are passed over.
        prune: Whether files that are gone are taken out of the store.
        yes: Also where that is most of what the store has of a folder.
        limit: How many results.
        json: Print JSON.
    """

    action: FilesAction
    where: Where
    store: str | None = None
    paths: Sequence[str] = ()
    query: str = ""
    name: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    max_bytes: int = MAX_FILE_BYTES
    prune: bool = False
    yes: bool = False
    limit: int = 5
    json: bool = False


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
