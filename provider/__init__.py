"""The ASGI face: models, agents and hosted tools as an Open Responses provider.

Below: `agents` (the loop), `models`, `tools`, `items`. Above: `cli`, and whoever mounts a
Provider. Not here: turns and tools; this room moves bytes and stores what was folded.
"""

from .app import Provider as Provider
from .catalogue import Upstream as Upstream
from .store import MemoryStore as MemoryStore, Record as Record, Store as Store
from .view import View as View, Viewer as Viewer
