"""Rates: what one principal asks for is bounded, and nobody else waits for it."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from antiphon.errors import ConfigurationError
from antiphon.models import ModelRequest, ScriptedModel, Text, model
from antiphon.provider import Provider, Rate, Throttle

from .serving import PATIENCE, Exchange, exchange, inside

pytestmark = pytest.mark.anyio

BODY = {"model": "slow", "input": "x"}
KEYS = {"a": "alice", "b": "bob"}
ALICE, BOB = ({"authorization": f"Bearer {key}"} for key in KEYS)


class Slow:
    """A model that waits until it is let."""

    def __init__(self) -> None:
        self.go = anyio.Event()

    def provider(self, rate: Rate) -> Provider:
        @model("slow")
        async def slow(request: ModelRequest) -> AsyncGenerator[Any, None]:
            yield Text("so ")
            await self.go.wait()
            yield Text("slow")

        return Provider(models=[slow], api_keys=KEYS, rate=rate)


async def test_more_at_once_than_allowed_is_a_429_for_this_principal_alone() -> None:
    slow = Slow()
    app = slow.provider(Rate(at_once=1))
    first = Exchange(app, {**BODY, "stream": True}, headers=ALICE)
    second = Exchange(app, BODY, headers=ALICE)
    other = Exchange(app, {**BODY, "stream": True}, headers=BOB)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.run)
            await first.until(lambda: first.sent)
            await second.run()
            tasks.start_soon(other.run)
            await other.until(lambda: other.sent)
            slow.go.set()
    assert (second.status, second.headers["retry-after"]) == (429, "1")
    assert b"rate_limit_exceeded" in second.body
    assert (first.status, other.status) == (200, 200)
    third = await exchange(app, BODY, headers=ALICE)
    assert third.status == 200


async def test_a_client_that_leaves_gives_its_place_back() -> None:
    slow = Slow()
    app = slow.provider(Rate(at_once=1))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            first = Exchange(app, {**BODY, "stream": True}, headers=ALICE)
            tasks.start_soon(first.run)
            await first.until(lambda: first.writes)
            first.leave()
            await first.until(lambda: first.ended)
    slow.go.set()
    assert (await exchange(app, BODY, headers=ALICE)).status == 200


async def test_a_request_that_is_refused_gives_its_place_back() -> None:
    app = Provider(models=[ScriptedModel(["x"], repeat=True)], rate=Rate(at_once=1))
    for _ in range(3):
        assert (await exchange(app, {"input": "x", "top_p": 7})).status == 400
    assert (await exchange(app, {"input": "x"})).status == 200


async def test_a_background_response_holds_its_place_until_it_has_ended() -> None:
    slow = Slow()
    async with inside(slow.provider(Rate(at_once=1)), headers=ALICE) as client:
        first = (await client.post("/v1/responses", json={**BODY, "background": True})).json()
        second = await client.post("/v1/responses", json=BODY)
        slow.go.set()
        with anyio.fail_after(PATIENCE):
            await client.get(f"/v1/responses/{first['id']}?stream=true")
            while (await client.post("/v1/responses", json=BODY)).status_code != 200:
                await anyio.lowlevel.checkpoint()
    assert second.status_code == 429


def test_requests_of_a_minute_come_back_bit_by_bit() -> None:
    time = [0.0]
    throttle = Throttle(Rate(per_minute=2), clock=lambda: time[0])

    def taken(who: str = "alice") -> bool:
        try:
            throttle.take(who)()
        except Exception as error:
            assert getattr(error, "retry_after", 0) == pytest.approx(30 - time[0] % 30)
            return False
        return True

    assert [taken(), taken(), taken(), taken("bob")] == [True, True, False, True]
    time[0] = 15.0
    assert not taken()
    time[0] = 30.0
    assert [taken(), taken()] == [True, False]
    time[0] = 3000.0
    assert [taken(), taken(), taken()] == [True, True, False]


@pytest.mark.parametrize("wrong", [{"at_once": 0}, {"per_minute": -1}, {"at_once": True}])
def test_a_rate_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="rate: "):
        Rate(**wrong)


async def test_ready_says_whether_the_store_answers() -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            async def fail(*_: Any, **__: Any) -> Any:
                raise OSError("disk gone")

            return fail

    async with inside(Provider(models=[ScriptedModel(["x"])])) as client:
        assert (await client.get("/readyz")).json() == {"status": "ok"}
    app = Provider(models=[ScriptedModel(["x"])], store=Broken())  # type: ignore[arg-type]
    one = await exchange(app, method="GET", path="/readyz")
    assert one.status == 503
    assert (await exchange(app, method="GET", path="/healthz")).status == 200
