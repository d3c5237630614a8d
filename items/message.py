"""Messages, reasoning, and references: what is said, what is thought, what is pointed at.

Source: Open Responses schema (Message and its four Param forms, ReasoningBody,
ItemReferenceParam, CompactionBody). One class serves input and output, so that any output
is an input: what output requires and input may omit (id, status) the loop always sets.
"""

from typing import Literal, TypeAlias

from .part import Content, ListOf, Part, text_of
from .wire import Maybe, Wire

Role: TypeAlias = Literal["user", "assistant", "system", "developer"]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class Message(Wire):
    """Something said by the user, the model, or the developer."""

    type: Literal["message"] = "message"
    id: Maybe[str] = None
    status: Maybe[str] = None
    role: Role
    content: Content
    phase: Maybe[Literal["commentary", "final_answer"]] = None

    @property
    def text(self) -> str:
        """All text of this message, joined."""
        return text_of(self.content)


class Reasoning(Wire):
    """What the model thought: raw content, a summary, or an opaque encrypted form."""

    type: Literal["reasoning"] = "reasoning"
    id: Maybe[str] = None
    status: Maybe[str] = None
    summary: ListOf[Part] = []
    content: Maybe[ListOf[Part]] = None
    encrypted_content: Maybe[str] = None

    @property
    def text(self) -> str:
        """The raw thought, or its summary where there is no more."""
        return text_of(self.content) or text_of(self.summary)


class ItemReference(Wire):
    """Stands for a stored item of the same owner."""

    type: Literal["item_reference"] | None = "item_reference"
    id: str


class Compaction(Wire):
    """An earlier conversation in short, sealed by the provider that made it.

    `summary` is what is inside. It is known only where the seal was opened, and never shown.
    """

    type: Literal["compaction", "compaction_summary"] = "compaction"
    id: Maybe[str] = None
    encrypted_content: str
    created_by: Maybe[str] = None
    summary: Maybe[str] = None


def user(text: str) -> Message:
    """A user message of one text."""
    return Message(role="user", content=text)
