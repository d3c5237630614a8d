"""What a compaction answers is what the Open Responses schema says.

The schema file stands beside the checkout, in `../shared/spec`.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from antiphon.models import ScriptedModel

from .compacting import mounted
from .serving import inside

pytestmark = pytest.mark.anyio

FILE = Path(__file__).resolve().parents[3] / "shared/spec/openapi.json"

if not FILE.exists():
    if "CI" in os.environ:
        raise FileNotFoundError(f"expected the Open Responses schema at {FILE}: fetch it first")
    pytest.skip(f"no Open Responses schema at {FILE}", allow_module_level=True)

DOCUMENT: dict[str, Any] = json.loads(FILE.read_bytes())
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
FILED = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,YQ=="}

INPUTS: dict[str, Any] = {
    "a text": "hi",
    "messages without type": [{"role": "user", "content": "hi"}],
    "every role": [
        {"type": "message", "role": role, "content": "hi"}
        for role in ("system", "developer", "user", "assistant")
    ],
    "parts": [
        {"role": "user", "content": [{"type": "input_text", "text": "see"}, IMAGE, FILED]},
    ],
    "a call that waits": [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "c",
            "name": "f",
            "arguments": "{}",
        },
    ],
}


def complaint(name: str, instance: Any) -> str | None:
    """What the schema of this name has against an instance, if anything."""
    schema = {**DOCUMENT, "$ref": f"#/components/schemas/{name}"}
    faults: Any = Draft202012Validator(schema).iter_errors(instance)  # pyright: ignore[reportUnknownMemberType]
    return next((f"{fault.json_path}: {fault.message}" for fault in faults), None)


@pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)
async def test_the_answer_and_its_return_are_valid(given: Any) -> None:
    app = mounted(ScriptedModel(["in short"], repeat=True), keys=None)
    async with inside(app) as http:
        answer = await http.post(
            "/v1/responses/compact", json={"model": "scripted", "input": given}
        )
        assert answer.status_code == 200, answer.text
        compacted = answer.json()
        assert complaint("CompactResource", compacted) is None
        back = {"model": "scripted", "input": compacted["output"]}
        assert (await http.post("/v1/responses/compact", json=back)).status_code == 200
    (compaction,) = [item for item in compacted["output"] if item["type"] == "compaction"]
    assert complaint("CompactionSummaryItemParam", compaction) is None
