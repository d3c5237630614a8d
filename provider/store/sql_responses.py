"""Responses and their items as rows: what SqlStore does inside a transaction.

Each function takes the connection of one; whose a row is stands in every WHERE clause. `fresh` is
the time from which on responses are kept: older ones are as good as absent, swept or not.
"""

from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import from_json, to_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
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
from .sql_items import given_rows, output_rows, parse, write_items
from .sql_tables import GIVEN, OUTPUT, events, items, jobs, responses
from .store import Chain

_LONGEST_CHAIN: Final = 100_000


def save(connection: Connection, record: Record, *, at: float) -> None:
    """Keep a terminal response in the place of one with its id."""
    pk = _pk(connection, record)
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
    row = connection.execute(
        select(responses).where(_mine(response_id, principal), responses.c.saved_at > fresh)
    ).one_or_none()
    if row is None:
        return None
    found = connection.execute(
        select(items.c.part, items.c.json)
        .where(items.c.response == row.pk)
        .order_by(items.c.part, items.c.position)
    ).all()
    response = Response.model_validate_json(row.envelope)
    response.output = parse(each.json for each in found if each.part == OUTPUT)
    given = parse(each.json for each in found if each.part == GIVEN)
    return Record(row.principal, response, given, from_json(row.view), row.conversation)


def item(connection: Connection, item_id: str, *, principal: str, fresh: float) -> Item | None:
    """An item whose id was made here; None where it is absent or another's."""
    answers = and_(items.c.part == OUTPUT, responses.c.saved_at > fresh)
    row = connection.execute(
        select(items.c.json)
        .select_from(items.outerjoin(responses, items.c.response == responses.c.pk))
        .where(items.c.principal == principal, items.c.id == item_id, items.c.made_here)
        .where(or_(items.c.conversation.is_not(None), answers))
        .limit(1)
    ).one_or_none()
    return parse([row.json])[0] if row else None


def chain(connection: Connection, response_id: str, *, principal: str, fresh: float) -> Chain:
    """What was said up to and including a response: one query, however long the chain."""
    mine = and_(responses.c.principal == principal, responses.c.saved_at > fresh)
    links = (
        select(responses.c.pk, responses.c.id, responses.c.previous, literal(0).label("depth"))
        .where(mine, responses.c.id == response_id)
        .cte("links", recursive=True)
    )
    links = links.union_all(
        select(responses.c.pk, responses.c.id, responses.c.previous, links.c.depth + 1)
        .join(links, responses.c.id == links.c.previous)
        .where(mine, links.c.depth < _LONGEST_CHAIN)
    )
    rows = connection.execute(
        select(links.c.previous, items.c.json)
        .select_from(links.outerjoin(items, items.c.response == links.c.pk))
        .order_by(links.c.depth.desc(), items.c.part, items.c.position)
    ).all()
    if not rows:
        return Chain([], response_id)
    said = parse(row.json for row in rows if row.json is not None)
    return Chain(said, rows[0].previous)


def remove(connection: Connection, response_id: str, *, principal: str, fresh: float) -> bool:
    """Forget a response, its items and its events; False where it is absent or another's."""
    mine = _mine(response_id, principal)
    pk = connection.scalar(select(responses.c.pk).where(mine, responses.c.saved_at > fresh))
    if pk is None:
        return False
    forget(connection, [pk])
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


def _pk(connection: Connection, record: Record) -> int | None:
    return connection.scalar(
        select(responses.c.pk).where(_mine(record.response.id, record.principal))
    )


def _mine(response_id: str, principal: str) -> ColumnElement[bool]:
    return and_(responses.c.principal == principal, responses.c.id == response_id)
