"""Content parts: what messages, reasoning and outputs are made of, and citations on them.

Source: Open Responses schema (InputTextContent ... RefusalContent, Annotation, LogProb);
file, container and path citations follow the `openai` SDK's classes.
"""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag

from .wire import AS_IT_IS, Json, Maybe, Wire, type_tag

_T = TypeVar("_T")

ListOf = Annotated[list[_T], Field(fail_fast=True)]
"""A list whose first fault is told and ends it: a million faults would take seconds to collect."""


def at_most(number: int, what: str) -> BeforeValidator:
    """Refuses an object of more fields before they are looked at: each may be a fault."""

    def look(value: object) -> object:
        size = len(cast("Json", value)) if isinstance(value, dict) else 0
        if size > number:
            raise ValueError(f"expected at most {number} {what}, got {size}: remove some")
        return cast("object", value)

    return BeforeValidator(look)


ImageDetail: TypeAlias = Literal["low", "high", "auto", "original"]


class TopLogProb(Wire):
    """One alternative token with its log probability."""

    token: str
    logprob: float
    bytes: ListOf[int] = []


class LogProb(TopLogProb):
    """The chosen token, its log probability and the alternatives."""

    top_logprobs: ListOf[TopLogProb] = []


class UrlCitation(Wire):
    """A web page that a span of the text rests on; indexes count characters."""

    type: Literal["url_citation"] = "url_citation"
    url: str
    start_index: int
    end_index: int
    title: str


class FileCitation(Wire):
    """A file that the text at `index` (characters) rests on."""

    type: Literal["file_citation"] = "file_citation"
    file_id: str
    filename: str
    index: int


class ContainerFileCitation(Wire):
    """A file made in a container, named by a span of the text."""

    type: Literal["container_file_citation"] = "container_file_citation"
    container_id: str
    file_id: str
    filename: str
    start_index: int
    end_index: int


class FilePath(Wire):
    """A path to a file that a tool made."""

    type: Literal["file_path"] = "file_path"
    file_id: str
    index: int


class UnknownAnnotation(Wire):
    """An annotation of a type that this version does not know, kept as it came."""

    type: str


Annotation: TypeAlias = Annotated[
    Annotated[UrlCitation, Tag("<url_citation>")]
    | Annotated[FileCitation, Tag("<file_citation>")]
    | Annotated[ContainerFileCitation, Tag("<container_file_citation>")]
    | Annotated[FilePath, Tag("<file_path>")]
    | Annotated[UnknownAnnotation, Tag("<?>")],
    Discriminator(
        type_tag("url_citation", "file_citation", "container_file_citation", "file_path")
    ),
    AS_IT_IS,
]


class InputText(Wire):
    """Text given to the model."""

    type: Literal["input_text"] = "input_text"
    text: str


class InputImage(Wire):
    """An image given to the model: an http(s) or data URL, or an uploaded file's id."""

    type: Literal["input_image"] = "input_image"
    image_url: str | None = None
    detail: ImageDetail | None = "auto"
    file_id: Maybe[str] = None


class InputFile(Wire):
    """A file given to the model: by uploaded id, by URL, or as a base64 data URL."""

    type: Literal["input_file"] = "input_file"
    filename: Maybe[str] = None
    file_data: Maybe[str] = None
    file_url: Maybe[str] = None
    file_id: Maybe[str] = None


class InputVideo(Wire):
    """A video given to the model, by URL."""

    type: Literal["input_video"] = "input_video"
    video_url: str


class OutputText(Wire):
    """Text that the model wrote, with its citations."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: ListOf[Annotation] = []
    logprobs: Maybe[ListOf[LogProb]] = None


class Refusal(Wire):
    """The model's words of refusal."""

    type: Literal["refusal"] = "refusal"
    refusal: str


class PlainText(Wire):
    """Text with no more said about it."""

    type: Literal["text"] = "text"
    text: str


class SummaryText(Wire):
    """One paragraph of a reasoning summary."""

    type: Literal["summary_text"] = "summary_text"
    text: str


class ReasoningText(Wire):
    """Raw reasoning, as the model thought it."""

    type: Literal["reasoning_text"] = "reasoning_text"
    text: str


class UnknownPart(Wire):
    """A part of a type that this version does not know, kept as it came."""

    type: str


Part: TypeAlias = Annotated[
    Annotated[InputText, Tag("<input_text>")]
    | Annotated[InputImage, Tag("<input_image>")]
    | Annotated[InputFile, Tag("<input_file>")]
    | Annotated[InputVideo, Tag("<input_video>")]
    | Annotated[OutputText, Tag("<output_text>")]
    | Annotated[Refusal, Tag("<refusal>")]
    | Annotated[PlainText, Tag("<text>")]
    | Annotated[SummaryText, Tag("<summary_text>")]
    | Annotated[ReasoningText, Tag("<reasoning_text>")]
    | Annotated[UnknownPart, Tag("<?>")],
    Discriminator(
        type_tag(
            "input_text",
            "input_image",
            "input_file",
            "input_video",
            "output_text",
            "refusal",
            "text",
            "summary_text",
            "reasoning_text",
        )
    ),
    AS_IT_IS,
]


def _content_tag(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<list>"


Content: TypeAlias = Annotated[
    Annotated[str, Field(max_length=10_485_760), Tag("<text>")]
    | Annotated[ListOf[Part], Tag("<list>")],
    Discriminator(_content_tag),
    AS_IT_IS,
]
"""A string, or a list of parts; anything else is an error about the list."""


def text_of(content: str | list[Part] | None) -> str:
    """All text in a content, joined; images and files say nothing here."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = (getattr(part, "text", None) or getattr(part, "refusal", None) for part in content)
    return "".join(text for text in texts if isinstance(text, str))
