"""The registry of containers: whose they are, their files, and that strangers find nothing."""

import gc

import anyio
import pytest

from antiphon.errors import SandboxError, SandboxFileError, SandboxNotFound, SandboxUnavailable
from antiphon.items import CodeInterpreterCall, CodeInterpreterTool
from antiphon.sandboxes import Display, Started
from antiphon.testing.tool import play
from antiphon.tools import (
    CodeInterpreter,
    Containers,
    HasContainers,
    Scope,
    Shell,
    container_name,
    figure_id,
)

from .conftest import OK, FakeSandboxes
from .test_code_containers import AUTO, logs, receipt, written

pytestmark = pytest.mark.anyio

ADA = "ada"


def test_tools_of_one_backend_share_a_registry_and_others_have_their_own() -> None:
    one, other = FakeSandboxes(), FakeSandboxes()
    tools = [CodeInterpreter(one), Shell(one), CodeInterpreter(other)]
    assert all(isinstance(tool, HasContainers) for tool in tools)
    assert tools[0].containers is tools[1].containers is Containers.of(one)
    assert tools[2].containers is not tools[0].containers


def test_a_registry_lives_as_long_as_its_backend_and_no_longer() -> None:
    sandboxes = FakeSandboxes()
    made = Containers.of(sandboxes).create(principal=ADA)
    gc.collect()
    known = Containers.of(sandboxes)
    assert known.find(made.id, ADA) == made
    del sandboxes
    gc.collect()
    with pytest.raises(SandboxUnavailable, match="keep its tool"):
        known.find(made.id, ADA)


def test_a_container_is_known_to_its_principal_alone() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    made = known.create(principal=ADA, name="mine", idle_seconds=60)
    assert (made.name, made.idle_seconds, made.status) == ("mine", 60, "running")
    assert known.find(made.id, ADA) == made
    assert [known.find(made.id, "eve"), known.find("cntr_none", ADA)] == [None, None]
    assert (known.page(ADA), known.page("eve")) == ([made], [])


def test_a_memory_limit_that_there_is_not_makes_no_container() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    with pytest.raises(SandboxError):
        known.create(principal=ADA, memory_limit="64g")
    assert known.page(ADA) == []


async def test_an_expired_container_is_told_of_and_has_no_files() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    made = known.create(principal=ADA)
    sandboxes.expired.add(made.id)
    found = known.find(made.id, ADA)
    assert found is not None and found.status == "expired"
    with pytest.raises(SandboxNotFound):
        await known.files(made.id, ADA)
    assert await known.delete(made.id, ADA)


async def test_a_deleted_container_is_gone_and_deleting_is_for_its_principal() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    made = known.create(principal=ADA)
    assert not await known.delete(made.id, "eve")
    assert await known.delete(made.id, ADA)
    assert known.find(made.id, ADA) is None and not sandboxes.owns(made.id, ADA)
    assert not await known.delete(made.id, ADA)


async def test_files_are_put_listed_read_and_removed() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    made = known.create(principal=ADA)
    file = await known.put(made.id, ADA, "a.csv", b"1,2")
    assert (file.name, file.bytes, file.source) == ("a.csv", 3, "user")
    assert await known.files(made.id, ADA) == [file]
    assert await known.file(made.id, file.id, ADA) == file
    assert await known.read(made.id, file.id, ADA) == (file, b"1,2")
    assert await known.file(made.id, "cfile_none", ADA) is None
    assert await known.read(made.id, "cfile_none", ADA) is None
    assert not await known.remove(made.id, "cfile_none", ADA)
    assert await known.remove(made.id, file.id, ADA)
    assert await known.files(made.id, ADA) == []


async def test_strangers_find_no_files_in_a_container() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    made = known.create(principal=ADA)
    file = await known.put(made.id, ADA, "a.csv", b"1,2")
    for work in (
        known.files(made.id, "eve"),
        known.file(made.id, file.id, "eve"),
        known.read(made.id, file.id, "eve"),
        known.put(made.id, "eve", "b", b""),
        known.remove(made.id, file.id, "eve"),
        known.files("cntr_none", ADA),
    ):
        with pytest.raises(SandboxNotFound, match="There is no container"):
            await work


def test_an_id_of_a_file_is_made_of_its_container_and_its_name() -> None:
    ids = {figure_id(*pair) for pair in (("c", "ab"), ("ca", "b"), ("c", "b"), ("c", "ab"))}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a.csv", "a.csv"),
        ("a\nb\x00.csv", "ab.csv"),
        ("\u202egpj.exe", "gpj.exe"),
        ("..", "file"),
        ("", "file"),
        ("a/", "file"),
        ("é" * 300 + ".csv", "é" * 98 + ".csv"),
        ("x" * 300, "x" * 200),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("\ud800.csv", ".csv"),
        ("größe 🦊.csv", "größe 🦊.csv"),
        (".antiphon-put-x", "antiphon-put-x"),
    ],
)
async def test_any_name_becomes_one_that_is_harmless(given: str, name: str) -> None:
    assert container_name(given) == name == container_name(name)
    assert len(name.encode()) <= 200


@pytest.mark.parametrize("name", ["a\u202egpj.exe", "a\nb", "\u2028", "\x9b1m", "a\u200fb"])
async def test_a_name_that_could_mislead_its_reader_is_not_listed(name: str) -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    made = known.create(principal=ADA)
    await known.put(made.id, ADA, "fine.csv", b"")
    sandboxes.opened[made.id].hold(name, b"x")
    assert [file.name for file in await known.files(made.id, ADA)] == ["fine.csv"]


async def test_a_file_that_vanishes_as_it_is_put_is_an_error() -> None:
    sandboxes = FakeSandboxes()
    known = Containers(sandboxes)
    made = known.create(principal=ADA)
    await known.put(made.id, ADA, "a", b"")
    sandboxes.opened[made.id].keeps = False
    with pytest.raises(SandboxFileError, match="'b' was gone"):
        await known.put(made.id, ADA, "b", b"")


async def test_a_file_among_thousands_is_had_without_a_listing() -> None:
    sandboxes = FakeSandboxes()
    sandboxes.ran = lambda box, code: [box.hold(f"f{n}", b"1") for n in range(1_000)] and OK  # type: ignore[func-returns-value,method-assign]
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    await play(offer, written("1"))
    known, sandbox = Containers.of(sandboxes), sandboxes.opened["cntr_0"]
    files = await known.files("cntr_0", "local")
    listed = sandbox.listed
    assert await known.file("cntr_0", files[7].id, "local") == files[7]
    assert await known.read("cntr_0", files[7].id, "local") == (files[7], b"1")
    assert await known.remove("cntr_0", files[7].id, "local")
    assert sandbox.listed == listed
    assert await known.file("cntr_0", files[7].id, "local") is None


async def test_a_file_is_told_as_it_is_while_a_cell_runs() -> None:
    running = anyio.Event()
    sandboxes = FakeSandboxes(Started(), running)
    known = Containers.of(sandboxes)
    made = known.create(principal="local")
    file = await known.put(made.id, "local", "a.csv", b"1")
    definition = CodeInterpreterTool(container=made.id)
    (offer,) = CodeInterpreter(sandboxes).offers(definition, Scope())
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play, offer, written("1"))
            await running.wait()
            sandboxes.opened[made.id].hold("a.csv", b"12345")
            found = await known.file(made.id, file.id, "local")
            assert found is not None and found.bytes == 5
            tasks.cancel_scope.cancel()


async def test_a_call_that_would_have_one_container_too_many_fails_and_says_so() -> None:
    sandboxes = FakeSandboxes()
    known = Containers.of(sandboxes)
    for _ in range(100):
        known.create(principal="local")
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    item = receipt(await play(offer, written("1")))
    assert item.status == "failed" and "100 containers already" in logs(item)
    assert len(known.page("local")) == 100
    scope = Scope(principal="eve")
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, scope)
    assert receipt(await play(offer, written("1"), scope=scope)).status == "completed"
    assert await known.delete("cntr_0", "local")
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    assert receipt(await play(offer, written("1"))).status == "completed"


# --- images


async def shown(
    sandboxes: FakeSandboxes, *images: bytes, principal: str = "local"
) -> CodeInterpreterCall:
    """The receipt of a cell that shows these images."""
    sandboxes.script = (Started(), *(Display("image/png", each) for each in images), OK)
    scope = Scope(principal=principal)
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, scope)
    return receipt(await play(offer, written("1"), scope=scope))


async def test_an_image_that_a_cell_shows_is_a_file_of_its_container() -> None:
    sandboxes = FakeSandboxes()
    item = await shown(sandboxes, b"\x89PNG 1", b"\x89PNG 2", b"\x89PNG 1")
    known = Containers.of(sandboxes)
    files = await known.files(item.container_id, "local")
    assert [(file.bytes, file.source) for file in files] == [(6, "assistant")] * 2
    assert [file.name for file in files] == [f"{file.id}.png" for file in files]
    assert await known.read(item.container_id, files[1].id, "local") == (files[1], b"\x89PNG 2")
    url = known.figure(item.container_id, files[0].id, "local")
    assert url is not None and files[0].id == figure_id(item.container_id, url)
    assert known.figure(item.container_id, files[0].id, "eve") is None
    assert await known.remove(item.container_id, files[0].id, "local")
    assert known.figure(item.container_id, files[0].id, "local") is None


async def test_images_of_a_container_have_a_bound_and_the_oldest_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antiphon.tools.container_files.FIGURES", 4_500)
    sandboxes = FakeSandboxes()
    first = await shown(sandboxes, b"1" * 10)
    container_id = first.container_id
    known = Containers.of(sandboxes)
    (oldest,) = await known.files(container_id, "local")
    for number in range(4):
        scope = Scope(items=[first])
        (offer,) = CodeInterpreter(sandboxes).offers(AUTO, scope)
        sandboxes.script = (Started(), Display("image/png", b"%d" % number * 1_000), OK)
        await play(offer, written("1"), scope=scope)
    kept = await known.files(container_id, "local")
    assert [file.bytes for file in kept] == [1_000] * 3
    assert known.figure(container_id, oldest.id, "local") is None


async def test_all_images_have_a_bound_and_containers_that_are_gone_lose_theirs_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antiphon.tools.containers.ALL_FIGURES", 13_000)
    sandboxes = FakeSandboxes()
    known, kept = Containers.of(sandboxes), list[tuple[str, str]]()
    for number in range(11):
        if number == 9:
            sandboxes.expired.add(kept[5][0])
        item = await shown(sandboxes, b"%02d" % number * 500)
        (file,) = await known.files(item.container_id, "local")
        kept.append((item.container_id, file.id))
    sandboxes.expired.clear()
    there = [known.figure(*pair, "local") is not None for pair in kept]
    assert there == [number not in (0, 5) for number in range(11)]


async def test_nobodys_images_go_for_what_another_principal_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antiphon.tools.containers.ALL_FIGURES", 5_000)
    sandboxes = FakeSandboxes()
    known = Containers.of(sandboxes)
    mine = await shown(sandboxes, b"mine", principal="ada")
    theirs = [await shown(sandboxes, b"%02d" % n * 500, principal="eve") for n in range(9)]
    (file,) = await known.files(mine.container_id, "ada")
    assert known.figure(mine.container_id, file.id, "ada") is not None
    left = [len(await known.files(each.container_id, "eve")) for each in theirs]
    assert left == [0] * 6 + [1] * 3
