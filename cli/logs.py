"""What `antiphon serve --log` writes to standard error: a line for each request, and for trouble.

As JSON each record is one line, whatever a client put into it; as text a traceback has its own.

Above: `serve`. Below: `antiphon.provider`, whose filter knows the request of every record.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from antiphon.provider import RequestIds

LogForm: TypeAlias = Literal["json", "text"]
"""How records are written."""

_FIELDS: Final = (
    "request_id",
    "method",
    "path",
    "status",
    "milliseconds",
    "principal",
    "model",
    "response_id",
)
_NONE: Final = (None, "-")


def log_to_stderr(form: LogForm) -> None:
    """Write this process's records: all of antiphon's, and warnings of everybody."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    handler.addFilter(RequestIds())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("antiphon").setLevel(logging.INFO)


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        said: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


class TextLines(logging.Formatter):
    """A record as one line of text; a traceback stands below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = _fields(record)
        if record.name == "antiphon.access":  # these stand in its message
            for name in ("method", "path", "status", "milliseconds"):
                fields.pop(name, None)
        tail = "".join(f" {name}={value}" for name, value in fields.items())
        said = _one_line(f"{record.levelname} {record.name} {record.getMessage()}{tail}")
        shown = f"{_time(record)} {said}"
        if record.exc_info:
            shown += f"\n{self.formatException(record.exc_info)}"
        return shown


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    values = ((name, getattr(record, name, None)) for name in _FIELDS)
    return {name: value for name, value in values if value not in _NONE}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _one_line(text: str) -> str:
    """Text in which nothing is a control character, so that nobody can write a line of his own."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
