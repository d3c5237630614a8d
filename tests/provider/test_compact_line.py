"""While a summary is being written: the line is kept alive, and a client that leaves ends it."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp

from antiphon.models import Failure, ModelRequest, Speech, Text, model
from antiphon.provider import Rate

from .compacting import mounted
from .serving import PATIENCE, Exchange, exchange

pytestmark = pytest.mark.anyio

BODY = {"model": "slow", "input": "hi"}
PATH = "/v1/responses/compact"


class Slow:
    """A model that waits to be let go on, and knows whether it was left."""

    def __init__(self, last: Speech) -> None:
        self.asked = anyio.Event()
        self.release = anyio.Event()
        self.left = anyio.Event()
        self._last = last

    async def __call__(self, request: ModelRequest) -> AsyncGenerator[Speech, None]:
        self.asked.set()
        try:
            await self.release.wait()
        except BaseException:
            self.left.set()
            raise
        yield self._last


def app_of(slow: Slow, *, keep_alive: float = 15.0, **options: Any) -> ASGIApp:
    return mounted(model("slow")(slow), keys=None, keep_alive=keep_alive, **options)


async def test_a_slow_writer_keeps_the_line_alive() -> None:
    slow = Slow(Text("in short"))
    one = Exchange(app_of(slow, keep_alive=0.01), BODY, path=PATH)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await one.until(lambda: one.body.count(b" ") >= 2)
            slow.release.set()
    assert one.status == 200
    assert one.headers["content-type"] == "application/json"
    assert json.loads(one.body)["object"] == "response.compaction"


async def test_a_client_that_leaves_ends_the_writing() -> None:
    slow = Slow(Text("in short"))
    one = Exchange(app_of(slow), BODY, path=PATH)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await slow.asked.wait()
            one.leave()
            await slow.left.wait()
    assert one.sent == []


async def test_a_place_is_held_while_it_is_written_and_given_back() -> None:
    slow = Slow(Text("in short"))
    app = app_of(slow, rate=Rate(at_once=1))
    one = Exchange(app, BODY, path=PATH)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await slow.asked.wait()
            assert (await exchange(app, BODY, path=PATH)).status == 429
            slow.release.set()
    assert one.status == 200
    assert (await exchange(app, BODY, path=PATH)).status == 200


async def test_a_failure_after_a_sign_of_life_cuts_the_line_and_is_no_answer() -> None:
    slow = Slow(Failure("server_error", "the engine stalled"))
    one = Exchange(app_of(slow, keep_alive=0.01), BODY, path=PATH)

    async def cut() -> None:
        with pytest.raises(Exception, match="the engine stalled"):
            await one.run()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cut)
            await one.until(lambda: b" " in one.body)
            slow.release.set()
    assert one.body.strip() == b""
    assert one.sent[-1].get("more_body") is True
