"""Documents: the files of a request, made readable for any model.

A stored file, or the bytes that a request holds, becomes what its content is: text becomes text,
between marks that it cannot forge; an image an image; what is neither goes on as it is to models
that take files. URLs are the model's server's to fetch.

Above: `respond`. Below: `files.store`, `files.content`. Not here: text out of PDF and office
formats. Source: OpenAI's API reference, "File inputs".
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from anyio import to_thread

from antiphon.errors import RequestError
from antiphon.items import (
    CustomToolCallOutput,
    FunctionCallOutput,
    InputFile,
    InputImage,
    Item,
    Message,
    Part,
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

        Looked at are messages (but the model's own) and the outputs of functions that a client
        ran. What a tool of this provider gave stays as the model saw it.

        Args:
            items: Some items of the request.
            before: Whether they come from `previous_response_id`, which errors then name.

        Raises:
            RequestError: 404; there is no such file. 400; a part names none or several, or is
                nothing that the model takes. 413; the files have more bytes than they may.
        """
        readable: list[Item] = []
        for position, item in enumerate(items):
            field, parts = _parts(item)
            if not any(_is_file(part) for part in parts):
                readable.append(item)
                continue
            shown: list[Part] = []
            for number, part in enumerate(parts):
                where = "" if before else f"input[{position}].{field}[{number}]"
                shown.append(await self._part(part, where))
            readable.append(item.model_copy(update={field: shown}))
        return readable

    async def _part(self, part: Part, where: str) -> Part:
        if isinstance(part, InputImage) and _is_file(part):
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


def _parts(item: Item) -> tuple[str, Sequence[Part]]:
    """The parts of an item that a client may have put files in, and their field."""
    if isinstance(item, Message) and item.role != "assistant":
        field, content = "content", item.content
    elif isinstance(item, FunctionCallOutput | CustomToolCallOutput):
        field, content = "output", item.output
    else:
        return "", ()
    return field, () if isinstance(content, str) else content


def _is_file(part: Part) -> bool:
    if isinstance(part, InputImage):
        return part.image_url is None and part.file_id is not None
    return isinstance(part, InputFile)


def _param(where: str, field: str = "") -> str:
    """The field at fault; what was said before has no places in this request."""
    if not where:
        return "previous_response_id"
    return f"{where}.{field}" if field else where
