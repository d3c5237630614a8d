"""Where responses, approvals, responses in the making and conversations are kept.

`Store` is the seam; `MemoryStore` and `SqlStore` are its two sides. Below: items. Above: the rest
of `provider`. Not here: who may ask for what, and what a client sees of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from antiphon.errors import ConfigurationError

from .approvals import Approval as Approval, Approvals as Approvals
from .conversations import Conversation as Conversation, Conversations as Conversations
from .jobs import Hold as Hold, Jobs as Jobs, Told as Told
from .memory import MemoryStore as MemoryStore
from .opening import store_of as store_of
from .paging import (
    Page as Page,
    Paging as Paging,
    input_items as input_items,
    invalid as invalid,
    limit_of as limit_of,
    listed as listed,
    no_such_item as no_such_item,
    order_of as order_of,
    page_of as page_of,
    part_of as part_of,
    whole as whole,
)
from .record import Record as Record
from .store import (
    Chain as Chain,
    Responses as Responses,
    Store as Store,
    history as history,
    not_found as not_found,
)

if TYPE_CHECKING:
    from .sql import SqlStore as SqlStore


def __getattr__(name: str) -> Any:
    """`SqlStore` needs SQLAlchemy, which takes a while to import and need not be there."""
    if name != "SqlStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"{__name__}.sql").SqlStore
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"store: a database needs {error.name}: pip install 'antiphon[server]', "
            "or keep responses in memory"
        ) from error
