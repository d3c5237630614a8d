"""The hosted tool `image_generation`: a provider's own way to make images.

    async def paint(prompt: ImagePrompt) -> bytes:
        return await my_engine(prompt, size=prompt.options.get("size", "auto"))

    Provider(..., tools=[ImageGeneration(generate=paint)])

Above: providers and agents, which find it by its type. Source: OpenAI's image generation tool;
the events are those of the `openai` SDK's ResponseImageGenCall... classes.
"""

import base64
import inspect
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.errors import ConfigurationError, RequestError, ToolFailed
from antiphon.items import (
    Event,
    FunctionTool,
    ImageGenerationCall,
    ImageGenerationTool,
    Json,
    PartialImage,
    ToolDefinition,
    bounded,
    clean,
)

from .call import BaseCall
from .gate import NeedsApproval, gate_of
from .guard import guarded, paced, within
from .hosted import Scope, Slot
from .offer import HostedOffer
from .result import misfit

IMAGE_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of an image, before base64."""

_TOLD: Final = ("background", "quality", "size")
_MAGIC: Final = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"RIFF", "webp"),
    (b"GIF8", "gif"),
    (b"<svg", "svg"),
    (b"<?xml", "svg"),
)


class ImagePrompt(str):
    """What to paint: the model's words, with what the request says about the image.

    Attributes:
        options: The definition's fields, such as `size`, `quality`, `background`,
            `output_format` and `model`; only those that the request gave.
        partial_images: How many drafts the client wants to see; more are not shown.
    """

    __slots__ = ("options", "partial_images")

    options: Mapping[str, Any]
    partial_images: int

    def __new__(
        cls, text: str, *, options: Mapping[str, Any] | None = None, partial_images: int = 0
    ) -> "ImagePrompt":
        """A prompt of these words."""
        prompt = super().__new__(cls, text)
        prompt.options = MappingProxyType(dict(options or {}))
        prompt.partial_images = partial_images
        return prompt


@dataclass(frozen=True, slots=True)
class ImageDraft:
    """An image so far, yielded on the way to the whole one; `data` holds its bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PaintedImage:
    """The whole image: its bytes, and the prompt that was really used, where that is another."""

    data: bytes
    revised_prompt: str | None = None


Painted: TypeAlias = bytes | PaintedImage
Generate: TypeAlias = Callable[
    [ImagePrompt], Awaitable[Painted] | AsyncGenerator[Painted | ImageDraft, None]
]
"""Makes an image: an async function, or an async generator of drafts and one image."""


class _Arguments(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    prompt: str


def _parse(arguments: str) -> Mapping[str, Any]:
    return _Arguments.model_validate_json(arguments).model_dump()


class ImageGeneration:
    """Makes images for a model, which sees them, too.

    A request declares `{"type": "image_generation"}`; what else it says (`size`, `quality` ...)
    is handed on in the prompt. Images are made anew: `action: edit` and masks are refused.

    Args:
        generate: Makes an image: an async function of an `ImagePrompt` that returns its bytes or
            a `PaintedImage`; or an async generator that yields `ImageDraft`s on the way and one
            of those at its end.
        timeout: Seconds that one image may take.
        description: What the model reads of the tool, instead of the text made here.
        needs_approval: Whether a person must approve each image before it is made, or a function
            of `prompt` that says so.

    Raises:
        ConfigurationError: `generate` is not callable, or the timeout is not above 0.
    """

    def __init__(
        self,
        *,
        generate: Generate,
        timeout: float = 120.0,
        description: str | None = None,
        needs_approval: NeedsApproval = False,
    ) -> None:
        if not callable(generate):
            raise ConfigurationError(
                f"generate: expected an async function of a prompt, got {type(generate).__name__}"
            )
        if not 0 < timeout < math.inf:
            raise ConfigurationError(f"expected a timeout above 0 seconds, got {timeout}")
        self._generate = generate
        self._timeout = timeout
        self._gate = gate_of(needs_approval, name=self.type, parameters=["prompt"], parse=_parse)
        told = "Make an image. You and the user see it."
        words = "What the image shows, and how, in full: nothing else of the talk is known there."
        self._function = FunctionTool(
            name=self.type,
            description=told if description is None else description,
            parameters={
                "type": "object",
                "properties": {"prompt": {"type": "string", "description": words}},
                "required": ["prompt"],
                "additionalProperties": False,
            },
            strict=True,
        )

    @property
    def type(self) -> str:
        """The type of the definitions that ask for it."""
        return "image_generation"

    def offers(self, definition: ToolDefinition, scope: Scope) -> tuple[HostedOffer]:
        """One function, bound to what the definition says about its images.

        Raises:
            RequestError: The definition asks for an edit, or for more drafts than there may be.
        """
        if not isinstance(definition, ImageGenerationTool):
            raise RequestError(
                f"expected a definition of type image_generation, got {definition.type!r}",
                param="type",
            )
        given = {k: v for k, v in (definition.model_extra or {}).items() if v is not None}
        if given.get("action") == "edit" or "input_image_mask" in given:
            name = "input_image_mask" if "input_image_mask" in given else "action"
            raise RequestError(
                f"{name}: images are made anew here and not edited: leave it out",
                param=name,
                code="unsupported_value",
            )
        drafts = given.pop("partial_images", 0)
        if isinstance(drafts, bool) or drafts not in (0, 1, 2, 3):
            raise RequestError(
                f"partial_images: expected 0 to 3, got {str(drafts)[:50]!r}",
                param="partial_images",
                code="invalid_value",
            )
        job = _Job(self._generate, self._timeout, given, drafts)
        return (
            HostedOffer(
                self._function,
                "image_generation_call",
                lambda call, slot, scope: ImageRun(job, slot),
                self._gate,
            ),
        )

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class _Job:
    """How the images of one request are made."""

    generate: Generate
    timeout: float
    options: Json
    drafts: int


class ImageRun(BaseCall):
    """A call whose item is `image_generation_call`."""

    steps: ClassVar[str] = "response.image_generation_call"

    def __init__(self, job: _Job, slot: Slot) -> None:
        super().__init__(slot)
        self.job = job
        self.prompt: str | None = None
        self.result: str | None = None
        self.format: str | None = None
        self.error: str | None = None
        self._drafts = 0

    def item(self, status: str) -> ImageGenerationCall:
        """The receipt so far."""
        options = self.job.options
        told = {name: options[name] for name in _TOLD if isinstance(options.get(name), str)}
        fault = None if self.error is None else {"type": "image_error", "message": self.error}
        return ImageGenerationCall(
            id=self.slot.item_id,
            status=status,
            result=self.result,
            revised_prompt=self.prompt,
            output_format=self.format,
            error=fault,
        ).model_copy(update=told)

    def write(self, delta: str) -> Iterable[Event]:
        """The wire has no event for a prompt in the making."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """What is to be made is known."""
        try:
            self.prompt: str | None = clean(_parse(arguments)["prompt"])
        except ValidationError as error:
            self.error = misfit(error, "image_generation")
        return ()

    def fail(self, reason: str) -> Iterable[Event]:
        """End the item failed; the model reads the reason."""
        self.error = bounded(reason, 1000)
        return self.end("failed")

    def run(self) -> AsyncIterator[Event]:
        """Make the image, and show it as it comes."""
        return guarded(self, self._paint(), name="image_generation")

    async def _paint(self) -> AsyncGenerator[Event, None]:
        if self.error is not None or self.prompt is None:
            raise ToolFailed(self.error or "there is no prompt")
        yield self.step("generating")
        job = self.job
        late = f"the image took longer than {job.timeout:g} seconds"
        prompt = ImagePrompt(self.prompt, options=job.options, partial_images=job.drafts)
        made: Any = job.generate(prompt)
        if not inspect.isasyncgen(made):
            self._keep(await within(made, job.timeout, late))
            return
        drawn = cast("AsyncGenerator[Painted | ImageDraft, None]", made)
        async with aclosing(paced(drawn, job.timeout, late)) as steps:
            async for step in steps:
                if not isinstance(step, ImageDraft):
                    self._keep(step)
                elif self._drafts < job.drafts:
                    yield self._shown(step)
        if self.result is None:
            raise RuntimeError("it yielded no image: expected one beside any ImageDraft")

    def _shown(self, draft: ImageDraft) -> Event:
        self._drafts += 1
        return PartialImage(
            item_id=self.slot.item_id,
            output_index=self.slot.output_index,
            partial_image_b64=base64.b64encode(_checked(draft.data)).decode(),
            partial_image_index=self._drafts - 1,
        )

    def _keep(self, painted: Painted) -> None:
        image = painted if isinstance(painted, PaintedImage) else PaintedImage(painted)
        if self.result is not None:
            raise RuntimeError("it yielded two images: expected one, and ImageDrafts")
        data = _checked(image.data)
        self.result = base64.b64encode(data).decode()
        self.format = next((name for magic, name in _MAGIC if data.startswith(magic)), "png")
        if image.revised_prompt:
            self.prompt = clean(image.revised_prompt)


def _checked(data: object) -> bytes:
    if not isinstance(data, bytes) or not data:
        raise RuntimeError(f"expected the bytes of an image, got {type(data).__name__}")
    if len(data) > IMAGE_LIMIT:
        raise ToolFailed(f"the image has {len(data)} bytes; it may have {IMAGE_LIMIT}")
    return data
