"""`around`: made without validation, and yet what validation would make."""

from copy import deepcopy

from antiphon.items import AgentEvent, Event, TextDelta, around, parse_event


def delta(text: str) -> Event:
    return TextDelta(item_id="m", output_index=1, content_index=0, delta=text)


def test_what_is_made_without_validation_is_what_validation_would_make() -> None:
    made = around(delta("a"), "ac_1", 3)
    whole = AgentEvent(item_id="ac_1", output_index=3, event=delta("a"))
    assert made == whole
    assert vars(made) == vars(whole)
    assert made.to_json() == whole.to_json()
    assert parse_event(made.to_json()) == whole
    assert made.model_copy() == deepcopy(made) == whole
    assert repr(made) == repr(whole)


def test_one_event_may_change_without_the_next() -> None:
    first = around(delta("a"), "ac_1", 3)
    assert first.model_extra is not None
    first.model_extra["note"] = "mine"
    first.sequence_number = 7
    second = around(delta("b"), "ac_1", 3)
    assert second.sequence_number == 0
    assert second.model_extra == {}
    assert b"mine" not in second.to_json()
    assert "note" not in second.model_fields_set
