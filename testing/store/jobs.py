"""What a store does with responses in the making; see `check_store`."""

from dataclasses import replace

import anyio

from antiphon.items import Item
from antiphon.provider import Record, Store

from .approvals import FAR
from .kit import OTHER, OWNER, item_of, record_of, same

LATE = 1.0
"""A time, in seconds since 1970, that is long over: a lease until then can be claimed."""


def queued(name: str = "a", *, conversation: str | None = None) -> Record:
    """The record of a response that nobody has begun."""
    whole = record_of(name)
    response = whole.response.model_copy(update={"status": "queued", "output": []})
    return replace(whole, response=response, conversation=conversation)


def told_by(*numbers: int) -> list[tuple[int, bytes]]:
    """Events of these numbers."""
    return [(number, b'{"n":%d}' % number) for number in numbers]


def output_of(record: Record) -> list[tuple[int, Item]]:
    """The output, with positions."""
    return [*enumerate(record.response.output)]


async def _shows_what_is_done(store: Store) -> None:
    whole = record_of("a")
    await store.start(queued(), owner="one", until=FAR)
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None, "a queued response is there"
    assert found.response.status == "queued", f"expected queued, got {found.response.status}"
    same(found.given, whole.given, "the input")
    working = whole.response.model_copy(update={"status": "in_progress"})
    hold = await store.write("resp_a", owner="one", items=output_of(whole)[1:], response=working)
    assert hold == "held", f"expected held, got {hold}"
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None
    assert found.response.status == "in_progress", f"got {found.response.status}"
    same(found.response.output, whole.response.output[1:], "what is done so far")
    await store.write("resp_a", owner="one", items=output_of(whole)[:1])
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None
    same(found.response.output, whole.response.output, "in the order of their positions")
    assert await item_of(store, "msg_a") is not None, "an item that is done is found"
    assert await store.load("resp_a", principal=OTHER) is None, "another's is not hidden"


async def _tells_events(store: Store) -> None:
    await store.start(queued(), owner="one", until=FAR)
    await store.write("resp_a", owner="one", events=told_by(0, 1))
    await store.write("resp_a", owner="one", events=told_by(2, 3))
    told = await store.told("resp_a", principal=OWNER)
    assert told is not None, "expected events; got None"
    assert told.events == told_by(0, 1, 2, 3), f"got {told.events}"
    assert told.over is False, "it is still being made"
    told = await store.told("resp_a", principal=OWNER, after=1, limit=1)
    assert told is not None and told.events == told_by(2), f"expected event 2, got {told}"
    await store.write("resp_a", owner="one", events=[(3, b"again"), (4, b"4")])
    assert await store.finish(record_of("a"), owner="one", events=told_by(5)) is True
    told = await store.told("resp_a", principal=OWNER, after=1)
    assert told is not None
    assert told.events == [*told_by(2), (3, b"again"), (4, b"4"), *told_by(5)], f"got {told}"
    assert told.over is True, "it has ended, and these are all"
    told = await store.told("resp_a", principal=OWNER, after=1, limit=2)
    assert told is not None and told.over is False, "it has ended, but there are more"
    told = await store.told("resp_a", principal=OWNER, after=5)
    assert told is not None and (told.events, told.over) == ([], True), f"got {told}"
    assert await store.told("resp_a", principal=OTHER) is None, "another's is not hidden"
    assert await store.told("resp_none", principal=OWNER) is None, "there is none"


async def _finishes(store: Store) -> None:
    whole = record_of("a")
    await store.start(queued(), owner="one", until=FAR)
    await store.write("resp_a", owner="one", items=output_of(whole)[:1])
    assert await store.finish(whole, owner="one") is True, "expected it to be taken"
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None
    assert found.response.to_json() == whole.response.to_json(), "the response has changed"
    same(found.given, whole.given, "the input")
    for item in whole.response.output:
        kept = await item_of(store, item.id)
        assert kept is not None, f"the item {item.id} is not found"
        same([kept], [item], "an item")
    assert await store.finish(whole, owner="one") is False, "it was finished twice"
    assert await store.renew("resp_a", owner="one", until=FAR) == "lost", "it is over"
    assert await store.ask_cancel("resp_a", principal=OWNER) is False, "it is over"
    assert await store.stale(FAR * 2) == [], "it is over"


async def _forgets_what_a_lost_run_wrote(store: Store) -> None:
    """Who takes over may begin anew: what is kept in the end is what the last owner told."""
    await store.start(queued(), owner="one", until=LATE)
    await store.write("resp_a", owner="one", items=output_of(record_of("lost")))
    assert await store.claim("resp_a", owner="two", until=FAR) is not None, "it was to be had"
    end = record_of("a")
    end.response.output = end.response.output[:1]
    assert await store.finish(end, owner="two") is True
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None
    same(found.response.output, end.response.output, "the output")
    assert await item_of(store, "msg_lost") is None, "a lost item is still found"


async def _gives_a_stale_job_to_one(store: Store) -> None:
    await store.start(queued(), owner="one", until=LATE)
    await store.start(queued("b"), owner="one", until=FAR)
    assert await store.stale(LATE) == ["resp_a"], "expected the job whose lease ran out"
    assert await store.claim("resp_b", owner="two", until=FAR) is None, "its lease is live"
    assert await store.claim("resp_none", owner="two", until=FAR) is None, "there is none"
    got: list[str] = []

    async def claim(owner: str) -> None:
        record = await store.claim("resp_a", owner=owner, until=FAR)
        if record is not None:
            assert record.principal == OWNER, f"expected {OWNER}, got {record.principal}"
            got.append(owner)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(claim, f"owner {number}")
    assert len(got) == 1, f"expected one to get it, got {got}"
    assert await store.stale(LATE) == [], "its lease is live"


async def _fences_who_lost_its_lease(store: Store) -> None:
    whole = record_of("a")
    await store.start(queued(), owner="one", until=LATE)
    assert await store.renew("resp_a", owner="one", until=LATE) == "held", "nobody claimed it"
    await store.write("resp_a", owner="one", events=told_by(0))
    taken = await store.claim("resp_a", owner="two", until=FAR)
    assert taken is not None, "it was to be had"
    same(taken.given, whole.given, "the input")
    events, items = told_by(0, 1), output_of(whole)
    assert await store.write("resp_a", owner="one", events=events, items=items) == "lost"
    assert await store.renew("resp_a", owner="one", until=FAR) == "lost", "it is another's"
    assert await store.finish(whole, owner="one", events=events) is False, "it is another's"
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None
    assert (found.response.status, found.response.output) == ("queued", []), f"got {found}"
    told = await store.told("resp_a", principal=OWNER)
    assert told is not None and told.events == told_by(0), f"got {told}"
    assert await store.renew("resp_a", owner="two", until=FAR) == "held", "it is its own"


async def _asks_to_cancel(store: Store) -> None:
    await store.start(queued(), owner="one", until=LATE)
    assert await store.ask_cancel("resp_a", principal=OTHER) is False, "it is another's"
    assert await store.ask_cancel("resp_none", principal=OWNER) is False, "there is none"
    assert await store.renew("resp_a", owner="one", until=LATE) == "held", "nobody asked"
    assert await store.ask_cancel("resp_a", principal=OWNER) is True, "it is being made"
    assert await store.renew("resp_a", owner="one", until=LATE) == "cancel", "it was asked"
    assert await store.write("resp_a", owner="one", events=told_by(0)) == "cancel"
    assert await store.claim("resp_a", owner="two", until=FAR) is not None, "it was to be had"
    assert await store.renew("resp_a", owner="two", until=FAR) == "cancel", "it is forgotten"


async def _deletes_what_is_being_made(store: Store) -> None:
    await store.start(queued(), owner="one", until=FAR)
    await store.write("resp_a", owner="one", events=told_by(0))
    assert await store.delete("resp_a", principal=OWNER) is True, "expected it to be deleted"
    assert await store.write("resp_a", owner="one", events=told_by(1)) == "lost", "it is gone"
    assert await store.finish(record_of("a"), owner="one") is False, "it is gone"
    assert await store.told("resp_a", principal=OWNER) is None, "its events are still there"
    assert await store.load("resp_a", principal=OWNER) is None, "it is still there"
    assert await store.stale(FAR * 2) == [], "it is still there"


async def _a_foreground_response_has_no_events(store: Store) -> None:
    await store.save(record_of("a"))
    told = await store.told("resp_a", principal=OWNER)
    assert told is not None and (told.events, told.over) == ([], True), f"got {told}"
    assert await store.claim("resp_a", owner="one", until=FAR) is None, "it is no job"


JOBS = (
    _shows_what_is_done,
    _tells_events,
    _finishes,
    _forgets_what_a_lost_run_wrote,
    _gives_a_stale_job_to_one,
    _fences_who_lost_its_lease,
    _asks_to_cancel,
    _deletes_what_is_being_made,
    _a_foreground_response_has_no_events,
)
