"""Where responses are kept. Below: items. Above: `provider.respond`."""

from .memory import MemoryStore as MemoryStore
from .store import (
    Record as Record,
    Store as Store,
    history as history,
    not_found as not_found,
)
