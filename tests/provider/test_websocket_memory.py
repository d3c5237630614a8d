"""What a connection remembers is its own, bounded, and no more than the store says of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.items import Message, OutputText, Response
from antiphon.provider import MemoryStore, Record

if TYPE_CHECKING:
    from provider.continuation import Continuation
else:
    from antiphon.provider.continuation import Continuation

pytestmark = pytest.mark.anyio


def message(item_id: str, text: str) -> Message:
    content: Any = [OutputText(text=text)]
    return Message(id=item_id, role="assistant", status="completed", content=content)


def record(name: str, after: str | None = None, *, text: str = "x", whose: str = "a") -> Record:
    """A response `name` that was asked "ask name" and said `text` in an item `msg_name`."""
    response = Response(id=name, previous_response_id=after, output=[message(f"msg_{name}", text)])
    return Record(whose, response, [Message(role="user", content=f"ask {name}")], {})


def remember(memory: Continuation, *records: Record, stored: bool = False) -> None:
    for each in records:
        memory.keep(each, stored=stored, heard=10)


def texts(items: Sequence[Any]) -> list[str]:
    return [item.text for item in items]


async def test_a_chain_is_whole_from_the_last_stored_response_on() -> None:
    store = MemoryStore()
    await store.save(record("one"))
    memory = Continuation(store)
    remember(memory, record("two", "one"), record("three", "two"))
    chain = await memory.chain("three", principal="a")
    assert texts(chain.items) == ["ask one", "x", "ask two", "x", "ask three", "x"]
    assert chain.missing is None
    found = await memory.load("three", principal="a")
    assert found is not None
    assert found.response.previous_response_id == "one"
    await store.delete("one", principal="a")
    assert (await memory.chain("three", principal="a")).missing == "one"
    assert (await memory.chain("one", principal="a")).missing == "one"


async def test_what_the_store_has_whole_is_not_kept_twice() -> None:
    store = MemoryStore()
    memory = Continuation(store)
    remember(memory, record("one"), stored=True)
    assert await memory.load("one", principal="a") is None


async def test_a_stored_response_that_needs_this_memory_is_gone_when_the_store_forgets_it() -> None:
    store = MemoryStore()
    memory = Continuation(store)
    remember(memory, record("one"))
    second = record("two", "one")
    await memory.store.save(second)
    remember(memory, second, stored=True)
    chain = await memory.chain("two", principal="a")
    assert (texts(chain.items), chain.missing) == (["ask one", "x", "ask two", "x"], None)
    assert await memory.store.delete("two", principal="a")
    assert await memory.load("two", principal="a") is None


async def test_items_of_a_whole_chain_are_found_and_inputs_are_not() -> None:
    memory = Continuation(MemoryStore())
    remember(memory, record("one", text="first"), record("two", "one"))
    memory.evict("one")
    found = (await memory.items(["msg_one"], principal="a"))["msg_one"]
    assert isinstance(found, Message)
    assert found.text == "first"
    mine = Message(id="msg_mine", role="user", content="hi")
    memory.keep(
        Record("a", record("three").response, [mine], {}),
        stored=False,
        heard=10,
    )
    assert not await memory.items(["msg_mine"], principal="a")


async def test_another_principal_finds_nothing() -> None:
    memory = Continuation(MemoryStore())
    remember(memory, record("one"))
    assert await memory.load("one", principal="b") is None
    assert not await memory.items(["msg_one"], principal="b")
    assert (await memory.chain("one", principal="b")).items == []


async def test_bytes_are_bounded_and_the_oldest_go_first() -> None:
    memory = Continuation(MemoryStore(), max_bytes=3000)
    remember(memory, record("one", text="x" * 1000), record("two", text="x" * 1000))
    assert await memory.load("one", principal="a")
    remember(memory, record("three", text="x" * 1000))
    assert await memory.load("one", principal="a") is None
    assert await memory.load("three", principal="a")
    remember(memory, record("huge", text="x" * 3000))
    assert await memory.load("huge", principal="a") is None
    assert await memory.load("three", principal="a")


async def test_a_chain_counts_whole() -> None:
    memory = Continuation(MemoryStore(), max_bytes=2500)
    remember(memory, record("one", text="x" * 1000), record("two", "one", text="x" * 1000))
    assert await memory.load("one", principal="a") is None
    assert await memory.load("two", principal="a")
    remember(memory, record("three", "two", text="x" * 1000))
    assert await memory.load("three", principal="a") is None


async def test_what_is_forgotten_makes_room() -> None:
    memory = Continuation(MemoryStore(), max_bytes=2500)
    for number in range(10):
        remember(memory, record(str(number), text="x" * 2000))
        memory.evict(str(number))
    remember(memory, record("last", text="x" * 2000))
    assert await memory.load("last", principal="a")


async def test_closing_forgets_and_leaves_the_store_alone() -> None:
    store = MemoryStore()
    await store.save(record("kept"))
    memory = Continuation(store)
    remember(memory, record("one"))
    await memory.aclose()
    assert await memory.load("one", principal="a") is None
    assert await memory.load("kept", principal="a")
