"""What a cell printed and showed, gathered into the outputs of its item.

Above: `code_call.py`. Below: the events of a sandbox, which are untrusted: text stays text,
images become data URLs, and both have a bound.
"""

from base64 import b64encode
from typing import Final

from antiphon.items import CodeOutput, Html, Image, Logs, clean
from antiphon.sandboxes import Display

LOGS_LIMIT: Final = 256 * 1024
"""Characters of text that an item keeps: the first half and the last half of them. A model reads
at most `items.lower.MAX_LOGS` of these.
"""

HTML_LIMIT: Final = 1024 * 1024
"""Characters of HTML that an item keeps; what does not fit is left out, and only its text stays."""

IMAGES_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of images (before base64) that an item keeps; later ones are left out with a note."""


class Receipt:
    """The outputs of one call: one text, then tables as HTML, then images, each as they came."""

    __slots__ = (
        "_head",
        "_html",
        "_images",
        "_left_out",
        "_room",
        "_size",
        "_tail",
        "_tail_size",
        "_text",
    )

    def __init__(self) -> None:
        self._head: list[str] = []
        self._room = LOGS_LIMIT // 2
        self._tail = ""
        self._size = 0
        self._images: list[str] = []
        self._html: list[str] = []
        self._left_out = 0
        self._tail_size = LOGS_LIMIT - self._room
        self._text = ""

    @property
    def images(self) -> list[str]:
        """The images that are kept, as data URLs."""
        return self._images

    def write(self, text: str) -> None:
        """Text that was printed."""
        if not text:
            return
        self._size += len(text)
        self._text = text[-1]
        if self._room:
            head, text = text[: self._room], text[self._room :]
            self._head.append(head)
            self._room -= len(head)
        self._tail += text
        if len(self._tail) > 2 * self._tail_size:  # not each time: copying would be quadratic
            self._tail = self._tail[-self._tail_size :]

    def line(self, text: str) -> None:
        """Text that stands on lines of its own: a value, a traceback, a note."""
        if self._text not in ("", "\n"):
            self.write("\n")
        self.write(clean(text.rstrip("\n")) + "\n")

    def show(self, display: Display) -> None:
        """A value that was shown."""
        if display.mime in ("image/png", "image/svg+xml"):
            kept = sum(len(url) for url in self._images) * 3 // 4
            if kept + len(display.data) > IMAGES_LIMIT:
                self._left_out += 1
            else:
                encoded = b64encode(display.data).decode()
                self._images.append(f"data:{display.mime};base64,{encoded}")
            return
        text = display.data.decode("utf-8", "replace")
        if display.mime == "text/html" and sum(map(len, self._html)) + len(text) <= HTML_LIMIT:
            self._html.append(clean(text))
        self.line(display.text if display.mime != "text/plain" and display.text else text)

    def outputs(self, before: str = "") -> list[CodeOutput]:
        """All of it, with a note `before` where there is one."""
        tail = self._tail[-self._tail_size :]
        missing = self._size - sum(len(text) for text in self._head) - len(tail)
        gap = f"\n[{missing} characters left out]\n" if missing else ""
        note = f"{before}\n" if before else ""
        logs = note + "".join(self._head) + gap + tail
        if self._left_out:
            logs += f"[{self._left_out} images left out: too large]\n"
        outputs: list[CodeOutput] = [Logs(logs=logs)] if logs else []
        outputs += [Html(html=html) for html in self._html]
        return [*outputs, *(Image(url=url) for url in self._images)]
