"""File search: vector stores, what reads files into them, and the ranking of what is found.

Above: `tools.FileSearch`; the provider's endpoints, through the door of `tools`. Below: `items`;
SQLite, and numpy where there are vectors. Not here: HTTP, calls, who may see what is found.
"""

from .embed import (
    Embedder as Embedder,
    EmbedderError as EmbedderError,
    HttpEmbedder as HttpEmbedder,
)
from .engine import (
    Candidate as Candidate,
    Candidates as Candidates,
    Engine as Engine,
    Job as Job,
    Passage as Passage,
    Query as Query,
    Vectors as Vectors,
)
from .filters import Filter as Filter, filter_of as filter_of, matches as matches
from .folder import walk as walk
from .ingest import Source as Source
from .library import Found as Found, Library as Library, no_store as no_store
from .rank import Ranking as Ranking, ranked as ranked, ranking_of as ranking_of
from .reader.chunks import Chunk as Chunk
from .readers import Readers as Readers
from .sqlite import SqliteEngine as SqliteEngine
from .store import (
    Attachment as Attachment,
    Attributes as Attributes,
    Batch as Batch,
    Chunking as Chunking,
    Counts as Counts,
    Fault as Fault,
    FileStatus as FileStatus,
    Page as Page,
    Paging as Paging,
    StoreChange as StoreChange,
    StoreFile as StoreFile,
    VectorStore as VectorStore,
)
