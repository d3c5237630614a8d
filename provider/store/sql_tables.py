"""The tables of a SqlStore, and the numbered steps by which a database comes to have them.

JSON is kept as the bytes that `items` writes and reads. An item is one row, however many lists it
stands in: the input or output of a response, a conversation, or both. A response's row is
everything of it but items.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    insert,
    select,
    update,
)

from antiphon.errors import ConfigurationError

GIVEN: Final = 0
OUTPUT: Final = 1
"""The part of a response that an item stands in."""

_METADATA = MetaData()


class _WithoutNul(TypeDecorator[str]):
    """Text for PostgreSQL, which has no NUL: U+FFFD stands for it."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """As the database can have it."""
        return value.replace("\0", "\ufffd") if isinstance(value, str) else value


_WORD = String().with_variant(_WithoutNul(), "postgresql")
_KEY = BigInteger().with_variant(Integer, "sqlite")


def _reference(name: str, column: str, *, ondelete: str, primary_key: bool = False) -> Column[int]:
    """A row that this one belongs to."""
    return Column(name, _KEY, ForeignKey(column, ondelete=ondelete), primary_key=primary_key)


schema: Table = Table("antiphon_schema", _METADATA, Column("version", Integer, nullable=False))

responses: Table = Table(
    "antiphon_responses",
    _METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("principal", _WORD, nullable=False),
    Column("id", _WORD, nullable=False),
    Column("saved_at", Float, nullable=False),
    Column("previous", _WORD),
    Column("conversation", _WORD),
    Column("envelope", LargeBinary, nullable=False),
    Column("view", LargeBinary, nullable=False),
    UniqueConstraint("principal", "id"),
    Index("antiphon_responses_by_age", "saved_at"),
    Index("antiphon_responses_by_owner", "principal", "pk"),
    sqlite_autoincrement=True,
)

conversations: Table = Table(
    "antiphon_conversations",
    _METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("principal", _WORD, nullable=False),
    Column("id", _WORD, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    Column("places", BigInteger, nullable=False),  # that were ever taken; the next one's number
    UniqueConstraint("principal", "id"),
    sqlite_autoincrement=True,
)

items: Table = Table(
    "antiphon_items",
    _METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("principal", _WORD, nullable=False),
    _reference("response", "antiphon_responses.pk", ondelete="SET NULL"),
    Column("part", SmallInteger, nullable=False),
    Column("position", Integer, nullable=False),
    _reference("conversation", "antiphon_conversations.pk", ondelete="SET NULL"),
    Column("place", BigInteger),
    Column("id", _WORD),  # only where something is found by it
    Column("made_here", Boolean, nullable=False),  # the id, and not by a client
    Column("json", LargeBinary, nullable=False),
    UniqueConstraint("response", "part", "position"),
    sqlite_autoincrement=True,
)
Index(
    "antiphon_items_by_place",
    items.c.conversation,
    items.c.place,
    unique=True,
    sqlite_where=items.c.conversation.is_not(None),
    postgresql_where=items.c.conversation.is_not(None),
)
Index(
    "antiphon_items_by_id",
    items.c.principal,
    items.c.id,
    sqlite_where=items.c.id.is_not(None),
    postgresql_where=items.c.id.is_not(None),
)

jobs: Table = Table(
    "antiphon_jobs",
    _METADATA,
    _reference("response", "antiphon_responses.pk", ondelete="CASCADE", primary_key=True),
    Column("id", _WORD, nullable=False, unique=True),
    Column("owner", _WORD, nullable=False),
    Column("until", Float, nullable=False),
    Column("cancel", Boolean, nullable=False),
)

events: Table = Table(
    "antiphon_events",
    _METADATA,
    _reference("response", "antiphon_responses.pk", ondelete="CASCADE", primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("json", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

approvals: Table = Table(
    "antiphon_approvals",
    _METADATA,
    Column("principal", _WORD, primary_key=True),
    Column("id", _WORD, primary_key=True),
    Column("digest", _WORD, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("consumed_at", Float),
    Index("antiphon_approvals_by_age", "expires_at"),
)

VERSION = 1
"""The schema that this version of antiphon knows."""

STEPS: dict[int, Callable[[Connection], None]] = {}
"""What brings a database to this version from the one before. A new one needs no steps."""


def migrate(connection: Connection) -> None:
    """Make the tables, or bring those of an earlier version up to date, in one transaction.

    Raises:
        ConfigurationError: A newer antiphon has been here.
    """
    schema.create(connection, checkfirst=True)
    found = connection.scalar(select(schema.c.version))
    if found is None:
        _METADATA.create_all(connection)
        connection.execute(insert(schema).values(version=VERSION))
        return
    if found > VERSION:
        raise ConfigurationError(
            f"store: expected a database of schema {VERSION} or older, got {found}: "
            "a newer antiphon has been here; upgrade this one, or use another database"
        )
    for version in range(found + 1, VERSION + 1):
        STEPS[version](connection)
        connection.execute(update(schema).values(version=version))
