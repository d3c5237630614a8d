"""A form with one file, read as it arrives: what is the file's goes on at once, nothing is kept.

Above: `files_api`. Below: python-multipart's parser. Sources: RFC 7578 (multipart/form-data),
RFC 8187 (`filename*`, which RFC 7578 forbids and some clients send).
"""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from antiphon.errors import RequestError

from .name import UNNAMED

MAX_OVERHEAD: Final = 1024 * 1024
"""Bytes that a body may have beside the file's own: boundaries, headers, fields."""

_MAX_PARTS: Final = 64
_MAX_HEADERS: Final = 8  # of one part
_MAX_HEADER: Final = 16 * 1024  # bytes of one; a long name stands in it
_MAX_VALUE: Final = 4 * 1024  # bytes of one field
_PLAIN: Final = frozenset({"", "binary", "7bit", "8bit"})
_EXTENDED: Final = re.compile(r";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)


class Form:
    """The state of one form.

    Args:
        content_type: The request's header, which names the boundary.
        known: Which fields are wanted; others are passed over.

    Attributes:
        fields: The wanted fields that have come so far.
        filename: What the file calls itself; None until it begins.

    Raises:
        RequestError: 415; it is no form. 400; it names no boundary.
    """

    def __init__(self, content_type: str, *, known: Collection[str]) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise RequestError(
                f"content-type: expected multipart/form-data, got {_text(kind) or 'none'}: "
                "send the file as a form, with the fields `file` and `purpose`",
                status=415,
                code="unsupported_media_type",
            )
        boundary = options.get(b"boundary")
        if not boundary:
            raise _broken("the header Content-Type names no boundary")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._known = known
        self._parts = 0
        self._overhead = 0
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[str, str] = {}
        self._field: str | None = None  # None in a part that is passed over
        self._in_file = False
        self._pieces: list[bytes] = []
        self._ended = False
        self._parser = self._made(boundary)

    def _made(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER,
            )
        except FormParserError as error:
            raise _broken(str(error)) from error

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take more of the body.

        Returns:
            What of it is the file's.

        Raises:
            RequestError: 400; it is not a form, or not one with one file. 413; it has far more
                than a file and its fields.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(str(error)) from error
        pieces, self._pieces = self._pieces, []
        self._overhead += len(chunk) - sum(map(len, pieces))
        if self._overhead > MAX_OVERHEAD:
            raise RequestError(
                f"expected at most {MAX_OVERHEAD:,} bytes of form beside the file: send less",
                code="request_too_large",
                status=413,
            )
        return pieces

    def end(self) -> str:
        """The body is over.

        Returns:
            What the file calls itself.

        Raises:
            RequestError: 400; something is missing.
        """
        if not self._ended:
            raise _broken("the body ends before its last boundary")
        if self.filename is None:
            raise missing("file", "the file's content, with its name")
        return self.filename

    # --- what the parser tells -----------------------------------------------

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise _broken(f"it has more than {_MAX_PARTS} parts")
        self._headers.clear()
        self._header.clear()
        self._value.clear()

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        name = self._header.decode("latin-1").lower()
        self._headers[name] = self._value.decode("latin-1").strip()
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        told = self._headers.get("content-disposition", "")
        kind, options = parse_options_header(told)
        if kind != b"form-data" or b"name" not in options:
            raise _broken("a part has no `Content-Disposition: form-data; name=...`")
        name = options[b"name"].decode(errors="replace")
        self._in_file = name == "file"
        self._field = name if name in self._known else None
        if self._in_file:
            self._begin_file(told, options.get(b"filename"))
        elif name in self.fields:
            raise _broken(f"the field {name!r} comes twice")

    def _begin_file(self, told: str, filename: bytes | None) -> None:
        if self.filename is not None:
            raise _broken("the field 'file' comes twice: send one file with each request")
        encoding = self._headers.get("content-transfer-encoding", "").lower()
        if encoding not in _PLAIN:
            raise _broken(f"the file is encoded as {encoding[:50]!r}: send its bytes as they are")
        extended = _EXTENDED.search(told)
        if filename is not None:
            self.filename = filename.decode(errors="replace")
        else:
            self.filename = unquote(extended[1]) if extended else UNNAMED

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])
        elif self._field is not None:
            self._value += data[start:end]
            if len(self._value) > _MAX_VALUE:
                raise _broken(f"the field {self._field!r} has more than {_MAX_VALUE:,} bytes")

    def _end_part(self) -> None:
        if self._field is not None:
            try:
                self.fields[self._field] = self._value.decode()
            except UnicodeDecodeError as error:
                raise _broken(f"the field {self._field!r} is not UTF-8") from error
        self._in_file, self._field = False, None

    def _end(self) -> None:
        self._ended = True


def missing(field: str, what: str) -> RequestError:
    """What a request is told whose form lacks a field."""
    return RequestError(
        f"{field}: expected {what}, got no such field in the form: add it",
        param=field,
        code="missing_required_parameter",
    )


def _text(header: bytes) -> str:
    return header[:100].decode(errors="replace")


def _broken(why: str) -> RequestError:
    return RequestError(
        f"expected a multipart/form-data body (RFC 7578), but {why}", code="invalid_multipart"
    )
