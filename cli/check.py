"""`antiphon check`: what a model server can do, asked of the server itself.

Above: `entry`. Below: `questions`. Not here: any judgement of how well a model answers.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeAlias

import anyio

from antiphon.errors import AntiphonError
from antiphon.models import Upstream

from .endpoint import open_upstream, shown
from .options import CheckOptions
from .paper import Paper
from .prose import json_text
from .questions import QUESTIONS, Finding, Verdict

Step: TypeAlias = tuple[str, Callable[[], Awaitable[list[Finding]]]]

_NEEDED: Final = ("answers", "streams")
"""Without these nothing else matters: the exit code speaks of them."""

_STYLES: Final[dict[Verdict, str]] = {"ok": "green", "no": "yellow", "error": "red"}


def check(options: CheckOptions) -> int:
    """Ask, print what was found, and return 1 if it does not answer or does not stream.

    Raises:
        ConfigurationError: The URL or the key is not what it should be.
    """
    return anyio.run(_check, options)


async def _check(options: CheckOptions) -> int:
    upstream = open_upstream(options.endpoint)
    findings: list[Finding] = []
    with Paper() as paper:
        if not options.json:
            paper.line(f"{options.endpoint.model} at {shown(upstream.base_url)}", style="bold")
        try:
            for name, step in _steps(upstream, options):
                if not options.json:
                    paper.spin(name)
                found = await _within(name, step, options.timeout)
                paper.still()
                findings += found
                if not options.json:
                    _print(paper, found)
                if name in ("api", "answers") and found[0].verdict != "ok":
                    break  # nothing else would fare better
        finally:
            await upstream.aclose()
        verdicts = {finding.name: finding.verdict for finding in findings}
        good = all(verdicts.get(name) == "ok" for name in _NEEDED)
        if options.json:
            paper.line(_json(options, shown(upstream.base_url), good, findings))
    return 0 if good else 1


def _steps(upstream: Upstream, options: CheckOptions) -> Iterator[Step]:
    """What is looked at, one after another: small servers answer one request at a time."""
    model = upstream.model(options.endpoint.model or "")
    yield "api", lambda: _api(upstream, options)
    yield "listed", lambda: _listed(upstream, options)
    for name, question in QUESTIONS.items():
        yield name, lambda question=question: question(model)


async def _api(upstream: Upstream, options: CheckOptions) -> list[Finding]:
    """Which API is spoken with this server."""
    asked = options.endpoint.api
    if asked != "auto":
        return [Finding("api", "ok", f"{asked}, as you said")]
    spoken = await upstream.probe()
    path = "knows" if spoken == "responses" else "does not know"
    return [Finding("api", "ok", f"{spoken}: the server {path} POST /responses")]


async def _listed(upstream: Upstream, options: CheckOptions) -> list[Finding]:
    """Whether the server lists the model."""
    names = await upstream.names()
    named = options.endpoint.model in names
    count = f"{len(names)} model{'' if len(names) == 1 else 's'}"
    why = f"one of {count}" if named else f"not among {count}: {', '.join(names[:5]) or 'none'}"
    return [Finding("listed", "ok" if named else "no", why)]


async def _within(
    name: str, step: Callable[[], Awaitable[list[Finding]]], seconds: float
) -> list[Finding]:
    """What a step finds, or why it could not be taken."""
    try:
        with anyio.fail_after(seconds):
            return await step()
    except TimeoutError:
        return [Finding(name, "error", f"no answer in {seconds:g} seconds (--timeout)")]
    except AntiphonError as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return [Finding(name, "error", first)]


def _print(paper: Paper, findings: list[Finding]) -> None:
    for finding in findings:
        row = f"  {finding.name:<8}  {finding.verdict:<5}  {finding.why}"
        paper.line(row, style=_STYLES[finding.verdict])


def _json(options: CheckOptions, url: str, good: bool, findings: list[Finding]) -> str:
    rows = [{"name": each.name, "verdict": each.verdict, "why": each.why} for each in findings]
    told = {"url": url, "model": options.endpoint.model, "ok": good, "findings": rows}
    return json_text(told)
