"""Figures: images that cells have shown, under URLs that a client can fetch.

Only what a client sees has such a URL; what is kept has the image itself. A client that sends one
back gets the image into the context again, or, where its container is gone, a note that it was
there. Above: `view` (outwards), `prepare` (inwards). Below: the registries of containers.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from antiphon.errors import ConfigurationError
from antiphon.items import (
    AgentCall,
    CodeInterpreterCall,
    CodeOutput,
    CreateResponse,
    Html,
    Image,
    Item,
    Logs,
)
from antiphon.tools import Containers, figure_id

_PATH: Final = "{base}/v1/containers/{container}/files/{file}/content"
_PLACE: Final = re.compile(r"/v1/containers/([^/?#]+)/files/(cfile_[^/?#]+)/content")
_GONE: Final = "[An image was shown here; it is gone with its container.]\n"


def base_of(public_url: str | None) -> str | None:
    """Where clients reach a Provider, without a slash at its end.

    Raises:
        ConfigurationError: It is no such URL.
    """
    if public_url is None:
        return None
    base = public_url.rstrip("/")
    parts = urlsplit(base)
    whole = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    if not whole or parts.query or parts.fragment or re.search(r"[\s\"<>\\]", base):
        raise ConfigurationError(
            "public_url: expected what stands before /v1 where clients reach this Provider, such "
            f"as https://api.example or https://example.org/llm, got {public_url[:100]!r}"
        )
    if base.endswith("/v1"):
        raise ConfigurationError(f"public_url: expected it without /v1, got {public_url[:100]!r}")
    return base


def receipt(item: CodeInterpreterCall, *, base: str | None, html: bool) -> CodeInterpreterCall:
    """A receipt as a client sees it.

    Args:
        item: The whole one.
        base: Where its images are fetched; None leaves them where they are, in data URLs.
        html: Whether tables are shown as HTML, too.
    """
    outputs: list[CodeOutput] = []
    changed = False
    for output in item.outputs or ():
        if isinstance(output, Html) and not html:
            changed = True
            continue
        if isinstance(output, Image) and base is not None and output.url.startswith("data:"):
            changed = True
            file = figure_id(item.container_id, output.url)
            url = _PATH.format(base=base, container=item.container_id, file=file)
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

    def lifted(self, request: CreateResponse, principal: str) -> CreateResponse:
        """A request whose own items hold images, not URLs of them."""
        if request.input is None or isinstance(request.input, str):
            return request
        items = self.restored(request.input, principal)
        return request.model_copy(update={"input": items})

    def restored(self, items: Sequence[Item], principal: str) -> list[Item]:
        """Items with the images themselves; those without such URLs are the same objects."""
        return [self._restored(item, principal) for item in items]

    def _restored(self, item: Item, principal: str) -> Item:
        if isinstance(item, AgentCall):
            output = self.restored(item.output, principal)
            changed = any(new is not old for new, old in zip(output, item.output, strict=True))
            return item.model_copy(update={"output": output}) if changed else item
        if not isinstance(item, CodeInterpreterCall):
            return item
        outputs = [self._output(output, item, principal) for output in item.outputs or ()]
        changed = any(new is not old for new, old in zip(outputs, item.outputs or (), strict=True))
        return item.model_copy(update={"outputs": outputs}) if changed else item

    def _output(self, output: CodeOutput, item: CodeInterpreterCall, principal: str) -> CodeOutput:
        if not isinstance(output, Image) or not output.url.startswith(self.base):
            return output
        place = _PLACE.fullmatch(output.url, len(self.base))
        if place is None:
            return output
        found = (each.figure(place[1], place[2], principal) for each in self._registries)
        url = next((url for url in found if url is not None), None)
        return Logs(logs=_GONE) if url is None else Image(url=url)
