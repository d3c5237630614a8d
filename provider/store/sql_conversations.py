"""Conversations as rows: what SqlStore does inside a transaction.

A conversation's row is locked while items are added, so that each gets a place of its own; a
place is never used twice.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, RowMapping, Select, delete, insert, select, update

from antiphon.items import Item

from .conversations import Conversation
from .paging import Page, Paging, identified, no_such_item
from .record import Record
from .sql_items import batches, given_rows, parse, write_items
from .sql_tables import OUTPUT, conversations, items

_Select: TypeAlias = "Select[*tuple[Any, ...]]"


def create(connection: Connection, conversation: Conversation, first: Sequence[Item]) -> list[Item]:
    """Keep a new conversation with its first items."""
    connection.execute(
        insert(conversations).values(
            principal=conversation.principal,
            id=conversation.id,
            created_at=conversation.created_at,
            metadata=to_json(conversation.metadata),
            places=0,
        )
    )
    return append(connection, conversation.id, first, principal=conversation.principal) or []


def load(connection: Connection, conversation_id: str, *, principal: str) -> Conversation | None:
    """The conversation; None where it is absent."""
    row = _found(connection, conversation_id, principal)
    if row is None:
        return None
    return Conversation(row["id"], row["principal"], row["created_at"], from_json(row["metadata"]))


def change(
    connection: Connection, conversation_id: str, metadata: dict[str, str], *, principal: str
) -> Conversation | None:
    """Put other metadata in the place of the former; None where it is absent."""
    connection.execute(
        update(conversations)
        .where(conversations.c.principal == principal, conversations.c.id == conversation_id)
        .values(metadata=to_json(metadata))
    )
    return load(connection, conversation_id, principal=principal)


def remove(connection: Connection, conversation_id: str, *, principal: str) -> bool:
    """Forget a conversation and its items, but for those of responses that are still kept."""
    row = _found(connection, conversation_id, principal)
    if row is None:
        return False
    theirs = items.c.conversation == row["pk"]
    connection.execute(delete(items).where(theirs, items.c.response.is_(None)))
    connection.execute(delete(conversations).where(conversations.c.pk == row["pk"]))
    return True


def append(
    connection: Connection, conversation_id: str, added: Sequence[Item], *, principal: str
) -> list[Item] | None:
    """Add items at the end; as they are kept, or None where the conversation is absent."""
    placed = _placed(connection, conversation_id, principal, given_rows(added))
    if placed is None:
        return None
    write_items(connection, placed, principal=principal, response=None)
    return [row["item"] for row in placed]


def join(
    connection: Connection, record: Record, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A response's items with their places in its conversation, if that is there."""
    if record.conversation is None:
        return rows
    return _placed(connection, record.conversation, record.principal, rows) or rows


def said(connection: Connection, conversation_id: str, *, principal: str) -> list[Item] | None:
    """All items, oldest first; None where the conversation is absent."""
    row = _found(connection, conversation_id, principal)
    if row is None:
        return None
    return parse(connection.scalars(_of(row, items.c.json).order_by(items.c.place)))


def page(
    connection: Connection, conversation_id: str, paging: Paging, *, principal: str
) -> Page | None:
    """Some items; None where the conversation is absent.

    Raises:
        RequestError: 404; no item of it has the id `after`.
    """
    row = _found(connection, conversation_id, principal)
    if row is None:
        return None
    rising = paging.order == "asc"
    query = _of(row, items.c.json).order_by(items.c.place if rising else items.c.place.desc())
    if paging.after is not None:
        place = connection.scalar(_of(row, items.c.place, item_id=paging.after))
        if place is None:
            raise no_such_item(paging.after, param="after")
        query = query.where(items.c.place > place if rising else items.c.place < place)
    found = [*connection.scalars(query.limit(paging.limit + 1))]
    return Page(parse(found[: paging.limit]), len(found) > paging.limit)


def item(
    connection: Connection, conversation_id: str, item_id: str, *, principal: str
) -> Item | None:
    """One item of a conversation; None where either is absent."""
    row = _found(connection, conversation_id, principal)
    found = connection.scalar(_of(row, items.c.json, item_id=item_id)) if row else None
    return parse([found])[0] if found else None


def take_out(connection: Connection, conversation_id: str, item_id: str, *, principal: str) -> bool:
    """Take an item out of a conversation; False where either is absent."""
    row = _found(connection, conversation_id, principal)
    found = (
        row
        and connection.execute(
            _of(row, items.c.pk, items.c.response, item_id=item_id)
        ).one_or_none()
    )
    if found is None:
        return False
    one = items.c.pk == found.pk
    if found.response is None:
        connection.execute(delete(items).where(one))
    else:
        connection.execute(update(items).where(one).values(conversation=None, place=None))
    return True


def _found(connection: Connection, conversation_id: str, principal: str) -> RowMapping | None:
    return connection.execute(_query(conversation_id, principal)).mappings().one_or_none()


def _query(conversation_id: str, principal: str) -> _Select:
    return select(conversations).where(
        conversations.c.principal == principal, conversations.c.id == conversation_id
    )


def _of(row: RowMapping, *columns: Any, item_id: str | None = None) -> _Select:
    query = select(*columns).where(items.c.conversation == row["pk"])
    if item_id is None:
        return query
    return query.where(items.c.principal == row["principal"], items.c.id == item_id)


def _placed(
    connection: Connection, conversation_id: str, principal: str, rows: list[dict[str, Any]]
) -> list[dict[str, Any]] | None:
    """Rows of items with their places in a conversation, and each with an id of its own there."""
    row = (
        connection.execute(_query(conversation_id, principal).with_for_update())
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    given = [each["item"] for each in rows]
    taken: set[str] = set()
    for ids in batches([each.id for each in given if each.id]):
        mine = _of(row, items.c.id).where(items.c.principal == principal, items.c.id.in_(ids))
        taken.update(connection.scalars(mine))
    kept = identified(given, root=conversation_id, start=row["places"], taken=taken)
    connection.execute(
        update(conversations)
        .where(conversations.c.pk == row["pk"])
        .values(places=row["places"] + len(kept))
    )
    return [
        {
            **each,
            "item": item,
            "id": item.id,
            "made_here": each["part"] == OUTPUT or item is not each["item"],
            "conversation": row["pk"],
            "place": row["places"] + at,
        }
        for at, (each, item) in enumerate(zip(rows, kept, strict=True))
    ]
