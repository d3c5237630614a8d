"""The journal of a workflow that waits: what its runs gave so far, read off the items.

A workflow's function cannot be kept while a person thinks. It is run again instead: each run
that it asks for and that stands in the items gives what it gave; the one that waits goes on;
and from there everything is new. So a function must ask for the same runs again: what it does
between them happens twice, and what must happen once belongs into a tool.

Above: `workflow`, `flow`. Below: `approval`, which says what waits.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from antiphon.errors import RequestError
from antiphon.items import AgentCall, Fault, Item, Message, Response

from .approval import Word, grants
from .delegate import position_of
from .telling import DOUBTFUL, Before


@dataclass(frozen=True, slots=True)
class Entry:
    """One run that the items tell of.

    Attributes:
        call: Its last part.
        words: What was said now on the requests that it waits for.
    """

    call: AgentCall
    words: list[Word]

    @property
    def waits(self) -> bool:
        """Whether it waits, and nobody has said anything yet."""
        return bool(self.call.awaiting) and not self.words

    def response(self) -> Response:
        """The run's response, as far as its item tells."""
        call = self.call
        failed = call.status != "completed"
        return Response(
            id=call.id or "",
            status="failed" if failed else "completed",
            model=call.agent,
            output=call.output,
            usage=call.usage,
            error=Fault(code="failed", message=call.error or call.status) if failed else None,
        )


@dataclass(slots=True)
class Journal:
    """What stands in the items of a workflow's run that goes on; empty for one that begins.

    Attributes:
        before: The items that the function was given.
        entries: The runs by agent and input, each in their order.
        due: The ids of runs that wait and were answered: the function has to come to them.
        answered: Whether the function has returned already, in another process.
    """

    before: Sequence[Item]
    entries: dict[tuple[str, str], deque[Entry]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], deque[Entry]](deque)
    )
    due: set[str] = field(default_factory=set[str])
    answered: bool = False

    @classmethod
    def of(
        cls, items: Sequence[Item], words: Sequence[Word] = (), *, history: int = 0
    ) -> "Journal":
        """Read it off the whole effective input, `history` items of which were there before.

        Raises:
            RequestError: An answer is on nothing that waits, or stands beside a new message.
        """
        decided: dict[int, list[Word]] = defaultdict(list)
        origins: list[AgentCall] = []
        for grant in grants(items, words, history=history):
            if not isinstance(grant.origin, AgentCall):
                raise _refused(grant.word.answer.approval_request_id)
            if id(grant.origin) not in decided:
                origins.append(grant.origin)
            decided[id(grant.origin)].append(grant.word)
        if not origins:
            return cls(items)
        first = min(position_of(origin, items) for origin in origins)
        start = _start(items, first)
        if any(_says(item) for item in items[start:]):
            raise RequestError(
                "input: expected nothing beside the approval responses, got a message: a workflow "
                "that waits goes on with what it was given; send the message after it has ended",
                param="input",
                code="invalid_value",
            )
        journal = cls(items[:start])
        calls = [item for item in items[start:] if isinstance(item, AgentCall)]
        gone_on = {call.continues for call in calls}
        for call in calls:
            if call.id not in gone_on:
                entry = Entry(call, decided[id(call)])
                journal.entries[call.agent, str(call.input)].append(entry)
        journal.due = {origin.id or "" for origin in origins}
        return journal

    def recall(self, before: Before) -> None:
        """Add what was told of this response before its process ended.

        A run that broke off is made again, unless it went on from an approval, or was about to:
        what was approved may have run, and runs once.
        """
        self.answered = before.answered
        for draft in before.fold.drafts.values():
            call = draft.item()
            if not isinstance(call, AgentCall):
                continue
            over = draft.whole is not None and call.status in ("completed", "failed")
            entries = self.entries[call.agent, str(call.input)]
            if call.continues is not None:
                kept = [each for each in entries if each.call.id != call.continues]
                entries.clear()
                entries.extend(kept)
                self.due.discard(call.continues)
            if over or call.continues is not None:
                entries.append(Entry(call, []))
        for entries in self.entries.values():
            entries.extend([_doubtful(entries.popleft()) for _ in range(len(entries))])
        self.due.clear()

    def take(self, agent: str, words: str) -> Entry | None:
        """The next run of an agent on this input that the items tell of."""
        entries = self.entries.get((agent, words))
        entry = entries.popleft() if entries else None
        if entry is not None:
            self.due.discard(entry.call.id or "")
        return entry


def _doubtful(entry: Entry) -> Entry:
    """One that went on from an approval, as far as anybody knows, has failed."""
    if not entry.words:
        return entry
    ended = {"status": "failed", "error": DOUBTFUL, "awaiting": None}
    return Entry(entry.call.model_copy(update=ended), [])


def _start(items: Sequence[Item], first: int) -> int:
    """Where the output of the run began: behind the message that it answers."""
    for position in range(first, 0, -1):
        if _says(items[position - 1]):
            return position
    return 0


def _says(item: Item) -> bool:
    return isinstance(item, Message) and item.role != "assistant"


def _refused(asked: str) -> RequestError:
    return RequestError(
        f"approval_request_id {asked[:100]!r}: it was asked by an agent, and this is a workflow: "
        "send the response to the model that asked",
        param="input",
        code="approval_not_found",
    )
