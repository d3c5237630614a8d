"""`budget`: how much runs may use, and the clock that stops those which take too long.

A budget is a value (`Agent(budget=budget(turns=5))`: each run has that much) and a block of code
(`with budget(seconds=30):` what all runs begun inside have together). What a run uses counts
for every budget around it. Below: `tools.Account`, which counts.
"""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar, Token
from types import TracebackType

import anyio
from pydantic import ValidationError

from antiphon.errors import ConfigurationError
from antiphon.items import Event, Limits
from antiphon.tools import Account, Price

from .merge import Merge

OPEN: ContextVar[Account | None] = ContextVar("antiphon_account", default=None)
"""The account of the innermost `with budget(...)`, or workflow, that the code runs in."""

_TOKENS: ContextVar[tuple[Token[Account | None], ...]] = ContextVar("antiphon_tokens", default=())
"""How each block that the code runs in undoes its account, the innermost last."""


class TimeUp(Exception):
    """A budget has no time left; the run was stopped."""


class Budget:
    """How much runs may use; see `budget`.

    Attributes:
        limits: What is allowed.
        prices: What models cost, by name.
    """

    def __init__(self, limits: Limits, prices: Mapping[str, Price]) -> None:
        self.limits: Limits = limits
        self.prices: Mapping[str, Price] = prices

    def __repr__(self) -> str:
        allowed = self.limits.model_dump(exclude_none=True)
        return f"budget({', '.join(f'{name}={value}' for name, value in allowed.items())})"

    def __enter__(self) -> Account:
        """From here on every run that begins in this block, and all inside it, count for it."""
        account = Account("a block of code", self.limits, outer=OPEN.get(), prices=self.prices)
        token = OPEN.set(account)
        _TOKENS.set((*_TOKENS.get(), token))
        return account

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The block ends; its account stays readable."""
        *others, token = _TOKENS.get()
        _TOKENS.set(tuple(others))
        OPEN.reset(token)


def budget(
    *,
    turns: int | None = None,
    tool_calls: int | None = None,
    tokens: int | None = None,
    seconds: float | None = None,
    cost: float | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Budget:
    """How much runs may use, the runs inside them included.

    `with budget(seconds=30) as used:` holds every run begun inside, taken together;
    `Agent(budget=budget(turns=5))` holds each run of that agent by itself. A run that has used
    one up ends `incomplete` with everything that it finished; `incomplete_details.reason` is
    `budget_turns`, `budget_tool_calls`, `budget_tokens`, `budget_seconds` or `budget_cost`, and
    `incomplete_details.budget` says whose it was and what it allowed.

    Args:
        turns: Samplings of models, from 1.
        tool_calls: Calls that the provider runs, from 1.
        tokens: Input and output tokens, as models report them; looked at between samplings.
        seconds: Seconds from the beginning of the run (or of the block), above 0.
        cost: Money, above 0; every model that runs needs a price then.
        prices: What models cost, by the name of the model.

    Raises:
        ConfigurationError: Nothing is limited, or a limit is not what it should be.
    """
    given = {
        "turns": turns,
        "tool_calls": tool_calls,
        "tokens": tokens,
        "seconds": seconds,
        "cost": cost,
    }
    try:
        limits = Limits.model_validate({key: each for key, each in given.items() if each})
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigurationError(
            f"budget: {fault['loc'][0]}: {fault['msg']}, got {fault['input']!r}"
        ) from error
    wrong = [key for key, each in given.items() if each is not None and not each]
    if wrong or not limits.model_fields_set:
        raise ConfigurationError(
            "budget: expected at least one of turns, tool_calls, tokens, seconds and cost, each "
            f"above 0, got {', '.join(f'{key}={given[key]}' for key in wrong) or 'none'}"
        )
    return Budget(limits, prices or {})


def held(owner: str, budget: Budget | None, outer: Account | None) -> Account | None:
    """The account of a run by its agent's own budget; what it is inside of, where it has none.

    Args:
        owner: The agent's name.
        budget: Its budget.
        outer: What the run is inside of; None: the block of code that it begins in.
    """
    around = OPEN.get() if outer is None else outer
    if budget is None:
        return around
    return Account(owner, budget.limits, outer=around, prices=budget.prices)


def account_of(owner: str, limits: Limits | None, outer: Account | None) -> Account:
    """The account of a run by what its request allows, inside of `outer` (see `held`)."""
    return Account(owner, limits, outer=held(owner, None, outer))


class Timer:
    """The clock of one run; whoever answers next may have less time, and never gets more.

    Args:
        left: Gives the seconds that are left now; None for as many as it takes.
        certain: Whether there may be a limit later on, though there is none now.
    """

    def __init__(self, left: Callable[[], float | None], *, certain: bool = False) -> None:
        self._left = left
        self._scope: anyio.CancelScope | None = None
        self.needed: bool = certain or left() is not None

    def hold(self, left: float | None) -> None:
        """From here on there are so many seconds left, at most."""
        if left is not None and self._scope is not None:
            self._scope.deadline = min(self._scope.deadline, anyio.current_time() + left)

    @contextmanager
    def running(self) -> Generator[anyio.CancelScope]:
        """The clock runs; what is inside is cancelled when there is no time left."""
        with anyio.CancelScope() as self._scope:
            self.hold(self._left())
            yield self._scope


def in_time(source: AsyncGenerator[Event, None], timer: Timer) -> AsyncGenerator[Event, None]:
    """The events of a run while its budgets have time left; it is stopped when they have none.

    The run then works in a task of its own, so that the clock stops it and nothing else. Without
    a time limit these are the events themselves.

    Raises:
        TimeUp: There was no time left before the end.
    """
    if not timer.needed:
        return source
    merge: Merge[Event] = Merge()

    async def work() -> None:
        with timer.running() as clock:
            async with aclosing(source):
                await merge.pump(source)
        if clock.cancelled_caught:
            raise TimeUp

    return merge.told_by([work])
