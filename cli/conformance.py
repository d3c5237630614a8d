"""`antiphon conformance`: every rule tried on a provider, and a report of what was found.

Above: `entry`. Below: the conformance kit of providers. Not here: any rule.
"""

from typing import Final

import anyio
import httpx2
from rich.markup import escape

from antiphon.errors import AntiphonError
from antiphon.testing.provider import Examination, Report, Result

from .endpoint import key_in, shown
from .options import ConformanceOptions
from .paper import Paper
from .prose import json_text

_STYLES: Final = {"passed": "green", "failed": "bold red", "skipped": "yellow"}
_REACH_SECONDS: Final = 5.0
_INDENT: Final = " " * 11


def conformance(options: ConformanceOptions) -> int:
    """Try the rules, print what was found, and return 1 if a rule is broken.

    Raises:
        ConfigurationError: The URL, the key, the words or the schema are not what they should be.
        AntiphonError: Nobody listens at the URL.
    """
    return anyio.run(_conformance, options)


async def _conformance(options: ConformanceOptions) -> int:
    examination = _examination(options)
    with Paper() as paper:
        async with examination:
            await _reach(options.url)
            printed = _Printed(paper, options)
            left = [check.name for check in examination.checks]
            _spin(paper, options, left)
            async for result in examination.results():
                paper.still()
                printed.result(result, examination.report)
                del left[:1]
                _spin(paper, options, left)
        report = examination.report
        if options.json:
            paper.line(json_text(report.to_dict()))
        else:
            paper.line("")
            good = "bold green" if report.ok else "bold red" if report.failed else "yellow"
            paper.line(report.summary(), style=good)
    return 1 if report.failed else 0


async def _reach(url: str) -> None:
    """Make sure that there is a server, before hundreds of rules say that there is none.

    Raises:
        AntiphonError: Nobody listens there.
    """
    async with httpx2.AsyncClient(timeout=_REACH_SECONDS) as client:
        try:
            await client.head(url)
        except httpx2.ConnectError as error:
            raise AntiphonError(
                f"{shown(url)} cannot be reached: is a provider running there, and is this its "
                "address, up to /v1?"
            ) from error
        except httpx2.HTTPError:
            pass  # whoever answers badly is what the rules are for


def _spin(paper: Paper, options: ConformanceOptions, left: list[str]) -> None:
    """Show what is tried now."""
    if left and not options.json:
        paper.spin(escape(left[0]))


class _Printed:
    """What is on the paper: a theme's name once, a reason that repeats once."""

    def __init__(self, paper: Paper, options: ConformanceOptions) -> None:
        self._paper = paper
        self._silent = options.json
        self._theme = ""
        self._why = ""

    def result(self, result: Result, report: Report) -> None:
        """One result, under its theme."""
        if self._silent:
            return
        if not self._theme:
            self._paper.line(f"{report.model or 'the default model'} at {report.url}", style="bold")
        if result.theme != self._theme:
            self._theme, self._why = result.theme, ""
            self._paper.line("")
            self._paper.line(result.theme, style="bold")
        verdict = result.verdict
        style = _STYLES[verdict]
        word = verdict.upper() if verdict == "failed" else verdict
        self._paper.line(f"  {word:<7}  {result.name}", style=style)
        if result.why and (verdict == "failed" or result.why != self._why):
            self._paper.line(f"{_INDENT}{result.why}", style=style)
        self._why = result.why
        if result.evidence:
            self._paper.line(f"{_INDENT}{result.evidence}", style="dim")
        if verdict == "failed":
            self._paper.line(f"{_INDENT}see: {result.source}", style="dim")


def _examination(options: ConformanceOptions) -> Examination:
    return Examination(
        options.url,
        model=options.model,
        api_key=key_in(options.api_key_env),
        dialect=options.dialect,
        only=options.only,
        websocket=options.websocket,
        seconds=options.timeout,
        schema=options.schema,
    )
