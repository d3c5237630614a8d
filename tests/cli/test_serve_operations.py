"""`antiphon serve` in front of a model server: keys from a file, a store, rates, logs."""

import json
import logging
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from antiphon.models import ModelRequest, Speech, Text, model
from antiphon.provider import Provider

from .kit import Run, Serving
from .served import Process, names, serve

if TYPE_CHECKING:
    from cli.logs import JsonLines, TextLines
else:
    from antiphon.cli.logs import JsonLines, TextLines

KEYS = "# ours\nsk-1:alice\nsk-2:bob\n"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTIPHON_API_KEYS", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("keys.txt").write_text(KEYS)
    Path("keys.txt").chmod(0o600)
    Path("app_of_mine.py").write_text("from antiphon.provider import Provider\napp = print\n")


@model("m")
async def answering(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """What runs behind --upstream."""
    yield Text("hello")


@pytest.fixture
def upstream(serving: Serving) -> str:
    return serving(Provider(models=[answering]))


def ask(server: Process, key: str = "", **headers: str) -> "httpx2.Response":
    if key:
        headers["authorization"] = f"Bearer {key}"
    body = {"model": "m", "input": "secret-words"}
    url = f"{server.url}/responses?key=secret-query"
    return httpx2.post(url, json=body, headers=headers, timeout=60)


def stopped(server: Process) -> str:
    """What it wrote to standard error, once it has ended well."""
    server.process.terminate()
    assert server.process.wait(timeout=60) == 0
    assert server.process.stderr is not None
    return server.process.stderr.read()


def test_keys_come_from_a_file(upstream: str) -> None:
    with serve("--upstream", upstream, "--keys", "keys.txt", "--api-key", "sk-3=carol") as server:
        assert server.hello[1] == "open to holders of a key\n"
        codes = [ask(server, key).status_code for key in ("", "sk-1", "sk-2", "sk-3", "sk-4")]
        assert codes == [401, 200, 200, 200, 401]
        assert "sk-" not in stopped(server)


def test_a_file_of_keys_that_others_can_read_is_refused(antiphon: Run) -> None:
    Path("keys.txt").chmod(0o644)
    ran = antiphon("serve", "--upstream", "http://x", "--keys", "keys.txt")
    assert ran.code == 2
    assert "chmod 600 keys.txt" in ran.err
    assert "sk-1" not in ran.err


def test_responses_outlive_the_server_by_default(upstream: str) -> None:
    with serve("--upstream", upstream) as server:
        made = ask(server).json()["id"]
        assert stopped(server).startswith("note: responses are kept in ./antiphon.db and")
    assert Path("antiphon.db").stat().st_mode & 0o077 == 0
    with serve("--upstream", upstream) as server:
        assert httpx2.get(f"{server.url}/responses/{made}", timeout=60).json()["id"] == made


def test_a_store_that_is_named_is_used_and_not_remarked_on(upstream: str) -> None:
    with serve("--upstream", upstream, "--store", "memory://") as server:
        assert ask(server).status_code == 200
        assert stopped(server) == ""
    assert sorted(os.listdir(".")) == ["app_of_mine.py", "keys.txt"]


def test_without_the_database_s_library_it_is_said_that_memory_is_used(
    upstream: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "def lacking(name, *a):\n"
        "    return None if name in ('sqlalchemy', 'websockets', 'wsproto') else find(name, *a)\n"
        "u.find_spec = lacking\n"
    )
    with serve("--upstream", upstream, variables={"PYTHONPATH": str(tmp_path)}) as server:
        assert ask(server).status_code == 200
        said = stopped(server)
    assert "note: responses are kept in memory, until this ends" in said
    assert "note: no WebSocket is served: pip install 'antiphon[server]'" in said
    assert not Path("antiphon.db").exists()


def test_each_caller_is_held_to_a_rate(upstream: str) -> None:
    options = ("--rate", "1", "--keys", "keys.txt", "--store", "memory://")
    with serve("--upstream", upstream, *options) as server:
        codes = [ask(server, key).status_code for key in ("sk-1", "sk-1", "sk-2")]
        assert codes == [200, 429, 200]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["app_of_mine:app", "--keys", "keys.txt"], "Provider(api_keys=...) instead"),
        (["app_of_mine:app", "--store", "memory://"], "only with --upstream"),
        (["app_of_mine:app", "--rate", "5"], "Rate(...)"),
        (["app_of_mine:app", "--at-once", "5"], "only with --upstream"),
        (["--upstream", "http://x", "--keys", "none.txt"], "No such file"),
        (["--upstream", "http://x", "--store", "postgres://x"], "sqlite+aiosqlite"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_cure(
    antiphon: Run, argv: list[str], said: str
) -> None:
    ran = antiphon("serve", *argv)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize(
    "argv", [("--rate", "0"), ("--at-once", "x"), ("--drain", "-1"), ("--log", "xml")]
)
def test_numbers_and_words_are_checked(antiphon: Run, argv: tuple[str, str]) -> None:
    assert antiphon("serve", "--upstream", "http://x", *argv).code == 2


def test_the_log_is_a_line_of_json_for_each_request(upstream: str) -> None:
    options = ("--log", "json", "--keys", "keys.txt", "--store", "memory://")
    with serve("--upstream", upstream, *options) as server:
        answer = ask(server, "sk-1", **{"x-request-id": "mine-7"})
        assert ask(server, "sk-secret").status_code == 401
        said = stopped(server)
    first, second = [json.loads(line) for line in said.splitlines()]
    assert first.pop("time").endswith("+00:00")
    assert first.pop("milliseconds") > 0
    assert first.pop("message").startswith("POST /v1/responses 200 in ")
    assert first == {
        "level": "info",
        "logger": "antiphon.access",
        "request_id": "mine-7",
        "method": "POST",
        "path": "/v1/responses",
        "status": 200,
        "principal": "alice",
        "model": "m",
        "response_id": answer.json()["id"],
    }
    assert second["status"] == 401
    assert "principal" not in second
    assert "secret" not in said
    assert "sk-1" not in said


def test_the_log_is_a_line_of_text_for_each_request(upstream: str) -> None:
    with serve("--upstream", upstream, "--log", "text", "--store", "memory://") as server:
        assert names(server.url) == ["m"]
        assert httpx2.get(f"{server.url}/x%0Aforged", timeout=60).status_code == 404
        first, second = stopped(server).splitlines()
    assert " INFO antiphon.access GET /v1/models 200 in " in first
    assert " principal=local" in first
    assert " request_id=req_" in first
    assert " GET /v1/x%0Aforged 404 in " in second


@pytest.mark.parametrize("lines", [JsonLines(), TextLines()])
def test_a_record_is_one_line_whatever_is_in_it(lines: logging.Formatter) -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "a\nb\x1b[0m%s", ("\r",), None)
    said = lines.format(record)
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said


@pytest.mark.parametrize("lines", [JsonLines(), TextLines()])
def test_a_record_of_trouble_has_its_traceback(lines: logging.Formatter) -> None:
    try:
        raise ValueError("it sank")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "broke", (), sys.exc_info())
    assert "Traceback" in lines.format(record)
    assert "it sank" in lines.format(record)
