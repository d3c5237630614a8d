"""What the loop asks of anything that the provider runs itself.

A *tool* is offered under one name that the model sees (`function`); each time the model calls
it, `begin` opens a *call*, which speaks events from the model's first word to its receipt.
`@tool` functions and hosted tools alike come to the loop in this one shape.

Above: `agents` (menu, dispatch). Not here: who may call what, or when.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from antiphon.items import (
    ApprovalRequest,
    Clock,
    CreateResponse,
    Event,
    FunctionCall,
    FunctionTool,
    Ids,
    Item,
    McpApprovalRequest,
    ToolDefinition,
    now,
)

from .account import Account
from .citations import Citations
from .uploads import Uploads

Asked: TypeAlias = ApprovalRequest | McpApprovalRequest
"""A call that waits for a person's word."""


@dataclass(slots=True)
class Allowance:
    """How many calls the provider may still run in a response and in all runs inside it.

    Attributes:
        left: None for as many as it takes.
        outer: What is left of the run that this one is inside of; each call takes from both.
    """

    left: int | None = None
    outer: "Allowance | None" = None

    def take(self) -> bool:
        """Reserve one call; False when none is left here, or further out."""
        if self.left is not None and self.left <= 0:
            return False
        if self.outer is not None and not self.outer.take():
            return False
        if self.left is not None:
            self.left -= 1
        return True

    @property
    def empty(self) -> bool:
        """Whether no call is left here, or further out."""
        own = self.left is not None and self.left <= 0
        return own or (self.outer is not None and self.outer.empty)


class Approvals(Protocol):
    """Whoever serves a run and binds a person's word to what was asked."""

    async def ask(self, request: "Asked", scope: "Scope") -> None:
        """A call of this run waits. Told before anybody sees the request."""
        ...


@dataclass(slots=True)
class Scope:
    """What a call may know of the run that it is part of.

    Attributes:
        principal: Whose run it is; everything stored or bound belongs to this name.
        request: What was asked.
        response_id: The response that is being made.
        items: The effective input and everything finished so far, growing as the run goes.
        ids: Where new ids come from.
        deps: What `Agent.run(deps=...)` was given, for `Context`.
        clock: Gives seconds since 1970.
        depth: How many runs this one is inside of; 0 for the one that was asked for.
        allowance: What is left of `max_tool_calls`, shared with the runs inside.
        account: The budgets that it is held to, its own and those further out.
        approvals: Who is told of calls that wait; nobody where the caller alone keeps them.
        path: The names of the agents from the outermost to this one.
        citations: The markers that a model may cite by, minted by tools that find something.
        private_urls: Whether URLs that the request gives may lead into private networks.
        uploads: The files that the request may name by id; None where nobody keeps uploads.
    """

    principal: str = "local"
    request: CreateResponse = field(default_factory=CreateResponse)
    response_id: str = ""
    items: Sequence[Item] = ()
    ids: Ids = field(default_factory=Ids)
    deps: Any = None
    clock: Clock = now
    depth: int = 0
    allowance: Allowance = field(default_factory=Allowance)
    account: Account = field(default_factory=lambda: Account("run"))
    approvals: Approvals | None = None
    path: tuple[str, ...] = ()
    citations: Citations = field(default_factory=Citations)
    private_urls: bool = False
    uploads: Uploads | None = None


ANEW: Final = -1
"""The output index of an item that a call adds while it runs; the loop gives it its place."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one call in the output: every event of the call bears both.

    Events of an item that the call adds to the output bear that item's id, and `ANEW`.
    """

    item_id: str
    output_index: int


@runtime_checkable
class Call(Protocol):
    """One call. Each step returns the events that tell of it, all bearing the call's slot.

    The order is: `open` once, `write` for every fragment, `ready` once, then `run` or `refuse`,
    whose last event is `ItemDone` with a terminal item. A call never raises for what the model
    or the tool did wrong: its item says so. When `run` is cancelled it lets the cancellation
    pass at once, its sandbox or connection handed back; the loop closes the item as incomplete.
    """

    def open(self) -> Iterable[Event]:
        """The model has named the tool: `ItemAdded`, and the event that it is in progress."""
        ...

    def write(self, delta: str) -> Iterable[Event]:
        """A fragment of the JSON arguments has come."""
        ...

    def ready(self, arguments: str) -> Iterable[Event]:
        """The arguments are whole."""
        ...

    def run(self) -> AsyncIterator[Event]:
        """Execute; events as it happens."""
        ...

    def refuse(self, reason: str) -> Iterable[Event]:
        """It will not be executed; the item fails, and `reason` is what the model reads."""
        ...


@runtime_checkable
class Offer(Protocol):
    """One name on the menu, run by the provider. `HostedOffer` makes one of its parts.

    An offer may also have an attribute `gate` (see `gate.Gate`): some of its calls then wait
    for a person's word, and are told only when it is known whether they do. And a method `takes`,
    which says of a call's JSON text whether it would run: about one that would not nobody is asked.
    """

    @property
    def function(self) -> FunctionTool:
        """What the model sees."""
        ...

    @property
    def item_type(self) -> str:
        """The type of the item that a call becomes, such as `antiphon:tool_call`."""
        ...

    @property
    def parallel(self) -> bool:
        """Whether its calls may run beside others of the same turn; False makes a barrier."""
        ...

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> Call:
        """A call opens. `call.arguments` is empty yet; its fragments come by `write`."""
        ...


@runtime_checkable
class HostedTool(Protocol):
    """A tool with an item type of its own, that requests declare by its type. `hosted_tool` makes
    one of a function.

    A tool that goes by several names may also have an attribute `types`, all of them.
    """

    @property
    def type(self) -> str:
        """The `type` of definitions that ask for it, such as `code_interpreter`."""
        ...

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[Offer]:
        """What this definition puts on the menu for one request.

        Raises:
            RequestError: The definition asks for what cannot be given; `param` is relative
                to the definition (such as `container.memory_limit`).
        """
        ...

    async def aclose(self) -> None:
        """Give back everything held."""
        ...


@runtime_checkable
class Asks(Protocol):
    """An offer whose requests for approval are items of their own kind, and bound to what would
    be called: when that is another thing by the time a person answers, the word does not count.
    """

    def ask(self, arguments: str, ids: Ids) -> Asked:
        """The request for one call."""
        ...

    async def stands(self, request: Asked) -> bool:
        """Whether what would be called is still what a request was about.

        Raises:
            ToolFailed: Nobody can say; the call does not run.
        """
        ...


class Listing(Protocol):
    """The offers of somebody who has to be asked for them first."""

    @property
    def label(self) -> str:
        """Whose they are, as the request has it."""
        ...

    @property
    def known(self) -> bool:
        """Whether nobody has to be asked: the input of the run says what they are."""
        ...

    @property
    def offers(self) -> Sequence[Offer]:
        """What is offered; nothing while it is not known, or when it could not be."""
        ...

    def begin(self, output_index: int) -> tuple[Call, Slot]:
        """Ask: an item of the response, in the shape of a call that no model writes."""
        ...


@runtime_checkable
class Lists(HostedTool, Protocol):
    """A hosted tool whose offers are known only when somebody has been asked."""

    def listing(self, definition: ToolDefinition, scope: Scope) -> Listing:
        """What a definition asks for.

        Raises:
            RequestError: As for `offers`.
        """
        ...


@runtime_checkable
class Declared(HostedTool, Protocol):
    """A hosted tool that says itself how an agent's request asks for it."""

    @property
    def definition(self) -> ToolDefinition:
        """The definition."""
        ...


@runtime_checkable
class Checks(HostedTool, Protocol):
    """A hosted tool that has to wait for an answer to know whether a definition can be served.

    A Provider asks before anything is created; what an agent's own definition names is not asked
    for, so `begin` has to bear its absence, too.
    """

    async def check(self, definition: ToolDefinition, scope: Scope) -> None:
        """Look whether all that the definition names is there, and the principal's.

        Raises:
            RequestError: It is not; `param` as for `offers`.
        """
        ...
