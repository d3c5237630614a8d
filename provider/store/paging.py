"""Lists in pages, as the wire has them: `after`, `limit` and `order`, and the object of a page.

Also the ids by which such lists are gone through: an item that came without one, or with one
that another item has, gets one that is derived from where it stands.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias, TypeVar

from antiphon.errors import RequestError
from antiphon.items import PREFIX, Item, Json

from .record import Record

T = TypeVar("T")

Order: TypeAlias = Literal["asc", "desc"]

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Paging:
    """Which items of a list are asked for.

    Attributes:
        after: Begin behind the item of this id, in the order asked for.
        limit: How many at most, 1 to 100.
        order: `asc` is oldest first; `desc`, the wire's default, newest first.
    """

    after: str | None = None
    limit: int = DEFAULT_LIMIT
    order: Order = "desc"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Paging":
        """What the query of a URL asks for.

        Raises:
            RequestError: 400; `limit` or `order` is not what it can be.
        """
        return cls(query.get("after"), limit_of(query), order_of(query))


def limit_of(
    query: Mapping[str, str], *, default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT
) -> int:
    """How many rows of a list a query asks for.

    Raises:
        RequestError: 400; `limit` is not a whole number from 1 to `most`.
    """
    return whole(query.get("limit", str(default)), "limit", 1, most)


def order_of(query: Mapping[str, str]) -> Order:
    """In which order a query asks for a list.

    Raises:
        RequestError: 400; `order` is neither.
    """
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid("order", "asc or desc", order)
    return order


def whole(text: str, param: str, least: int, most: int) -> int:
    """The number that a text is.

    Raises:
        RequestError: 400; it is none between these.
    """
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if not least <= number <= most:
        raise invalid(param, f"a whole number from {least:,} to {most:,}", text)
    return number


def listed(shown: list[Json], *, has_more: bool) -> Json:
    """The object of a page.

    Args:
        shown: Its rows, each with its `id`.
        has_more: Whether the list goes on behind them.
    """
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": has_more,
    }


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a list.

    Attributes:
        items: In the order asked for.
        has_more: Whether the list goes on behind them.
    """

    items: list[Item]
    has_more: bool


def page_of(items: list[Item], paging: Paging) -> Page:
    """A page of a list that is there whole.

    Args:
        items: Oldest first, each with an id of its own.
        paging: Which of them.

    Raises:
        RequestError: 404; no item has the id `after`.
    """
    some, has_more = part_of(
        items,
        paging,
        key=lambda item: item.id,
        absent=lambda after: no_such_item(after, param="after"),
    )
    return Page(some, has_more)


def part_of(
    rows: Sequence[T],
    paging: Paging,
    *,
    key: Callable[[T], str | None],
    absent: Callable[[str], RequestError],
) -> tuple[list[T], bool]:
    """Some rows of a list that is there whole, and whether it goes on behind them.

    Args:
        rows: Oldest first.
        paging: Which of them.
        key: The id of a row.
        absent: What is told where no row has the id `after`.

    Raises:
        RequestError: What `absent` gives.
    """
    ordered = list(rows) if paging.order == "asc" else list(reversed(rows))
    start = 0
    if paging.after is not None:
        ids = [key(row) for row in ordered]
        if paging.after not in ids:
            raise absent(paging.after)
        start = ids.index(paging.after) + 1
    end = start + paging.limit
    return ordered[start:end], len(ordered) > end


def input_items(record: Record) -> list[Item]:
    """The input of a stored response, oldest first, each item with an id of its own.

    The ids are the same every time, so that `page_of` can be asked for one page after another.
    """
    return identified(record.given, root=record.response.id)


def identified(
    items: Iterable[Item], *, root: str, start: int = 0, taken: Iterable[str] = ()
) -> list[Item]:
    """Items with ids: their own, or, where there is none or it is taken, a derived one.

    Args:
        items: As they came.
        root: An id that only the provider makes, and that nobody guesses.
        start: The number of the first item within the root; no number is used twice.
        taken: Ids that other items have.
    """
    used = {*taken}
    known: list[Item] = []
    for number, given in enumerate(items, start):
        item = given
        if not item.id or item.id in used:
            prefix = PREFIX.get(item.type or "", "item")
            digest = sha256(f"{root}:{number}".encode()).hexdigest()[:48]
            item = item.model_copy(update={"id": f"{prefix}_{digest}"})
        used.add(item.id or "")
        known.append(item)
    return known


def no_such_item(item_id: str, *, param: str) -> RequestError:
    """What a request is told whose item is not in the list."""
    return RequestError(
        f"{param}: there is no item {item_id!r} here",
        param=param,
        code="item_not_found",
        status=404,
        type="not_found_error",
    )


def invalid(param: str, expected: str, got: str) -> RequestError:
    """What a request is told one of whose values is not what it can be."""
    return RequestError(
        f"{param}: expected {expected}, got {got[:100]!r}", param=param, code="invalid_value"
    )
