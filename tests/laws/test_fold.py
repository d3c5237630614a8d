"""Law 1: the fold of the events is the terminal response, for everyone who sees them."""

import itertools

import anyio
import pytest
from hypothesis import given, strategies as st

from antiphon.items import CreateResponse, Event, fold, parse_event
from antiphon.provider import View, Viewer

from .kit import OUTPUTS, Hesitant, check_whole, end_of, events_of, lines, play, play_until, request
from .scripts import BREAKS, FRAGMENTS, LAW, Script, scripted, scripts

INCLUDES = [frozenset[str](), frozenset({OUTPUTS}), frozenset({"reasoning.encrypted_content"})]
VIEWS = [
    View(dialect=dialect, extensions=extensions, include=include)
    for dialect, extensions, include in itertools.product(
        ("openresponses", "openai"), (True, False), INCLUDES
    )
]


@LAW
@given(script=scripts(), fragment=FRAGMENTS)
def test_canonical_events_fold_to_the_terminal_response(
    script: Script, fragment: int | None
) -> None:
    check_whole(anyio.run(play, request(), scripted(script, fragment)))


@LAW
@given(
    script=scripts(),
    fragment=FRAGMENTS,
    breaks=st.none() | st.integers(0, 40),
    error=BREAKS,
    cancelled=st.booleans(),
)
def test_what_a_client_sees_folds_to_the_response_that_it_sees(
    script: Script,
    fragment: int | None,
    breaks: int | None,
    error: Exception | None,
    cancelled: bool,
) -> None:
    """However the run ends: by itself, broken off, or cancelled."""

    async def told_to() -> list[Event]:
        if cancelled:
            return await play_until(request(), Hesitant(scripted(script, fragment)), at=breaks)
        return await play(
            request(), Hesitant(scripted(script, fragment), breaks=breaks, error=error)
        )

    told = lines(anyio.run(told_to))
    for view in VIEWS:
        viewer = Viewer(view)
        events = [parse_event(line) for line in told]  # a viewer may change what it is given
        canonical = end_of(events)
        shown = [seen for event in events if (seen := viewer.show(event)) is not None]
        response = check_whole(shown)
        assert response.model_dump() == view.response(canonical).model_dump()


@pytest.mark.parametrize("view", VIEWS, ids=str)
@LAW
@given(script=scripts())
def test_a_client_that_asked_for_no_extensions_sees_none(view: View, script: Script) -> None:
    events = anyio.run(play, request(), scripted(script))
    viewer = Viewer(view)
    text = b"".join(lines([seen for event in events if (seen := viewer.show(event)) is not None]))
    if not view.extensions:
        assert b'"antiphon:' not in text
    dialects = {b"response.reasoning.delta": "openresponses"}
    dialects[b"response.reasoning_text.delta"] = "openai"
    for name, dialect in dialects.items():
        assert b'"type":"%b"' % name not in text or view.dialect == dialect


@LAW
@given(script=scripts(), fragment=FRAGMENTS)
def test_events_never_change_once_they_are_out(script: Script, fragment: int | None) -> None:
    async def keep(asked: CreateResponse) -> tuple[list[bytes], list[Event]]:
        then: list[bytes] = []
        kept: list[Event] = []
        async for event in events_of(asked, scripted(script, fragment)):
            then.append(event.to_json())
            kept.append(event)
        return then, kept

    then, kept = anyio.run(keep, request())
    assert lines(kept) == then


@LAW
@given(script=scripts(), fragment=FRAGMENTS)
def test_viewing_changes_nothing_for_whoever_folds_the_same_items(
    script: Script, fragment: int | None
) -> None:
    """A viewer may change the event that it shows, but never what is inside it."""

    async def follow(asked: CreateResponse) -> None:
        viewer = Viewer(View(dialect="openai"))
        canonical: list[bytes] = []
        inside: list[object] = []
        async for event in events_of(asked, scripted(script, fragment)):
            canonical.append(event.to_json())
            inside.append(getattr(event, "item", None) or getattr(event, "response", None))
            viewer.show(event)
        read = [parse_event(line) for line in canonical]
        same = [getattr(event, "item", None) or getattr(event, "response", None) for event in read]
        assert inside == same
        check_whole(read)
        assert fold(read) == end_of(read)

    anyio.run(follow, request())
