"""Approvals as rows: what SqlStore does inside a transaction."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from .approvals import Approval
from .sql_tables import approvals


def ask(connection: Connection, approval: Approval) -> None:
    """Keep an approval; one that is there stays as it is."""
    mine = _mine(approval.principal, [approval.id])
    if connection.scalar(select(approvals.c.id).where(mine)) is None:
        connection.execute(insert(approvals).values(asdict(approval)))


def find(connection: Connection, approval_id: str, *, principal: str, at: float) -> Approval | None:
    """The approval; None where it is absent, expired at this time, or another's."""
    row = connection.execute(
        select(approvals).where(_mine(principal, [approval_id]), approvals.c.expires_at > at)
    ).one_or_none()
    if row is None:
        return None
    return Approval(row.id, row.principal, row.digest, row.expires_at, row.consumed_at)


def consume(
    connection: Connection, approval_ids: Sequence[str], *, principal: str, at: float, now: float
) -> bool:
    """Use up these approvals in one statement; False where one of them cannot be."""
    wanted = {*approval_ids}
    free = and_(approvals.c.consumed_at.is_(None), approvals.c.expires_at > now)
    used = connection.execute(
        update(approvals).where(_mine(principal, [*wanted]), free).values(consumed_at=at)
    )
    return used.rowcount == len(wanted)


def sweep(connection: Connection, *, at: float) -> int:
    """Forget what is expired at this time; how many there were."""
    return connection.execute(delete(approvals).where(approvals.c.expires_at <= at)).rowcount


def _mine(principal: str, approval_ids: list[str]) -> ColumnElement[bool]:
    return and_(approvals.c.principal == principal, approvals.c.id.in_(approval_ids))
