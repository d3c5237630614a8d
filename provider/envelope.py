"""The envelope: what a WebSocket message says beside the request that it holds.

Source: Open Responses schema, WebSocketResponseCreateEvent; `generate` and `stream_id` are
OpenAI's. Read out of the bytes alone, so that even a request that is wrong elsewhere is known by
what it wanted to go on from.
"""

import re
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.errors import RequestError
from antiphon.items import explain

CREATE: Final = "response.create"
_LANE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}")


class Envelope(BaseModel):
    """The fields of a message that are the transport's; all others are passed over."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    type: Any = None
    generate: Any = None
    stream_id: Any = None
    background: Any = None
    previous_response_id: Any = None

    @classmethod
    def read(cls, body: bytes) -> "Envelope":
        """The envelope of a message.

        Raises:
            RequestError: 400; it is not a JSON object.
        """
        try:
            return cls.__pydantic_validator__.validate_json(body)
        except ValidationError as error:
            raise explain(error, body) from None

    @property
    def lane(self) -> str | None:
        """The client's name for the stream that this answer belongs to, if it is a sane one."""
        named = self.stream_id
        return named if isinstance(named, str) and _LANE.fullmatch(named) else None

    @property
    def previous(self) -> str | None:
        """The response that the request goes on from."""
        named = self.previous_response_id
        return named if isinstance(named, str) else None

    def check(self) -> None:
        """Refuse what this transport does not do.

        Raises:
            RequestError: 400; `param` names the field.
        """
        if self.type != CREATE:
            raise _wrong("type", f'expected "{CREATE}", got {self.type!r:.80}', "unknown_event")
        if self.generate is not None and not isinstance(self.generate, bool):
            raise _wrong("generate", f"expected true or false, got {self.generate!r:.80}")
        if self.background not in (None, False):
            why = "a response on a WebSocket is not run in the background: POST it instead"
            raise _wrong("background", why, "unsupported_parameter")
        if self.stream_id is not None and self.lane is None:
            why = "expected 1 to 256 letters, digits, underscores, hyphens and periods"
            raise _wrong("stream_id", why, "invalid_stream_id")


def _wrong(param: str, why: str, code: str = "invalid_value") -> RequestError:
    return RequestError(f"{param}: {why}", param=param, code=code)
