"""Accounts: what a budget allows, and what of it has been used. They form a tree.

Each run with limits of its own has one, and so has a block of code (`with budget(...)`); what a
run uses is written down here and in every account further out. Above: `agents`, which holds
runs to them. Not here: clocks that stop anything.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from antiphon.items import Limits, Resource, SpentBudget, Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in money for a million tokens.

    Attributes:
        input: Tokens that it reads.
        output: Tokens that it writes.
        cached_input: Tokens that its server had read before; None: as any other input.
    """

    input: float
    output: float
    cached_input: float | None = None

    def of(self, usage: Usage) -> float:
        """What these tokens cost."""
        cached = usage.input_tokens_details.cached_tokens
        again = self.input if self.cached_input is None else self.cached_input
        fresh = usage.input_tokens - cached
        return (fresh * self.input + cached * again + usage.output_tokens * self.output) / _MILLION


class Account:
    """One budget and what of it was used, by the runs that it is for and all runs inside them.

    Args:
        owner: Whose it is: an agent's name, or words for a block of code.
        limits: What is allowed; None allows everything.
        outer: The account that this one is inside of.
        prices: By model name; where a name is missing, those further out are asked.

    Attributes:
        turns: Samplings so far.
        tool_calls: Calls that the provider ran.
        tokens: Input and output tokens.
        cost: Money.
    """

    __slots__ = (
        "_limits", "_outer", "_prices", "_started", "cost", "limited", "owner", "tokens",
        "tool_calls", "turns",
    )  # fmt: skip

    def __init__(
        self,
        owner: str,
        limits: Limits | None = None,
        *,
        outer: "Account | None" = None,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        self.owner: str = owner
        self.turns: int = 0
        self.tool_calls: int = 0
        self.tokens: int = 0
        self.cost: float = 0.0
        self.limited: bool = limits is not None or (outer is not None and outer.limited)
        self._limits = limits
        self._outer = outer
        self._prices = prices or {}
        self._started = time.monotonic()

    def __repr__(self) -> str:
        return f"Account({self.owner!r}, turns={self.turns}, tokens={self.tokens})"

    @property
    def seconds(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._started

    def left(self) -> float | None:
        """Seconds until the first of these budgets has no time left; None where none counts it."""
        return min(self._lefts("seconds"), default=None)

    def timed(self) -> SpentBudget:
        """The budget whose time ran out first; asked when one has."""
        timed = [each for each in self._chain() if each._limits and each._limits.seconds]
        first = min(timed, key=lambda each: (each._allowed("seconds") or 0.0) - each.seconds)
        allowed = first._allowed("seconds") or 0.0
        return SpentBudget(
            owner=first.owner,
            resource="seconds",
            allowed=allowed,
            used=max(allowed, round(first.seconds, 3)),
        )

    def tokens_left(self) -> int | None:
        """Tokens that may still be used; None where nothing counts them."""
        return min((int(left) for left in self._lefts("tokens")), default=None)

    def spent(self) -> SpentBudget | None:
        """The first budget, from here outwards, of which nothing is left; None while all last."""
        if not self.limited:
            return None
        for each in self._chain():
            for resource in ("tokens", "seconds", "cost"):
                spent = each._over(resource)
                if spent is not None:
                    return spent
        return None

    def over(self, resource: Resource) -> SpentBudget | None:
        """The first budget, from here outwards, that has none of this left; None while it lasts."""
        found = (each._over(resource) for each in self._chain())
        return next((spent for spent in found if spent is not None), None)

    def turn(self, model: str) -> SpentBudget | None:
        """Begin a sampling of a model; the budget that does not allow it, or None.

        Raises:
            LookupError: A budget counts money, and nobody said what this model costs.
        """
        if not self.limited:
            return None
        if self._counts_money() and self.price(model) is None:
            raise LookupError(model)
        return self.spent() or self._take("turns")

    def call(self) -> SpentBudget | None:
        """Begin a call that the provider runs; the budget that does not allow it, or None."""
        if not self.limited:
            return None
        return self.spent() or self._take("tool_calls")

    def charge(self, model: str, usage: Usage) -> None:
        """Write down what a sampling used."""
        if not self.limited:
            return
        price = self.price(model)
        for each in self._chain():
            each.tokens += usage.total_tokens
            each.cost += price.of(usage) if price is not None else 0.0

    def restore(self, model: str, usage: Usage) -> None:
        """Write down a sampling that another process made for the same run."""
        for each in self._chain() if self.limited else ():
            each.turns += 1
        self.charge(model, usage)

    def price(self, model: str) -> Price | None:
        """What a model costs, as far as somebody said."""
        found = (each._prices.get(model) for each in self._chain())
        return next((price for price in found if price is not None), None)

    def _lefts(self, resource: Resource) -> Iterator[float]:
        """What is left of a resource, in each budget that counts it."""
        for each in self._chain():
            allowed = each._allowed(resource)
            if allowed is not None:
                yield allowed - getattr(each, resource)

    def _allowed(self, resource: Resource) -> float | None:
        return None if self._limits is None else getattr(self._limits, resource)

    def _chain(self) -> "Iterator[Account]":
        each: Account | None = self
        while each is not None:
            yield each
            each = each._outer

    def _counts_money(self) -> bool:
        return any(True for _ in self._lefts("cost"))

    def _take(self, resource: Resource) -> SpentBudget | None:
        for each in self._chain():
            spent = each._over(resource)
            if spent is not None:
                return spent
        for each in self._chain():
            setattr(each, resource, getattr(each, resource) + 1)
        return None

    def _over(self, resource: Resource) -> SpentBudget | None:
        allowed = self._allowed(resource)
        used = getattr(self, resource)
        if allowed is None or used < allowed:
            return None
        return SpentBudget(owner=self.owner, resource=resource, allowed=allowed, used=used)
