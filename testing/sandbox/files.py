"""Files in and out of a sandbox, and whose it is."""

from __future__ import annotations

from antiphon.errors import SandboxError
from antiphon.sandboxes import Sandboxes

from .kit import (
    PRINCIPAL,
    SandboxCheck,
    not_found,
    open_new,
    refused,
    run_ok,
)


async def check_files_go_in_and_out(sandboxes: Sandboxes) -> None:
    """Bytes come back as they went in, from cells and to cells; a put replaces."""
    sandbox = await open_new(sandboxes)
    data = bytes(range(256)) * 4096
    await sandbox.put("in.bin", data)
    ran = await run_ok(
        sandbox, "d = open('in.bin','rb').read()\nopen('out.bin','wb').write(d[::-1])"
    )
    assert ran.shown[0].text == str(len(data))
    assert await sandbox.get("out.bin") == data[::-1]
    await sandbox.put("in.bin", b"")
    assert await sandbox.get("in.bin") == b""
    await run_ok(sandbox, "import os\nos.mkdir('folder')")
    files = await sandbox.files()
    assert [(file.name, file.size) for file in files] == [("in.bin", 0), ("out.bin", len(data))]
    assert all(file.modified > 1_600_000_000 for file in files)


async def check_a_file_may_be_the_first_thing(sandboxes: Sandboxes) -> None:
    """A put starts what it needs; before anything there are no files."""
    sandbox = await open_new(sandboxes)
    assert await sandbox.files() == []
    await refused(sandbox.get("early.txt"))
    await sandbox.put("early.txt", b"early")
    assert (await run_ok(sandbox, "print(open('early.txt').read())")).stdout == "early\n"


async def check_only_regular_files_come_out(sandboxes: Sandboxes) -> None:
    """Links, pipes, devices, folders, absent and oversized files are refused, at once."""
    sandbox = await open_new(sandboxes)
    code = (
        "import os\nos.symlink('/etc/passwd', 'link')\nos.mkfifo('pipe')\nos.mkdir('folder')\n"
        "os.symlink('/dev/zero', 'zero')\nopen('big', 'wb').truncate(2**40)\n"
    )
    await run_ok(sandbox, code)
    for name in ("link", "pipe", "folder", "zero", "absent", "big"):
        assert name in await refused(sandbox.get(name))
    assert [file.name for file in await sandbox.files()] == ["big"]
    await sandbox.put("link", b"mine")  # replaces the link, never what it points to
    assert await sandbox.get("link") == b"mine"
    await sandbox.put("four", b"1234")
    assert await sandbox.get("four", limit=4) == b"1234"
    await refused(sandbox.get("four", limit=3))


async def check_names_cannot_leave_the_folder(sandboxes: Sandboxes) -> None:
    """A path is reduced to its last component; what is no name at all is refused."""
    sandbox = await open_new(sandboxes)
    await sandbox.put("../../etc/one.txt", b"1")
    await sandbox.put("C:\\temp\\two.txt", b"2")
    assert [file.name for file in await sandbox.files()] == ["one.txt", "two.txt"]
    assert await sandbox.get("/somewhere/one.txt") == b"1"
    for name in ("", "..", "a/..", ".", "a\0b", "x" * 300, "a/", "\ud800"):
        await refused(sandbox.put(name, b""))


async def check_an_id_belongs_to_its_principal(sandboxes: Sandboxes) -> None:
    """The owner gets the same sandbox again; for others the id does not exist."""
    minted = sandboxes.mint(principal="alice")
    assert minted.startswith("cntr_") and minted != sandboxes.mint(principal="alice")
    assert sandboxes.owns(minted, "alice") and not sandboxes.owns(minted, "bob")
    sandbox = await sandboxes.open(container_id=minted, principal="alice")
    assert sandbox.id == minted
    await run_ok(sandbox, "kept = 1")
    again = await sandboxes.open(container_id=minted, principal="alice")
    assert (await run_ok(again, "print(kept)")).stdout == "1\n"
    foreign = await not_found(sandboxes.open(container_id=minted, principal="bob"))
    absent = await not_found(sandboxes.open(container_id="cntr_no", principal="bob"))
    assert foreign.replace(minted, "cntr_no") == absent


async def check_memory_limits_are_among_the_known(sandboxes: Sandboxes) -> None:
    """An unknown limit is refused; a limit can be set until something runs, not later."""
    minted = sandboxes.mint(principal=PRINCIPAL, memory_limit="1g")
    sandbox = await sandboxes.open(container_id=minted, principal=PRINCIPAL, memory_limit="4g")
    await run_ok(sandbox, "1")
    for limit in ("16g", "3g", "lots"):
        try:
            await sandboxes.open(container_id=minted, principal=PRINCIPAL, memory_limit=limit)
        except SandboxError:
            continue
        raise AssertionError(f"the limit {limit} was taken")


FILE_CHECKS: list[SandboxCheck] = [
    check_files_go_in_and_out,
    check_a_file_may_be_the_first_thing,
    check_only_regular_files_come_out,
    check_names_cannot_leave_the_folder,
    check_an_id_belongs_to_its_principal,
    check_memory_limits_are_among_the_known,
]
