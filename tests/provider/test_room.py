"""Places for jobs, shared among principals."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from .serving import PATIENCE

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.room import Room
else:
    from antiphon.provider.room import Room

pytestmark = pytest.mark.anyio


async def taken(room: Room, principal: str, stack: AsyncExitStack) -> int:
    """Take places until there is none for this principal; how many there were."""
    count = 0
    while True:
        with anyio.move_on_after(0):
            await stack.enter_async_context(room.place(principal))
            count += 1
            continue
        return count


async def test_each_who_comes_finds_half_of_what_the_others_left() -> None:
    room = Room(8)
    async with AsyncExitStack() as stack:
        assert [await taken(room, who, stack) for who in "abcdea"] == [4, 2, 1, 1, 0, 0]
    async with AsyncExitStack() as stack:
        assert await taken(room, "a", stack) == 4  # all were given back


async def test_a_place_that_comes_free_goes_to_whoever_has_the_fewest() -> None:
    room, order = Room(2), list[str]()

    async def work(principal: str, until: anyio.Event) -> None:
        async with room.place(principal):
            order.append(principal)
            await until.wait()

    first, rest = anyio.Event(), anyio.Event()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for principal, until in ("a", first), ("b", rest), ("b", rest), ("a", rest):
                tasks.start_soon(work, principal, until)
            await anyio.wait_all_tasks_blocked()
            assert order == ["a", "b"]
            first.set()
            await anyio.wait_all_tasks_blocked()
            assert order == ["a", "b", "a"]  # though the other of b waited longer
            rest.set()
    assert order == ["a", "b", "a", "b"]


async def test_who_leaves_while_waiting_takes_no_place_with_it() -> None:
    room = Room(1)
    with anyio.fail_after(PATIENCE):
        async with room.place("a"), anyio.create_task_group() as tasks:
            tasks.start_soon(taken, room, "b", AsyncExitStack())
            await anyio.wait_all_tasks_blocked()
        async with room.place("c"):
            await anyio.lowlevel.checkpoint()
