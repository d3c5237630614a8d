"""Items as rows. Each is written once, wherever it stands, and read by the bytes of its JSON."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, insert

from antiphon.items import ITEMS, Item

from .sql_tables import GIVEN, OUTPUT, items

_AT_ONCE: Final = 1000


def given_rows(given: Iterable[Item]) -> list[dict[str, Any]]:
    """Rows of items that a client gave; nothing is found by an id that a client made."""
    return [
        {"part": GIVEN, "position": at, "item": item, "id": None, "made_here": False}
        for at, item in enumerate(given)
    ]


def output_rows(output: Iterable[tuple[int, Item]]) -> list[dict[str, Any]]:
    """Rows of a response's output, given with their positions."""
    return [
        {"part": OUTPUT, "position": at, "item": item, "id": item.id, "made_here": True}
        for at, item in output
    ]


def write_items(
    connection: Connection, rows: Iterable[dict[str, Any]], *, principal: str, response: int | None
) -> None:
    """Insert rows of items; each has its item under `item`."""
    alike = {"principal": principal, "response": response, "conversation": None, "place": None}
    written = [{**alike, **row, "json": row["item"].to_json()} for row in rows]
    for row in written:
        del row["item"]
    if written:
        connection.execute(insert(items), written)


def batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Ids by as many as one query looks for: databases take so many values and no more."""
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def parse(rows: Iterable[bytes]) -> list[Item]:
    """Items of their JSON."""
    return ITEMS.validate_json(b"[" + b",".join(rows) + b"]")
