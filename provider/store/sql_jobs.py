"""Responses in the making as rows: what SqlStore does inside a transaction.

The lease is the fence: what an owner writes is written only where the job's row still names it,
and that row is locked from the check to the commit.
"""

import math
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, insert, select, update

from antiphon.items import Item, Response

from . import sql_responses
from .jobs import Hold, Told
from .record import Record
from .sql_items import given_rows, output_rows, write_items
from .sql_tables import OUTPUT, events, items, jobs, responses

Events = Sequence[tuple[int, bytes]]


def start(connection: Connection, record: Record, *, owner: str, until: float, at: float) -> None:
    """Keep a response that is about to be made, and give its maker the lease."""
    pk = sql_responses.put(connection, record, at=at)
    write_items(connection, given_rows(record.given), principal=record.principal, response=pk)
    connection.execute(
        insert(jobs).values(
            response=pk, id=record.response.id, owner=owner, until=until, cancel=False
        )
    )


def claim(
    connection: Connection, response_id: str, *, owner: str, until: float, now: float
) -> Record | None:
    """Take over a job whose lease ran out; None where there is none to be had."""
    taken = connection.execute(
        update(jobs)
        .where(jobs.c.id == response_id, jobs.c.until <= now)
        .values(owner=owner, until=until)
    )
    if not taken.rowcount:
        return None
    principal = connection.scalar(
        select(responses.c.principal)
        .join(jobs, jobs.c.response == responses.c.pk)
        .where(jobs.c.id == response_id)
    )
    return sql_responses.load(connection, response_id, principal=principal or "", fresh=-math.inf)


def renew(connection: Connection, response_id: str, *, owner: str, until: float) -> Hold:
    """Hold a job longer."""
    row = _held(connection, response_id, owner)
    if row is None:
        return "lost"
    connection.execute(update(jobs).where(jobs.c.response == row["response"]).values(until=until))
    return _hold(row)


def write(
    connection: Connection,
    response_id: str,
    *,
    owner: str,
    told: Events,
    done: Sequence[tuple[int, Item]],
    response: Response | None,
) -> Hold:
    """Add what is done, all of it or (where the job is lost) nothing."""
    row = _held(connection, response_id, owner)
    if row is None:
        return "lost"
    _tell(connection, row["response"], told)
    if done:
        _clear(connection, row["response"], [at for at, _ in done])
        rows = output_rows(done)
        write_items(connection, rows, principal=row["principal"], response=row["response"])
    if response is not None:
        connection.execute(
            update(responses)
            .where(responses.c.pk == row["response"])
            .values(envelope=sql_responses.envelope(response))
        )
    return _hold(row)


def finish(connection: Connection, record: Record, *, owner: str, told: Events, at: float) -> bool:
    """Keep the terminal response and its last events; the job is over.

    Items that are there are not written again: an item that is done is never changed, so that
    its id says which it is. In a conversation they all come to stand in their order.
    """
    row = _held(connection, record.response.id, owner)
    if row is None or row["principal"] != record.principal:
        return False
    pk = row["response"]
    _tell(connection, pk, told)
    sql_responses.settle(connection, pk, record, at=at)
    connection.execute(delete(jobs).where(jobs.c.response == pk))
    if record.conversation is not None:
        connection.execute(delete(items).where(items.c.response == pk))
        sql_responses.put_items(connection, pk, record)
        return True
    kept = _kept(connection, pk)
    output = dict(enumerate(record.response.output))
    _clear(connection, pk, [at for at in kept if at not in output or kept[at] != output[at].id])
    new = [(at, item) for at, item in output.items() if item.id is None or kept.get(at) != item.id]
    write_items(connection, output_rows(new), principal=record.principal, response=pk)
    return True


def told(
    connection: Connection,
    response_id: str,
    *,
    principal: str,
    after: int,
    limit: int,
    fresh: float,
) -> Told | None:
    """The events after a sequence number; None where the response is absent or another's."""
    row = connection.execute(
        select(responses.c.pk, jobs.c.response.label("making"))
        .select_from(responses.outerjoin(jobs, jobs.c.response == responses.c.pk))
        .where(responses.c.principal == principal, responses.c.id == response_id)
        .where(responses.c.saved_at > fresh)
    ).one_or_none()
    if row is None:
        return None
    found = connection.execute(
        select(events.c.number, events.c.json)
        .where(events.c.response == row.pk, events.c.number > after)
        .order_by(events.c.number)
        .limit(limit + 1)
    ).all()
    rest = [(each.number, each.json) for each in found[:limit]]
    return Told(rest, len(found) <= limit and row.making is None)


def ask_cancel(connection: Connection, response_id: str, *, principal: str) -> bool:
    """Ask the owner to stop. False where there is no such job."""
    mine = select(responses.c.pk).where(
        responses.c.principal == principal, responses.c.id == response_id
    )
    asked = connection.execute(update(jobs).where(jobs.c.response.in_(mine)).values(cancel=True))
    return asked.rowcount > 0


def stale(connection: Connection, *, at: float, limit: int) -> list[str]:
    """Ids of jobs whose lease has run out at this time, oldest first."""
    query = select(jobs.c.id).where(jobs.c.until <= at).order_by(jobs.c.until, jobs.c.id)
    return [*connection.scalars(query.limit(limit))]


def _held(connection: Connection, response_id: str, owner: str) -> RowMapping | None:
    asked = {"id": response_id, "owner": owner}
    return connection.execute(_HELD, asked).mappings().one_or_none()


def _hold(row: RowMapping) -> Hold:
    return "cancel" if row["cancel"] else "held"


def _tell(connection: Connection, pk: int, told: Events) -> None:
    if not told:
        return
    connection.execute(delete(events).where(events.c.response == pk, events.c.number >= told[0][0]))
    rows = [{"response": pk, "number": number, "json": data} for number, data in told]
    connection.execute(insert(events), rows)


def _kept(connection: Connection, pk: int) -> dict[int, str | None]:
    """Positions and ids of the output that is there."""
    rows = connection.execute(
        select(items.c.position, items.c.id).where(items.c.response == pk, items.c.part == OUTPUT)
    )
    return {row.position: row.id for row in rows}


def _clear(connection: Connection, pk: int, positions: Sequence[int]) -> None:
    if positions:
        there = and_(items.c.part == OUTPUT, items.c.position.in_(positions))
        connection.execute(delete(items).where(items.c.response == pk, there))


# What is asked at every write is made once; see `sql_responses`.
_HELD: Final = (
    select(jobs.c.response, jobs.c.cancel, responses.c.principal)
    .join(responses, responses.c.pk == jobs.c.response)
    .where(jobs.c.id == bindparam("id"), jobs.c.owner == bindparam("owner"))
    .with_for_update()
)
