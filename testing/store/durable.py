"""What outlives a process: stores of one database, opened by several, closed and opened again."""

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from antiphon.items import user
from antiphon.provider import Store

from .approvals import FAR, approval_of
from .conversations import talk_of, texts, turn_of
from .jobs import LATE, output_of, queued, told_by
from .kit import OWNER, record_of, same

Open = Callable[[], Awaitable[Store]]
"""Opens one more store on the same database."""


async def check_durable_store(make: Callable[[], Awaitable[Open]]) -> None:
    """Every rule of stores that share a database, each on an empty one.

    Args:
        make: Makes an empty database, and gives what opens it, any number of times.
    """
    for check in (
        _is_there_when_it_is_opened_again,
        _is_seen_by_others_at_once,
        _gives_an_approval_to_one_handle,
        _hands_a_job_over,
        _opens_many_at_once,
        _adds_turns_from_several_handles,
    ):
        await check(await make())


async def _is_there_when_it_is_opened_again(open_one: Open) -> None:
    store = await open_one()
    await store.create_conversation(talk_of("a"), [user("hello")])
    await store.save(record_of("a"))
    await store.save(record_of("b", before="resp_a"))
    await store.ask(approval_of("a"))
    assert await store.consume(["apr_a"], principal=OWNER, at=1.0) is True
    await store.start(queued("c"), owner="one", until=LATE)
    await store.write("resp_c", owner="one", events=told_by(0), items=output_of(record_of("c")))
    await store.aclose()
    store = await open_one()
    a, b = record_of("a"), record_of("b")
    said = [*a.given, *a.response.output, *b.given, *b.response.output]
    same((await store.chain("resp_b", principal=OWNER)).items, said, "the chain")
    assert await store.consume(["apr_a"], principal=OWNER, at=2.0) is False, "it is free again"
    assert await texts(store) == ["hello"], f"got {await texts(store)}"
    assert await store.stale(LATE) == ["resp_c"], "the job is lost"
    found = await store.claim("resp_c", owner="two", until=FAR)
    assert found is not None, "the job is lost"
    same(found.response.output, record_of("c").response.output, "what was done")
    told = await store.told("resp_c", principal=OWNER)
    assert told is not None and told.events == told_by(0), f"got {told}"
    await store.aclose()


async def _is_seen_by_others_at_once(open_one: Open) -> None:
    one, two = await open_one(), await open_one()
    await one.save(record_of("a"))
    assert await two.load("resp_a", principal=OWNER) is not None, "expected what one saved"
    assert await two.delete("resp_a", principal=OWNER) is True
    assert await one.load("resp_a", principal=OWNER) is None, "two deleted it"
    await one.aclose()
    await two.save(record_of("b"))
    assert await two.load("resp_b", principal=OWNER) is not None, "one closed only its own"
    await two.aclose()


async def _gives_an_approval_to_one_handle(open_one: Open) -> None:
    stores = [await open_one() for _ in range(3)]
    await stores[0].ask(approval_of("a"))
    await stores[0].ask(approval_of("b"))
    won: list[str] = []

    async def use(store: Store, ids: list[str]) -> None:
        if await store.consume(ids, principal=OWNER, at=1.0):
            won.extend(ids)

    async with anyio.create_task_group() as tasks:
        for store in stores * 3:
            tasks.start_soon(use, store, ["apr_a", "apr_b"])
            tasks.start_soon(use, store, ["apr_b", "apr_a"])
    assert sorted(won) == ["apr_a", "apr_b"], f"expected one to get both, got {won}"
    await _close(stores)


async def _hands_a_job_over(open_one: Open) -> None:
    one, two = await open_one(), await open_one()
    await one.start(queued(), owner="one", until=LATE)
    assert await two.ask_cancel("resp_a", principal=OWNER) is True, "it is being made"
    assert await one.renew("resp_a", owner="one", until=LATE) == "cancel", "two asked for it"
    assert await two.claim("resp_a", owner="two", until=FAR) is not None, "it was to be had"
    assert await one.write("resp_a", owner="one", events=told_by(0)) == "lost", "it is two's"
    assert await two.finish(record_of("a"), owner="two", events=told_by(0)) is True
    told = await one.told("resp_a", principal=OWNER)
    assert told is not None and (told.events, told.over) == (told_by(0), True), f"got {told}"
    await _close([one, two])


async def _opens_many_at_once(open_one: Open) -> None:
    stores: list[Store] = []

    async def use(number: int) -> None:
        store = await open_one()
        stores.append(store)
        await store.save(record_of(f"n{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(use, number)
    for number in range(5):
        found = await stores[0].load(f"resp_n{number}", principal=OWNER)
        assert found is not None, f"what handle {number} saved is lost"
    await _close(stores)


async def _adds_turns_from_several_handles(open_one: Open) -> None:
    stores = [await open_one() for _ in range(3)]
    await stores[0].create_conversation(talk_of("a"))

    def save(tasks: TaskGroup, number: int) -> None:
        tasks.start_soon(stores[number % 3].save, turn_of(f"n{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            save(tasks, number)
    said = await stores[1].said("conv_a", principal=OWNER)
    assert said is not None and len(said) == 36, f"expected 36 items, got {said}"
    pairs = [(said[at].id or "")[3:] == (said[at + 1].id or "")[4:] for at in range(1, 36, 3)]
    assert all(pairs), "turns are mixed up"
    await _close(stores)


async def _close(stores: list[Store]) -> None:
    for store in stores:
        await store.aclose()
