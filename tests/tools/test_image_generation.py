"""Images made by a function of one's own: drafts, receipts, refusals."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from antiphon.errors import ConfigurationError, RequestError, ToolFailed
from antiphon.items import (
    Event,
    FunctionCallOutput,
    ImageGenerationCall,
    ImageGenerationTool,
    InputImage,
    PartialImage,
    ToolDefinition,
    lower_one,
)
from antiphon.testing.tool import check_call_events, check_hosted_tool, play
from antiphon.tools import Generate, ImageDraft, ImageGeneration, ImagePrompt, PaintedImage, Scope

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG the whole"
PROMPT = json.dumps({"prompt": "a fox"})


async def paint(prompt: ImagePrompt) -> bytes:
    return PNG


async def drafting(prompt: ImagePrompt) -> AsyncGenerator[ImageDraft | PaintedImage, None]:
    for number in range(4):
        yield ImageDraft(b"\x89PNG %d" % number)
    yield PaintedImage(PNG, "a red fox")


def definition(**fields: Any) -> ToolDefinition:
    adapter: TypeAdapter[ToolDefinition] = TypeAdapter(ToolDefinition)
    return adapter.validate_python({"type": "image_generation", **fields})


async def events_of(generate: Generate, arguments: str = PROMPT, **fields: Any) -> list[Event]:
    (offer,) = ImageGeneration(generate=generate).offers(definition(**fields), Scope())
    return await play(offer, arguments)


async def made(generate: Generate, arguments: str = PROMPT, **fields: Any) -> ImageGenerationCall:
    item = check_call_events(await events_of(generate, arguments, **fields))
    assert isinstance(item, ImageGenerationCall)
    return item


def read(item: ImageGenerationCall) -> str:
    return lower_one(item, "call")[-1].to_json().decode()


@pytest.mark.parametrize("generate", [paint, drafting])
async def test_it_keeps_the_conformance_of_hosted_tools(generate: Generate) -> None:
    await check_hosted_tool(ImageGeneration(generate=generate), ImageGenerationTool(), PROMPT)


async def test_an_image_is_its_base64_and_the_model_sees_it() -> None:
    item = await made(paint)
    assert base64.b64decode(item.result or "") == PNG
    assert (item.revised_prompt, item.output_format) == ("a fox", "png")
    output = lower_one(item, "call")[-1]
    assert isinstance(output, FunctionCallOutput)
    assert output.output == [InputImage(image_url=f"data:image/png;base64,{item.result}")]


async def test_drafts_are_shown_as_they_come_as_many_as_were_asked_for() -> None:
    events = await events_of(drafting, partial_images=2)
    assert [event.type.removeprefix("response.") for event in events] == [
        "output_item.added",
        "image_generation_call.in_progress",
        "image_generation_call.generating",
        "image_generation_call.partial_image",
        "image_generation_call.partial_image",
        "image_generation_call.completed",
        "output_item.done",
    ]
    drafts = [event for event in events if isinstance(event, PartialImage)]
    assert [one.partial_image_index for one in drafts] == [0, 1]
    assert base64.b64decode(drafts[1].partial_image_b64) == b"\x89PNG 1"


async def test_no_draft_is_shown_to_those_who_did_not_ask() -> None:
    assert not any(isinstance(event, PartialImage) for event in await events_of(drafting))
    assert (await made(drafting)).revised_prompt == "a red fox"


async def test_what_the_request_says_is_in_the_prompt_and_on_the_receipt() -> None:
    seen: list[ImagePrompt] = []

    async def look(prompt: ImagePrompt) -> bytes:
        seen.append(prompt)
        return b"\xff\xd8\xff"

    fields: dict[str, Any] = {
        "size": "1024x1024",
        "quality": "low",
        "model": "m",
        "partial_images": 3,
    }
    item = await made(look, **fields)
    assert seen[0] == "a fox"
    assert dict(seen[0].options) == {"size": "1024x1024", "quality": "low", "model": "m"}
    assert seen[0].partial_images == 3
    assert item.output_format == "jpeg"
    assert (item.model_extra or {}) == {"size": "1024x1024", "quality": "low"}


async def _nothing(prompt: ImagePrompt) -> bytes:
    return b""


async def _gives_up(prompt: ImagePrompt) -> bytes:
    raise ToolFailed("that may not be painted")


async def _breaks(prompt: ImagePrompt) -> bytes:
    raise ValueError("no brush")


async def _never(prompt: ImagePrompt) -> AsyncGenerator[ImageDraft, None]:
    yield ImageDraft(PNG)


async def _twice(prompt: ImagePrompt) -> AsyncGenerator[bytes, None]:
    yield PNG
    yield PNG


@pytest.mark.parametrize(
    ("generate", "said"),
    [
        (_nothing, "expected the bytes"),
        (_gives_up, "may not be painted"),
        (_breaks, "no brush"),
        (_never, "no image"),
        (_twice, "two images"),
    ],
)
async def test_what_gives_no_image_fails_and_says_why(generate: Generate, said: str) -> None:
    item = await made(generate)
    assert item.status == "failed"
    assert said in read(item)
    assert said in str(item.error)


@pytest.mark.parametrize("arguments", ["{}", '{"prompt": 1}', '{"prompt": "a", "x": 1}'])
async def test_arguments_that_do_not_fit_fail_and_say_why(arguments: str) -> None:
    item = await made(paint, arguments)
    assert item.status == "failed"
    assert "image_generation" in read(item)


async def test_an_image_that_takes_too_long_is_given_up_drafts_and_all() -> None:
    async def slow(prompt: ImagePrompt) -> AsyncGenerator[ImageDraft, None]:
        yield ImageDraft(PNG)
        await anyio.sleep_forever()

    (offer,) = ImageGeneration(generate=slow, timeout=0.05).offers(definition(), Scope())
    with anyio.fail_after(60):
        item = check_call_events(await play(offer, PROMPT))
    assert isinstance(item, ImageGenerationCall)
    assert "longer than 0.05 seconds" in read(item)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"partial_images": 4}, "partial_images"),
        ({"partial_images": True}, "partial_images"),
        ({"partial_images": "2"}, "partial_images"),
        ({"action": "edit"}, "action"),
        ({"input_image_mask": {"file_id": "f"}}, "input_image_mask"),
    ],
)
def test_a_definition_that_asks_for_what_cannot_be_is_refused(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(RequestError) as caught:
        ImageGeneration(generate=paint).offers(definition(**fields), Scope())
    assert caught.value.param == param


def test_a_painter_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="generate: expected"):
        ImageGeneration(generate=None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="timeout"):
        ImageGeneration(generate=paint, timeout=0)
