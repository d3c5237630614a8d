"""The ASGI face: models, agents and hosted tools as an Open Responses provider.

Below: `agents` (the loop), `models`, `tools`, `items`. Above: `cli`, and whoever mounts a
Provider. Not here: turns and tools; this room moves bytes and stores what was folded.
"""

from typing import TYPE_CHECKING, Any

from .access import RequestIds as RequestIds
from .app import Provider as Provider
from .auth import KeyLookup as KeyLookup
from .catalogue import Upstream as Upstream
from .files import (
    Content as Content,
    DiskFiles as DiskFiles,
    FilePage as FilePage,
    FileStore as FileStore,
    StoredFile as StoredFile,
    Upload as Upload,
)
from .keys import (
    keys_from_environment as keys_from_environment,
    keys_from_file as keys_from_file,
)
from .rate import Rate as Rate, Throttle as Throttle
from .store import (
    Approval as Approval,
    Chain as Chain,
    Conversation as Conversation,
    Hold as Hold,
    MemoryStore as MemoryStore,
    Page as Page,
    Paging as Paging,
    Record as Record,
    Store as Store,
    Told as Told,
    input_items as input_items,
    page_of as page_of,
    store_of as store_of,
)
from .view import View as View, Viewer as Viewer

if TYPE_CHECKING:
    from .store import SqlStore as SqlStore


def __getattr__(name: str) -> Any:
    """`SqlStore` is imported when it is first asked for, with the database library it needs."""
    if name != "SqlStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .store import SqlStore

    return SqlStore
