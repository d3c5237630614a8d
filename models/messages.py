"""Items as Chat Completions messages, written once each and joined.

Above: `chat`. Below: nothing. Source: OpenAI's Chat Completions reference, as vLLM, Ollama,
LM Studio, llama.cpp, OpenRouter, Hugging Face and Vercel serve it. Not here: options, answers.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

from pydantic_core import from_json, to_json

from antiphon.errors import ModelError
from antiphon.items import (
    FunctionCall,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputVideo,
    Json,
    Message,
    Part,
    Reasoning,
    UnknownPart,
    text_of,
)

from .model import ModelRequest

_BORDER: Final = b"\0"  # between two messages of one item; JSON never holds this byte
_IMAGE_NOTE: Final = "[an image, which cannot be shown here]"
_IMAGE_BELOW: Final = "[an image, shown in the next message]"


class Assistant:
    """One assistant message in the making, with the outputs of its calls.

    Chat wants every call of a turn in one message, and all outputs right after it; items may
    come in another order (a hosted call's output stands before the next call of its turn).
    """

    __slots__ = ("_waiting", "after", "calls", "outputs", "reasoning", "text")

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self.reasoning: list[str] = []
        self.calls: list[bytes] = []
        self.outputs: list[bytes] = []
        self.after: list[bytes] = []
        self._waiting: set[str] = set()

    def takes(self, item: Message | Reasoning | FunctionCall) -> bool:
        """Whether what the model said next belongs to this message."""
        if self.outputs:
            return bool(self._waiting)
        if isinstance(item, FunctionCall):
            return True
        return not self.text and not (isinstance(item, Reasoning) and self.calls)

    def call(self, call_id: str, written: bytes) -> None:
        """A call of this message."""
        self._waiting.add(call_id)
        self.calls.append(written)

    def output(self, call_id: str, written: bytes) -> None:
        """The output of a call, and what is to be shown after all outputs."""
        self._waiting.discard(call_id)
        output, _, after = written.partition(_BORDER)
        self.outputs.append(output)
        if after:
            self.after.append(after)

    def messages(self, reasoning_field: str | None) -> list[bytes]:
        """The message, its outputs, and what follows them."""
        fields = [b'"role":"assistant"']
        if self.text:
            fields.append(b'"content":' + self.text[0])
        elif self.calls:
            fields.append(b'"content":null')
        if self.reasoning and reasoning_field is not None:
            thought = "\n".join(self.reasoning)
            fields.append(to_json(reasoning_field) + b":" + to_json(thought))
        if self.calls:
            fields.append(b'"tool_calls":[' + b",".join(self.calls) + b"]")
        said = self.text or self.calls
        own = [b"{" + b",".join(fields) + b"}"] if said else []
        return own + self.outputs + self.after


class Messages:
    """Writes one request's context.

    Args:
        reasoning_field: The name under which earlier reasoning is given back; None drops it.
        images_in_outputs: Whether images in tool outputs are shown, in a user message after
            them (tool messages hold only text), or noted as absent.
    """

    def __init__(self, *, reasoning_field: str | None, images_in_outputs: bool) -> None:
        self._reasoning_field = reasoning_field
        self._images = images_in_outputs

    def write(self, request: ModelRequest) -> bytes:
        """The JSON list of messages; instructions come first.

        Raises:
            ModelError: A part has no form in Chat Completions (`unsupported_input`).
        """
        written: list[bytes] = []
        if request.instructions:
            written.append(to_json({"role": "system", "content": request.instructions}))
        said: Assistant | None = None
        for item in request.items:
            if isinstance(item, FunctionCallOutput):
                said = said or Assistant()
                said.output(item.call_id, self._once(request, item, self._output))
                continue
            if isinstance(item, Message) and item.role != "assistant":
                if said is not None:
                    written += said.messages(self._reasoning_field)
                    said = None
                written.append(self._once(request, item, _message))
                continue
            if isinstance(item, Reasoning) and self._reasoning_field is None:
                continue
            if said is not None and not said.takes(item):
                written += said.messages(self._reasoning_field)
                said = None
            said = said or Assistant()
            self._say(request, said, item)
        if said is not None:
            written += said.messages(self._reasoning_field)
        return b"[" + b",".join(written) + b"]"

    def _say(
        self, request: ModelRequest, said: Assistant, item: Message | Reasoning | FunctionCall
    ) -> None:
        if isinstance(item, FunctionCall):
            said.call(item.call_id, self._once(request, item, _call))
        elif isinstance(item, Reasoning):
            if item.text:
                said.reasoning.append(item.text)
        elif text := self._once(request, item, _text):
            said.text.append(text)

    def _once(self, request: ModelRequest, item: Any, how: Callable[[Any], bytes]) -> bytes:
        # The complement of the id: an adapter with other bytes may share the memo.
        key = ~id(item)
        written = request.memo.get(key)
        if written is None:
            written = request.memo[key] = how(item)
        return written

    def _output(self, item: FunctionCallOutput) -> bytes:
        content = item.output
        images: list[InputImage] = []
        if not isinstance(content, str):
            images = [part for part in content if isinstance(part, InputImage)]
        note = _IMAGE_BELOW if self._images else _IMAGE_NOTE
        text = "\n".join(filter(None, [text_of(content), *(note for _ in images)]))
        output = to_json({"role": "tool", "tool_call_id": item.call_id, "content": text})
        if not images or not self._images:
            return output
        shown = [{"type": "text", "text": f"Images from tool call {item.call_id}:"}]
        parts: list[Json] = [*shown, *(_part(image) for image in images)]
        return output + _BORDER + to_json({"role": "user", "content": parts})


def _text(item: Message) -> bytes:
    return to_json(item.text) if item.text else b""


def _call(item: FunctionCall) -> bytes:
    function = {"name": item.name, "arguments": _arguments(item.arguments)}
    return to_json({"id": item.call_id, "type": "function", "function": function})


def _arguments(text: str) -> str:
    """Arguments as servers take them: what was cut, or never was an object, says nothing."""
    try:
        return text if isinstance(from_json(text), dict) else "{}"
    except ValueError:
        return "{}"


def _message(item: Message) -> bytes:
    role: Literal["user", "system"] = "user" if item.role == "user" else "system"
    content: Any = item.text
    if role == "user" and not isinstance(item.content, str):
        parts = [_part(part) for part in item.content]
        alone = len(parts) == 1 and parts[0]["type"] == "text"  # what the smallest servers take
        content = parts[0]["text"] if alone else parts
    return to_json({"role": role, "content": content})


def _part(part: Part) -> Json:
    """One content part in Chat's form."""
    if isinstance(part, InputImage):
        if part.image_url is None:
            raise _unsupported("input_image", "image_url", "an uploaded file's id")
        image: Json = {"url": part.image_url}
        if part.detail in ("low", "high"):
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, InputFile):
        if part.file_data is None:
            raise _unsupported("input_file", "file_data", "an id or a URL")
        return {
            "type": "file",
            "file": {"filename": part.filename or "file", "file_data": part.file_data},
        }
    if isinstance(part, InputVideo):
        return {"type": "video_url", "video_url": {"url": part.video_url}}
    if isinstance(part, UnknownPart):
        return part.model_dump()
    return {"type": "text", "text": text_of([part])}


def _unsupported(kind: str, wanted: str, got: str) -> ModelError:
    return ModelError(
        f"{kind}: expected `{wanted}`, since Chat Completions servers know no other form; "
        f"got {got}: send the content itself as a data URL",
        code="unsupported_input",
        status=400,
    )
