"""Where an engine is looked for, and what is said when there is none."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

import antiphon.sandboxes
from antiphon.errors import ConfigurationError, SandboxUnavailable
from antiphon.sandboxes import DockerSandboxes, Place, find_places
from antiphon.testing.sandbox import open_new, run_cell

RUNNER = Path(antiphon.sandboxes.__file__).with_name("runner")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any engine in it, and no word of one in the environment."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def add_context(home: Path, name: str, host: str, **endpoint: Any) -> Path:
    """A context as the docker command writes it; returns the folder for its certificates."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker" / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    found = {"Name": name, "Endpoints": {"docker": {"Host": host, **endpoint}}}
    (meta / "meta.json").write_text(json.dumps(found))
    return home / ".docker" / "contexts" / "tls" / key / "docker"


def use_context(home: Path, name: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


def test_what_is_said_explicitly_is_all_that_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://other:2375")
    assert find_places("unix:///my.sock") == [Place("unix:///my.sock", "engine=")]


def test_docker_host_comes_before_contexts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_context(home, "colima", "unix:///colima.sock")
    use_context(home, "colima")
    monkeypatch.setenv("DOCKER_HOST", "builder:2375")
    (place,) = find_places()
    assert (place.url, place.source) == ("tcp://builder:2375", "DOCKER_HOST")
    assert place.certificates is None


def test_docker_host_may_want_certificates(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://builder:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert find_places()[0].certificates == home / ".docker"
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")
    assert find_places()[0] == Place("tcp://builder:2376", "DOCKER_HOST", Path("/certs"), True)


def test_the_current_context_is_used_with_its_certificates(home: Path) -> None:
    folder = add_context(home, "far", "tcp://far:2376", SkipTLSVerify=True)
    use_context(home, "far")
    (place,) = find_places()
    assert place == Place("tcp://far:2376", "the current docker context 'far'", None, False)
    folder.mkdir(parents=True)
    assert find_places()[0].certificates == folder


def test_a_context_can_be_named_by_the_environment_or_by_argument(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_context(home, "one", "unix:///one.sock")
    add_context(home, "two", "unix:///two.sock")
    use_context(home, "one")
    monkeypatch.setenv("DOCKER_CONTEXT", "two")
    assert find_places()[0].url == "unix:///two.sock"
    assert find_places("one")[0].url == "unix:///one.sock"


def test_a_context_that_is_not_there_is_said_with_a_cure(home: Path) -> None:
    use_context(home, "gone")
    with pytest.raises(SandboxUnavailable, match=r"'gone'.*docker context use default"):
        find_places()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"currentContext": 3}', '{"currentContext": ""}'])
def test_a_strange_configuration_is_no_context(home: Path, text: str) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(text)
    assert all(place.source == "a known socket" for place in find_places())


@pytest.mark.parametrize(
    "path", [".docker/run/docker.sock", ".colima/default/docker.sock", ".orbstack/run/docker.sock"]
)
def test_sockets_of_known_engines_are_found_in_the_home(home: Path, path: str) -> None:
    (home / path).parent.mkdir(parents=True)
    (home / path).touch()
    assert f"unix://{home / path}" in [place.url for place in find_places()]


def test_rootless_engines_are_found_in_the_runtime_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run" / "podman").mkdir(parents=True)
    for name in ("docker.sock", "podman/podman.sock"):
        (tmp_path / "run" / name).touch()
    found = [place.url for place in find_places()]
    assert found.index(f"unix://{tmp_path}/run/docker.sock") < found.index(
        f"unix://{tmp_path}/run/podman/podman.sock"
    )


async def failure(**options: Any) -> str:
    """What is said when a sandbox of this backend is asked for."""
    with anyio.fail_after(60):
        async with DockerSandboxes(warm=0, **options) as sandboxes:
            with pytest.raises(SandboxUnavailable) as caught:
                await run_cell(await open_new(sandboxes), "1")
            with pytest.raises(SandboxUnavailable) as again:
                await run_cell(await open_new(sandboxes), "1")
    assert str(again.value) == str(caught.value)
    return str(caught.value)


@pytest.mark.anyio
async def test_no_engine_is_said_with_what_was_tried_and_a_cure(tmp_path: Path) -> None:
    text = await failure(engine=f"unix://{tmp_path}/none.sock")
    assert f"unix://{tmp_path}/none.sock (engine=): [Errno 2]" in text and "DOCKER_HOST" in text


@pytest.mark.anyio
async def test_a_socket_without_an_engine_is_said(tmp_path: Path) -> None:
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
    assert "Connection refused" in await failure(engine=f"unix://{path}")


@pytest.mark.anyio
async def test_a_port_without_an_engine_is_said() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    assert "Connection refused" in await failure(engine=f"tcp://127.0.0.1:{port}")


@pytest.mark.anyio
async def test_an_engine_behind_ssh_is_refused_with_a_cure() -> None:
    assert "ssh -L" in await failure(engine="ssh://somebody@somewhere")


@pytest.mark.anyio
async def test_impossible_settings_are_refused() -> None:
    for name in ("timeout", "live", "cpus", "pids", "share", "disk_size", "patience"):
        wrong: dict[str, Any] = {name: 0}
        with pytest.raises(ConfigurationError, match="above 0"):
            DockerSandboxes(**wrong)
    with pytest.raises(ConfigurationError, match="above 0"):
        DockerSandboxes(warm=-1)


@pytest.mark.parametrize("arguments", [["--zygote", "-"], ["--zygote", "/nowhere"]])
def test_the_zygote_refuses_to_run_outside_of_a_container(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", str(RUNNER), *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        text=True,
        check=False,
    )
    assert ran.returncode == 1 and "only as PID 1 of a container" in ran.stderr


def test_importing_the_sandboxes_imports_no_engine_client() -> None:
    code = "import sys, antiphon.sandboxes\nprint({'docker', 'requests'} & set(sys.modules))"
    environment = {**os.environ, "HOME": str(Path.home())}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert ran.stdout == "set()\n"
