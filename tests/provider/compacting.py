"""What the tests of compaction and of counting share: a Provider with keys, and its clients."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from openai import OpenAI
from openai.types.responses import CompactedResponse
from starlette.types import ASGIApp

from antiphon.models import Model
from antiphon.provider import Provider

from .serving import PATIENCE, serve

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.seal import Seal as Seal
    from provider.summary import INSTRUCTIONS as INSTRUCTIONS
else:
    from antiphon.provider.seal import Seal as Seal
    from antiphon.provider.summary import INSTRUCTIONS as INSTRUCTIONS

KEYS = {"sk-alice": "alice", "sk-mallory": "mallory"}
SEAL_KEY = "a-key-for-tests-of-more-than-32-characters"
CLOCK = 1_800_000_000.7


def mounted(
    *models: Model,
    keys: Mapping[str, str] | None = KEYS,
    seal_keys: str | None = SEAL_KEY,
    keep_alive: float = 15.0,
    **options: Any,
) -> ASGIApp:
    """A Provider that compacts and counts.

    Args:
        models: Who answers.
        keys: API keys; None serves this machine alone.
        seal_keys: What seals; None makes a key at random.
        keep_alive: Seconds of silence after which a line is kept alive.
        options: What else the Provider is made with.
    """
    options |= {"models": models, "api_keys": keys, "clock": lambda: CLOCK}
    return Provider(keep_alive=keep_alive, seal_keys=seal_keys, **options)


@contextmanager
def client(app: ASGIApp, *, key: str = "sk-alice") -> Generator[OpenAI]:
    """The SDK, speaking to an application over HTTP."""
    with (
        serve(app) as url,
        OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=PATIENCE) as made,
    ):
        yield made


def carried(compacted: CompactedResponse) -> list[Any]:
    """A compaction's output as the next input. The SDK's classes know no message of a user's in an
    output, and warn of each; what they write is right.
    """
    output: Any = compacted.output
    return [one.model_dump(exclude_unset=True, warnings=False) for one in output]


def summary_of(compacted: CompactedResponse, *, principal: str = "alice") -> str:
    """What is inside the one compaction of an output."""
    (sealed,) = [item for item in carried(compacted) if item["type"] == "compaction"]
    seal = Seal(SEAL_KEY)
    inside = seal.open(sealed["encrypted_content"], principal=principal, purpose="compaction")
    told = json.loads(inside)
    assert told["id"] == sealed["id"]
    return told["summary"]
