"""What a docstring tells a model: the tool's description, and each parameter's.

Below: griffe, which reads the Google, NumPy and Sphinx styles; it is loaded only for a
docstring that has sections at all.
"""

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from griffe import DocstringSection

_SECTIONS = re.compile(r"^\s*(:\w[\w ]*[\w*]*:|[A-Z][\w ]*:\s*$|-{3,}\s*$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Told:
    """What a docstring says: of the whole, and of parameters by name."""

    description: str | None = None
    parameters: dict[str, str] = field(default_factory=dict[str, str])


def read(docstring: str | None, names: Collection[str]) -> Told:
    """Read a docstring in the style that tells most about these parameters.

    Args:
        docstring: As it stands on the function, or None.
        names: The parameters that may be described; other names are passed over.
    """
    text = inspect.cleandoc(docstring or "").strip()
    if not _SECTIONS.search(text):
        return Told(text or None)
    from griffe import Docstring, parse_google, parse_numpy, parse_sphinx

    source = Docstring(text)
    readings = [
        _gather(parse_google(source, warnings=False), names),
        _gather(parse_numpy(source, warnings=False), names),
        _gather(parse_sphinx(source, warnings=False), names),
    ]
    # The sections that a style knows are gone from its description, so the shortest one that
    # tells of as many parameters is the style that the author had in mind.
    return min(readings, key=lambda told: (-len(told.parameters), len(told.description or "")))


def _gather(sections: "list[DocstringSection]", names: Collection[str]) -> Told:
    from griffe import (
        DocstringSectionAdmonition,
        DocstringSectionOtherParameters,
        DocstringSectionParameters,
        DocstringSectionText,
    )

    texts: list[str] = []
    parameters: dict[str, str] = {}
    for section in sections:
        if isinstance(section, DocstringSectionText):
            texts.append(section.value.strip())
        elif isinstance(section, DocstringSectionAdmonition):
            title = section.title or section.value.annotation
            texts.append(f"{title}: {section.value.description.strip()}")
        elif isinstance(section, DocstringSectionParameters | DocstringSectionOtherParameters):
            for parameter in section.value:
                # NumPy describes `x, y : int` under one joined name
                for name in parameter.name.split(","):
                    if name.strip() in names and parameter.description.strip():
                        parameters[name.strip()] = parameter.description.strip()
    return Told("\n\n".join(text for text in texts if text) or None, parameters)
