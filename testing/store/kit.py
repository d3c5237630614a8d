"""What the suites of stores share: owners, records, and small comparisons."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from antiphon.items import ITEM, Item, Response, ToolCall, user
from antiphon.provider import Record, Store

MakeStore = Callable[[], Awaitable[Store]]
"""Makes an empty store of its own for each check."""

OWNER, OTHER = "alice", "mallory"


def record_of(
    name: str, *, principal: str = OWNER, before: str | None = None, text: str = "answer"
) -> Record:
    """A stored response: `resp_{name}`, with items `msg_{name}` and `tc_{name}`."""
    call = ToolCall(
        id=f"tc_{name}", status="completed", name="f", arguments='{"a":1}', output="\u2713 done"
    )
    said = ITEM.validate_python(
        {
            "type": "message",
            "id": f"msg_{name}",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": [], "x_new": [1]}],
            "x_unknown": {"kept": None},
        }
    )
    response = Response(
        id=f"resp_{name}",
        created_at=1,
        status="completed",
        model="m",
        previous_response_id=before,
        output=[call, said],
        metadata={"k": "v"},
    )
    view: dict[str, Any] = {"dialect": "openai", "extensions": False, "include": ["x"]}
    return Record(principal, response, [user(f"question {name}")], view)


async def item_of(store: Store, item_id: str | None, *, principal: str = OWNER) -> Item | None:
    """The item of this id; None where it is absent or another's."""
    found = await store.items([item_id or ""], principal=principal)
    return found.get(item_id or "")


def jsons(items: Sequence[Item]) -> list[bytes]:
    """The JSON of each."""
    return [item.to_json() for item in items]


def same(got: Sequence[Item] | None, wanted: Sequence[Item], what: str) -> None:
    """These are those items, byte for byte.

    Raises:
        AssertionError: They are others.
    """
    assert got is not None, f"{what}: expected {len(wanted)} items, got None"
    assert jsons(got) == jsons(wanted), f"{what}: expected {jsons(wanted)}, got {jsons(got)}"
