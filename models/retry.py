"""When to ask again, and how long to wait before.

Above: `transport`, which comes here only once something has failed before the first token.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from antiphon.errors import ModelError

T = TypeVar("T")

LONGEST: Final = 60.0
"""Seconds between two tries. A server that wants more is not asked again: its error says so."""

_growing = wait_random_exponential(multiplier=0.5, max=8.0)


def transient(error: BaseException) -> bool:
    """Whether the same request may fare better in a moment."""
    if not isinstance(error, ModelError):
        return False
    if error.retry_after is not None and error.retry_after > LONGEST:
        return False
    if error.status is None:
        return error.code == "connection_error"
    return error.status in (408, 409, 429) or error.status >= 500


async def again(
    ask: Callable[[], Awaitable[T]],
    failed: ModelError,
    *,
    tries: int,
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Ask again, after a pause, up to `tries` times.

    Args:
        ask: One try.
        failed: How the first one ended, which was made elsewhere.
        tries: How many more may be made.
        sleep: Waits seconds.

    Raises:
        ModelError: The last try's.
    """
    before: list[ModelError] = [failed]

    async def attempt() -> T:
        if before:
            raise before.pop()
        return await ask()

    return await AsyncRetrying(
        retry=retry_if_exception(transient),
        wait=_pause,
        stop=stop_after_attempt(tries + 1),
        sleep=sleep,
        reraise=True,
    )(attempt)


def _pause(state: RetryCallState) -> float:
    """What the server asked for; else growing, with chance in it so that clients spread."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, ModelError) else None
    return _growing(state) if asked is None else asked
