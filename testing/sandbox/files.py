"""Files in and out of a sandbox."""

from __future__ import annotations

from antiphon.sandboxes import Output, Sandboxes

from .kit import SandboxCheck, not_found, open_new, refused, run_ok, wait_for


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


async def check_files_are_removed(sandboxes: Sandboxes) -> None:
    """What is removed is gone at once, also for a cell that runs, and may be put again."""
    sandbox = await open_new(sandboxes)
    assert "early" in await refused(sandbox.remove("early.txt"))  # nothing has started yet
    await sandbox.put("one.txt", b"1")
    await sandbox.put("two.txt", b"2")
    code = "print('on')\nimport os\nwhile os.path.exists('one.txt'): pass\n" + wait_for("again")
    async for event in sandbox.run(code):
        if isinstance(event, Output):
            await sandbox.remove("../elsewhere/one.txt")  # a path is its last component
            await sandbox.put("again", b"")
    assert [file.name for file in await sandbox.files()] == ["again", "two.txt"]
    await refused(sandbox.get("one.txt"))
    await refused(sandbox.remove("one.txt"))
    await sandbox.put("one.txt", b"new")
    assert await sandbox.get("one.txt") == b"new"
    await sandbox.aclose()
    await not_found(sandbox.remove("one.txt"))


async def check_only_regular_files_are_removed(sandboxes: Sandboxes) -> None:
    """Links, pipes, folders and bad names are refused, and stay; a sparse file is a file."""
    sandbox = await open_new(sandboxes)
    code = (
        "import os\nos.mkdir('folder')\nopen('folder/kept', 'w').close()\nos.mkfifo('pipe')\n"
        "os.symlink('folder/kept', 'link')\nos.symlink('absent', 'dangling')\n"
        "os.symlink('folder', 'way')\nopen('sparse', 'wb').truncate(2**40)\n"
    )
    await run_ok(sandbox, code)
    for name in ("link", "dangling", "way", "pipe", "folder", "kept", "absent"):
        assert name in await refused(sandbox.remove(name))
    for name in ("", "..", ".", "a\0b", "x" * 300, "folder/", "\ud800"):
        await refused(sandbox.remove(name))
    await sandbox.remove("sparse")
    ran = await run_ok(sandbox, "print(sorted(os.listdir()), os.listdir('folder'))")
    assert ran.stdout == "['dangling', 'folder', 'link', 'pipe', 'way'] ['kept']\n", ran


FILE_CHECKS: list[SandboxCheck] = [
    check_files_go_in_and_out,
    check_a_file_may_be_the_first_thing,
    check_only_regular_files_come_out,
    check_names_cannot_leave_the_folder,
    check_files_are_removed,
    check_only_regular_files_are_removed,
]
