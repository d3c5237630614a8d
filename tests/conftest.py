"""What every test may use."""

import asyncio
import signal
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# A script that starts `pytest &` has it ignore Ctrl-C, and processes that tests start inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast a machine is proves nothing.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio: the one loop that servers and clients here share."""
    return "asyncio"


@pytest.fixture
def skip_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves on the clock of the running event loop: what waits for so long has waited enough.

    So a test gives the steps before it all the time of the world, on however slow a machine.
    """

    def skip(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + seconds)

    return skip
