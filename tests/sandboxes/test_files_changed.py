"""A cell's end says whether the files of the working directory are as they were."""

from collections.abc import AsyncGenerator

import pytest

from antiphon.sandboxes import DockerSandboxes, LocalSandboxes
from antiphon.testing.sandbox import open_new, run_cell

from .docker_kit import docker as docker, docker_sandboxes

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["local", "docker"])
def place(request: pytest.FixtureRequest) -> LocalSandboxes | DockerSandboxes:
    if request.param == "docker":
        request.getfixturevalue("docker")
        return docker_sandboxes()
    return LocalSandboxes(grace=0.5)


@pytest.fixture
async def sandboxes(
    place: LocalSandboxes | DockerSandboxes,
) -> AsyncGenerator[LocalSandboxes | DockerSandboxes]:
    async with place:
        yield place


async def test_only_a_cell_that_changes_files_says_so(
    sandboxes: LocalSandboxes | DockerSandboxes,
) -> None:
    sandbox = await open_new(sandboxes)
    told = [
        (await run_cell(sandbox, code)).finished.files_changed
        for code in (
            "1",  # nobody has looked before
            "2",
            "open('a.txt', 'w').write('1')",
            "open('a.txt').read()",
            "open('a.txt', 'w').write('22')",
            "import os; os.chdir('/')",
            "3",
            "1 / 0",
        )
    ]
    assert told == [True, False, True, False, True, False, False, False]


async def test_a_file_that_was_put_or_removed_between_cells_is_a_change(
    sandboxes: LocalSandboxes | DockerSandboxes,
) -> None:
    sandbox = await open_new(sandboxes)
    await run_cell(sandbox, "1")
    await sandbox.put("a.txt", b"1")
    assert (await run_cell(sandbox, "2")).finished.files_changed
    await sandbox.remove("a.txt")
    assert (await run_cell(sandbox, "3")).finished.files_changed
    assert not (await run_cell(sandbox, "4")).finished.files_changed


async def test_where_there_are_too_many_files_nobody_says_that_they_are_the_same(
    sandboxes: LocalSandboxes | DockerSandboxes,
) -> None:
    sandbox = await open_new(sandboxes)
    await run_cell(sandbox, "for number in range(300): open(f'{number}', 'w').close()")
    assert (await run_cell(sandbox, "1")).finished.files_changed
    await run_cell(sandbox, "import os\nfor number in range(299): os.remove(f'{number}')")
    assert not (await run_cell(sandbox, "1")).finished.files_changed
