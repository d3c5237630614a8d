"""What a store does with approvals; see `check_store`."""

import anyio

from antiphon.provider import Approval, Store

from .kit import OTHER, OWNER

FAR = 1e11
"""A time, in seconds since 1970, that no test lives to see."""


def approval_of(name: str, *, principal: str = OWNER, expires_at: float = FAR) -> Approval:
    """An approval, `apr_{name}`."""
    return Approval(f"apr_{name}", principal, f"digest {name}", expires_at)


async def _keeps_approvals(store: Store) -> None:
    asked = approval_of("a")
    assert await store.approval("apr_a", principal=OWNER) is None, "expected an empty store"
    await store.ask(asked)
    found = await store.approval("apr_a", principal=OWNER)
    assert found == asked, f"expected {asked}, got {found}"
    assert await store.approval("apr_a", principal=OTHER) is None, "another's is not hidden"


async def _consumes_once(store: Store) -> None:
    await store.ask(approval_of("a"))
    assert await store.consume(["apr_a"], principal=OTHER, at=1.0) is False, "it is another's"
    assert await store.consume(["apr_a"], principal=OWNER, at=1.5) is True, "expected it free"
    assert await store.consume(["apr_a"], principal=OWNER, at=2.0) is False, "consumed twice"
    found = await store.approval("apr_a", principal=OWNER)
    assert found is not None, "what is consumed is still to be found"
    assert found.consumed_at == 1.5, f"expected 1.5, got {found.consumed_at}"


async def _consumes_all_or_none(store: Store) -> None:
    for name in "ab":
        await store.ask(approval_of(name))
    await store.ask(approval_of("m", principal=OTHER))
    for third in "apr_none", "apr_m":
        ids = ["apr_a", "apr_b", third]
        assert await store.consume(ids, principal=OWNER, at=1.0) is False, f"{third} was used"
    assert await store.consume(["apr_b"], principal=OWNER, at=1.0) is True, "it was used up"
    assert await store.consume(["apr_a", "apr_b"], principal=OWNER, at=1.0) is False, "used again"
    assert await store.consume(["apr_a"], principal=OWNER, at=1.0) is True, "it was used up"
    assert await store.consume([], principal=OWNER, at=1.0) is True, "nothing is always to be had"


async def _lets_approvals_expire(store: Store) -> None:
    await store.ask(approval_of("old", expires_at=1.0))
    await store.ask(approval_of("a"))
    assert await store.approval("apr_old", principal=OWNER) is None, "it is expired"
    assert await store.consume(["apr_a", "apr_old"], principal=OWNER, at=1.0) is False, "expired"
    assert await store.consume(["apr_a"], principal=OWNER, at=1.0) is True, "expected it free"


async def _never_frees_an_approval_again(store: Store) -> None:
    await store.ask(approval_of("a"))
    assert await store.consume(["apr_a"], principal=OWNER, at=1.0) is True, "expected it free"
    await store.ask(approval_of("a"))
    assert await store.consume(["apr_a"], principal=OWNER, at=2.0) is False, "it is free again"


async def _gives_an_approval_to_one_of_many(store: Store) -> None:
    await store.ask(approval_of("a"))
    won: list[int] = []

    async def use(number: int) -> None:
        if await store.consume(["apr_a"], principal=OWNER, at=float(number)):
            won.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(use, number)
    assert len(won) == 1, f"expected one to get it, got {won}"


APPROVALS = (
    _keeps_approvals,
    _consumes_once,
    _consumes_all_or_none,
    _lets_approvals_expire,
    _never_frees_an_approval_again,
    _gives_an_approval_to_one_of_many,
)
