"""Which container the code interpreter uses, what stands in it, and how cells share it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from antiphon.errors import (
    ConfigurationError,
    RequestError,
    SandboxBusy,
)
from antiphon.items import (
    AutoContainer,
    CodeInterpreterCall,
    CodeInterpreterTool,
    Event,
    FileSearchTool,
    Ids,
    Item,
    Logs,
)
from antiphon.sandboxes import (
    Started,
)
from antiphon.testing.tool import begin, check_call_events, play
from antiphon.tools import CodeInterpreter, Scope, Slot

from .conftest import OK, FakeSandboxes

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from tools.container_files import Stock
    from tools.container_terms import Terms
    from tools.containers import Containers
else:
    from antiphon.tools.container_files import Stock
    from antiphon.tools.container_terms import Terms
    from antiphon.tools.containers import Containers

pytestmark = pytest.mark.anyio


AUTO = CodeInterpreterTool()


def written(code: str) -> str:
    return json.dumps({"code": code})


def receipt(events: list[Event]) -> CodeInterpreterCall:
    item = check_call_events(events)
    assert isinstance(item, CodeInterpreterCall)
    return item


def logs(item: CodeInterpreterCall) -> str:
    assert item.outputs is not None
    return "".join(part.logs for part in item.outputs if isinstance(part, Logs))


# --- containers


def call_item(container: str) -> CodeInterpreterCall:
    return CodeInterpreterCall(status="completed", container_id=container, code="1", outputs=[])


async def used(
    sandboxes: FakeSandboxes, definition: CodeInterpreterTool, items: list[Item]
) -> list[str]:
    """The containers of two calls of one request."""
    scope = Scope(principal="ada", items=items)
    (offer,) = CodeInterpreter(sandboxes).offers(definition, scope)
    slots = [Slot("item_1", 3), Slot("item_2", 4)]
    played = [await play(offer, written("1"), scope=scope, slot=slot) for slot in slots]
    ends: list[Any] = [events[-1] for events in played]
    return [end.item.container_id for end in ends]


async def test_nothing_is_minted_or_started_before_the_model_calls() -> None:
    sandboxes = FakeSandboxes()
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    assert sandboxes.owners == {}
    begin(offer).open()
    assert (list(sandboxes.owners), sandboxes.opened) == (["cntr_0"], {})


async def test_calls_of_one_request_share_a_new_container() -> None:
    assert await used(FakeSandboxes(), AUTO, []) == ["cntr_0", "cntr_0"]


async def test_auto_goes_on_in_the_last_container_that_is_alive_and_owned() -> None:
    sandboxes = FakeSandboxes()
    mine = [sandboxes.mint(principal="ada") for _ in range(2)]
    foreign = sandboxes.mint(principal="eve")
    items: list[Item] = [call_item(key) for key in (*mine, foreign, "cntr_gone")]
    assert await used(sandboxes, AUTO, items) == [mine[1], mine[1]]


async def test_a_container_with_another_memory_limit_is_not_taken() -> None:
    sandboxes = FakeSandboxes()
    unknown = sandboxes.mint(principal="ada")
    asked = CodeInterpreterTool(container=AutoContainer(memory_limit="4g"))
    assert await used(sandboxes, asked, [call_item(unknown)]) == ["cntr_1", "cntr_1"]
    assert sandboxes.limits == [None, "4g"]


async def test_a_container_with_the_limit_that_is_asked_for_is_taken_again() -> None:
    sandboxes = FakeSandboxes()
    tool = CodeInterpreter(sandboxes)
    asked = CodeInterpreterTool(container=AutoContainer(memory_limit="4g"))
    for items in ([], [call_item("cntr_0")]):
        scope = Scope(items=items)
        begin(tool.offers(asked, scope)[0], scope=scope).open()
    assert sandboxes.limits == ["4g"]


async def test_a_memory_limit_that_the_backend_refuses_fails_the_call() -> None:
    asked = CodeInterpreterTool(container=AutoContainer(memory_limit="64g"))
    (offer,) = CodeInterpreter(FakeSandboxes()).offers(asked, Scope())
    assert logs(receipt(await play(offer, written("1")))) == "There is no room for 64g here.\n"


async def test_a_container_that_expired_between_calls_is_replaced() -> None:
    sandboxes = FakeSandboxes()
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    await play(offer, written("1"))
    sandboxes.owners.clear()
    assert receipt(await play(offer, written("1"))).container_id == "cntr_1"


NEW = "[a new container: variables and files of earlier calls are not in it]\n"


@pytest.mark.parametrize("gone", ["cntr_gone", "cntr_0"], ids=["expired", "of another memory"])
async def test_the_first_cell_in_place_of_another_container_says_so(gone: str) -> None:
    sandboxes = FakeSandboxes()
    sandboxes.mint(principal="ada")
    asked = CodeInterpreterTool(container=AutoContainer(memory_limit="4g"))
    scope = Scope(principal="ada", items=[call_item(gone)])
    (offer,) = CodeInterpreter(sandboxes).offers(asked, scope)
    said = [logs(receipt(await play(offer, written("1"), scope=scope))) for _ in range(2)]
    assert said == [NEW, ""]


async def test_a_cell_that_never_began_leaves_it_to_the_next_one_to_say() -> None:
    sandboxes = FakeSandboxes(SandboxBusy("All are in use.", retry_after=1))
    scope = Scope(items=[call_item("cntr_gone")])
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, scope)
    assert NEW not in logs(receipt(await play(offer, written("1"), scope=scope)))
    sandboxes.script = (Started(), OK)
    assert logs(receipt(await play(offer, written("1"), scope=scope))) == NEW


async def test_a_call_that_had_no_container_is_none_to_be_missed() -> None:
    scope = Scope(items=[call_item("")])
    (offer,) = CodeInterpreter(FakeSandboxes()).offers(AUTO, scope)
    assert logs(receipt(await play(offer, written("1"), scope=scope))) == ""


def expiring(after: Any) -> CodeInterpreterTool:
    place = {"type": "auto", "expires_after": after}
    return CodeInterpreterTool.model_validate({"type": "code_interpreter", "container": place})


async def test_a_container_expires_when_the_definition_says() -> None:
    sandboxes = FakeSandboxes()
    later = expiring({"anchor": "last_active_at", "minutes": 5})
    assert await used(sandboxes, later, []) == ["cntr_0", "cntr_0"]
    assert await used(sandboxes, later, [call_item("cntr_0")]) == ["cntr_0", "cntr_0"]
    sooner = expiring({"anchor": "last_active_at", "minutes": 1})
    assert await used(sandboxes, sooner, [call_item("cntr_0")]) == ["cntr_1", "cntr_1"]
    assert sandboxes.idle == {"cntr_0": 300, "cntr_1": 60}


@pytest.mark.parametrize(
    "after",
    [5, {"minutes": 5}, {"anchor": "last_active_at"}]
    + [{"anchor": "last_active_at", "minutes": given} for given in (0, 21, 1.5, "5", True)],
)
async def test_a_time_to_expire_that_is_none_is_refused_by_name(after: Any) -> None:
    with pytest.raises(RequestError, match="minutes") as refused:
        CodeInterpreter(FakeSandboxes()).offers(expiring(after), Scope())
    assert (refused.value.status, refused.value.param) == (400, "container.expires_after")


async def test_containers_that_are_gone_are_forgotten() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    for _ in range(1_000):
        async with known.use(known.choose([], "ada", Ids(), Terms()), "ada", Stock()):
            pass
        sandboxes.owners.clear()
    assert len(known) <= 64


async def test_an_explicit_container_is_used_if_it_is_owned() -> None:
    sandboxes = FakeSandboxes()
    mine = sandboxes.mint(principal="ada")
    other = sandboxes.mint(principal="ada")
    wanted = CodeInterpreterTool(container=mine)
    assert await used(sandboxes, wanted, [call_item(other)]) == [mine, mine]


@pytest.mark.parametrize("owner", ["eve", None])
async def test_a_container_that_is_foreign_or_absent_is_the_same_404(owner: str | None) -> None:
    sandboxes = FakeSandboxes()
    key = sandboxes.mint(principal=owner) if owner else "cntr_0"
    with pytest.raises(RequestError) as caught:
        CodeInterpreter(sandboxes).offers(CodeInterpreterTool(container=key), Scope())
    error = caught.value
    assert (error.status, error.code, error.param) == (404, "container_not_found", "container")
    assert "'cntr_0'" in error.message


async def test_files_of_a_request_are_refused_by_name_and_none_are_fine() -> None:
    tool = CodeInterpreter(FakeSandboxes())
    with pytest.raises(RequestError) as caught:
        tool.offers(CodeInterpreterTool(container=AutoContainer(file_ids=["file_1"])), Scope())
    assert (caught.value.param, caught.value.status) == ("container.file_ids", 400)
    assert tool.offers(CodeInterpreterTool(container=AutoContainer(file_ids=[])), Scope())


async def test_a_definition_of_another_type_is_refused() -> None:
    with pytest.raises(RequestError, match="code_interpreter, got 'file_search'"):
        CodeInterpreter(FakeSandboxes()).offers(FileSearchTool(vector_store_ids=[]), Scope())


# --- construction and files


async def test_files_are_put_into_each_container_once_before_its_first_cell(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b")
    sandboxes = FakeSandboxes()
    tool = CodeInterpreter(sandboxes, files=[path, ("note.txt", b"hi")])
    (offer,) = tool.offers(AUTO, Scope())
    await play(offer, written("1"))
    sandbox = sandboxes.opened["cntr_0"]
    assert sandbox.held == {"data.csv": b"a,b", "note.txt": b"hi"}
    sandbox.held.clear()
    await play(offer, written("2"))
    assert sandbox.held == {}
    assert "Files there: data.csv, note.txt." in (offer.function.description or "")


async def test_a_file_that_vanished_fails_the_call_without_its_path(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"")
    (offer,) = CodeInterpreter(FakeSandboxes(), files=[path]).offers(AUTO, Scope())
    path.unlink()
    said = logs(receipt(await play(offer, written("1"))))
    assert "'data.csv' cannot be read" in said and str(tmp_path) not in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"files": ["absent.csv"]}, "the path of a file, got 'absent.csv'"),
        ({"files": ["."]}, "the path of a file"),
        ({"files": [("a", b""), ("x/a", b"")]}, "two files are named 'a'"),
        ({"files": [("", b"")]}, "expected a name"),
        ({"timeout": 0}, "timeout above 0"),
    ],
    ids=str,
)
def test_a_wrong_construction_is_a_configuration_error(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        CodeInterpreter(FakeSandboxes(), **options)


async def test_the_description_tells_of_the_place_or_is_the_users_own() -> None:
    sandboxes = FakeSandboxes()
    tool = CodeInterpreter(sandboxes, timeout=7)
    (offer,) = tool.offers(AUTO, Scope())
    told = offer.function.description or ""
    assert "/mnt/data" in told and "7 seconds" in told and tool.isolation == "container"
    (other,) = CodeInterpreter(sandboxes, description="Mine.").offers(AUTO, Scope())
    assert other.function.description == "Mine."
    await play(offer, written("1"))
    assert sandboxes.timeouts == [7]


async def test_closing_closes_the_sandboxes() -> None:
    sandboxes = FakeSandboxes()
    await CodeInterpreter(sandboxes).aclose()
    assert sandboxes.closed == 1


# --- concurrency


async def test_cells_of_one_container_run_in_the_order_of_their_calls() -> None:
    sandboxes = FakeSandboxes()
    (offer,) = CodeInterpreter(sandboxes, files=[("a", b""), ("b", b"")]).offers(AUTO, Scope())
    calls = [begin(offer, slot=Slot(f"item_{n}", n)) for n in range(8)]
    for number, call in enumerate(calls):
        call.open()
        call.ready(written(str(number)))

    async def drive(number: int) -> None:
        async for _ in calls[number].run():
            pass

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(drive, number)
    assert sandboxes.opened["cntr_0"].cells == [str(number) for number in range(8)]


async def test_a_cancelled_cell_leaves_the_container_to_the_next_one() -> None:
    running = anyio.Event()
    sandboxes = FakeSandboxes(Started(), running)
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    seen: list[str] = []

    async def drive() -> None:
        call = begin(offer)
        call.open()
        call.ready(written("while True: pass"))
        async for event in call.run():
            seen.append(event.type.rpartition(".")[2])

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drive)
            await running.wait()
            tasks.cancel_scope.cancel()
        sandboxes.script = (Started(), OK)
        assert receipt(await play(offer, written("1"))).container_id == "cntr_0"
    assert seen == ["interpreting"]
