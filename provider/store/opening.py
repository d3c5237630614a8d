"""`store_of`: the store that a configuration names."""

from antiphon.errors import ConfigurationError

from .memory import MemoryStore
from .store import Store


def store_of(given: Store | str | None) -> Store:
    """A store as it is given, or the one that a URL stands for.

    Args:
        given: `sqlite+aiosqlite:///` and a path; `postgresql://user:password@host/name`;
            `memory://`, which is what None means; or a Store. A database is opened at its first
            use.

    Raises:
        ConfigurationError: It is none of these, or what it needs is not installed.
    """
    if given is None or given == "memory://":
        return MemoryStore()
    if isinstance(given, str):
        from . import SqlStore

        return SqlStore(given)
    if not hasattr(given, "save"):
        raise ConfigurationError(
            f"store: expected a Store or a URL such as sqlite+aiosqlite:///antiphon.db, "
            f"got {given!r}: leave it out to keep responses in memory"
        )
    return given
