"""Conformance of stores: any `Store`, held to what the provider relies on.

`check_store` puts a store through every rule: owners, items, deletion, histories, approvals,
responses in the making, conversations, concurrency, and that what comes back is what was kept.
`check_durable_store` does the same through several handles on one database, and closes it
between. They raise AssertionError with what was expected and what came. Source: the Protocol
`antiphon.provider.Store`.
"""

from dataclasses import replace

import anyio

from antiphon.items import Message, ToolCall
from antiphon.provider import Store

from .approvals import APPROVALS
from .conversations import CONVERSATIONS
from .durable import check_durable_store as check_durable_store
from .jobs import JOBS
from .kit import OTHER, OWNER, MakeStore as MakeStore, item_of, record_of as record_of, same


async def check_store(make: MakeStore) -> None:
    """Every rule, each on a store of its own.

    Args:
        make: Makes an empty store; each is closed, and closing twice is no error.
    """
    for check in (*RESPONSES, *APPROVALS, *JOBS, *CONVERSATIONS):
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
    same(found.given, record.given, "the input")
    assert found.view == record.view, f"expected {record.view}, got {found.view}"
    kinds = [type(item) for item in found.response.output]
    assert kinds == [ToolCall, Message], f"expected items of their own classes, got {kinds}"


async def _hides_what_is_anothers(store: Store) -> None:
    await store.save(record_of("a"))
    await store.save(record_of("m", principal=OTHER))
    for response_id, item_id in ("resp_a", "msg_a"), ("resp_none", "msg_none"), ("", ""):
        assert await store.load(response_id, principal=OTHER) is None, "another's is not hidden"
        assert await item_of(store, item_id, principal=OTHER) is None, (
            "another's item is not hidden"
        )
        assert await store.delete(response_id, principal=OTHER) is False, "another's was deleted"
    assert await store.load("resp_a", principal=OWNER) is not None, "it is gone for its owner"
    assert await store.load("resp_a", principal="") is None, "nobody is somebody"


async def _finds_items(store: Store) -> None:
    record = record_of("a")
    await store.save(record)
    for item in record.response.output:
        found = await item_of(store, item.id)
        assert found is not None, f"expected the item {item.id}; got None"
        assert found.to_json() == item.to_json(), f"the item {item.id} has changed"
    assert await item_of(store, "question a") is None, "an input item has no id here"


async def _finds_many_items_at_once(store: Store) -> None:
    for name in "a", "b":
        await store.save(record_of(name))
    await store.save(record_of("m", principal=OTHER))
    absent = [f"msg_none{number}" for number in range(3000)]
    found = await store.items({"msg_a", "tc_b", "msg_m", "", *absent}, principal=OWNER)
    kinds = {item_id: type(item) for item_id, item in found.items()}
    expected = {"msg_a": Message, "tc_b": ToolCall}
    assert kinds == expected, f"expected {expected}, got {kinds}"
    assert await store.items([], principal=OWNER) == {}, "expected nothing where nothing is asked"


async def _deletes(store: Store) -> None:
    await store.save(record_of("a"))
    await store.save(record_of("b", before="resp_a"))
    assert await store.delete("resp_a", principal=OWNER) is True, "expected it to be deleted"
    assert await store.delete("resp_a", principal=OWNER) is False, "it was deleted twice"
    assert await store.load("resp_a", principal=OWNER) is None, "it is still there"
    assert await item_of(store, "msg_a") is None, "its item is still there"
    assert await store.load("resp_b", principal=OWNER) is not None, "its follower is gone, too"
    assert await item_of(store, "msg_b") is not None, "its follower's item is gone, too"


async def _replaces(store: Store) -> None:
    await store.save(record_of("a", text="one"))
    await store.save(record_of("a", text="two"))
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None
    assert found.response.output_text == "two", "expected the response that was saved last"
    item = await item_of(store, "msg_a")
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


async def _tells_a_chain(store: Store) -> None:
    turns = [record_of(f"c{at}", before=f"resp_c{at - 1}" if at else None) for at in range(12)]
    for record in turns:
        await store.save(record)
    await store.save(record_of("branch", before="resp_c3"))
    said = [item for record in turns for item in (*record.given, *record.response.output)]
    whole = await store.chain("resp_c11", principal=OWNER)
    same(whole.items, said, "a chain of twelve")
    assert whole.missing is None, f"expected a whole chain, {whole.missing} is missing"
    part = await store.chain("resp_c3", principal=OWNER)
    same(part.items, said[: 4 * 3], "a chain up to its fourth response")
    same((await store.chain("resp_branch", principal=OWNER)).items[: 4 * 3], part.items, "a branch")


async def _says_where_a_chain_breaks(store: Store) -> None:
    for at in range(5):
        await store.save(record_of(f"c{at}", before=f"resp_c{at - 1}" if at else None))
    await store.save(record_of("c2", principal=OTHER))
    assert await store.delete("resp_c2", principal=OWNER)
    broken = await store.chain("resp_c4", principal=OWNER)
    assert broken.missing == "resp_c2", f"expected resp_c2 to be missing, got {broken.missing}"
    for principal, response_id in (OTHER, "resp_c0"), (OWNER, "resp_none"), (OWNER, ""):
        none = await store.chain(response_id, principal=principal)
        assert none.items == [], "another's or absent items were told"
        assert none.missing == response_id, f"expected {response_id}, got {none.missing}"


async def _keeps_a_response_without_items(store: Store) -> None:
    record = record_of("a")
    record.response.output = []
    await store.save(replace(record, given=[]))
    await store.save(record_of("b", before="resp_a"))
    found = await store.load("resp_a", principal=OWNER)
    assert found is not None, "expected what was saved; got None"
    assert (found.given, found.response.output) == ([], []), f"expected nothing, got {found}"
    chain = await store.chain("resp_b", principal=OWNER)
    assert (len(chain.items), chain.missing) == (3, None), f"got {chain}"


async def _makes_no_room_at_anothers_cost(store: Store) -> None:
    await store.save(record_of("a"))
    for number in range(100):
        await store.save(record_of(f"m{number}", principal=OTHER))
    assert await store.load("resp_a", principal=OWNER) is not None, "another's pushed it out"
    assert await item_of(store, "msg_a") is not None, "another's pushed its item out"


RESPONSES = (
    _keeps_what_it_is_given,
    _hides_what_is_anothers,
    _finds_items,
    _finds_many_items_at_once,
    _deletes,
    _replaces,
    _tells_a_chain,
    _says_where_a_chain_breaks,
    _keeps_a_response_without_items,
    _serves_many_at_once,
    _makes_no_room_at_anothers_cost,
)
