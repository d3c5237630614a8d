"""What every test may use."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio: the one loop that servers and clients here share."""
    return "asyncio"
