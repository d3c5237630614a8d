"""What a file's bytes are, told by the bytes themselves: an image, text, or something else.

Above: `documents`. Not here: where the bytes come from.
Sources: the image formats' first bytes; RFC 2397 (data URLs); RFC 4648 (base64).
"""

import base64
import binascii
import codecs
import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote_to_bytes

from pydantic_core import to_json

from antiphon.errors import RequestError
from antiphon.items import InputFile, InputImage, InputText

_IMAGES: Final = re.compile(
    rb"(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpeg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)"
    rb"|(?P<webp>RIFF....WEBP)",
    re.DOTALL,
)
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_TYPES: Final = {
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".pptx": f"{_OFFICE}presentationml.presentation",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
}
_WRITTEN: Final = frozenset(
    ".c .cpp .css .csv .go .h .htm .html .ini .java .js .json .jsonl .log .md .php .py .rb .rs"
    " .rst .sh .sql .srt .tex .toml .ts .tsv .txt .xml .yaml .yml".split()
)
_BINARY: Final = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f]")
_BLANKS: Final = b" \t\r\n"
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Held:
    """A file in memory.

    Attributes:
        name: Harmless, as the model reads it.
        size: How many bytes the whole file has.
        data: All of them, or the first ones of a text.
    """

    name: str
    size: int
    data: bytes

    @property
    def is_text(self) -> bool:
        """Whether the model can read it as it is."""
        return self._kind is None and self._text is not None

    def image(self) -> InputImage | None:
        """The file as an image, if it is one that models see."""
        return InputImage(image_url=_url(f"image/{self._kind}", self.data)) if self._kind else None

    def text(self) -> InputText | None:
        """The file as text, if it is text.

        It stands between two marks made from the text itself: no text can hold its own.
        """
        text = None if self._kind else self._text
        if text is None:
            return None
        name = to_json(self.name).decode()
        mark = hashlib.sha256(f"{name}\0{text}".encode()).hexdigest()[:32]
        cut = ""
        if len(self.data) < self.size:
            cut = f"\n[cut off: these are the first {len(self.data):,} bytes]"
        return InputText(
            text=f"[file {name}, {self.size:,} bytes; it ends at the mark {mark}]\n"
            f"{text}{cut}\n[end of file {mark}]"
        )

    def file(self) -> InputFile:
        """The file as it is."""
        kind = _TYPES.get(PurePath(self.name).suffix.lower(), "application/octet-stream")
        if self.data.startswith(b"%PDF-"):
            kind = "application/pdf"
        return InputFile(filename=self.name, file_data=_url(kind, self.data))

    @property
    def _kind(self) -> str | None:
        found = _IMAGES.match(self.data)
        return found.lastgroup if found else None

    @property
    def _text(self) -> str | None:
        """The text of a file that is text: Unicode, or what Windows wrote before it."""
        if self.data.startswith(b"%PDF-"):
            return None
        whole = len(self.data) == self.size
        encoding = "utf-8-sig"
        if self.data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        try:  # a character may be cut in two
            text = codecs.getincrementaldecoder(encoding)().decode(self.data, whole)
        except UnicodeDecodeError:
            if PurePath(self.name).suffix.lower() not in _WRITTEN:
                return None
            text = self.data.decode("cp1252", errors="replace")
        return None if _BINARY.search(text) else text


def held(file_data: str, name: str, param: str) -> Held:
    """The bytes that stand in a request, as a data URL or as base64.

    Raises:
        RequestError: 400; they are neither.
    """
    head, comma, payload = file_data.partition(",")
    if not file_data.startswith("data:"):
        data = _decoded(file_data, param)
    elif not comma:
        raise _not_data(param)
    elif head.lower().endswith(";base64"):
        data = _decoded(payload, param)
    else:
        data = unquote_to_bytes(payload)
    return Held(name, len(data), data)


def _decoded(text: str, param: str) -> bytes:
    """Base64 in either alphabet, with or without its padding and line breaks."""
    try:
        bare = text.encode("ascii").translate(_URL_SAFE, _BLANKS).rstrip(b"=")
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _not_data(param) from error


def _not_data(param: str) -> RequestError:
    return RequestError(
        f"{param}: expected a data URL or base64, got what is neither: encode the file's bytes",
        param=param,
        code="invalid_value",
    )


def _url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
