"""What a store or a bug says of itself may hold passwords: it is in no log, and in no error."""

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from antiphon.errors import ConfigurationError
from antiphon.models import ScriptedModel, Text
from antiphon.provider import MemoryStore, Provider, SqlStore

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider import making
else:
    from antiphon.provider import making

from .holding import Held
from .serving import PATIENCE, exchange, inside

pytestmark = pytest.mark.anyio

SECRET = "s3cret"


class Broken(MemoryStore):
    """Breaks in one of its methods, as a driver does that tells its URL."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.asked = anyio.Event()
        setattr(self, method, self._broken)

    async def _broken(self, *given: Any, **options: Any) -> Any:
        self.asked.set()
        raise OSError(f"postgresql://antiphon:{SECRET}@db/antiphon does not answer")


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("save", {"body": {"input": "hi"}}),
        ("load", {"method": "GET", "path": "/v1/responses/resp_1"}),
        ("load", {"method": "GET", "path": "/readyz"}),
    ],
)
async def test_a_store_that_breaks_is_logged_by_where_and_not_by_what_it_says(
    method: str, asked: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = Provider(models=[ScriptedModel(["x"])], store=Broken(method))
    one = await exchange(app, **asked)
    assert "OSError" in caplog.text and "test_logged_secrets.py" in caplog.text
    assert SECRET not in caplog.text + one.body.decode()


@pytest.mark.parametrize("method", ["write", "finish", "renew"])
async def test_a_store_that_breaks_under_a_job_is_logged_so_too(
    method: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "TRIES", 1)
    held, store = Held(), Broken(method)
    app = Provider(models=[held.model(Text("once"))], store=store, lease_seconds=0.05)
    async with inside(app) as client:
        await client.post("/v1/responses", json={"input": "hi", "background": True})
        if method == "finish":
            held.go.set()
        with anyio.fail_after(PATIENCE):
            await store.asked.wait()
            await app.aclose()
    assert "OSError" in caplog.text
    assert SECRET not in caplog.text


async def test_a_password_in_the_query_of_a_database_s_url_is_not_told() -> None:
    store = SqlStore(f"postgresql://127.0.0.1:1/name?user=antiphon&password={SECRET}")
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:1/name") as error:
        await store.open()
    await store.aclose()
    assert SECRET not in str(error.value)


async def test_what_is_wrong_with_a_configuration_is_logged_in_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Provider(models=[ScriptedModel(["x"])], store="postgresql://127.0.0.1:1/name")
    one = await exchange(app, method="GET", path="/v1/responses/resp_1")
    await app.aclose()
    assert one.status == 500 and b"127.0.0.1" not in one.body
    assert "expected a PostgreSQL database at" in caplog.text
