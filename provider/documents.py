"""Documents: the files of a request, made readable for any model.

A stored file, or the bytes that a request holds, becomes what its content is: text becomes text,
between marks that it cannot forge; an image an image; what is neither goes on as it is to models
that take files. URLs are the model's server's to fetch. No id of a file goes further than this: a
model's server would look it up among the files of the provider's own account there.

Above: `opened`. Below: `files.store`, `files.content`. Not here: text out of PDF and office
formats. Source: OpenAI's API reference, "File inputs".
"""

from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import Final, TypeVar, cast

from anyio import to_thread

from antiphon.errors import RequestError
from antiphon.items import (
    AgentCall,
    CustomToolCallOutput,
    FunctionCallOutput,
    InputFile,
    InputImage,
    Item,
    Json,
    McpCall,
    Message,
    Part,
    ToolCall,
    UnknownPart,
)

from .files import UNNAMED, Content, FileStore, Held, held, no_file, safe_name

T = TypeVar("T")

MAX_TEXT: Final = 1024 * 1024
"""Bytes of one text that a model reads; the rest is cut off, and the model is told."""

MAX_FILES: Final = 50 * 1024 * 1024
"""Bytes of stored files that one request may bring in."""

_LARGE: Final = 64 * 1024
_NAMED: Final = ("file_id", "file_data", "file_url")


class Documents:
    """The files of one request: of its own input, and of what was said before it.

    Args:
        files: Where uploads are.
        principal: Whose request it is.
        takes_files: Whether the model takes files that are neither text nor images.
        max_text: Bytes of one text that the model reads.
        max_files: Bytes of stored files that the request may bring in; each mention counts.
    """

    def __init__(
        self,
        files: FileStore,
        *,
        principal: str,
        takes_files: bool = True,
        max_text: int = MAX_TEXT,
        max_files: int = MAX_FILES,
    ) -> None:
        self._files = files
        self._principal = principal
        self._takes_files = takes_files
        self._max_text = max_text
        self._max_files = max_files
        self._left = max_files
        self._found: dict[str, Held] = {}

    async def read(self, items: Sequence[Item], *, before: bool = False) -> list[Item]:
        """The items with all their files readable; an item without files is the same object.

        What a tool of this provider gave, and the model's own words, stay as the model saw them;
        but a client may have written these, too, so the ids of files are looked up in all.

        Args:
            items: Some items of the request.
            before: Whether they come from `previous_response_id`, which errors then name.

        Raises:
            RequestError: 404; there is no such file. 400; a part names none or several, or is
                nothing that the model takes. 413; the files have more bytes than they may.
        """
        return await self._read(items, "" if before else "input")

    async def _read(self, items: Sequence[Item], place: str) -> list[Item]:
        readable: list[Item] = []
        for position, item in enumerate(items):
            field = _FIELDS.get(type(item))
            given: object = field and getattr(item, field)
            if field is None or not isinstance(given, list):
                readable.append(item)
                continue
            where = place and f"{place}[{position}].{field}"
            shown: list[Item] | list[Part]
            if isinstance(item, AgentCall):
                shown = await self._read(item.output, where)
            else:
                seen = type(item) in _SEEN or getattr(item, "role", None) == "assistant"
                shown = await self._parts(cast("list[Part]", given), where, seen=seen)
            was = cast("list[object]", given)
            same = shown is was or all(map(is_, shown, was))
            readable.append(item if same else item.model_copy(update={field: shown}))
        return readable

    async def _parts(self, parts: list[Part], place: str, *, seen: bool) -> list[Part]:
        """Parts made readable; of those that a model has seen, only what has an id is touched."""
        files = [
            number
            for number, part in enumerate(parts)
            if type(part) in _FILES and not (seen and getattr(part, "file_id", _ANY) is None)
        ]
        if not files:
            return parts
        shown = list(parts)
        for number in files:
            shown[number] = await self._part(parts[number], place and f"{place}[{number}]")
        return shown

    async def _part(self, part: Part, where: str) -> Part:
        if isinstance(part, UnknownPart):
            _refuse_ids(part, where)
        if isinstance(part, InputImage) and part.file_id is not None:
            return await self._image(part, _param(where, "file_id"))
        if not isinstance(part, InputFile):
            return part
        given = [name for name in _NAMED if getattr(part, name) is not None]
        if len(given) != 1:
            raise RequestError(
                f"{_param(where)}: expected one of {', '.join(_NAMED)}, "
                f"got {' and '.join(given) or 'none'}: send exactly one",
                param=_param(where),
                code="invalid_value" if given else "missing_required_parameter",
            )
        param = _param(where, given[0])
        if part.file_id is not None:
            file = await self._stored(part.file_id, param)
        elif part.file_data is not None:
            file = await self._held(part, param)
        else:
            return part
        shown = await _off_loop(len(file.data), lambda: file.image() or file.text())
        if shown is not None:
            return shown
        if not self._takes_files:
            raise _unsupported(param)
        if part.file_data is not None:
            return part  # as it came
        return await _off_loop(len(file.data), file.file)

    async def _image(self, part: InputImage, param: str) -> InputImage:
        if part.image_url is not None:
            raise RequestError(
                f"{param}: expected one of image_url, file_id, got both: send exactly one",
                param=param,
                code="invalid_value",
            )
        file = await self._stored(part.file_id or "", param)
        image = await _off_loop(len(file.data), file.image)
        if image is None:
            raise RequestError(
                f"{param}: expected a PNG, JPEG, GIF or WebP image, got another file: "
                "send it as an input_file",
                param=param,
                code="invalid_value",
            )
        return part.model_copy(update={"image_url": image.image_url, "file_id": None})

    async def _held(self, part: InputFile, param: str) -> Held:
        """The bytes of a part, a long text cut."""
        data, name = part.file_data or "", safe_name(part.filename or UNNAMED)
        file = await _off_loop(len(data), lambda: held(data, name, param))
        head = Held(name, file.size, file.data[: self._max_text])
        return head if head.is_text else file

    async def _stored(self, file_id: str, param: str) -> Held:
        """The bytes of a stored file, a long text cut; they are counted.

        Raises:
            RequestError: 404; there is no such file. 413; it is too much.
        """
        file = self._found.get(file_id)
        if file is None:
            async with self._files.open(file_id, principal=self._principal) as content:
                if content is None:
                    raise no_file(file_id, param)
                file = self._found[file_id] = await self._loaded(content, param)
        self._check_room(len(file.data), param)
        self._left -= len(file.data)
        return file

    async def _loaded(self, content: Content, param: str) -> Held:
        name, size = content.file.filename, content.file.bytes
        data = bytearray()
        async for chunk in content.chunks:
            data += chunk
            if len(data) >= self._max_text:
                break
        head = Held(name, size, bytes(data[: self._max_text]))
        if head.is_text or size <= len(head.data):
            return head
        self._check_room(size, param)
        async for chunk in content.chunks:
            data += chunk
        return Held(name, size, bytes(data))

    def _check_room(self, size: int, param: str) -> None:
        if size > self._left:
            raise RequestError(
                f"{param}: expected at most {self._max_files:,} bytes of files in one request, "
                "got more: send smaller files, or fewer",
                param=param,
                code="file_too_large",
                status=413,
            )


async def _off_loop(size: int, work: Callable[[], T]) -> T:
    """Do what takes its time by the size of a file where it stops nobody else."""
    return work() if size < _LARGE else await to_thread.run_sync(work)


def _unsupported(param: str) -> RequestError:
    return RequestError(
        f"{param}: expected text or an image, since this model takes no other files: "
        "send the file's text",
        param=param,
        code="unsupported_file",
    )


_FIELDS: Final[Mapping[type, str]] = {
    Message: "content",
    FunctionCallOutput: "output",
    CustomToolCallOutput: "output",
    ToolCall: "output",
    McpCall: "content",
    AgentCall: "output",
}
"""Where an item holds parts (an agent's call: items)."""

_SEEN: Final = frozenset({ToolCall, McpCall})
_ANY: Final = ""  # what no field named `file_id` says may still stand deeper
_FILES: Final = frozenset({InputFile, InputImage, UnknownPart})
"""What may name a file; by class, since `isinstance` of a pydantic class that it is not is slow."""


def _refuse_ids(part: UnknownPart, where: str) -> None:
    """A part that nobody here understands may say nothing of files.

    Raises:
        RequestError: 400; it names one.
    """
    inside = (part.model_extra or {}).values()
    nested = (cast("Json", value) for value in inside if isinstance(value, dict))
    if any("file_id" in fields for fields in (part.model_extra or {}, *nested)):
        raise RequestError(
            f"{_param(where, 'file_id')}: expected a file in an input_file or input_image part, "
            f"got one in {part.type!r:.100}: send it as one of these",
            param=_param(where, "file_id"),
            code="invalid_value",
        )


def _param(where: str, field: str = "") -> str:
    """The field at fault; what was said before has no places in this request."""
    if not where:
        return "previous_response_id"
    return f"{where}.{field}" if field else where
