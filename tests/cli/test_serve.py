"""`antiphon serve`: real processes on loopback, and what they refuse to do."""

import json
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from antiphon.models import ModelRequest, Speech, Text, model
from antiphon.provider import Provider

from .kit import Run, Serving
from .served import gone, names, serve

pytestmark = pytest.mark.usefixtures("no_engine")

ROOT = Path(__file__).resolve().parents[2]

APP = """
import sys
import anyio
from antiphon.models import Text, model
from antiphon.provider import Provider

@model("patient")
async def patient(request):
    yield Text("begun ")
    await anyio.to_thread.run_sync(sys.stdin.readline)
    yield Text("ended")

app = Provider(models=[patient])
keyed = Provider(models=[patient], api_keys={"sk-secret": "alice"})
number = 7
"""


@pytest.fixture(autouse=True)
def in_a_folder_with_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTIPHON_API_KEYS", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("app_of_mine.py").write_text(APP)


def test_a_module_s_app_is_served_and_greets_with_a_line_that_works() -> None:
    with serve("app_of_mine:app") as server:
        first, second, third = server.hello
        assert "app_of_mine:app" in first
        assert second == "open to this machine only: no API key is set\n"
        curl = third.split()
        assert curl[0] == "curl"
        assert httpx2.get(curl[-1], timeout=60).json()["data"][0]["id"] == "patient"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_lets_a_running_answer_end_first(number: signal.Signals, code: int) -> None:
    with serve("app_of_mine:app") as server:
        body = {"model": "patient", "input": "wait", "stream": True}
        with httpx2.stream("POST", f"{server.url}/responses", json=body, timeout=60) as answer:
            lines = answer.iter_lines()
            assert any("begun" in line for line in lines)
            server.process.send_signal(number)
            while not gone(server.url):
                pass
            assert server.process.stdin is not None
            server.process.stdin.write("go\n")
            server.process.stdin.flush()
            rest = list(lines)
        assert any("response.completed" in line for line in rest)
        assert server.process.wait(timeout=60) == code
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def test_the_repository_s_own_rooms_never_shadow_a_user_s_imports(tmp_path: Path) -> None:
    Path("importer.py").write_text(
        "import agents\n"
        "from antiphon.models import Text, model\n"
        "from antiphon.provider import Provider\n"
        "@model('sdk' if hasattr(agents, 'Runner') else agents.__file__)\n"
        "async def it(request):\n    yield Text('x')\n"
        "app = Provider(models=[it])\n"
    )
    with serve("importer:app", cwd=ROOT, variables={"PYTHONPATH": str(tmp_path)}) as server:
        assert names(server.url) == ["sdk"]


def test_a_user_s_own_folder_comes_last_even_where_python_put_it_first(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("raise ImportError('the wrong agents')\n")
    Path("importer.py").write_text("from agents import Runner\nfrom app_of_mine import app\n")
    with serve("importer:app", variables={"PYTHONPATH": str(tmp_path)}) as server:
        assert names(server.url) == ["patient"]


@model("upstream-model")
async def upstream_model(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """What runs behind --upstream."""
    yield Text(f"{len(request.items)} item, tools: {[tool.name for tool in request.tools]}")


def ask(url: str, key: str = "", **body: Any) -> "httpx2.Response":
    headers = {"authorization": f"Bearer {key}"} if key else {}
    given = {"model": "upstream-model", "input": "hello", **body}
    return httpx2.post(f"{url}/responses", json=given, headers=headers, timeout=60)


def test_an_upstream_s_models_are_served_without_code(serving: Serving) -> None:
    url = serving(Provider(models=[upstream_model]))
    with serve("--upstream", url.replace("://", "://me:secret@")) as server:
        assert f"serves models of {url} at" in server.hello[0]
        assert names(server.url) == ["upstream-model"]
        assert "1 item, tools: []" in ask(server.url).text


def test_only_the_named_models_of_an_upstream_are_served(serving: Serving) -> None:
    url = serving(Provider(models=[upstream_model]))
    with serve("--upstream", url, "--model", "other", "--model", "upstream-model") as server:
        assert names(server.url) == ["other", "upstream-model"]
        assert ask(server.url, model="nobody").status_code == 404
        found = re.search(r"-d '(.*)'", server.hello[2])
        assert found is not None
        assert json.loads(found.group(1))["model"] == "other"


def test_keys_of_the_command_line_and_the_environment_are_all_asked_for(serving: Serving) -> None:
    url = serving(Provider(models=[upstream_model]))
    keys = {"ANTIPHON_API_KEYS": "sk-2:bob, sk:3:carol"}
    with serve("--upstream", url, "--api-key", "sk=1=alice", variables=keys) as server:
        assert server.hello[1] == "open to holders of a key\n"
        assert "sk=1" not in "".join(server.hello)
        codes = [ask(server.url, key).status_code for key in ("", "sk", "sk=1", "sk-2", "sk:3")]
        assert codes == [401, 401, 200, 200, 200]


def test_the_code_interpreter_is_offered_only_where_a_place_is_named(serving: Serving) -> None:
    url = serving(Provider(models=[upstream_model]))
    tools = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    with serve("--upstream", url) as server:
        assert "tools: []" in ask(server.url, tools=tools).text
    with serve("--upstream", url, "--sandbox", "local") as server:
        assert "tools: ['code_interpreter']" in ask(server.url, tools=tools).text
        server.process.terminate()
        assert server.process.stderr is not None
        assert server.process.stderr.read().count("warning: --sandbox local runs") == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "antiphon serve module:app, or --upstream URL"),
        (["app_of_mine:app", "--upstream", "http://x"], "got both"),
        (["app_of_mine:app", "--model", "m"], "--model: only with --upstream"),
        (["app_of_mine:app", "--api-key", "k=me"], "Provider(api_keys=...)"),
        (["app_of_mine:app", "--embedding-model", "m"], "FileSearch(..., embedder=...)"),
        (["--upstream", "http://x", "--embedding-model", "m"], "--embedding-url URL, too"),
        (
            ["--upstream", "http://x", "--embedding-model", "m", "--embedding-url", "http://y"],
            "--index FILE, too",
        ),
        (["--upstream", "http://x", "--index", "app_of_mine.py"], "is no SQLite database"),
        (["--upstream", "http://x", "--index", "nowhere/i.db"], "in a folder that exists"),
        (["--upstream", "http://x", "--store", "sqlite+aiosqlite:///nowhere/s.db"], "make "),
        (["--upstream", "http://x", "--port", "many"], "a port from 0 to 65535, got 'many'"),
        (["--upstream", "http://x", "--rate", "0"], "a whole number from 1, got '0'"),
        (["--upstream", "http://x", "--drain", "nan"], "seconds from 0 to less than a day"),
        (["app_of_mine:app", "--host", "0.0.0.0"], "write Provider(api_keys={...})"),
        (["--upstream", "http://x", "--host", "::"], "say --api-key KEY=NAME, or set"),
        (["--upstream", "http://x", "--api-key", "justakey"], "--api-key: expected KEY=NAME"),
        (["--upstream", "http://x", "--sandbox", "docker"], "needs a container sandbox"),
        (["--upstream", "localhost:11434"], "begin it with http://"),
        (["no_such_module"], "there is no module 'no_such_module'"),
        (["app_of_mine.py"], "expected module:app"),
        (["app_of_mine:nothing"], "expected an ASGI application named 'nothing'"),
        (["app_of_mine:number"], "got int"),
        (["app_of_mine:app.deeper.still"], "got nothing"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_cure(
    antiphon: Run, argv: list[str], said: str
) -> None:
    ran = antiphon("serve", *argv)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""


def test_help_has_what_is_for_an_upstream_in_groups_of_its_own(antiphon: Run) -> None:
    said = antiphon("serve", "--help").out
    general, upstream = said.partition("in front of a model server:")[::2]
    options = general.partition("\noptions:")[2]
    assert "--drain" in options and "--api" not in options
    assert "--api-key-env" in upstream and "--embedding-model" in upstream
    assert "ANTIPHON_API_KEYS" in said and "ANTIPHON_SEAL_KEYS" in said


def test_a_key_that_is_none_is_not_repeated(antiphon: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_API_KEYS", "sk-without-a-name")
    ran = antiphon("serve", "--upstream", "http://x")
    assert ran.code == 2
    assert "ANTIPHON_API_KEYS: expected key:name,key2:name2" in ran.err
    assert "sk-without-a-name" not in ran.err


def test_a_keyed_provider_may_be_open_to_other_machines() -> None:
    with serve("app_of_mine:keyed", "--host", "0.0.0.0") as server:
        assert names(server.url, "sk-secret") == ["patient"]
        assert server.hello[2].endswith('-H "Authorization: Bearer $KEY"\n')


def test_what_a_module_lacks_is_told_apart_from_the_module(antiphon: Run) -> None:
    Path("lacking.py").write_text("import surely_not_installed\n")
    ran = antiphon("serve", "lacking:app")
    assert ran.code == 2
    assert "lacking imports surely_not_installed, which is not installed" in ran.err


def test_a_module_that_breaks_is_the_users_to_debug(antiphon: Run) -> None:
    Path("breaking.py").write_text("1 / 0\n")
    assert "unexpected ZeroDivisionError" in antiphon("serve", "breaking:app").err
    assert "breaking.py" in antiphon("--debug", "serve", "breaking:app").err


def test_a_port_that_is_taken_is_said_with_the_cure(antiphon: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = antiphon("serve", "app_of_mine:app", "--port", str(port))
    assert ran.code == 1
    assert ran.err.startswith(f"antiphon: cannot listen at 127.0.0.1 port {port}: ")
    assert "choose another --port" in ran.err


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_is_a_number_that_ports_have(antiphon: Run, port: str) -> None:
    assert antiphon("serve", "app_of_mine:app", "--port", port).code == 2
