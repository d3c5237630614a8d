"""What the registry knows of files when cells are cut, containers die, and listings have an end."""

import json
from collections.abc import Mapping

import anyio
import pytest

from antiphon.items import (
    CodeInterpreterCall,
    CodeInterpreterTool,
    Item,
)
from antiphon.sandboxes import FILE_COUNT, Finished, Started
from antiphon.testing.tool import begin, play
from antiphon.tools import CodeInterpreter, Containers, Scope

from .conftest import OK, FakeSandbox
from .test_code_containers import AUTO, receipt, written
from .test_code_files import Kept, Writing, asked, logs

pytestmark = pytest.mark.anyio

TWO = {"file_A": ("data.csv", b"A"), "file_B": ("data.csv", b"B")}


async def cell(
    tool: CodeInterpreter, scope: Scope, definition: CodeInterpreterTool, **files: str
) -> CodeInterpreterCall:
    """The receipt of a cell that writes these files, in a response of its own."""
    (offer,) = tool.offers(definition, scope)
    return receipt(await play(offer, written(json.dumps(files)), scope=scope))


def house(uploads: Mapping[str, tuple[str, bytes]]) -> tuple[Writing, CodeInterpreter, Scope]:
    """A conversation that goes on in one container."""
    sandboxes, items = Writing(), list[Item]()
    return sandboxes, CodeInterpreter(sandboxes), Scope(uploads=Kept(uploads), items=items)


async def first(tool: CodeInterpreter, scope: Scope, *file_ids: str) -> None:
    """The first response of it."""
    items = scope.items
    assert isinstance(items, list)
    items.append(await cell(tool, scope, asked(*file_ids)))


# --- which upload has a name


async def test_a_name_holds_the_upload_that_the_last_request_gave_it() -> None:
    sandboxes, tool, scope = house(TWO)
    await first(tool, scope, "file_A", "file_B")
    held = sandboxes.opened["cntr_0"].held
    assert held == {"data.csv": b"A", "2-data.csv": b"B"}
    for file_id, data in (("file_B", b"B"), ("file_A", b"A"), ("file_B", b"B")):
        await cell(tool, scope, asked(file_id))
        assert held["data.csv"] == data


async def test_an_upload_with_the_name_of_a_file_of_the_tool_stands_in_its_place() -> None:
    sandboxes, uploads = Writing(), Kept({"file_A": ("data.csv", b"A")})
    tool = CodeInterpreter(sandboxes, files=[("data.csv", b"own")])
    scope = Scope(uploads=uploads, items=(items := list[Item]()))
    for _ in range(3):
        items.append(await cell(tool, scope, asked("file_A")))
        assert sandboxes.opened["cntr_0"].held == {"data.csv": b"A"}
    assert uploads.reads == ["file_A"]


# --- cut cells


async def test_what_a_cut_cell_wrote_is_known_and_is_no_other_cells() -> None:
    running = anyio.Event()
    sandboxes = Writing()
    tool = CodeInterpreter(sandboxes)
    (offer,) = tool.offers(AUTO, Scope())
    await play(offer, written('{"first.csv": ""}'))
    sandbox = sandboxes.opened["cntr_0"]
    sandboxes.script = (Started(), running)

    async def drive() -> None:
        call = begin(offer)
        call.open()
        call.ready(written("{}"))
        async for _ in call.run():
            pass

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drive)
            await running.wait()
            sandbox.hold("cut.csv", b"1")
            tasks.cancel_scope.cancel()
    sandboxes.script = (Started(), OK)
    assert logs(receipt(await play(offer, written("{}")))) == ""
    known = [file.name for file in tool.containers.made("cntr_0", "local")]
    assert known == ["cut.csv", "first.csv"]
    told = logs(receipt(await play(offer, written('{"b.csv": ""}'))))
    assert told == "[Files written: b.csv (0 bytes)]\n"


# --- containers that die between two responses


async def test_files_that_were_lost_between_two_responses_are_there_for_the_first_cell() -> None:
    sandboxes, tool, scope = house({"file_A": ("data.csv", b"A")})
    await first(tool, scope, "file_A")
    sandbox = sandboxes.opened["cntr_0"]
    sandbox.held.clear()  # nobody was there to see it
    seen: list[dict[str, bytes]] = []

    def ran(box: FakeSandbox, code: str) -> Finished:
        seen.append(dict(box.held))
        return Finished("ok", None, True, 2)

    sandboxes.ran = ran  # type: ignore[method-assign]
    await cell(tool, scope, asked("file_A"))
    assert seen == [{"data.csv": b"A"}]


async def test_a_response_without_files_costs_no_listing_before_its_cell() -> None:
    sandboxes, tool, scope = house({})
    await first(tool, scope)
    await cell(tool, scope, AUTO)
    assert sandboxes.opened["cntr_0"].listed == 0


# --- listings have an end


async def test_where_a_listing_has_an_end_what_code_has_changed_stays_changed() -> None:
    sandboxes, tool, scope = house({"file_A": ("zz.csv", b"A")})
    await first(tool, scope, "file_A")
    sandbox = sandboxes.opened["cntr_0"]
    for number in range(FILE_COUNT + 1):  # zz.csv stands behind the end
        sandbox.hold(f"f{number}", b"")
    await cell(tool, scope, asked("file_A"), **{"zz.csv": "changed"})
    for _ in range(20):
        await cell(tool, scope, asked("file_A"), x="")
        assert sandbox.held["zz.csv"] == b"changed"


async def test_an_upload_among_thousands_of_files_is_put_once() -> None:
    sandboxes, tool, scope = house({"file_A": ("zz.csv", b"A")})
    await first(tool, scope)
    sandbox = sandboxes.opened["cntr_0"]
    for number in range(FILE_COUNT + 1):
        sandbox.hold(f"f{number}", b"")
    for _ in range(3):
        await cell(tool, scope, asked("file_A"), x="")
    uploads = scope.uploads
    assert isinstance(uploads, Kept) and uploads.reads == ["file_A"]
    assert sandbox.held["zz.csv"] == b"A"


async def test_where_a_listing_has_an_end_a_file_is_put_all_the_same() -> None:
    sandboxes = Writing()
    known = Containers.of(sandboxes)
    made = known.create(principal="local")
    await known.put(made.id, "local", "a", b"")
    sandbox = sandboxes.opened[made.id]
    for number in range(FILE_COUNT + 1):
        sandbox.hold(f"f{number}", b"")
    file = await known.put(made.id, "local", "zz.txt", b"hi")
    assert (file.name, file.bytes, file.source) == ("zz.txt", 2, "user")
    read = await known.read(made.id, file.id, "local")
    assert read is not None and read[1] == b"hi"


async def test_a_file_that_a_client_put_among_thousands_is_not_told_as_a_cells() -> None:
    _, tool, scope = house({})
    items = scope.items
    assert isinstance(items, list)
    many = {f"f{number:04}": "" for number in range(1_000)}
    items.append(await cell(tool, scope, AUTO, **many))
    file = await tool.containers.put("cntr_0", "local", "mine.csv", b"1,2")
    told = [logs(await cell(tool, scope, AUTO, x=str(number))) for number in range(16)]
    assert told[-1] == "[Files written: x (2 bytes)]\n" and set(told[:-1]) == {""}
    found = await tool.containers.file("cntr_0", file.id, "local")
    assert found is not None and found.source == "user"


# --- memory


class Weighed(Kept):
    """Uploads that tell how many are held at a time: each until its sandbox has it."""

    def __init__(self, count: int) -> None:
        super().__init__({f"file_{n}": (f"{n}.bin", b"x") for n in range(count)})
        self.held = 0
        self.most = 0

    async def read(self, file_id: str, *, limit: int) -> bytes:
        self.held += 1
        self.most = max(self.most, self.held)
        await anyio.lowlevel.checkpoint()
        return await super().read(file_id, limit=limit)


async def test_responses_of_one_principal_hold_two_uploads_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandboxes, uploads = Writing(), Weighed(8)
    put = FakeSandbox.put

    async def arrives(self: FakeSandbox, name: str, data: bytes) -> None:
        await put(self, name, data)
        uploads.held -= 1

    monkeypatch.setattr(FakeSandbox, "put", arrives)
    tool = CodeInterpreter(sandboxes)

    async def one(number: int, principal: str) -> None:
        scope = Scope(uploads=uploads, principal=principal)
        (offer,) = tool.offers(asked(f"file_{number}"), scope)
        await play(offer, written("{}"), scope=scope)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(one, number, "ada")
    assert uploads.most == 2
    assert sum(len(box.held) for box in sandboxes.opened.values()) == 8
