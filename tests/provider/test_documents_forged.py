"""Files that a client names where only a model or a tool should have spoken."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.errors import RequestError
from antiphon.items import ITEM
from antiphon.provider import DiskFiles

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.documents import Documents
    from testing.files import OWNER
else:
    from antiphon.provider.documents import Documents
    from antiphon.testing.files import OWNER

pytestmark = pytest.mark.anyio

ABSENT = "file-" + "0" * 48
Part = dict[str, Any]
TOOL = {"type": "antiphon:tool_call", "status": "completed", "name": "f", "arguments": "{}"}
CALL = {"type": "mcp_call", "server_label": "x", "name": "f", "arguments": "{}"}
AGENT = {"type": "antiphon:agent_call", "status": "completed", "agent": "a"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_file", "file_id": ABSENT},
        {"type": "input_image", "file_id": ABSENT},
        {"type": "input_image", "file_id": ABSENT, "image_url": "https://example.com/a.png"},
        {"type": "x_file", "file_id": ABSENT},
        {"type": "x_file", "file": {"file_id": ABSENT}},
    ],
)
@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"role": "assistant"}, "content"),
        ({"role": "user"}, "content"),
        (TOOL, "output"),
        (CALL, "content"),
        (AGENT, "output"),
    ],
)
async def test_no_id_of_a_file_goes_on_unseen_wherever_a_client_puts_it(
    tmp_path: Path, item: Part, field: str, part: Part
) -> None:
    inner = [{"role": "assistant", "content": [part]}] if item is AGENT else [part]
    forged = ITEM.validate_python({**item, field: inner})
    with pytest.raises(RequestError) as caught:
        await Documents(DiskFiles(tmp_path), principal=OWNER).read([forged])
    assert caught.value.status in (400, 404)
    assert str(caught.value.param).startswith(f"input[0].{field}[0]")
