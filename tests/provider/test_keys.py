"""API keys: a mapping, a function that looks them up, a file, the environment."""

import logging
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from antiphon.errors import ConfigurationError
from antiphon.provider import Provider, keys_from_environment, keys_from_file

from .keeping import fault, provider
from .serving import PATIENCE, Exchange, exchange

pytestmark = pytest.mark.anyio

ROUTES = [
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("GET", "/v1/responses/resp_1/input_items"),
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations/conv_1"),
    ("GET", "/v1/models"),
    ("GET", "/v1/files"),
]


async def listed(app: Provider, key: str) -> Exchange:
    headers = {"authorization": f"Bearer {key}"}
    return await exchange(app, method="GET", path="/v1/models", headers=headers)


# --- a function ----------------------------------------------------------------


def plain(key: str) -> str | None:
    return {"sk-a": "alice"}.get(key)


async def asynchronous(key: str) -> str | None:
    await anyio.lowlevel.checkpoint()
    return plain(key)


class Table:
    async def __call__(self, key: str) -> str | None:
        return plain(key)


@pytest.mark.parametrize("lookup", [plain, asynchronous, Table(), lambda key: asynchronous(key)])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
async def test_a_function_of_any_kind_says_whose_a_key_is(lookup: Any) -> None:
    app = provider(api_keys=lookup)
    assert app.open is False
    assert (await listed(app, "sk-a")).status == 200
    assert (await listed(app, "sk-b")).status == 401


async def test_a_plain_function_does_not_stop_the_others() -> None:
    looked = anyio.Event()
    go_on: list[bool] = []

    def slow(key: str) -> str | None:
        anyio.from_thread.run_sync(looked.set)
        anyio.from_thread.run(wait)
        return "alice"

    async def wait() -> None:
        with anyio.fail_after(60):
            while not go_on:
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listed, provider(api_keys=slow), "sk-a")
        with anyio.fail_after(60):
            await looked.wait()
        go_on.append(True)


async def test_keys_that_take_long_to_look_up_stop_nobody_s_files() -> None:
    go_on = threading.Event()

    def slow(key: str) -> str | None:
        return "alice" if key == "sk-a" else str(go_on.wait(PATIENCE))

    app, others = provider(api_keys=slow), provider(api_keys={"sk-b": "bob"})
    served = list[int]()
    async with anyio.create_task_group() as tasks:
        for at in range(60):  # more than there are threads for what everybody does
            tasks.start_soon(listed, app, f"sk-{at}")
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        headers = {"authorization": "Bearer sk-b"}
        files = await exchange(others, method="GET", path="/v1/files", headers=headers)
        served.append(files.status)
        go_on.set()
    assert served == [200]
    await others.aclose()


async def test_what_a_function_said_is_asked_again_every_time() -> None:
    known = {"sk-a": "alice"}
    app = provider(api_keys=known.get)
    assert (await listed(app, "sk-b")).status == 401
    known["sk-b"] = known.pop("sk-a")
    assert (await listed(app, "sk-b")).status == 200
    assert (await listed(app, "sk-a")).status == 401


@pytest.mark.parametrize("answer", [KeyError("sk-secret"), OSError("db.internal is down"), "", 7])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_lookup_that_breaks_lets_nobody_in_and_says_nothing(
    answer: object, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(key: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    headers = {"authorization": "Bearer sk-secret"}
    app = provider(api_keys=broken)
    one = await exchange(app, {"input": "x"}, method=method, path=path, headers=headers)
    assert one.status == 503
    assert fault(one)["code"] == "keys_unavailable"
    assert one.headers["retry-after"] == "1"
    said = one.body.decode() + caplog.text
    assert "api_keys: the lookup" in caplog.text
    assert "sk-secret" not in said
    assert "db.internal" not in said


async def test_a_lookup_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(key: str) -> str | None:
        await anyio.sleep_forever()
        return None

    monkeypatch.setattr("antiphon.provider.auth.LOOKUP_SECONDS", 0.01)
    assert (await listed(provider(api_keys=hangs), "sk-a")).status == 503


@pytest.mark.parametrize("value", ["", "Bearer", "Basic sk-a", f"Bearer {'k' * 5000}"])
async def test_a_function_is_not_asked_for_what_is_no_key(value: str) -> None:
    asked: list[str] = []

    def lookup(key: str) -> str | None:
        asked.append(key)
        return "alice"

    app = provider(api_keys=lookup)
    headers = {"authorization": value}
    one = await exchange(app, method="GET", path="/v1/models", headers=headers)
    assert one.status == 401
    assert asked == []


async def test_keys_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = provider(api_keys={"sk-right": "alice"})
    await listed(app, "sk-right")
    await listed(app, "sk-wrong")
    assert "401" in caplog.text
    assert "sk-right" not in caplog.text
    assert "sk-wrong" not in caplog.text


@pytest.mark.parametrize("keys", [["sk-a"], {"sk-a": None}, {7: "alice"}, "sk-a"])
def test_what_are_no_keys_is_a_mistake_and_not_repeated(keys: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        provider(api_keys=keys)
    assert "sk-a" not in str(caught.value)


# --- a file, and the environment -------------------------------------------------


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys.txt"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_file_has_a_key_a_line_and_comments(tmp_path: Path) -> None:
    path = written(tmp_path, "# ours\nsk-1:alice\n\n  sk:2 : Bob Smith \n#sk-3:carol\nsk-#4:dan\n")
    assert keys_from_file(path) == {"sk-1": "alice", "sk:2": "Bob Smith", "sk-#4": "dan"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sk-1:alice\nsk-secret\n", "line 2: expected key:principal"),
        (":alice", "line 1"),
        ("sk-secret:", "line 1"),
        ("sk-secret:alice\nsk-secret:bob", "line 2: expected one principal for each key"),
        ("# nobody yet\n", "expected at least one line"),
        ("", "expected at least one line"),
    ],
)
def test_a_file_that_is_wrong_is_refused_without_its_keys(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        keys_from_file(written(tmp_path, text))
    assert said in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_a_file_that_everybody_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, "sk-1:alice", mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        keys_from_file(path)
    path.chmod(0o640)
    assert keys_from_file(path) == {"sk-1": "alice"}


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        keys_from_file(tmp_path / "none")
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00sk:alice")
    (tmp_path / "picture").chmod(0o600)
    with pytest.raises(ConfigurationError, match="UTF-8"):
        keys_from_file(tmp_path / "picture")


def test_the_environment_has_keys_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTIPHON_API_KEYS", raising=False)
    assert keys_from_environment() == {}
    monkeypatch.setenv("ANTIPHON_API_KEYS", " sk-1:alice, sk:2:bob,,")
    assert keys_from_environment() == {"sk-1": "alice", "sk:2": "bob"}
    monkeypatch.setenv("MINE", "sk-secret")
    with pytest.raises(ConfigurationError) as caught:
        keys_from_environment("MINE")
    assert str(caught.value).startswith("MINE: expected key:name,key2:name2")
    assert "sk-secret" not in str(caught.value)
