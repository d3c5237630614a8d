"""How a value is shown: the richest form it offers, with its plain text beside it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from .frames import TEXT_LIMIT


class Shown(NamedTuple):
    """A form of a value: its MIME type, its bytes, its plain text if it has one."""

    mime: str
    data: bytes
    text: str | None


_RICH = (
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("text/html", "_repr_html_"),
)


def show(value: object) -> Shown:
    """The form in which `value` is sent. What its own methods raise goes through."""
    bundle = _bundle(value)
    plain = bundle.get("text/plain")
    text = shorten(plain if isinstance(plain, str) else repr(value))
    if type(value).__module__ == "matplotlib.figure" and hasattr(value, "savefig"):
        return Shown("image/png", _png(value), text)
    for mime, method in _RICH:
        form = bundle[mime] if mime in bundle else _call(value, method)
        if isinstance(form, (str, bytes)):  # a mock answers every method with something
            return Shown(mime, _bytes(form, mime), text)
    return Shown("text/plain", text.encode("utf-8", "backslashreplace"), text)


def open_figures() -> Iterator[Shown]:
    """Every figure of pyplot that is open, as PNG; each is closed. Never imports pyplot."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        try:
            yield Shown("image/png", _png(figure), None)
        finally:
            pyplot.close(number)


def close_figures() -> int:
    """Close every figure that is open, undrawn; returns how many."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return 0
    if left := len(pyplot.get_fignums()):
        pyplot.close("all")
    return left


def shorten(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text`, or its beginning and end if it takes more than `limit` bytes."""
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= limit:
        return raw.decode("utf-8")
    half = (limit - 64) // 2
    head, tail = raw[:half].decode("utf-8", "ignore"), raw[-half:].decode("utf-8", "ignore")
    return f"{head}\n[... {len(raw) - 2 * half} bytes left out ...]\n{tail}"


def _bundle(value: object) -> dict[str, Any]:
    found = _call(value, "_repr_mimebundle_")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _call(value: object, method: str) -> object:
    """What a display method gives; some give it with metadata, as a pair."""
    if isinstance(value, type):  # the class offers these for its instances
        return None
    found: Callable[[], object] | None = getattr(value, method, None)
    if not callable(found):
        return None
    form = found()
    if isinstance(form, tuple) and form:
        return cast("tuple[object, ...]", form)[0]
    return cast(object, form)


def _bytes(form: str | bytes, mime: str) -> bytes:
    if isinstance(form, bytes):
        return form
    if mime == "image/png":  # the notebook convention: base64 text
        import base64

        return base64.b64decode(form)
    return form.encode("utf-8", "backslashreplace")


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()
