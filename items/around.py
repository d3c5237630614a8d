"""Around: an event of a sub-agent's run, inside an event of its caller's.

Every event of every sub-agent comes through here, once for each level that it is deep, and
validation could find nothing: it would cost twice as much. Below: `event.AgentEvent`.
"""

from typing import Any, Final

from pydantic import BaseModel

from .event import AgentEvent, Event

_TYPE: Final = "antiphon:agent_call.event"
_SET: Final = {"sequence_number", "item_id", "output_index", "event"}
"""What is set of every one of them. Nothing adds to it, so that one set will do for all."""

_set_extra: Any = vars(BaseModel)["__pydantic_extra__"].__set__
_set_fields: Any = vars(BaseModel)["__pydantic_fields_set__"].__set__
_set_private: Any = vars(BaseModel)["__pydantic_private__"].__set__


def around(event: Event, item_id: str, output_index: int) -> AgentEvent:
    """The event of the call that tells this one of its run: as the constructor makes it.

    Args:
        event: The run's.
        item_id: The id of the call's item.
        output_index: Its place.
    """
    made = object.__new__(AgentEvent)
    fields = vars(made)
    fields["type"] = _TYPE
    fields["sequence_number"] = 0
    fields["item_id"] = item_id
    fields["output_index"] = output_index
    fields["event"] = event
    _set_extra(made, {})
    _set_fields(made, _SET)
    _set_private(made, None)
    return made
