"""Figures: images that cells have shown, under URLs that a client can fetch.

Only what a client sees has such a URL, and only as long as it leads there; what is kept has the
image itself. A client that sends one back gets the image into the context again, or, where it is
not kept any more, a note that it was there. Above: `view` (outwards), `prepare` (inwards). Below:
the registries of containers.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import (
    AgentCall,
    CodeInterpreterCall,
    CodeOutput,
    Html,
    Image,
    Item,
    Logs,
)
from antiphon.tools import Containers, figure_id

_PATH: Final = "{base}/v1/containers/{container}/files/{file}/content"
_PLACE: Final = re.compile(r"/v1/containers/([^/?#]+)/files/(cfile_[^/?#]+)/content")
_GONE: Final = "[An image was shown here; it is not kept any more.]\n"
_SHOWN: Final = "data:,"

Urls: TypeAlias = Callable[[str, str], str | None]
"""The URL of an image, by the id of its container and its data URL; None where it has none."""


def base_of(public_url: str | None) -> str | None:
    """Where clients reach a Provider, without a slash at its end.

    Raises:
        ConfigurationError: It is no such URL.
    """
    if public_url is None:
        return None
    base = public_url.rstrip("/")
    if not _whole(base):
        raise ConfigurationError(
            "public_url: expected what stands before /v1 where clients reach this Provider, such "
            f"as https://api.example or https://example.org/llm, got {public_url[:100]!r}"
        )
    if base.endswith("/v1"):
        raise ConfigurationError(f"public_url: expected it without /v1, got {public_url[:100]!r}")
    return base


def _whole(base: str) -> bool:
    try:
        parts = urlsplit(base)
        named = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    bare = not (parts.username or parts.query or parts.fragment)
    served = parts.scheme in ("http", "https") and bool(named)
    return served and bare and re.search(r"[\s\"<>\\]", base) is None


def receipt(item: CodeInterpreterCall, *, urls: Urls | None, html: bool) -> CodeInterpreterCall:
    """A receipt as a client sees it.

    Args:
        item: The whole one.
        urls: Where its images are fetched; None leaves them where they are, in data URLs.
        html: Whether tables are shown as HTML, too.
    """
    outputs: list[CodeOutput] = []
    changed = False
    for output in item.outputs or ():
        if isinstance(output, Html) and not html:
            changed = True
            continue
        if isinstance(output, Image) and urls is not None and output.url.startswith("data:"):
            url = urls(item.container_id, output.url)
            if url is not None:
                changed = True
                output = Image(url=url)
        outputs.append(output)
    return item.model_copy(update={"outputs": outputs}) if changed else item


class Figures:
    """The images of a Provider's containers, by the URLs that its clients were shown.

    Args:
        base: Where clients reach the Provider.
        registries: The containers of its tools.
    """

    def __init__(self, base: str, registries: Iterable[Containers]) -> None:
        self.base = base
        self._registries = list(dict.fromkeys(registries))

    def url(self, container_id: str, data: str) -> str | None:
        """Where an image is fetched; None where it is not kept (any more)."""
        file = figure_id(container_id, data)
        kept = any(each.shows(container_id, file) for each in self._registries)
        return self._url(container_id, file) if kept else None

    def sent(self, items: Iterable[Item]) -> Urls:
        """The URLs that a client sends back, whether they still lead anywhere or not."""
        given = set(self._own(items))

        def url(container_id: str, data: str) -> str | None:
            named = self._url(container_id, figure_id(container_id, data)) if given else None
            return named if named in given else None

        return url

    def passed(self, items: Sequence[Item]) -> list[Item]:
        """Items whose images of this Provider are no URLs that anybody fetches."""
        return [_mapped(item, self._passed) for item in items]

    def restored(
        self, items: Sequence[Item], principal: str, *, limit: int, param: str
    ) -> list[Item]:
        """Items with the images themselves; those without such URLs are the same objects.

        Args:
            items: What a client sent.
            principal: Whose images it may have.
            limit: Characters of images, each mention counted.
            param: What the list of items is called.

        Raises:
            RequestError: 413; there are more.
        """
        left = limit

        def restore(output: CodeOutput) -> CodeOutput:
            nonlocal left
            place = self._place(output)
            if place is None:
                return output
            found = (each.figure(place[1], place[2], principal) for each in self._registries)
            url = next((url for url in found if url is not None), None)
            if url is None:
                return Logs(logs=_GONE)
            left -= len(url)
            if left < 0:
                raise RequestError(
                    f"{param}: expected URLs of images that together have at most {limit:,} "
                    "characters, each mention counted: send fewer",
                    param=param,
                    code="request_too_large",
                    status=413,
                )
            return Image(url=url)

        return [_mapped(item, restore) for item in items]

    def _url(self, container_id: str, file: str) -> str:
        return _PATH.format(base=self.base, container=container_id, file=file)

    def _own(self, items: Iterable[Item]) -> Iterator[str]:
        for item in items:
            if isinstance(item, AgentCall):
                yield from self._own(item.output)
            elif isinstance(item, CodeInterpreterCall):
                for output in item.outputs or ():
                    if isinstance(output, Image) and self._place(output) is not None:
                        yield output.url

    def _passed(self, output: CodeOutput) -> CodeOutput:
        return output if self._place(output) is None else Image(url=_SHOWN)

    def _place(self, output: CodeOutput) -> re.Match[str] | None:
        if not isinstance(output, Image) or not output.url.startswith(self.base):
            return None
        return _PLACE.fullmatch(output.url, len(self.base))


def _mapped(item: Item, change: Callable[[CodeOutput], CodeOutput]) -> Item:
    """An item with other outputs; the same object where none is another."""
    if isinstance(item, AgentCall):
        inner = [_mapped(each, change) for each in item.output]
        same = all(new is old for new, old in zip(inner, item.output, strict=True))
        return item if same else item.model_copy(update={"output": inner})
    if not isinstance(item, CodeInterpreterCall):
        return item
    outputs = [change(output) for output in item.outputs or ()]
    same = all(new is old for new, old in zip(outputs, item.outputs or (), strict=True))
    return item if same else item.model_copy(update={"outputs": outputs})
