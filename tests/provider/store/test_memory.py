"""What a store in memory forgets, and whose."""

from typing import TYPE_CHECKING

import pytest

from antiphon.items import user
from antiphon.provider import Approval, Conversation, MemoryStore

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.store import record_of
else:
    from antiphon.testing.store import record_of

pytestmark = pytest.mark.anyio

FAR = 1e11


async def test_conversations_are_bounded_in_number_and_the_busy_ones_stay() -> None:
    store = MemoryStore(limit=2)
    for name in "ab":
        await store.create_conversation(Conversation(f"conv_{name}", "alice", 1))
    await store.append("conv_a", [user("x")], principal="alice")
    await store.create_conversation(Conversation("conv_c", "alice", 1))
    kept = [name for name in "abc" if await store.conversation(f"conv_{name}", principal="alice")]
    assert kept == ["a", "c"]


async def test_conversations_count_in_bytes() -> None:
    store = MemoryStore(max_bytes=20_000)
    await store.save(record_of("old"))
    (item,) = await store.create_conversation(
        Conversation("conv_a", "alice", 1), [user("x" * 15_000)]
    )
    assert await store.load("resp_old", principal="alice") is not None
    await store.append("conv_a", [user("y" * 4_000)], principal="alice")
    assert await store.load("resp_old", principal="alice") is None, "it was written least recently"
    await store.delete_item("conv_a", item.id or "", principal="alice")
    for name in "abc":
        await store.save(record_of(name))
    assert await store.conversation("conv_a", principal="alice") is not None, "there is room again"
    await store.append("conv_a", [user("z" * 30_000)], principal="alice")
    assert await store.conversation("conv_a", principal="alice") is None, "it alone is too much"


async def test_events_count_in_bytes_and_go_with_their_response() -> None:
    store = MemoryStore(max_bytes=20_000)
    await store.start(record_of("a"), owner="one", until=FAR)
    await store.write("resp_a", owner="one", events=[(0, b"x" * 8_000)])
    await store.save(record_of("b"))
    await store.write("resp_a", owner="one", events=[(1, b"x" * 8_000)])
    assert await store.load("resp_b", principal="alice") is not None
    assert await store.write("resp_a", owner="one", events=[(0, b"y" * 9_000)]) == "held"
    assert await store.load("resp_b", principal="alice") is not None, "what is replaced is gone"
    await store.write("resp_a", owner="one", events=[(1, b"y" * 90_000)])
    assert await store.write("resp_a", owner="one", events=[(2, b"z")]) == "lost", "too much"
    assert await store.stale(FAR * 2) == []


async def test_a_finished_job_s_events_still_count() -> None:
    store = MemoryStore(max_bytes=20_000)
    await store.start(record_of("a"), owner="one", until=FAR)
    await store.write("resp_a", owner="one", events=[(0, b"x" * 10_000)])
    assert await store.finish(record_of("a"), owner="one", events=[(1, b"x" * 3_000)]) is True
    for name in "bcd":
        await store.save(record_of(name, text="y" * 2_000))
    assert await store.load("resp_a", principal="alice") is None
    assert await store.load("resp_d", principal="alice") is not None


async def test_approvals_are_bounded_for_each_principal() -> None:
    store = MemoryStore(limit=2)
    await store.ask(Approval("apr_m", "mallory", "d", FAR))
    for name in "abc":
        await store.ask(Approval(f"apr_{name}", "alice", "d", FAR))
    kept = [name for name in "abc" if await store.approval(f"apr_{name}", principal="alice")]
    assert kept == ["b", "c"]
    assert await store.approval("apr_m", principal="mallory") is not None


async def test_leases_and_approvals_go_by_the_clock() -> None:
    at = 10.0
    store = MemoryStore(clock=lambda: at)
    await store.ask(Approval("apr_a", "alice", "d", 20.0))
    await store.start(record_of("a"), owner="one", until=20.0)
    assert await store.claim("resp_a", owner="two", until=30.0) is None
    at = 20.0
    assert await store.approval("apr_a", principal="alice") is None
    assert await store.claim("resp_a", owner="two", until=30.0) is not None
