"""Rates: how many requests one principal may make, so that nobody's load is another's wait.

Above: every endpoint that makes responses. Not here: budgets of a run, or places for sandboxes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from antiphon.errors import ConfigurationError, RequestError

Release: TypeAlias = Callable[[], None]
"""Gives a place back; called once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How much each principal may ask for; None is without limit.

    Attributes:
        at_once: Responses in the making at the same time, those in the background included.
        per_minute: Requests for responses; unused ones add up to one minute's.

    Raises:
        ConfigurationError: A limit is not a whole number from 1.
    """

    at_once: int | None = None
    per_minute: int | None = None

    def __post_init__(self) -> None:
        for name in ("at_once", "per_minute"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and value >= 1):
                raise ConfigurationError(
                    f"rate: {name}: expected a whole number from 1, got {value!r}"
                )


@dataclass(slots=True)
class _Use:
    """What one principal uses now: places taken, and requests left at a time (in seconds)."""

    taken: int
    left: float
    at: float


class Throttle:
    """Holds principals to a rate, in this process.

    Args:
        rate: What each may ask for.
        clock: Gives seconds, of any beginning.
    """

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    def take(self, principal: str) -> Release:
        """Take a place for one response.

        Returns:
            What gives the place back when the response has ended; the request stays counted.

        Raises:
            RequestError: 429, with the seconds after which to try again.
        """
        use = self._use(principal)
        most = self._rate.at_once
        if most is not None and use.taken >= most:
            raise _too_many(f"at most {most} responses at the same time", 1.0)
        if self._rate.per_minute is not None:
            if use.left < 1:
                wait = (1 - use.left) * 60 / self._rate.per_minute
                raise _too_many(f"at most {self._rate.per_minute} requests a minute", wait)
            use.left -= 1
        return self._held(use)

    def hold(self, principal: str) -> Release:
        """Take a place for a response that was admitted before, elsewhere: it is never refused,
        and whoever asks next finds one place less.
        """
        return self._held(self._use(principal))

    def _held(self, use: _Use) -> Release:
        use.taken += 1
        given = False

        def release() -> None:
            nonlocal given
            if not given:
                given = True
                use.taken -= 1

        return release

    def _use(self, principal: str) -> _Use:
        """What a principal uses, with what has come back since it was last looked at."""
        most = float(self._rate.per_minute or 0)
        now = self._clock()
        use = self._uses.setdefault(principal, _Use(0, most, now))
        use.left = min(most, use.left + (now - use.at) * most / 60)
        use.at = now
        return use


def _too_many(what: str, wait: float) -> RequestError:
    return RequestError(
        f"expected {what}: wait for one to end, or try again in {wait:.1f} seconds",
        status=429,
        code="rate_limit_exceeded",
        type="too_many_requests",
        retry_after=wait,
    )
