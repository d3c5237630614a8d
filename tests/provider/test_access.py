"""The access log: one record a request, its id in every record, and nothing that is secret."""

import json
import logging
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import anyio
import pytest

from antiphon.models import ModelRequest, Speech, Text, model
from antiphon.provider import Provider, RequestIds

from .keeping import ALICE, ask, provider
from .serving import Exchange, exchange

pytestmark = pytest.mark.anyio


class Heard(logging.Handler):
    """Keeps records, as any handler would get them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.addFilter(RequestIds())

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def access(self) -> list[Any]:
        return [record for record in self.records if record.name == "antiphon.access"]


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler, logger = Heard(), logging.getLogger("antiphon")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


async def test_a_request_is_one_record_with_fields(heard: Heard) -> None:
    headers = {**ALICE, "x-request-id": "mine-1"}
    said = await ask(provider(), headers)
    (record,) = heard.access
    assert (record.method, record.path, record.status) == ("POST", "/v1/responses", 200)
    assert record.request_id == "mine-1"
    assert record.principal == "alice"
    assert record.model == said["model"]
    assert record.response_id == said["id"]
    assert 0 < record.milliseconds < 10_000
    assert record.getMessage().startswith("POST /v1/responses 200 in ")


async def test_the_id_of_an_answer_is_the_id_of_its_record(heard: Heard) -> None:
    one = await exchange(provider(), {"input": "x"}, headers=ALICE)
    assert one.headers["x-request-id"] == heard.access[0].request_id
    assert one.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/v1/responses", "POST", {}, 401),
        ("/v1/responses", "PUT", ALICE, 405),
        ("/nowhere", "GET", {}, 404),
        ("/v1/responses/resp_none", "GET", ALICE, 404),
        ("/healthz", "GET", {}, 200),
    ],
)
async def test_whatever_became_of_it_it_is_logged(
    heard: Heard, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    await exchange(provider(), {"input": "x"}, headers=headers, path=path, method=method)
    (record,) = heard.access
    assert (record.path, record.status) == (path, status)
    assert record.principal == ("alice" if headers and status == 404 else None)
    assert record.response_id is None


async def test_no_query_header_or_body_is_in_any_record(heard: Heard) -> None:
    app = provider()
    headers = {**ALICE, "cookie": "secret-cookie"}
    one = Exchange(app, {"input": "secret-words"}, headers=headers)
    one.scope["query_string"] = b"key=secret-query"
    with anyio.fail_after(60):
        await one.run()
    assert one.status == 200
    said = repr([vars(record) for record in heard.records])
    assert "alice" in said
    assert "secret-" not in said
    assert "sk-a" not in said


async def test_what_a_client_writes_cannot_begin_a_line(heard: Heard) -> None:
    evil = "x\n2026 forged\x1b[31m\u202e"
    await exchange(provider(), {"input": "x", "model": evil}, headers=ALICE)
    await exchange(provider(), method="GET", path=f"/{evil} 200", headers=ALICE)
    engine = Provider(models=[named(evil)], api_keys={"k": f"al{evil}ice"})
    await exchange(engine, {"input": "x"}, headers={"authorization": "Bearer k"})
    assert len(heard.access) == 3
    for record in heard.access:
        words = [record.getMessage(), record.path, record.model, record.principal]
        assert all(word.isprintable() for word in words if word is not None)
    assert heard.access[1].path == "/x%0A2026%20forged%1B[31m%E2%80%AE%20200".replace("[", "%5B")
    assert heard.access[2].model == "x\\u000a2026 forged\\u001b[31m\\u202e"


async def test_long_words_are_cut(heard: Heard) -> None:
    app = Provider(models=[named("m" * 5000)], api_keys=None)
    await exchange(app, {"input": "x"})
    assert len(heard.access[0].model) < 300


def named(name: str) -> Any:
    @model(name)
    async def engine(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        logging.getLogger("mine").warning("from inside")
        yield Text("x")

    return engine


async def test_every_record_of_a_request_has_its_id_and_no_other_has(heard: Heard) -> None:
    logging.getLogger("mine").addHandler(heard)
    try:
        app = Provider(models=[named("m")], api_keys=None)
        async with anyio.create_task_group() as tasks:
            for name in ("one", "two"):
                headers = {"x-request-id": name}

                async def go(headers: dict[str, str] = headers) -> None:
                    await exchange(app, {"input": "x"}, headers=headers)

                tasks.start_soon(go)
        logging.getLogger("mine").warning("from outside")
    finally:
        logging.getLogger("mine").removeHandler(heard)
    mine: list[Any] = [record for record in heard.records if record.name == "mine"]
    assert sorted(record.request_id for record in mine) == ["-", "one", "two"]


async def test_a_job_in_the_background_keeps_the_id_of_who_began_it(heard: Heard) -> None:
    logging.getLogger("mine").addHandler(heard)
    app = Provider(models=[named("m")], api_keys=None)
    try:
        headers = {"x-request-id": "began"}
        one = await exchange(app, {"input": "x", "background": True}, headers=headers)
        path = f"/v1/responses/{json.loads(one.body)['id']}"
        for _ in range(1000):
            status = json.loads((await exchange(app, method="GET", path=path)).body)["status"]
            if status == "completed":
                break
            await anyio.lowlevel.checkpoint()
    finally:
        logging.getLogger("mine").removeHandler(heard)
        await app.aclose()
    (inside,) = [record for record in heard.records if record.name == "mine"]
    assert vars(inside)["request_id"] == "began"


async def test_a_client_that_leaves_before_its_answer_is_a_499(heard: Heard) -> None:
    app = Provider(models=[named("m")], api_keys=None)
    one = Exchange(app, b"")

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    one._receive = gone  # pyright: ignore[reportPrivateUsage]
    with anyio.fail_after(60):
        await one.run()
    assert heard.access[0].status == 499


async def test_where_nobody_listens_nothing_is_made(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("antiphon.access").setLevel(logging.WARNING)
    try:
        with caplog.at_level(logging.DEBUG, logger="antiphon.provider"):
            await ask(provider())
    finally:
        logging.getLogger("antiphon.access").setLevel(logging.NOTSET)
    assert caplog.records == []
