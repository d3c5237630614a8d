"""Anything at all is answered or refused, and never a 5xx."""

import json
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from .refusing import problem, provider
from .serving import events_of, exchange

pytestmark = pytest.mark.anyio


LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(
        "auto none user message input_text input_image function mcp code_interpreter antiphon "
        "item_reference function_call function_call_output reasoning text json_schema c1".split()
    )
)
KEYS = st.sampled_from(
    """type id role content text call_id name arguments output status tools tool_choice mode
    server_label connector_id allowed_tools container image_url file_url detail summary format
    schema effort queries outputs results action encrypted_content error namespace""".split()
) | st.text(max_size=4)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
TOP = st.sampled_from(
    """input tools tool_choice metadata text temperature top_p stream stream_options background
    max_output_tokens max_tool_calls reasoning truncation instructions store service_tier include
    top_logprobs user prompt conversation previous_response_id parallel_tool_calls x""".split()
)
LIKELY = st.dictionaries(KEYS, VALUE, min_size=1, max_size=5)
ITEMS = st.lists(LIKELY | VALUE, max_size=3)
BODY = st.dictionaries(TOP, ITEMS | VALUE, max_size=6)
NEVER_FOUND = {400, 404}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(BODY, st.sampled_from(["hi", None]))
def test_any_object_is_answered_or_refused(body: dict[str, Any], said: str | None) -> None:
    if said:
        body = {"input": said, **body}

    async def ask() -> None:
        one = await exchange(provider(), json.dumps(body).encode("utf-8", "surrogatepass"))
        if one.status == 200 and body.get("stream"):
            assert events_of(one.body)[-1]["type"] == "response.completed"
        elif one.status == 200:
            assert json.loads(one.body)["object"] == "response"
        else:
            assert one.status in NEVER_FOUND, one.body
            problem(one)

    anyio.run(ask)


@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused(body: bytes) -> None:
    async def ask() -> None:
        one = await exchange(provider(), body)
        assert one.status == 400, one.body
        problem(one)

    anyio.run(ask)
