"""Contents on their way out, to a client that does not take them."""

from pathlib import Path

import anyio
import pytest

from .filing import ALICE, form, opened, part, post, serving_files
from .serving import PATIENCE, Exchange

pytestmark = pytest.mark.anyio


async def test_a_client_that_takes_nothing_of_an_upload_is_cut_off_in_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as files:
        app = serving_files(files, idle_seconds=0.05)
        content = bytes(3_000_000)
        fields = part("purpose", "user_data"), part("file", content, "large.bin")
        made = (await post(serving_files(files), form(*fields))).json
        path = f"/v1/files/{made['id']}/content"
        stalled = Exchange(app, method="GET", path=path, headers=ALICE)
        stalled.gate = anyio.Event()
        with anyio.fail_after(PATIENCE):
            await stalled.run()
        assert len(stalled.body) < len(content)
        reads = Exchange(app, method="GET", path=path, headers=ALICE)
        with anyio.fail_after(PATIENCE):
            await reads.run()
        assert reads.body == content
        assert max(len(write) for write in reads.writes) <= 256 * 1024
