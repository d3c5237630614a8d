"""The desk: what every response of a Provider is made with.

Above: whatever opens a response, or reads a request's items. Below: the parts themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from antiphon.items import Clock, Ids, now

from .admit import MAX_ITEMS
from .catalogue import Catalogue
from .files import FileStore
from .seal import Seal
from .sealing import Sealing
from .store import Store


@dataclass(frozen=True, slots=True)
class Desk:
    """What every response of a Provider is made with.

    Attributes:
        catalogue: Who answers to which name.
        store: Where responses are kept.
        files: Where uploads are kept.
        seal: Seals what clients carry.
        store_by_default: Whether a request that does not say is stored.
        private_urls: Whether image and file URLs may point into private networks.
        max_items: How many items and parts a request may have.
        new_ids: Makes the source of ids of one response.
        clock: Gives seconds since 1970.
    """

    catalogue: Catalogue
    store: Store
    files: FileStore
    seal: Seal = field(default_factory=Seal)
    store_by_default: bool = True
    private_urls: bool = False
    max_items: int = MAX_ITEMS
    new_ids: Callable[[], Ids] = Ids
    clock: Clock = now

    def sealing(self, principal: str) -> Sealing:
        """The seal, in the hands of this principal."""
        return Sealing(self.seal, principal)
