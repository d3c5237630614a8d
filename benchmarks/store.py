"""What it costs to keep a conversation: SqlStore, turn by turn, and against SQL written by hand.

A turn is what the provider does for `previous_response_id`: load the response, read its history,
save the next one. CPU time of the process, its worker threads included.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import anyio
from measure import Row, Table, compared, options

from antiphon.items import Item, Message, OutputText, Response, ToolCall, user
from antiphon.provider import Record, SqlStore

TURNS = 100
WORDS = "the quick brown fox jumps over the lazy dog and says that it was nothing at all; "


def record_of(lane: str, at: int) -> Record:
    """One turn: a question of 200 characters, a tool's receipt of 400, an answer of 800."""
    text = OutputText(text=(WORDS * 10)[:800], annotations=[])
    output: list[Item] = [
        ToolCall(
            id=f"tc_{lane}_{at:044d}",
            status="completed",
            name="search",
            arguments=json.dumps({"query": WORDS}),
            output=(WORDS * 4)[:300],
        ),
        Message(id=f"msg_{lane}_{at:043d}", status="completed", role="assistant", content=[text]),
    ]
    response = Response(
        id=_id(lane, at),
        created_at=at,
        status="completed",
        model="model",
        previous_response_id=_id(lane, at - 1) if at else None,
        output=output,
    )
    view: dict[str, Any] = {
        "dialect": "openai",
        "extensions": False,
        "include": [],
        "obfuscate": False,
    }
    return Record("alice", response, [user((WORDS * 3)[:200])], view)


def _id(lane: str, at: int) -> str:
    return f"resp_{lane}_{at:042d}"


def items_of(record: Record) -> list[Item]:
    """The items that a turn adds."""
    return [*record.given, *record.response.output]


async def cpu(work: Callable[[], Awaitable[object]]) -> float:
    """CPU seconds that some work takes."""
    before = time.process_time()
    await work()
    return time.process_time() - before


class Turns:
    """A hundred turns of a conversation, each measured in its two halves."""

    def __init__(self, store: SqlStore, lane: str) -> None:
        self._store = store
        self._lane = lane
        self.reads: list[float] = []
        self.saves: list[float] = []

    async def run(self) -> None:
        """Have the conversation."""
        for at in range(TURNS):
            record = record_of(self._lane, at)
            self.reads.append(await cpu(lambda at=at: self._before(at)))
            self.saves.append(await cpu(lambda record=record: self._store.save(record)))

    async def _before(self, at: int) -> None:
        if not at:
            return
        record = await self._store.load(_id(self._lane, at - 1), principal="alice")
        assert record is not None
        earlier = record.response.previous_response_id
        if earlier is not None:
            said = await self._store.chain(earlier, principal="alice")
            assert len(said.items) == (at - 1) * 3


async def conversation(table: Table, folder: Path, *, rounds: int) -> None:
    """What the hundredth turn costs, and what is on the disk."""
    samples: list[Turns] = []
    store = SqlStore(f"sqlite+aiosqlite:///{folder / 'turns.db'}")
    for number in range(rounds):
        samples.append(Turns(store, f"{number}"))
        await samples[-1].run()
    await store.aclose()
    halves = {"save": [each.saves for each in samples], "read": [each.reads for each in samples]}
    for case, found in halves.items():
        late, early = ([_around(each, at) for each in found] for at in (95, 10))
        table.add(
            compared(
                f"{case}, turn 100 to turn 10",
                late,
                early,
                unit="ms",
                scale=1000,
                budget=1.5 if case == "save" else None,
            )
        )
    whole = [sum(each.reads) + sum(each.saves) for each in samples]
    table.note(f"the whole conversation: {median(whole) * 1000:.0f} ms of CPU in {TURNS} turns")
    records = [record_of("0", at) for at in range(TURNS)]
    json_bytes = rounds * sum(len(each.to_json()) for one in records for each in items_of(one))
    envelopes = rounds * sum(
        len(one.response.model_copy(update={"output": []}).to_json()) for one in records
    )
    disk = (folder / "turns.db").stat().st_size
    for case, given in ("items", json_bytes), ("items and envelopes", json_bytes + envelopes):
        ours, theirs = f"{disk / 1000:.0f} kB", f"{given / 1000:.0f} kB"
        table.add(Row(f"disk to the JSON of {case}", ours, theirs, disk / given))


def _around(samples: Sequence[float], at: int) -> float:
    """One turn's cost, as the median of those next to it."""
    return median(samples[at - 5 : at + 5])


async def by_hand(table: Table, folder: Path, *, rounds: int, turns: int) -> None:
    """SqlStore against the least that keeps the same JSON: one table, one row, one commit."""
    import aiosqlite

    store = SqlStore(f"sqlite+aiosqlite:///{folder / 'ours.db'}")
    raw = await aiosqlite.connect(folder / "raw.db")
    for setting in "journal_mode = WAL", "synchronous = FULL":
        await raw.execute(f"pragma {setting}")
    await raw.execute("create table kept (id text primary key, json blob)")
    ours: dict[str, list[float]] = {"save": [], "load": []}
    theirs: dict[str, list[float]] = {"save": [], "load": []}
    await store.save(record_of("warm", 0))
    for number in range(rounds):
        records = [record_of(f"{number}", at) for at in range(turns)]

        async def save(records: list[Record] = records) -> None:
            for record in records:
                await store.save(record)

        async def load(records: list[Record] = records) -> None:
            for record in records:
                assert await store.load(record.response.id, principal="alice")

        async def insert(records: list[Record] = records) -> None:
            for record in records:
                given = b"[" + b",".join(each.to_json() for each in record.given) + b"]"
                kept = b"[" + record.response.to_json() + b"," + given + b"]"
                await raw.execute("insert into kept values (?, ?)", (record.response.id, kept))
                await raw.commit()

        async def select(records: list[Record] = records) -> None:
            for record in records:
                asked = "select json from kept where id = ?"
                (row,) = await raw.execute_fetchall(asked, (record.response.id,))
                Response.model_validate(json.loads(row[0])[0])

        for case, mine, other in ("save", save, insert), ("load", load, select):
            ours[case].append(await cpu(mine) / turns)
            theirs[case].append(await cpu(other) / turns)
    await store.aclose()
    await raw.close()
    for case in ours:
        row = compared(
            f"{case}, to SQL by hand over aiosqlite",
            ours[case],
            theirs[case],
            unit="ms",
            scale=1000,
        )
        table.add(row)


async def crowd(table: Table, folder: Path, *, rounds: int, many: int) -> None:
    """Many who save at once, against the same one after the other."""
    store = SqlStore(f"sqlite+aiosqlite:///{folder / 'crowd.db'}")
    await store.save(record_of("warm", 0))
    together: list[float] = []
    alone: list[float] = []
    for number in range(rounds):

        async def at_once(number: int = number) -> None:
            async with anyio.create_task_group() as tasks:
                for at in range(many):
                    tasks.start_soon(store.save, record_of(f"many{number}", at))

        async def one_by_one(number: int = number) -> None:
            for at in range(many):
                await store.save(record_of(f"one{number}", at))

        together.append(await cpu(at_once) / many)
        alone.append(await cpu(one_by_one) / many)
    await store.aclose()
    case = f"save, {many} at once to one by one"
    table.add(compared(case, together, alone, unit="ms", scale=1000, budget=1.0))


async def main(*, quick: bool) -> Table:
    """All of it, in a folder that is thrown away."""
    table = Table("Store: a conversation of 100 turns, three items each")
    with tempfile.TemporaryDirectory() as name:
        await conversation(table, Path(name), rounds=3 if quick else 9)
        await by_hand(table, Path(name), rounds=5 if quick else 15, turns=50)
        await crowd(table, Path(name), rounds=5 if quick else 15, many=100)
    return table


if __name__ == "__main__":
    asked = options(__doc__ or "")
    result = asyncio.run(main(quick=asked.quick))
    result.show()
    with suppress(BrokenPipeError):
        sys.exit(int(asked.gate and not result.holds))
