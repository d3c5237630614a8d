"""/v1/models: the names that a request's `model` may say, all of them or one."""

import pytest
from openai import AsyncOpenAI, NotFoundError

from antiphon.errors import ModelError
from antiphon.models import Model, ScriptedModel
from antiphon.provider import Provider

from .keeping import KEYS, fault
from .serving import PATIENCE, Serve, exchange

pytestmark = pytest.mark.anyio


class Above:
    """An upstream that lists one name, if it is in reach."""

    reached = True

    def model(self, name: str) -> Model:
        return ScriptedModel(["far"], name=name)

    async def names(self) -> list[str]:
        if not self.reached:
            raise ModelError("it was not reached", retry_after=2.5)
        return ["org/far", "near"]

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_a_client_finds_every_model_that_is_listed_by_its_name(serving: Serve) -> None:
    app = Provider(models=[ScriptedModel(["x"], name="near")], upstream=Above(), api_keys=KEYS)
    with serving(app) as url:
        client = AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-a", timeout=PATIENCE, max_retries=0)
        async with client:
            listed = [each async for each in client.models.list()]
            assert [each.id for each in listed] == ["near", "org/far"]
            for each in listed:
                found = await client.models.retrieve(each.id)
                assert (found.id, found.object, found.owned_by) == (each.id, "model", "antiphon")
            with pytest.raises(NotFoundError) as refused:
                await client.models.retrieve("org/farther")
    assert refused.value.code == "model_not_found"


async def test_a_model_that_is_here_is_found_though_the_upstream_is_out_of_reach() -> None:
    above = Above()
    above.reached = False
    app = Provider(models=[ScriptedModel(["x"], name="near")], upstream=above)
    near = await exchange(app, method="GET", path="/v1/models/near")
    far = await exchange(app, method="GET", path="/v1/models/far")
    assert (near.status, far.status) == (200, 502)
    assert far.headers["retry-after"] == "3"


async def test_a_model_is_shown_to_those_with_a_key_alone() -> None:
    app = Provider(models=[ScriptedModel(["x"], name="near")], api_keys=KEYS)
    refused = await exchange(app, method="GET", path="/v1/models/near")
    assert (refused.status, fault(refused)["code"]) == (401, "invalid_api_key")
