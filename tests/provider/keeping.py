"""What the tests of keys and stores share: a provider with two principals."""

import json
from typing import Any

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import Context, tool

from .serving import Exchange, exchange

KEYS = {"sk-a": "alice", "sk-a2": "alice", "sk-b": "bob"}
ALICE = {"authorization": "Bearer sk-a"}
BOB = {"authorization": "Bearer sk-b"}


@tool
async def whoami(ctx: Context) -> str:
    """Whose run this is."""
    return ctx.principal


def provider(*turns: Any, **options: Any) -> Provider:
    script = ScriptedModel(turns or ["x"], repeat=True)
    options.setdefault("api_keys", KEYS)
    return Provider(models=[script], tools=[whoami], **options)


async def ask(app: Provider, headers: dict[str, str] = ALICE, **body: Any) -> dict[str, Any]:
    one = await exchange(app, {"input": "hi", **body}, headers=headers)
    assert one.status == 200, one.body
    return json.loads(one.body)


async def get(app: Provider, response_id: str, headers: dict[str, str] = ALICE) -> Exchange:
    return await exchange(app, method="GET", path=f"/v1/responses/{response_id}", headers=headers)


async def delete(app: Provider, response_id: str, headers: dict[str, str] = ALICE) -> Exchange:
    path = f"/v1/responses/{response_id}"
    return await exchange(app, method="DELETE", path=path, headers=headers)


def fault(one: Exchange) -> dict[str, Any]:
    return json.loads(one.body)["error"]
