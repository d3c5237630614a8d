"""`antiphon trace`: the items of a recorded run as a tree, with times, tokens and costs.

Above: `entry`. Below: `run_file`, `recorded`, `bill`. Not here: any judgement of the run.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from antiphon.items import AgentCall, Item, Json, Response, Usage

from .bill import Bill, read_prices
from .options import TraceOptions
from .paper import Paper
from .preview import gist, short, title_of
from .prose import json_text
from .recorded import RecordedItem, RecordedRun, is_run_here, tree_of, turns_of
from .run_file import TORN, Take, read_runs

_WIDTH: Final = 120
"""Columns of a line where there is no terminal to ask."""

_GIST: Final = 400
"""Characters of an item's gist in JSON."""


@dataclass(slots=True)
class Span:
    """One item, or one run, of a trace.

    Attributes:
        item: The item; None for the run that was asked for.
        start: Seconds since the beginning.
        seconds: From added to done; None where it was not finished.
        usage: The tokens of the run that this is, and of those inside it.
        cost: What that run cost, and those inside it.
        inside: The items of that run.
    """

    item: Item | None
    start: float
    seconds: float | None
    status: str
    usage: Usage | None = None
    cost: float | None = None
    inside: list["Span"] = field(default_factory=list["Span"])


@dataclass(slots=True)
class Trace:
    """What there is to tell of one run."""

    take: Take
    run: RecordedRun
    top: Span
    bill: Bill
    turns: int
    calls: int
    seconds: float

    @property
    def status(self) -> str:
        """How it ended."""
        response = self.run.response
        return response.status if response is not None and self.run.end else "cut off"


def trace(options: TraceOptions) -> int:
    """Print the trace of each run of the file.

    Raises:
        ConfigurationError: The file is no run file, or the prices are none.
    """
    takes = read_runs(options.file)
    prices = None if options.prices is None else read_prices(options.prices)
    traces = [_trace(take, Bill(prices, _models(take))) for take in takes]
    if options.json:
        sys.stdout.write(f"{json_text([_json(each) for each in traces])}\n")
        return 0
    with Paper() as paper:
        for number, each in enumerate(traces, start=1):
            if number > 1:
                paper.line("")
            _print(each, paper)
    return 0


def _models(take: Take) -> dict[str, str]:
    """The model of each agent."""
    header = take.header
    own = {header.agent: header.model} if header.model else {}
    return own | {asked.agent: asked.model for asked in take.asked}


def _trace(take: Take, bill: Bill) -> Trace:
    run = tree_of(take.events, whole=True)
    last = take.events[-1].t if take.events else 0.0
    top = Span(None, 0.0, last if run.end else None, "")
    top.usage = run.response and run.response.usage
    bill.of(take.header.agent, run.usage)
    top.inside = [_span(one, bill) for one in run.items]
    return Trace(take, run, top, bill, _turns(take, run), _calls(run), last)


def _span(one: RecordedItem, bill: Bill) -> Span:
    done = one.done
    start = one.added.t
    span = Span(one.item, start, None if done is None else max(done.t - start, 0), one.status)
    if isinstance(one.item, AgentCall) and one.child is not None:
        response = one.child.response
        used = one.item.usage or (response and response.usage)
        span.usage = used if used and used.total_tokens else None
        span.inside = [_span(each, bill) for each in one.child.items]
        costs = [bill.of(one.item.agent, one.child.usage), *(each.cost for each in span.inside)]
        known = [cost for cost in costs if cost is not None]
        span.cost = sum(known) if known else None
    return span


def _turns(take: Take, run: RecordedRun) -> int:
    """Turns of models, at any depth: as they were noted, or else read off the items."""
    if take.asked:
        return len(take.asked)
    own = 0 if take.header.kind == "workflow" else len(turns_of(run))
    return own + sum(len(turns_of(each)) for each in _inside(run))


def _inside(run: RecordedRun) -> Iterator[RecordedRun]:
    for one in run.items:
        if one.child is not None:
            yield one.child
            yield from _inside(one.child)


def _calls(run: RecordedRun) -> int:
    """Calls that were run here, at any depth."""
    runs = [run, *_inside(run)]
    return sum(is_run_here(one.item) for each in runs for one in each.items)


# --- in lines ---------------------------------------------------------------


def _print(trace: Trace, paper: Paper) -> None:
    header = trace.take.header
    began = datetime.fromtimestamp(header.started, UTC)
    model = f" on {header.model}" if header.model else ""
    paper.line(f"{header.target}, {header.kind} {header.agent}{model}", style="bold")
    paper.line(f"{began:%Y-%m-%d %H:%M:%S} UTC", style="dim")
    width = paper.console.width - 1 if paper.console.is_terminal else _WIDTH
    paper.line("")
    paper.line("    start      took", style="dim")
    for item in header.request.items:
        paper.line(_row("", "", 0, f"{title_of(item)}  {gist(item)}", width), style="dim")
    for line, bad in _rows(trace.top.inside, 0, width, trace.bill):
        paper.line(line, style="red" if bad else "")
    paper.line("")
    for line in _sums(trace):
        paper.line(line)


def _rows(spans: Sequence[Span], depth: int, width: int, bill: Bill) -> Iterator[tuple[str, bool]]:
    for span in spans:
        assert span.item is not None
        plain = span.status == "completed"
        notes = "" if plain else f"[{span.status}] "
        if span.usage is not None:
            notes += f"[{_tokens(span.usage)}] "
        if span.cost is not None:
            notes += f"[{_money(span.cost)}] "
        words = f"{title_of(span.item)}  {notes}{gist(span.item)}"
        took = "..." if span.seconds is None else _seconds(span.seconds)
        yield _row(_seconds(span.start), took, depth, words, width), not plain
        yield from _rows(span.inside, depth + 1, width, bill)


def _row(start: str, took: str, depth: int, words: str, width: int) -> str:
    head = f"{start:>9} {took:>9}  {'  ' * min(depth, 20)}"
    return head + short(words, max(width - len(head), 20))


def _sums(trace: Trace) -> Iterator[str]:
    response = trace.run.response
    ended = f"{trace.status} after {_seconds(trace.seconds)}"
    why = _why(response) if trace.run.end else "the recording ends in the middle of the run"
    yield f"{ended}{': ' if why else ''}{why}"
    yield f"{_count(trace.turns, 'turn')}, {_count(trace.calls, 'call')}"
    if trace.take.torn:
        yield TORN
    usage = trace.top.usage
    if usage is not None and usage.total_tokens:
        yield f"tokens: {_detailed(usage)}"
    if trace.bill.asked:
        unknown = ", ".join(sorted(trace.bill.unknown))
        without = f", and no price for {unknown}" if unknown else ""
        yield f"cost: {_money(trace.bill.total)}{without}"


def _why(response: Response | None) -> str:
    if response is None:
        return ""
    if response.error is not None:
        return response.error.message
    details = response.incomplete_details
    return (details and details.reason) or ""


def _tokens(usage: Usage) -> str:
    return f"{usage.input_tokens:,} in, {usage.output_tokens:,} out"


def _detailed(usage: Usage) -> str:
    cached = usage.input_tokens_details.cached_tokens
    thought = usage.output_tokens_details.reasoning_tokens
    read = f"{usage.input_tokens:,} in" + (f" ({cached:,} cached)" if cached else "")
    return f"{read}, {usage.output_tokens:,} out" + (f" ({thought:,} reasoning)" if thought else "")


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 100 else f"{amount:.6f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# --- in JSON ----------------------------------------------------------------


def _json(trace: Trace) -> Json:
    header = trace.take.header
    told: Json = {
        "target": header.target,
        "kind": header.kind,
        "agent": header.agent,
        "model": header.model,
        "started": header.started,
        "status": trace.status,
        "seconds": trace.seconds,
        "turns": trace.turns,
        "calls": trace.calls,
        "usage": trace.top.usage and trace.top.usage.model_dump(mode="json"),
    }
    if trace.bill.asked:
        told["cost"] = trace.bill.total
        told["no_price_for"] = sorted(trace.bill.unknown)
    told["items"] = [_span_json(span) for span in trace.top.inside]
    return told


def _span_json(span: Span) -> Json:
    item: Any = span.item
    told: Json = {
        "type": item.type,
        "id": item.id,
        "name": getattr(item, "name", None) or getattr(item, "agent", None),
        "status": span.status,
        "start": span.start,
        "seconds": span.seconds,
        "gist": short(gist(item), _GIST),
    }
    if span.usage is not None:
        told["usage"] = span.usage.model_dump(mode="json")
    if span.cost is not None:
        told["cost"] = span.cost
    if span.inside:
        told["items"] = [_span_json(each) for each in span.inside]
    return told
