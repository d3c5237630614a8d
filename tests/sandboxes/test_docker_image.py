"""The image: named by what it is made of, built once, and told about while it is built."""

import anyio
import pytest

from antiphon.errors import SandboxUnavailable
from antiphon.sandboxes import build_image, image_fingerprint
from antiphon.testing.sandbox import open_new, run_ok

from .docker_kit import ask, docker as docker, docker_sandboxes


def test_the_tag_changes_with_the_base_and_the_packages() -> None:
    tags = {image_fingerprint("a"), image_fingerprint("b"), image_fingerprint("a", ["scipy"])}
    assert len(tags) == 3 and image_fingerprint("a") == image_fingerprint("a")


def test_the_tag_changes_with_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image_fingerprint("a")
    parts = ("images/Dockerfile", "images/prepare.py", "runner/zygote.py")
    monkeypatch.setattr("antiphon.sandboxes.image._PARTS", parts)
    assert image_fingerprint("a") != before


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_an_image_is_built_once_and_its_log_is_the_progress() -> None:
    with anyio.fail_after(300):
        lines: list[str] = []
        tag = await build_image(rebuild=True, progress=lines.append)
        assert tag.startswith("antiphon-sandbox:")
        assert any(line.startswith("Step ") for line in lines)
        assert any("Successfully built" in line for line in lines)
        again: list[str] = []
        assert await build_image(progress=again.append) == tag and not again


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_a_base_that_is_nowhere_is_said_with_a_cure() -> None:
    with anyio.fail_after(60):
        with pytest.raises(SandboxUnavailable, match=r"(?s)localhost:1/none.*_SANDBOX_BASE"):
            await build_image(base="localhost:1/none:1")


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_a_build_that_fails_is_told_with_its_log() -> None:
    with anyio.fail_after(120):
        with pytest.raises(SandboxUnavailable, match=r"(?s)cannot be built.*non-zero code"):
            await build_image(extra=["antiphon@file:///nowhere"])


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_the_image_has_a_user_packages_bytecode_and_fonts() -> None:
    code = (
        "import getpass, os, pathlib, sys, pandas, numpy, matplotlib, openpyxl, PIL\n"
        "print(getpass.getuser(), os.getcwd(), os.path.expanduser('~'))\n"
        "print(pandas.__cached__ is not None and os.path.exists(pandas.__cached__))\n"
        "print(sorted(p.suffix for p in pathlib.Path('/tmp/.matplotlib').iterdir()))\n"
        "print([p for p in sys.path if 'antiphon' in p])"
    )
    with anyio.fail_after(60):
        async with docker_sandboxes() as sandboxes:
            ran = await run_ok(await open_new(sandboxes), code)
    lines = ran.stdout.splitlines()
    assert lines[:2] == ["sandbox /mnt/data /mnt/data", "True"], ran
    assert ".json" in lines[2] and lines[3] == "[]"


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_a_chart_is_a_picture() -> None:
    code = (
        "import pandas, matplotlib.pyplot as plt\n"
        "pandas.DataFrame({'rides': [3, 1, 2]}).plot()\nplt.title('Rides')"
    )
    with anyio.fail_after(60):
        async with docker_sandboxes() as sandboxes:
            ran = await run_ok(await open_new(sandboxes), code)
    pictures = [shown.data for shown in ran.shown if shown.mime == "image/png"]
    assert len(pictures) == 1 and pictures[0].startswith(b"\x89PNG") and not ran.stderr


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_two_interpreters_of_a_container_draw_different_numbers() -> None:
    code = "import numpy, random\nprint(numpy.random.random(), random.random())"
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=1) as sandboxes:
            await sandboxes.warm_up()
            sandbox = await open_new(sandboxes)
            first = (await run_ok(sandbox, code)).stdout.split()
            async for _ in sandbox.run("import os\nos._exit(0)"):
                pass
            second = (await run_ok(sandbox, code)).stdout.split()
    assert not set(first) & set(second)


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_the_container_has_the_flags_that_keep_strangers_in() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes() as sandboxes:
            await run_ok(await open_new(sandboxes), "1")
            wanted = {"label": [f"antiphon.owner={sandboxes.owner}"]}
            (box,) = await ask(lambda client: client.containers(all=True, filters=wanted))
            found = await ask(lambda client: client.inspect_container(str(box["Id"])))
    host = found["HostConfig"]
    assert host["NetworkMode"] == "none" and host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
    assert host["PidsLimit"] == 128 and host["Memory"] == host["MemorySwap"] == 2**30
    assert host["IpcMode"] == "none" and not host["Privileged"] and not host["Binds"]
    assert host["LogConfig"]["Type"] == "none" and not host["Init"] and host["AutoRemove"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    user, group = found["Config"]["User"].split(":")
    assert user == group and int(user) >= 10_000
    assert all(not mount["RW"] for mount in found["Mounts"] if mount["Type"] == "bind")
    assert all("nr_inodes=" in options for options in host["Tmpfs"].values())
