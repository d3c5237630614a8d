"""The desk: what every response of a Provider is made with.

Above: whatever opens a response, or reads a request's items. Below: the parts themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from antiphon.items import Clock, CreateResponse, Ids, now

from .admit import MAX_BODY, MAX_ITEMS
from .catalogue import Catalogue
from .figures import Figures, Urls
from .files import FileStore
from .seal import Seal
from .sealing import Sealing
from .store import Store
from .view import View


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
        figures: The images that code has shown, where they have URLs.
        max_items: How many items and parts a request may have.
        max_body: Bytes that a request may have, and again those of what it refers to.
        new_ids: Makes the source of ids of one response.
        clock: Gives seconds since 1970.
    """

    catalogue: Catalogue
    store: Store
    files: FileStore
    seal: Seal = field(default_factory=Seal)
    store_by_default: bool = True
    private_urls: bool = False
    figures: Figures | None = None
    max_items: int = MAX_ITEMS
    max_body: int = MAX_BODY
    new_ids: Callable[[], Ids] = Ids
    clock: Clock = now

    @property
    def images(self) -> Urls | None:
        """Gives the URLs of images that code has shown, if they have any."""
        return None if self.figures is None else self.figures.url

    def stores(self, request: CreateResponse) -> bool:
        """Whether the response to a request is stored."""
        return self.store_by_default if request.store is None else request.store

    def seen(self, view: View, principal: str) -> View:
        """A view with what is not kept of it: who seals for this principal, where images are."""
        return replace(view, sealing=self.sealing(principal), images=self.images)

    def sealing(self, principal: str) -> Sealing:
        """The seal, in the hands of this principal."""
        return Sealing(self.seal, principal)
