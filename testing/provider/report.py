"""Results of the provider's conformance kit: what a check found, in words a person can act on.

Above: `bench`, which runs checks. Below: the standard library. Not here: any check.
Everything that a server said is quoted as JSON, cut short, without control characters.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast

Verdict: TypeAlias = Literal["passed", "failed", "skipped"]
"""skipped: the provider says that it does not do it, or its model did not do its part."""

SHORT: Final = 160
"""Characters of a value that is quoted inside a sentence."""

LONG: Final = 600
"""Characters of the evidence."""


class Broken(Exception):
    """A rule is broken: `why` says what was expected and what came.

    Args:
        why: The sentence.
        evidence: The event, item or body that shows it.
    """

    def __init__(self, why: str, evidence: object = None) -> None:
        super().__init__(why)
        self.why = why
        self.evidence = evidence


class Skipped(Exception):
    """A rule that cannot be tried here; the message says why."""


def expect(held: object, why: str, evidence: object = None) -> None:
    """Raises Broken unless `held` is true."""
    if not held:
        raise Broken(why, evidence)


def same(got: object, wanted: object, what: str, evidence: object = None) -> None:
    """Raises Broken unless two JSON values are equal; 1 and true are not, 1 and 1.0 are.

    Values too long to be read in a sentence are told by the first place where they differ.
    """
    if _alike(got, wanted):
        return
    evidence = got if evidence is None else evidence
    if len(shown(got)) > SHORT or len(shown(wanted)) > SHORT:
        path, got, wanted = _difference(got, wanted)
        what += path
    raise Broken(f"{what}: expected {_told(wanted)}, got {_told(got)}", evidence)


def one_of(got: object, wanted: Sequence[str], what: str, evidence: object = None) -> None:
    """Raises Broken unless a value is one of a few texts."""
    expect(got in wanted, f"{what}: expected {' or '.join(wanted)}, got {shown(got)}", evidence)


def filled(got: object, what: str, evidence: object = None) -> None:
    """Raises Broken unless a value is a text that says something."""
    right = isinstance(got, str) and got
    expect(right, f"{what}: expected a text, got {shown(got)}", evidence)


class _Nothing:
    """Stands where a value has no counterpart."""


_NOTHING: Final = _Nothing()


def _told(value: object) -> str:
    return "nothing" if isinstance(value, _Nothing) else shown(value)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        fields, others = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        alike = (_alike(value, others[key]) for key, value in fields.items() if key in others)
        return fields.keys() == others.keys() and all(alike)
    if isinstance(one, list) and isinstance(other, list):
        items, more = cast("list[Any]", one), cast("list[Any]", other)
        return len(items) == len(more) and all(map(_alike, items, more))
    return one == other


def _difference(got: Any, wanted: Any) -> tuple[str, object, object]:
    """Where two values first differ, and how."""
    one, other = _steps(got), _steps(wanted)
    if one is not None and other is not None and type(got) is type(wanted):
        for step in dict.fromkeys([*other, *one]):
            left, right = one.get(step, _NOTHING), other.get(step, _NOTHING)
            if not _alike(left, right):
                path, left, right = _difference(left, right)
                return f"{step}{path}", left, right
    return "", got, wanted


def _steps(value: Any) -> dict[str, Any] | None:
    """What is one step further in, by its path; None where nothing is."""
    if isinstance(value, dict):
        return {f".{key}": inner for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return {f"[{at}]": inner for at, inner in enumerate(cast("list[Any]", value))}
    return None


def skip(why: str) -> NoReturn:
    """Raises Skipped."""
    raise Skipped(why)


def shown(value: object, limit: int = SHORT) -> str:
    """A value as harmless JSON of at most `limit` characters."""
    if isinstance(value, bytes):
        value = value[: 4 * limit].decode("utf-8", "replace")
    if isinstance(value, str) and len(value) > limit:
        value = f"{value[:limit]}..."
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=repr)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} that cannot be shown"
    return safe(text if len(text) <= limit + 5 else f"{text[:limit]}...")


def safe(text: str) -> str:
    """Text in which whatever could command a terminal, or turn its writing, is spelt out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found.

    Attributes:
        name: The rule, as a sentence.
        theme: The group that it belongs to.
        source: Where the rule stands: the specification, its schema, or a section of the wire
            notes that come from runs of real clients.
        verdict: passed, failed or skipped.
        why: For a failure what was expected and what came; for a skip why.
        evidence: The offending event, item or body, cut short; empty where there is none.
        seconds: How long it took.
    """

    name: str
    theme: str
    source: str
    verdict: Verdict
    why: str = ""
    evidence: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"  {self.verdict:<7}  {self.name}"]
        if self.why:
            lines.append(f"           {self.why}")
        if self.evidence:
            lines.append(f"           {self.evidence}")
        if self.verdict == "failed":
            lines.append(f"           see: {self.source}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks found; `str(report)` is for people.

    Attributes:
        url: The provider, without credentials.
        model: The model that was asked.
        results: One for each check, in the order of `CHECKS`.
    """

    url: str
    model: str | None
    results: Sequence[Result]

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and something was tried."""
        return not self.failed and any(each.verdict == "passed" for each in self.results)

    @property
    def passed(self) -> list[Result]:
        """The rules that hold."""
        return self._those("passed")

    @property
    def failed(self) -> list[Result]:
        """The rules that are broken."""
        return self._those("failed")

    @property
    def skipped(self) -> list[Result]:
        """The rules that could not be tried, each with its reason."""
        return self._those("skipped")

    def _those(self, verdict: Verdict) -> list[Result]:
        return [each for each in self.results if each.verdict == verdict]

    def __str__(self) -> str:
        lines = [f"{self.model or 'the default model'} at {self.url}"]
        for theme, results in self.themes():
            lines += ["", theme, *map(str, results)]
        return "\n".join([*lines, "", self.summary()])

    def summary(self) -> str:
        """The counts, in one line."""
        counts = (len(self.passed), len(self.failed), len(self.skipped))
        return "{} rules: {} passed, {} failed, {} skipped".format(len(self.results), *counts)

    def themes(self) -> Iterator[tuple[str, list[Result]]]:
        """The results of each theme, in order."""
        for theme in dict.fromkeys(each.theme for each in self.results):
            yield theme, [each for each in self.results if each.theme == theme]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "url": self.url,
            "model": self.model,
            "ok": self.ok,
            "passed": len(self.passed),
            "failed": len(self.failed),
            "skipped": len(self.skipped),
            "results": [
                {
                    "theme": each.theme,
                    "name": each.name,
                    "source": each.source,
                    "verdict": each.verdict,
                    "why": each.why,
                    "evidence": each.evidence,
                    "seconds": round(each.seconds, 3),
                }
                for each in self.results
            ],
        }
