"""Server-sent events read strictly: every line is kept, and what is odd about each is said.

Above: `line`. Below: pydantic's JSON parser. Not here: what the events mean. A client
would read leniently; this reads so that a check can say what a strict reader trips over.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from pydantic_core import from_json

Json: TypeAlias = dict[str, Any]
"""A JSON object."""


def parse(data: bytes | str) -> Any:
    """A JSON value.

    Raises:
        ValueError: It is none; NaN and infinities are none, and nor is what nests without end.
    """
    return from_json(data, allow_inf_nan=False)


def obj(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def seq(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def objects(value: object) -> list[Json]:
    """The objects of a list."""
    return [each for each in seq(value) if isinstance(each, dict)]


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands between two blank lines.

    Attributes:
        raw: The lines, as they came.
        name: The value of `event:`; None where there is no such line.
        data: The values of all `data:` lines, joined.
        fields: The names of its lines in order; a comment's is empty.
        event: The JSON object of `data`, if it is one.
    """

    raw: bytes
    name: str | None = None
    data: bytes | None = None
    fields: tuple[str, ...] = ()
    event: Json | None = None

    @property
    def done(self) -> bool:
        """Whether it is `data: [DONE]`."""
        return self.data == b"[DONE]"


@dataclass(slots=True)
class Told:
    """A body of server-sent events, taken apart.

    Attributes:
        frames: All frames that are not comments alone.
        rest: What came after the last blank line.
        crlf: Whether any line ended in something else than `\\n`.
    """

    frames: list[Frame] = field(default_factory=list[Frame])
    rest: bytes = b""
    crlf: bool = False


def read_sse(body: bytes) -> Told:
    """Take a whole body apart."""
    told = Told(crlf=b"\r" in body)
    blocks = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")
    told.rest = blocks.pop()
    for block in blocks:
        frame = _frame(block)
        if any(frame.fields):
            told.frames.append(frame)
    return told


def _frame(block: bytes) -> Frame:
    name: str | None = None
    data: list[bytes] = []
    fields: list[str] = []
    for line in block.split(b"\n"):
        if not line:
            continue
        label, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        fields.append(label.decode("utf-8", "replace"))
        if label == b"event":
            name = value.decode("utf-8", "replace")
        elif label == b"data":
            data.append(value)
    joined = b"\n".join(data) if data else None
    return Frame(block, name, joined, tuple(fields), _event(joined))


def _event(data: bytes | None) -> Json | None:
    if data is None or data == b"[DONE]":
        return None
    try:
        value = parse(data)
    except ValueError:
        return None
    return cast("Json", value) if isinstance(value, dict) else None
