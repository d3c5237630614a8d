"""What a store does with conversations; see `check_store`."""

from dataclasses import replace

import anyio

from antiphon.errors import RequestError
from antiphon.items import Item, Message, user
from antiphon.provider import Conversation, Paging, Record, Store

from .approvals import FAR
from .jobs import output_of, queued
from .kit import OTHER, OWNER, item_of, record_of, same


def talk_of(name: str, *, principal: str = OWNER) -> Conversation:
    """A conversation, `conv_{name}`."""
    return Conversation(f"conv_{name}", principal, 7, {"topic": "\u2713 x"})


def turn_of(name: str, *, conversation: str = "conv_a") -> Record:
    """A response that belongs to a conversation."""
    return replace(record_of(name), conversation=conversation)


async def texts(store: Store, conversation_id: str = "conv_a") -> list[str]:
    """What was said in a conversation, messages only."""
    said = await store.said(conversation_id, principal=OWNER)
    assert said is not None, f"the conversation {conversation_id} is gone"
    return [item.text for item in said if isinstance(item, Message)]


async def _keeps_conversations(store: Store) -> None:
    made = talk_of("a")
    assert await store.conversation("conv_a", principal=OWNER) is None, "expected an empty store"
    assert await store.create_conversation(made) == [], "it begins empty"
    assert await store.conversation("conv_a", principal=OWNER) == made, "it has changed"
    assert await store.said("conv_a", principal=OWNER) == [], "it is empty"
    other = await store.update_conversation("conv_a", {"b": "2"}, principal=OWNER)
    assert other == replace(made, metadata={"b": "2"}), f"got {other}"
    assert await store.conversation("conv_a", principal=OWNER) == other, "it was not kept"
    assert await store.delete_conversation("conv_a", principal=OWNER) is True
    assert await store.delete_conversation("conv_a", principal=OWNER) is False, "deleted twice"
    assert await store.conversation("conv_a", principal=OWNER) is None, "it is still there"


async def _hides_anothers_conversations(store: Store) -> None:
    (item,) = await store.create_conversation(talk_of("a"), [user("hello")])
    await store.create_conversation(talk_of("m", principal=OTHER), [user("mine")])
    for name, item_id in ("conv_a", item.id or ""), ("conv_none", "msg_none"):
        assert await store.conversation(name, principal=OTHER) is None, "not hidden"
        assert await store.update_conversation(name, {}, principal=OTHER) is None, "not hidden"
        assert await store.append(name, [user("x")], principal=OTHER) is None, "not hidden"
        assert await store.said(name, principal=OTHER) is None, "not hidden"
        assert await store.page(name, Paging(), principal=OTHER) is None, "not hidden"
        assert await store.conversation_item(name, item_id, principal=OTHER) is None
        assert await store.conversation_item("conv_m", item_id, principal=OTHER) is None
        assert await store.delete_item(name, item_id, principal=OTHER) is False, "not hidden"
        assert await store.delete_item("conv_m", item_id, principal=OTHER) is False
        assert await store.delete_conversation(name, principal=OTHER) is False, "not hidden"
        assert await item_of(store, item_id, principal=OTHER) is None, "not hidden"
    assert await store.conversation("conv_a", principal=OWNER) == talk_of("a"), "it has changed"
    assert await texts(store) == ["hello"], "it has changed"


async def _gives_each_item_an_id(store: Store) -> None:
    named = user("two").model_copy(update={"id": "msg_mine"})
    kept = await store.create_conversation(talk_of("a"), [user("one"), named])
    again = await store.append("conv_a", [named, user("four")], principal=OWNER)
    assert again is not None
    said = [*kept, *again]
    ids = [item.id for item in said]
    assert ids[1] == "msg_mine", f"a client's id is echoed, got {ids[1]}"
    assert len({*ids} - {None, ""}) == 4, f"expected four ids, got {ids}"
    same(await store.said("conv_a", principal=OWNER), said, "what was said")
    for item in said:
        found = await store.conversation_item("conv_a", item.id or "", principal=OWNER)
        assert found is not None, f"the item {item.id} is not found"
        same([found], [item], "an item")
        anywhere = await item_of(store, item.id)
        assert (anywhere is None) == (item.id == "msg_mine"), "a client's id leads to nothing"


async def _pages(store: Store) -> None:
    said = await store.create_conversation(talk_of("a"), [user(str(at)) for at in range(5)])
    for order, all_of_them in ("asc", said), ("desc", said[::-1]):
        found: list[Item] = []
        after, more = None, True
        while more:
            paging = Paging(after, 2, "asc" if order == "asc" else "desc")
            page = await store.page("conv_a", paging, principal=OWNER)
            assert page is not None and len(page.items) in (1, 2), f"got {page}"
            found += page.items
            after, more = page.items[-1].id, page.has_more
        same(found, all_of_them, f"all pages, {order}")
    exact = await store.page("conv_a", Paging(None, 5, "asc"), principal=OWNER)
    assert exact is not None and not exact.has_more, f"these are all, got {exact}"
    try:
        await store.page("conv_a", Paging("msg_none"), principal=OWNER)
    except RequestError as error:
        assert (error.status, error.param) == (404, "after"), f"got {error.status} {error.param}"
    else:
        raise AssertionError("expected a RequestError: no item has the id `after`")


async def _takes_items_out(store: Store) -> None:
    said = await store.create_conversation(talk_of("a"), [user(str(at)) for at in range(3)])
    middle = said[1].id or ""
    assert await store.delete_item("conv_a", middle, principal=OWNER) is True
    assert await store.delete_item("conv_a", middle, principal=OWNER) is False, "deleted twice"
    assert await store.conversation_item("conv_a", middle, principal=OWNER) is None, "still there"
    assert await item_of(store, middle) is None, "still there"
    more = await store.append("conv_a", [user("3")], principal=OWNER)
    assert more is not None and more[0].id not in [item.id for item in said], "an id came twice"
    assert await texts(store) == ["0", "2", "3"], f"got {await texts(store)}"


async def _a_turn_joins_its_conversation(store: Store) -> None:
    await store.create_conversation(talk_of("a"), [user("before")])
    await store.save(turn_of("one"))
    await store.save(turn_of("two"))
    expected = ["before", "question one", "answer", "question two", "answer"]
    assert await texts(store) == expected, f"expected {expected}, got {await texts(store)}"
    found = await store.load("resp_two", principal=OWNER)
    assert found is not None and found.conversation == "conv_a", f"got {found}"
    said = await store.said("conv_a", principal=OWNER)
    same([*found.given, *found.response.output], (said or [])[-3:], "they are the same items")
    same(found.response.output, record_of("two").response.output, "the output is as it was")
    assert await item_of(store, found.given[0].id or "") is not None, "not found"


async def _a_background_turn_joins_when_it_ends(store: Store) -> None:
    await store.create_conversation(talk_of("a"))
    await store.start(queued("one", conversation="conv_a"), owner="one", until=FAR)
    await store.write("resp_one", owner="one", items=output_of(record_of("one"))[:1])
    assert await store.said("conv_a", principal=OWNER) == [], "nothing was said yet"
    assert await store.finish(turn_of("one"), owner="one") is True
    said = await store.said("conv_a", principal=OWNER)
    assert said is not None
    assert [item.id for item in said][1:] == ["tc_one", "msg_one"], f"got {said}"


async def _each_can_go_without_the_other(store: Store) -> None:
    await store.create_conversation(talk_of("a"))
    await store.save(turn_of("one"))
    await store.save(turn_of("two"))
    assert await store.delete("resp_one", principal=OWNER) is True
    expected = ["question one", "answer", "question two", "answer"]
    assert await texts(store) == expected, "what was said stays said"
    assert await item_of(store, "msg_one") is not None, "it is still to be found"
    assert await store.delete_item("conv_a", "msg_two", principal=OWNER) is True
    assert await store.delete_conversation("conv_a", principal=OWNER) is True
    assert await item_of(store, "msg_one") is None, "nobody has it any more"
    found = await store.load("resp_two", principal=OWNER)
    assert found is not None
    same(found.response.output, record_of("two").response.output, "a response stays whole")


async def _a_turn_outlives_its_conversation(store: Store) -> None:
    await store.create_conversation(talk_of("m", principal=OTHER))
    for name in "conv_none", "conv_m":
        await store.save(turn_of("one", conversation=name))
        found = await store.load("resp_one", principal=OWNER)
        assert found is not None, "expected what was saved; got None"
        same(found.given, record_of("one").given, "the input is as it was")
    assert await store.said("conv_m", principal=OTHER) == [], "another's was added to"


async def _a_replaced_turn_is_said_once(store: Store) -> None:
    await store.create_conversation(talk_of("a"))
    for text in "one", "two":
        record = record_of("a", text=text)
        await store.save(replace(record, conversation="conv_a"))
    assert await texts(store) == ["question a", "two"], f"got {await texts(store)}"


async def _keeps_turns_whole_at_once(store: Store) -> None:
    await store.create_conversation(talk_of("a"))
    names = [f"n{number}" for number in range(10)]
    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(store.save, turn_of(name))
    said = await store.said("conv_a", principal=OWNER)
    assert said is not None and len(said) == 30, f"expected 30 items, got {said}"
    turns = [said[at : at + 3] for at in range(0, 30, 3)]
    for asked, call, answer in turns:
        name = (call.id or "").removeprefix("tc_")
        assert isinstance(asked, Message) and asked.text == f"question {name}", f"got {asked}"
        assert answer.id == f"msg_{name}", f"expected the answer of {name}, got {answer}"


CONVERSATIONS = (
    _keeps_conversations,
    _hides_anothers_conversations,
    _gives_each_item_an_id,
    _pages,
    _takes_items_out,
    _a_turn_joins_its_conversation,
    _a_background_turn_joins_when_it_ends,
    _each_can_go_without_the_other,
    _a_turn_outlives_its_conversation,
    _a_replaced_turn_is_said_once,
    _keeps_turns_whole_at_once,
)
