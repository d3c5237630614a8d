"""Where uploads are kept: the store and its suite's subject, names, contents, forms.

A package of its own: nothing here knows of requests or answers. `store` is the seam, `disk` the
one store there is (`index`, `upload` are its parts); `name` makes names harmless; `content` holds
what models read; `form` reads uploads (the parser is an extra's: imported when needed).
Above: `files_api`, `documents`, vector stores.
"""

from .content import Held as Held, held as held
from .disk import DiskFiles as DiskFiles
from .name import UNNAMED as UNNAMED, disposition as disposition, safe_name as safe_name
from .store import (
    Content as Content,
    FilePage as FilePage,
    FileStore as FileStore,
    Order as Order,
    StoredFile as StoredFile,
    Upload as Upload,
    no_file as no_file,
    too_large as too_large,
)
