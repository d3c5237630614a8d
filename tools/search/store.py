"""What is kept of vector stores and of the files in them.

Above: everything of this package. Source: OpenAI's API reference, "Vector stores".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeAlias, TypeVar

Value: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, Value]
FileStatus: TypeAlias = Literal["in_progress", "completed", "cancelled", "failed"]
FaultCode: TypeAlias = Literal["server_error", "unsupported_file", "invalid_file"]
Order: TypeAlias = Literal["asc", "desc"]

DAY: Final = 86_400
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many files of a store, or of a batch, are in which state."""

    in_progress: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.in_progress + self.completed + self.cancelled + self.failed


@dataclass(frozen=True, slots=True)
class VectorStore:
    """A collection of files that can be searched.

    Attributes:
        id: `vs_` and random digits.
        principal: Whose it is.
        name: Its name, any text.
        description: What it is for.
        metadata: Its owner's own words.
        created_at: Seconds since 1970.
        last_active_at: When it was last searched, or given a file.
        expires_days: Days after `last_active_at` until it expires; None for never.
        model: The embedding model of all its vectors; None: it is searched by words alone.
        counts: Its files.
        usage_bytes: Bytes of text and vectors that are kept for it.
        ended: Whether it expired and gave back what was in it: then it stays expired.
    """

    id: str
    principal: str
    name: str
    created_at: int
    last_active_at: int
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    expires_days: int | None = None
    model: str | None = None
    counts: Counts = Counts()
    usage_bytes: int = 0
    ended: bool = False

    @property
    def expires_at(self) -> int | None:
        """Seconds since 1970 from which on it is expired."""
        return None if self.expires_days is None else self.last_active_at + self.expires_days * DAY

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.ended or (self.expires_at is not None and self.expires_at <= now)


@dataclass(frozen=True, slots=True)
class StoreChange:
    """What is to be changed of a store; None leaves a thing as it is.

    Attributes:
        name: A new name.
        metadata: All metadata from now on.
        expires_days: Days, or 0 for never.
    """

    name: str | None = None
    metadata: Mapping[str, str] | None = None
    expires_days: int | None = None


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a file is cut: tokens of a chunk, tokens that it shares with the one before."""

    most: int = 800
    overlap: int = 400


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is to be read into a store.

    Attributes:
        source: Who has its content: the name of a source (empty: uploads), and where that needs
            more than the file's id, what it needs behind a colon (`path:/home/ann/a.md`). An
            engine may forget it when the file is completed.
    """

    file_id: str
    filename: str
    attributes: Attributes = field(default_factory=dict[str, Value])
    chunking: Chunking = Chunking()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file could not be read."""

    code: FaultCode
    message: str


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file in a store.

    Attributes:
        store_id: The store.
        attachment: What was asked for.
        created_at: When it was attached, seconds since 1970.
        status: How far it has come.
        usage_bytes: Bytes of text and vectors that are kept for it.
        fault: Why it failed.
    """

    store_id: str
    attachment: Attachment
    created_at: int
    status: FileStatus = "in_progress"
    usage_bytes: int = 0
    fault: Fault | None = None

    @property
    def id(self) -> str:
        """The id of the file itself; in a store it stands once."""
        return self.attachment.file_id


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were attached together."""

    id: str
    store_id: str
    created_at: int
    cancelled: bool = False
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True)
class Paging:
    """Which rows of a list: behind `after`, before `before`, at most `limit`, in this order."""

    after: str | None = None
    before: str | None = None
    limit: int = 20
    order: Order = "desc"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, in the order asked for, and whether more follow."""

    rows: list[T]
    has_more: bool
