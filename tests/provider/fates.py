"""The fate of every request field: the one source of README's table, proved by `test_fates.py`.

    honoured   the provider (or its loop) does it; `proof` names the test that shows it
    passed     sent on to the model's server, whichever adapter is in front of it
    echoed     repeated in the response, and nothing else
    refused    a 400 that names the field and says what to do instead

`.venv/bin/python tests/provider/fates.py` prints the table.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Fate: TypeAlias = Literal["honoured", "passed", "echoed", "refused"]
Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One field, or one value of a field.

    Attributes:
        name: As README shows it.
        fate: One of the four.
        why: One line.
        body: A request with it.
        at: Where it stands in the upstream's body (passed) or in the response (echoed); for
            refused, the `param` of the error.
        chat: Where it stands in a Chat Completions body; None where that API has no place.
        proof: `file::test` that shows it honoured.
        also: Whether the response repeats it, too.
    """

    name: str
    fate: Fate
    why: str
    body: Body = field(default_factory=dict[str, Any])
    at: str = ""
    chat: str | None = None
    proof: str = ""
    also: bool = False


def nested(path: str, value: Any) -> Body:
    """`a.b` and 1 make {"a": {"b": 1}}."""
    for step in reversed(path.split(".")):
        value = {step: value}
    return value


def honoured(name: str, why: str, proof: str) -> Row:
    return Row(name, "honoured", why, proof=proof)


def passed(name: str, value: Any, why: str, *, chat: str | None = "", also: bool = True) -> Row:
    place = name if chat == "" else chat
    return Row(name, "passed", why, nested(name, value), name, place, also=also)


def echoed(name: str, value: Any, why: str) -> Row:
    return Row(name, "echoed", why, nested(name, value), name)


def refused(name: str, body: Body, why: str, *, param: str = "") -> Row:
    return Row(name, "refused", why, body, param or name)


def part(name: str, given: Body, why: str, *, chat: str | None = None) -> Row:
    """A content part that goes on to the model's server."""
    body: Body = {"input": [{"role": "user", "content": [given]}]}
    key = name.rpartition(".")[2].partition(" ")[0]
    return Row(name, "passed", why, body, f"input.0.content.0.{key}", chat)


def left_out(kind: str, **fields: Any) -> Row:
    """A tool type without a backend."""
    why = (
        "run here where the Provider has that tool; where not, left out of the model's menu and "
        "logged; a 400 if `tool_choice` demands it"
    )
    return Row(f"tools: {kind}", "echoed", why, {"tools": [{"type": kind, **fields}]}, "tools.0")


STORE = "test_store.py"
STREAM = "test_stream.py"
TOOLS = "test_openai_tools.py"
HERE = "test_fates.py"
VIEW = "test_view.py"
DATA = "data:application/pdf;base64,JVBERi0="
PIXEL = "data:image/png;base64,iVBORw0KGgo="
SCHEMA: Body = {"type": "object", "properties": {}, "$schema": "https://json-schema.org/x"}
TEXT_FORM: Body = {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}
CHAT_IMAGE = "messages.0.content.0.image_url"

FATES: list[Row] = [
    honoured(
        "model",
        "who answers; 404 for an unknown name (one that an upstream lacks fails the response)",
        f"{HERE}::test_model",
    ),
    honoured(
        "input",
        "a text, or items of any type; at most 20,000, their parts counted (`max_items`)",
        f"{HERE}::test_input",
    ),
    honoured(
        "input: item_reference",
        "resolved from the store; 404 if absent or another's",
        f"{STORE}::test_item_references_are_resolved",
    ),
    part(
        "input_image.detail",
        {"type": "input_image", "image_url": PIXEL, "detail": "original"},
        "auto, low, high and original",
    ),
    part(
        "input_image.image_url",
        {"type": "input_image", "image_url": PIXEL},
        "a data URL, or an http(s) URL of a public address; private ones are a 400",
        chat=f"{CHAT_IMAGE}.url",
    ),
    honoured(
        "input_image.file_id",
        "an uploaded image is shown; 404 if it is not there",
        "test_documents.py::test_an_image_becomes_an_image",
    ),
    part(
        "input_file.file_data",
        {"type": "input_file", "filename": "a.pdf", "file_data": DATA},
        "a data URL or base64; text is read as text, images as images, all else passed on",
        chat="messages.0.content.0.file.file_data",
    ),
    part(
        "input_file.file_url",
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        "the model's server fetches it; private addresses are a 400",
    ),
    honoured(
        "input_file.file_id",
        "an uploaded file is read: text as text, images as images, all else passed on",
        "test_documents.py::test_a_stored_text_is_read_as_text_under_its_name",
    ),
    honoured(
        "instructions",
        "this request's only: not carried over by previous_response_id",
        f"{STORE}::test_instructions_are_not_carried_over",
    ),
    honoured(
        "previous_response_id",
        "all earlier input and output comes before the new input; 404 if any of it is gone",
        f"{STORE}::test_a_chain_of_three",
    ),
    honoured(
        "stream", "SSE, or one JSON object", f"{STREAM}::test_json_and_sse_tell_the_same_response"
    ),
    honoured(
        "stream_options.include_obfuscation",
        "pads text deltas; off unless asked for",
        f"{STREAM}::test_obfuscation_pads_text_when_asked",
    ),
    honoured(
        "store",
        "true unless the Provider has store_by_default=False",
        f"{STORE}::test_what_is_not_to_be_stored_is_not",
    ),
    echoed("metadata", {"a": "b"}, "16 pairs of 64 and 512 characters; kept with the response"),
    honoured(
        "tools: function",
        "the client runs it",
        f"{TOOLS}::test_a_function_goes_round_by_items",
    ),
    honoured(
        "tools: namespace",
        "functions in a group; their calls carry `namespace`",
        "test_tolerated_tools.py::test_a_function_in_a_namespace_keeps_it",
    ),
    honoured(
        "tools: code_interpreter",
        "run here where the Provider has that tool; the uploads of `file_ids` are in its /mnt/data",
        "test_code_files.py::test_a_sheet_goes_in_and_its_sum_comes_out_cited_and_downloadable",
    ),
    honoured(
        "tools: mcp (connector antiphon)",
        "the Provider's own functions",
        f"{TOOLS}::test_a_provider_run_function_is_an_mcp_call",
    ),
    honoured(
        "tools: antiphon:function",
        "one of the Provider's own functions",
        f"{HERE}::test_functions_by_name",
    ),
    honoured(
        "tools: antiphon:agent",
        "a sub-agent with a model, instructions and tools of its own, all run here",
        "test_inline_agents.py::test_one_request_runs_an_agent_with_its_own_model_instructions_and_tools",
    ),
    left_out("mcp", server_label="x", server_url="https://example.com/mcp"),
    left_out("file_search", vector_store_ids=["vs_1"]),
    left_out("web_search"),
    left_out("image_generation"),
    left_out("shell"),
    honoured(
        "tools: custom, local_shell, apply_patch, computer, computer_use_preview",
        "calls for the client to run, as items of these types; grammars are checked",
        "test_client_tools.py::test_a_client_gets_its_call_and_gives_its_output_back",
    ),
    honoured(
        "tool_choice",
        "enforced when a call would be executed, whatever the model does",
        f"{HERE}::test_tool_choice",
    ),
    honoured(
        "parallel_tool_calls",
        "false: one call a turn is run, the model is told to repeat others",
        f"{HERE}::test_parallel_tool_calls",
    ),
    honoured(
        "max_tool_calls",
        "counts what runs here; the response still completes",
        f"{HERE}::test_max_tool_calls",
    ),
    honoured(
        "antiphon_budget",
        "as `antiphon:budget`: `turns`, `tool_calls`, `tokens`, `seconds`, `cost` of the whole run",
        "test_budgets.py::test_a_request_s_budget_ends_its_run_and_is_named",
    ),
    honoured(
        "max_output_tokens",
        "bounds the sum of all samplings",
        f"{HERE}::test_max_output_tokens",
    ),
    passed("temperature", 0.5, "0 to 2"),
    passed("top_p", 0.5, "0 to 1"),
    passed("presence_penalty", 0.5, "a number"),
    passed("frequency_penalty", 0.5, "a number"),
    passed("top_logprobs", 3, "0 to 20"),
    passed("text.format", TEXT_FORM, "text, json_object, json_schema", chat=None, also=False),
    passed("text.verbosity", "low", "low, medium, high", chat="verbosity"),
    passed("reasoning.effort", "minimal", "none to max, minimal included", chat="reasoning_effort"),
    passed("reasoning.summary", "auto", "auto, concise, detailed", chat=None),
    passed("reasoning.generate_summary", "concise", "the old name of summary", chat=None),
    passed("service_tier", "scale", "auto, default, flex, priority, scale"),
    passed("user", "u1", "any text"),
    passed("safety_identifier", "u1", "at most 64 characters"),
    passed("prompt_cache_key", "k1", "at most 64 characters"),
    passed("prompt_cache_retention", "24h", "any text"),
    honoured(
        "include: code_interpreter_call.outputs",
        "null without it; always stored",
        f"{TOOLS}::test_outputs_are_null_unless_included",
    ),
    honoured(
        "include: file_search_call.results",
        "null without it",
        f"{VIEW}::test_parts_are_shown_to_those_who_include_them",
    ),
    honoured(
        "include: web_search_call.action.sources",
        "left out without it",
        f"{VIEW}::test_parts_are_shown_to_those_who_include_them",
    ),
    honoured(
        "include: web_search_call.results",
        "left out without it",
        f"{VIEW}::test_parts_are_shown_to_those_who_include_them",
    ),
    honoured(
        "include: message.input_image.image_url",
        "input is kept whole, and no answer repeats it",
        f"{HERE}::test_input_is_kept_whole",
    ),
    honoured(
        "include: computer_call_output.output.image_url",
        "input is kept whole, and no answer repeats it",
        f"{HERE}::test_input_is_kept_whole",
    ),
    Row(
        "include: reasoning.encrypted_content",
        "passed",
        "and sealed by the Provider for its client; left out of the answer without it",
        {"include": ["reasoning.encrypted_content"]},
        "include.0",
    ),
    Row(
        "include: message.output_text.logprobs",
        "passed",
        "Chat Completions: `logprobs: true`",
        {"include": ["message.output_text.logprobs"]},
        "include.0",
    ),
    echoed("truncation", "disabled", "nothing is dropped: what is too long fails"),
    honoured(
        "truncation: auto",
        "where the model's server says that it is too long, the oldest turns are left out",
        "test_limits.py::test_what_is_too_long_is_shortened_where_the_client_allows_it",
    ),
    honoured(
        "background",
        "the response continues without its client; it can be followed, resumed and cancelled",
        "test_background.py::test_a_response_goes_on_without_its_client",
    ),
    refused(
        "background: true with store: false",
        {"background": True, "store": False},
        "a background response has to be stored",
        param="background",
    ),
    honoured(
        "conversation",
        "read before the input; the response's items are added to it",
        "test_conversations.py::test_a_response_reads_its_conversation_and_adds_to_it",
    ),
    refused("prompt", {"prompt": {"id": "pmpt_1"}}, "send instructions and input"),
    refused(
        "context_management",
        {"context_management": [{"type": "compaction", "compact_threshold": 1000}]},
        "send `truncation: auto`, or POST /v1/responses/compact",
    ),
    refused("moderation", {"moderation": {"model": "m"}}, "moderate what you send and get"),
    refused(
        "prompt_cache_options",
        {"prompt_cache_options": {"mode": "explicit"}},
        "send `prompt_cache_key` and `prompt_cache_retention`",
    ),
    refused(
        "image",
        {"image": {"context_compression": "enabled"}},
        "send images as the model is to see them",
    ),
    refused("access_programs", {"access_programs": {"cyber": "standard"}}, "there are none here"),
]


RESHAPED = {"text.format", "include: message.output_text.logprobs"}
"""Passed to Chat Completions servers under another name."""

UNSAYABLE = {"input_file.file_url"}
"""What a Chat Completions server cannot be told."""


def table() -> str:
    """README's table."""
    lines = ["| field | fate | |", "|---|---|---|"]
    for row in FATES:
        fate = f"{row.fate}, echoed" if row.also else row.fate
        lines.append(f"| `{row.name}` | {fate} | {row.why}{_chat(row)} |")
    return "\n".join(lines)


def _chat(row: Row) -> str:
    """What becomes of a passed field in front of a Chat Completions server."""
    if row.fate != "passed" or row.chat is not None or row.name in RESHAPED:
        return ""
    if row.name in UNSAYABLE:
        return "; a Chat Completions server takes none: the response fails with `unsupported_input`"
    return "; Chat Completions has no such field: left out"


if __name__ == "__main__":
    print(table())  # noqa: T201
