"""Conformance of stores: any `Store`, held to what the provider relies on.

`check_store` puts a store through every rule: owners, items, deletion, histories, concurrency,
and that what comes back is what was kept. It raises AssertionError with what was expected and
what came. Source: the Protocol `antiphon.provider.Store`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from antiphon.items import ITEM, Item, Message, Response, ToolCall, user
from antiphon.provider import Record, Store

MakeStore = Callable[[], Awaitable[Store]]
"""Makes an empty store of its own for each check."""

OWNER, OTHER = "alice", "mallory"


def record_of(
    name: str, *, principal: str = OWNER, before: str | None = None, text: str = "answer"
) -> Record:
    """A stored response: `resp_{name}`, with items `msg_{name}` and `tc_{name}`."""
    call = ToolCall(
        id=f"tc_{name}", status="completed", name="f", arguments='{"a":1}', output="\u2713 done"
    )
    said = ITEM.validate_python(
        {
            "type": "message",
            "id": f"msg_{name}",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": [], "x_new": [1]}],
            "x_unknown": {"kept": None},
        }
    )
    response = Response(
        id=f"resp_{name}",
        created_at=1,
        status="completed",
        model="m",
        previous_response_id=before,
        output=[call, said],
        metadata={"k": "v"},
    )
    view: dict[str, Any] = {"dialect": "openai", "extensions": False, "include": ["x"]}
    return Record(principal, response, [user(f"question {name}")], view)


async def check_store(make: MakeStore) -> None:
    """Every rule, each on a store of its own.

    Args:
        make: Makes an empty store; each is closed, and closing twice is no error.
    """
    for check in (
        _keeps_what_it_is_given,
        _hides_what_is_anothers,
        _finds_items,
        _deletes,
        _replaces,
        _serves_many_at_once,
        _makes_no_room_at_anothers_cost,
    ):
        store = await make()
        try:
            await check(store)
        finally:
            await store.aclose()
            await store.aclose()


async def _keeps_what_it_is_given(store: Store) -> None:
    assert await store.load("resp_a", principal=OWNER) is None, "expected an empty store"
    record = record_of("a", before="resp_0", text="\U0001f389 \u2028 end")
    await store.save(record)
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None, "expected what was saved; got None"
    assert found.principal == OWNER, f"expected {OWNER}, got {found.principal}"
    assert found.response.to_json() == record.response.to_json(), "the response has changed"
    assert [item.to_json() for item in found.given] == [item.to_json() for item in record.given]
    assert found.view == record.view, f"expected {record.view}, got {found.view}"
    kinds = [type(item) for item in found.response.output]
    assert kinds == [ToolCall, Message], f"expected items of their own classes, got {kinds}"


async def _hides_what_is_anothers(store: Store) -> None:
    await store.save(record_of("a"))
    await store.save(record_of("m", principal=OTHER))
    for response_id, item_id in ("resp_a", "msg_a"), ("resp_none", "msg_none"), ("", ""):
        assert await store.load(response_id, principal=OTHER) is None, "another's is not hidden"
        assert await store.item(item_id, principal=OTHER) is None, "another's item is not hidden"
        assert await store.delete(response_id, principal=OTHER) is False, "another's was deleted"
    assert await store.load("resp_a", principal=OWNER) is not None, "it is gone for its owner"
    assert await store.load("resp_a", principal="") is None, "nobody is somebody"


async def _finds_items(store: Store) -> None:
    record = record_of("a")
    await store.save(record)
    for item in record.response.output:
        found = await _item(store, item.id)
        assert found is not None, f"expected the item {item.id}; got None"
        assert found.to_json() == item.to_json(), f"the item {item.id} has changed"
    assert await _item(store, "question a") is None, "an input item has no id here"


async def _deletes(store: Store) -> None:
    await store.save(record_of("a"))
    await store.save(record_of("b", before="resp_a"))
    assert await store.delete("resp_a", principal=OWNER) is True, "expected it to be deleted"
    assert await store.delete("resp_a", principal=OWNER) is False, "it was deleted twice"
    assert await store.load("resp_a", principal=OWNER) is None, "it is still there"
    assert await _item(store, "msg_a") is None, "its item is still there"
    assert await store.load("resp_b", principal=OWNER) is not None, "its follower is gone, too"
    assert await _item(store, "msg_b") is not None, "its follower's item is gone, too"


async def _replaces(store: Store) -> None:
    await store.save(record_of("a", text="one"))
    await store.save(record_of("a", text="two"))
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None
    assert found.response.output_text == "two", "expected the response that was saved last"
    item = await _item(store, "msg_a")
    assert isinstance(item, Message), f"expected a message, got {item!r}"
    assert item.text == "two", "expected the item that was saved last"


async def _serves_many_at_once(store: Store) -> None:
    names = [f"n{number}" for number in range(20)]

    async def use(name: str) -> None:
        await store.save(record_of(name))
        assert await store.load(f"resp_{name}", principal=OWNER) is not None, f"{name} is lost"
        if name.endswith("0"):
            assert await store.delete(f"resp_{name}", principal=OWNER), f"{name} is lost"

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(use, name)
    kept = [name for name in names if await store.load(f"resp_{name}", principal=OWNER)]
    assert kept == [name for name in names if not name.endswith("0")], f"got {kept}"


async def _makes_no_room_at_anothers_cost(store: Store) -> None:
    await store.save(record_of("a"))
    for number in range(100):
        await store.save(record_of(f"m{number}", principal=OTHER))
    assert await store.load("resp_a", principal=OWNER) is not None, "another's pushed it out"
    assert await _item(store, "msg_a") is not None, "another's pushed its item out"


async def _item(store: Store, item_id: str | None) -> Item | None:
    return await store.item(item_id or "", principal=OWNER)
