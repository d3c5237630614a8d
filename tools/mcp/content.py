"""What a call gave: a text for everybody, and parts for models that see.

An `mcp_call` says its output as one text. What is no text stands in it by name, and where a model
can read it (images) it stands beside it as parts, too. Above: `tools.mcp_call`. Below: `plain`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from antiphon.items import InputImage, InputText, Part, bounded

from .plain import Plain

if TYPE_CHECKING:
    from mcp_types import CallToolResult

IMAGES_LIMIT: Final = 16 * 1024 * 1024
"""Characters of base64 that the images of one call may have; later ones are only named."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")

_SEEN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Output:
    """What a call gave.

    Attributes:
        text: All of it in words.
        parts: The same with images; None where the text is all there is.
        failed: Whether the tool says that it went wrong.
    """

    text: str
    parts: list[Part] | None
    failed: bool


def output_of(result: "CallToolResult", plain: Plain, limit: int) -> Output:
    """A result of the SDK's, bounded and made plain.

    Args:
        result: What came.
        plain: Makes it harmless.
        limit: Characters of text that are kept of it.
    """
    texts: list[str] = []
    parts: list[Part] = []
    room = IMAGES_LIMIT
    for block in result.content:
        image = _image(block, room)
        if image is not None:
            room -= len(image.image_url or "")
            parts.append(image)
        said = plain.whole(_words(block))
        texts.append(said)
        if image is None:
            parts.append(InputText(text=said))
    structured = result.structured_content
    if structured is not None and not _says(result.content, structured):
        said = plain.whole(json.dumps(structured, ensure_ascii=False))
        texts.append(said)
        parts.append(InputText(text=said))
    text = bounded("\n".join(texts), limit)
    seen = any(isinstance(part, InputImage) for part in parts)
    return Output(text, _bounded(parts, limit) if seen else None, bool(result.is_error))


def _bounded(parts: Sequence[Part], left: int) -> list[Part]:
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, InputText):
            part = InputText(text=bounded(part.text, left))
            left = max(0, left - len(part.text))
        kept.append(part)
    return kept


def _says(content: Sequence[Any], structured: Any) -> bool:
    """Whether a text of the result is the structured content already, as servers should do."""
    only: object = None
    if isinstance(structured, dict) and len(fields := cast("dict[str, object]", structured)) == 1:
        only = fields.get("result")
    if only == [block.text for block in content if block.type == "text"]:
        return True
    for block in content:
        if block.type != "text":
            continue
        if isinstance(only, str) and block.text == only:  # how the SDK wraps what is no object
            return True
        try:
            if json.loads(block.text) in (structured, only):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def _image(block: Any, room: int) -> InputImage | None:
    data, mime = "", ""
    if block.type == "image":
        data, mime = block.data, block.mime_type
    elif block.type == "resource":
        data, mime = getattr(block.resource, "blob", ""), block.resource.mime_type or ""
    if mime not in _SEEN or len(data) > room or _BASE64.fullmatch(data) is None:
        return None
    return InputImage(image_url=f"data:{mime};base64,{data}")


def _words(block: Any) -> str:
    """A block in words; what is no text is named with its type and size."""
    if block.type == "text":
        return block.text
    if block.type in ("image", "audio"):
        return f"[{block.type} {block.mime_type}, {_size(block.data)} bytes]"
    if block.type == "resource_link":
        about = f": {block.description}" if block.description else ""
        return f"[resource {block.name} <{block.uri}>{about}]"
    resource = block.resource
    if hasattr(resource, "text"):
        return f"[resource <{resource.uri}>]\n{resource.text}"
    size = _size(resource.blob)
    return f"[resource <{resource.uri}> {resource.mime_type or 'of unknown type'}, {size} bytes]"


def _size(data: str) -> int:
    """How many bytes some base64 stands for."""
    return len(data) * 3 // 4 - data[-2:].count("=")
