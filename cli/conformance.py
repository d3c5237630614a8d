"""`antiphon conformance`: every rule tried on a provider, and a report of what was found.

Above: `entry`. Below: the conformance kit of providers. Not here: any rule.
"""

import json
from typing import Any, Final

import anyio
from rich.markup import escape

from antiphon.testing.provider import Examination

from .conformance_parser import ConformanceOptions
from .endpoint import key_in
from .paper import Paper

_STYLES: Final = {"passed": "green", "failed": "bold red", "skipped": "yellow"}
_INDENT: Final = " " * 11


def conformance(options: ConformanceOptions) -> int:
    """Try the rules, print what was found, and return 1 if a rule is broken.

    Raises:
        ConfigurationError: The URL, the key, the words or the schema are not what they should be.
    """
    return anyio.run(_conformance, options)


async def _conformance(options: ConformanceOptions) -> int:
    examination = _examination(options)
    with Paper() as paper:
        async with examination:
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
            paper.line(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
        else:
            paper.line("")
            good = "bold green" if report.ok else "bold red" if report.failed else "yellow"
            paper.line(report.summary(), style=good)
    return 1 if report.failed else 0


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

    def result(self, result: Any, report: Any) -> None:
        """One result, under its theme."""
        if self._silent:
            return
        if not self._theme:
            self._paper.line(f"{report.model or 'the default model'} at {report.url}", style="bold")
        if result.theme != self._theme:
            self._theme, self._why = result.theme, ""
            self._paper.line("")
            self._paper.line(result.theme, style="bold")
        verdict: str = result.verdict
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
