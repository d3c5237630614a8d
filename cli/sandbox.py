"""`antiphon sandbox`: the image of the sandboxes, the proof that they hold, and what is running.

Above: `entry`. Below: `antiphon.sandboxes`. Not here: any probe, and how an image is made.
"""

import time
from typing import Final

import anyio

from antiphon.sandboxes import (
    PROBES,
    DockerSandboxes,
    Finding,
    Running,
    Verdict,
    build_image,
    list_running,
    probe_isolation,
    prune_orphans,
)

from .options import SandboxOptions
from .paper import Paper
from .prose import json_text

_STYLES: Final[dict[Verdict, str]] = {"held": "green", "open": "bold red", "unclear": "yellow"}
_WORDS: Final[dict[Verdict, str]] = {"held": "held", "open": "OPEN", "unclear": "unclear"}
_WIDTH: Final = max(len(probe.id) for probe in PROBES)


def sandbox(options: SandboxOptions) -> int:
    """Do what was asked; 1 if a check found anything open or unclear.

    Raises:
        SandboxUnavailable: There is no container engine, or its image cannot be built.
    """
    if options.action == "build":
        return anyio.run(_build, options)
    if options.action == "check":
        return anyio.run(_check, options)
    if options.action == "ls":
        return anyio.run(_list, options)
    return anyio.run(_prune, options)


async def _build(options: SandboxOptions) -> int:
    began = time.monotonic()
    with Paper() as paper:
        tag = await build_image(
            engine=options.engine,
            base=options.base,
            extra=options.extra,
            rebuild=options.rebuild,
            progress=lambda line: paper.line(f"  {line}", style="dim"),
        )
        paper.line(f"{tag}, after {time.monotonic() - began:.1f} s", style="bold")
    return 0


async def _check(options: SandboxOptions) -> int:
    findings: list[Finding] = []
    with Paper() as paper:
        if not options.json:
            paper.line("code in a sandbox cannot ...", style="bold")
            paper.spin("starting two sandboxes; the first time their image is built")
        async with DockerSandboxes(
            engine=options.engine, runtime=options.runtime, progress=_quiet, warm=0
        ) as sandboxes:
            async for finding in probe_isolation(sandboxes):
                paper.still()
                findings.append(finding)
                if not options.json:
                    _print(paper, finding)
                    if len(findings) < len(PROBES):
                        paper.spin(PROBES[len(findings)].tries)
        good = len(findings) == len(PROBES) and all(each.verdict == "held" for each in findings)
        if options.json:
            paper.line(_json(good, findings))
        else:
            counts = (f"{_count(findings, verdict)} {verdict}" for verdict in _STYLES)
            style = "bold green" if good else "bold red"
            paper.line(f"{len(findings)} tried: {', '.join(counts)}", style=style)
    return 0 if good else 1


def _quiet(line: str) -> None:
    """The log of a build is for `antiphon sandbox build`; a build that fails says it anyway."""


def _print(paper: Paper, finding: Finding) -> None:
    probe = finding.probe
    row = f"  {_WORDS[finding.verdict]:<7}  {probe.id:<{_WIDTH}}  {probe.tries}"
    paper.line(row, style=_STYLES[finding.verdict])
    if finding.verdict != "held":
        paper.line(f"  {'':<7}  {'':<{_WIDTH}}  {finding.why}", style=_STYLES[finding.verdict])


def _count(findings: list[Finding], verdict: Verdict) -> int:
    return sum(finding.verdict == verdict for finding in findings)


def _json(good: bool, findings: list[Finding]) -> str:
    rows = [
        {
            "id": each.probe.id,
            "tries": each.probe.tries,
            "verdict": each.verdict,
            "why": each.why,
        }
        for each in findings
    ]
    return json_text({"ok": good, "findings": rows})


async def _list(options: SandboxOptions) -> int:
    found = await list_running(engine=options.engine)
    with Paper() as paper:
        if options.json:
            paper.line(json_text([_row(each) for each in found]))
        elif not found:
            paper.line("no containers of sandboxes")
        for each in () if options.json else found:
            note = "orphan" if each.orphan else ""
            row = f"{each.name:<24}  {each.image:<34}  {each.status:<24}  {note}"
            paper.line(row.rstrip(), style="yellow" if each.orphan else "")
    return 0


def _row(each: Running) -> dict[str, str | int | bool]:
    return {
        "name": each.name,
        "image": each.image,
        "status": each.status,
        "created": each.created,
        "orphan": each.orphan,
    }


async def _prune(options: SandboxOptions) -> int:
    count = await prune_orphans(engine=options.engine)
    with Paper() as paper:
        paper.line(f"removed {count} container{'' if count == 1 else 's'}")
    return 0
