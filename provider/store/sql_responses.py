"""Responses and their items as rows: what SqlStore does inside a transaction.

Each function takes the connection of one; whose a row is stands in every WHERE clause. `fresh` is
the time from which on responses are kept: older ones are as good as absent, swept or not.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from pydantic_core import from_json, to_json
from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)

from antiphon.items import Item, Response

from .record import Record
from .sql_conversations import join
from .sql_items import batches, given_rows, output_rows, parse, write_items
from .sql_tables import GIVEN, OUTPUT, events, items, jobs, responses
from .store import Chain

_LONGEST_CHAIN: Final = 100_000


def save(connection: Connection, record: Record, *, at: float) -> None:
    """Keep a terminal response in the place of one with its id."""
    named = {"principal": record.principal, "id": record.response.id}
    pk = connection.scalar(_PK, named)
    if pk is None:
        pk = put(connection, record, at=at)
    else:
        for table in (jobs, events, items):
            connection.execute(delete(table).where(table.c.response == pk))
        settle(connection, pk, record, at=at)
    put_items(connection, pk, record)


def put(connection: Connection, record: Record, *, at: float) -> int:
    """The row of a response whose id is free; its key."""
    named = {"principal": record.principal, "id": record.response.id, "saved_at": at}
    made = connection.execute(insert(responses), named | _columns(record)).inserted_primary_key
    assert made is not None  # one row was inserted
    return made[0]


def settle(connection: Connection, pk: int, record: Record, *, at: float) -> None:
    """Write a response's row anew."""
    connection.execute(
        update(responses).where(responses.c.pk == pk).values(**_columns(record), saved_at=at)
    )


def _columns(record: Record) -> dict[str, Any]:
    return {
        "previous": record.response.previous_response_id,
        "conversation": record.conversation,
        "envelope": envelope(record.response),
        "view": to_json(record.view),
    }


def envelope(response: Response) -> bytes:
    """A response without its output."""
    return response.model_copy(update={"output": []}).to_json()


def put_items(connection: Connection, pk: int, record: Record) -> None:
    """The rows of all items, which are the conversation's, too, if there is one."""
    rows = [
        *given_rows(record.given),
        *output_rows(enumerate(record.response.output)),
    ]
    write_items(connection, join(connection, record, rows), principal=record.principal, response=pk)


def load(
    connection: Connection, response_id: str, *, principal: str, fresh: float
) -> Record | None:
    """The record, or None where it is absent or another's."""
    asked = {"principal": principal, "id": response_id, "fresh": fresh}
    row = connection.execute(_LOAD, asked).one_or_none()
    if row is None:
        return None
    parts: dict[int, list[bytes]] = {GIVEN: [], OUTPUT: []}
    for part, json in connection.execute(_ITEMS, {"response": row.pk}):
        parts[part].append(json)
    response = Response.model_validate_json(row.envelope)
    response.output = parse(parts[OUTPUT])
    view: dict[str, Any] = from_json(row.view)
    return Record(principal, response, parse(parts[GIVEN]), view, row.conversation)


def find(
    connection: Connection, ids: Collection[str], *, principal: str, fresh: float
) -> dict[str, Item]:
    """Items whose ids were made here, by id; what is absent or another's is left out."""
    found: dict[str, bytes] = {}
    for named in batches([*ids]):
        asked = {"principal": principal, "fresh": fresh, "ids": named}
        found |= {row.id: row.json for row in connection.execute(_ITEM, asked)}
    return dict(zip(found, parse(found.values()), strict=True))


def chain(connection: Connection, response_id: str, *, principal: str, fresh: float) -> Chain:
    """What was said up to and including a response: one query, however long the chain."""
    asked = {"principal": principal, "id": response_id, "fresh": fresh}
    rows = connection.execute(_CHAIN, asked).all()
    if not rows:
        return Chain([], response_id)
    return Chain(parse(json for _, json in rows if json is not None), rows[0].previous)


def remove(connection: Connection, response_id: str, *, principal: str, fresh: float) -> bool:
    """Forget a response, its items and its events; False where it is absent or another's."""
    asked = {"principal": principal, "id": response_id, "fresh": fresh}
    row = connection.execute(_LOAD, asked).one_or_none()
    if row is None:
        return False
    forget(connection, [row.pk])
    return True


def forget(connection: Connection, pks: Sequence[int]) -> None:
    """Forget responses, their jobs and events; items that are a conversation's stay there."""
    if not pks:
        return
    theirs = items.c.response.in_(pks)
    connection.execute(delete(items).where(theirs, items.c.conversation.is_(None)))
    connection.execute(delete(responses).where(responses.c.pk.in_(pks)))


def beyond(connection: Connection, *, principal: str, limit: int, step: int) -> list[int]:
    """Keys of a principal's oldest responses, beyond so many; at most a step of them."""
    return [
        *connection.scalars(
            select(responses.c.pk)
            .where(responses.c.principal == principal)
            .order_by(responses.c.pk.desc())
            .offset(limit)
            .limit(step)
        )
    ]


def expired(connection: Connection, *, fresh: float, step: int) -> list[int]:
    """Keys of responses that are too old; at most a step of them."""
    return [
        *connection.scalars(
            select(responses.c.pk)
            .where(responses.c.saved_at <= fresh)
            .order_by(responses.c.saved_at)
            .limit(step)
        )
    ]


def _chain() -> "Select[Any, Any]":
    """From a response to those before it, and their items, the oldest first."""
    link = select(responses.c.pk, responses.c.previous)
    links = link.add_columns(literal(0).label("depth")).where(_MINE, _FRESH)
    walk = links.cte("links", recursive=True)
    earlier = and_(responses.c.principal == bindparam("principal"), _FRESH)
    walk = walk.union_all(
        link.add_columns(walk.c.depth + 1)
        .join(walk, responses.c.id == walk.c.previous)
        .where(earlier, walk.c.depth < _LONGEST_CHAIN)
    )
    return (
        select(walk.c.previous, items.c.json)
        .select_from(walk.outerjoin(items, items.c.response == walk.c.pk))
        .order_by(walk.c.depth.desc(), items.c.part, items.c.position)
    )


# What is asked at every turn is made once: to put a query together takes longer than to run it.
_MINE: Final = and_(
    responses.c.principal == bindparam("principal"), responses.c.id == bindparam("id")
)
_FRESH: Final = responses.c.saved_at > bindparam("fresh")
_PK: Final = select(responses.c.pk).where(_MINE)
_LOAD: Final = select(
    responses.c.pk, responses.c.envelope, responses.c.view, responses.c.conversation
).where(_MINE, _FRESH)
_ITEMS: Final = (
    select(items.c.part, items.c.json)
    .where(items.c.response == bindparam("response"))
    .order_by(items.c.part, items.c.position)
)
_ITEM: Final = (
    select(items.c.id, items.c.json)
    .select_from(items.outerjoin(responses, items.c.response == responses.c.pk))
    .where(items.c.principal == bindparam("principal"))
    .where(items.c.id.in_(bindparam("ids", expanding=True)))
    .where(items.c.made_here)
    .where(or_(items.c.conversation.is_not(None), and_(items.c.part == OUTPUT, _FRESH)))
)
_CHAIN: Final = _chain()
