"""What a query asks of a list is read alike everywhere; and huge numbers are no way around it."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, FileSearch

from .serving import exchange, inside
from .shelving import placed, uploaded

pytestmark = pytest.mark.anyio

HUGE = 10**400


def provider() -> Provider:
    tools = [FileSearch(), CodeInterpreter(LocalSandboxes())]
    return Provider(models=[ScriptedModel(["x"], repeat=True)], tools=tools)


@pytest.mark.parametrize(
    "limit", ["0", "20000", "000000100000", "0000000001" + "0" * 5000, "-1", "1.5", "\xb2", ""]
)
@pytest.mark.parametrize("family", ["files", "vector_stores", "containers", "items"])
async def test_a_limit_is_a_whole_number_that_a_list_may_have(family: str, limit: str) -> None:
    app = provider()
    async with inside(app) as client:
        made = (await client.post("/v1/conversations", json={})).json()["id"]
        path = f"conversations/{made}/items" if family == "items" else family
        for given, status in (limit, 400), ("0000020", 200):
            answer = await client.get(f"/v1/{path}", params={"limit": given})
            assert answer.status_code == status, answer.text
            if status == 400:
                assert answer.json()["error"]["param"] == "limit"
                assert len(answer.text) < 500
    await app.aclose()


@pytest.mark.parametrize("value", [HUGE, -HUGE, 2**53 + 1])
async def test_an_attribute_that_no_number_holds_is_refused(tmp_path: Path, value: int) -> None:
    async with placed(tmp_path) as place, place.client() as client, place.http() as http:
        named = await uploaded(client, "a.txt", "words")
        store = await client.vector_stores.create()
        path = f"/v1/vector_stores/{store.id}"
        body: dict[str, Any] = {"file_id": named, "attributes": {"a": value}}
        wish = {"query": "x", "filters": {"type": "gt", "key": "a", "value": value}}
        for at, asked in (f"{path}/files", body), (f"{path}/search", wish):
            answer = await http.post(at, json=asked)
            assert answer.status_code == 400, answer.text
            assert "2**53" in answer.json()["error"]["message"]


async def test_a_library_that_lasts_is_woken_by_the_first_request(tmp_path: Path) -> None:
    """What a process that died has left unread waits for no request of its own."""
    woken: list[bool] = []
    for search in FileSearch(tmp_path / "search.db"), FileSearch():
        app = Provider(models=[ScriptedModel(["x"])], tools=[search])
        search.library.wake = lambda: woken.append(True)
        for _ in range(2):
            await exchange(app, method="GET", path="/healthz")
        await app.aclose()
    assert woken == [True]
