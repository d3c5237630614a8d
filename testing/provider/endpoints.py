"""Rules about the paths beside /responses: models, tokens, compaction, conversations, files.

Above: `provider`. Below: `bench`. Not here: /responses. A path that answers 404, 405 or
501 is not offered, and its rules are skipped.
"""

from typing import Any, Final

from .bench import MISSING, Bench, Theme
from .errors import BAD, refusal
from .line import Answer
from .memory import MY_NAME, WHAT_NAME, said, text_of
from .report import Broken, expect, filled, same, shown, skip
from .shapes import CompactionObject, OneItem, fault
from .sse import Json, obj, objects

endpoints: Theme = Theme("models, tokens, compaction, conversations, files")
_COMPACT: Final = "spec, Context Compaction; CompactResource"
_TALK: Final = "spec, Stateful Conversations; openai: /conversations (Message)"
_FILES: Final = "openai: /files"


async def offered(bench: Bench, method: str, path: str, body: object = None, **more: Any) -> Answer:
    """An answer of 200.

    Raises:
        Skipped: The path is not served.
    """
    answer = await bench.line.ask(method, path, body, **more)
    if answer.status in MISSING:
        skip(answer.absent)
    expect(answer.status == 200, f"expected 200, got {answer}", body)
    return answer


@endpoints.rule("models are listed, the one that is asked among them", "openai: GET /models")
async def models(bench: Bench) -> None:
    listed = (await offered(bench, "GET", "/models")).json
    same(listed.get("object"), "list", "object", listed)
    rows = objects(listed.get("data"))
    for row in rows:
        same(row.get("object"), "model", "data[].object", row)
        filled(row.get("id"), "data[].id", row)
        whole = isinstance(row.get("created"), int)
        expect(whole, f"created: expected an integer, got {shown(row.get('created'))}", row)
        expect(isinstance(row.get("owned_by"), str), "owned_by: expected a text", row)
    names = [row.get("id") for row in rows]
    named = bench.model is None or bench.model in names
    expect(named, f"expected {bench.model} among the models, got {shown(names)}")


@endpoints.rule("input_tokens counts a request's tokens", "openai: POST /responses/input_tokens")
async def input_tokens(bench: Bench) -> None:
    counts: list[int] = []
    for asked in ("Say hello.", "Say hello. " * 50):
        told = await bench.line.ask("POST", "/responses/input_tokens", bench.body(asked))
        if 400 <= told.status < 500:
            skip(told.absent)
        expect(told.status == 200, f"expected 200, got {told}")
        same(told.json.get("object"), "response.input_tokens", "object", told.body)
        count = told.json.get("input_tokens")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise Broken(f"input_tokens: expected a number above 0, got {shown(count)}")
        counts.append(count)
    expect(counts[1] > counts[0], f"expected more tokens for more text, got {counts}")


# --- compaction ---------------------------------------------------------------


async def _compacted(bench: Bench) -> Json:
    history = [
        {"type": "message", "role": "user", "content": MY_NAME},
        {"type": "message", "role": "assistant", "content": "Hello Alice."},
    ]
    return (await offered(bench, "POST", "/responses/compact", bench.body(history))).json


@endpoints.rule("compacting gives a response.compaction with a compaction item", _COMPACT)
async def compacts(bench: Bench) -> None:
    told = await bench.once("compacted", lambda: _compacted(bench))
    wrong = fault(CompactionObject, told)
    expect(wrong is None, str(wrong), wrong.got if wrong else None)
    kinds = [each.get("type") for each in objects(told.get("output"))]
    expect("compaction" in kinds, f"expected a compaction item, got {shown(kinds)}", told)


@endpoints.rule("compacting without a model is a 400 or 422", f"public suite; {_COMPACT}")
async def compact_unnamed(bench: Bench) -> None:
    await bench.once("compacted", lambda: _compacted(bench))
    answer = await bench.line.ask("POST", "/responses/compact", {"input": "Hi."})
    refusal(answer, BAD, "compacting without a model")


@endpoints.rule("what was compacted is known when the chain goes on from it", _COMPACT)
async def compact_continues(bench: Bench) -> None:
    told = await bench.once("compacted", lambda: _compacted(bench))
    given = [*objects(told.get("output")), {"role": "user", "content": WHAT_NAME}]
    answer = await bench.respond(given)
    same(answer.get("status"), "completed", "status", answer)
    whole = [{"role": "user", "content": text} for text in (MY_NAME, WHAT_NAME)]
    if "alice" not in text_of(answer).lower():
        if "alice" not in text_of(await bench.respond(whole)).lower():
            skip("the model does not repeat a name even when the whole history is sent")
        expect(False, f"expected the name Alice, got {shown(text_of(answer))}")


@endpoints.rule("a compaction that was forged is refused", "wire 2: authenticated encryption")
async def compact_forged(bench: Bench) -> None:
    told = await bench.once("compacted", lambda: _compacted(bench))
    sealed = [each for each in objects(told.get("output")) if each.get("type") == "compaction"]
    text = str(sealed[0].get("encrypted_content"))
    middle = len(text) // 2
    other = "A" if text[middle : middle + 1] != "A" else "B"
    forged = {**sealed[0], "encrypted_content": text[:middle] + other + text[middle + 1 :]}
    answer = await bench.post(bench.body([forged, {"role": "user", "content": WHAT_NAME}]))
    refusal(answer, BAD, "a forged compaction")


# --- conversations ------------------------------------------------------------


async def _conversation(bench: Bench, **fields: Any) -> Json:
    made = await offered(bench, "POST", "/conversations", {"metadata": {"kit": "1"}, **fields})
    return made.json


@endpoints.rule("a conversation is made, had, changed and deleted", _TALK)
async def conversation_life(bench: Bench) -> None:
    made = await _conversation(bench)
    same(made.get("object"), "conversation", "object", made)
    same(made.get("metadata"), {"kit": "1"}, "metadata", made)
    expect(isinstance(made.get("created_at"), int), "created_at: expected an integer", made)
    path = f"/conversations/{made['id']}"
    same((await offered(bench, "GET", path)).json, made, "the conversation, had again")
    changed = (await offered(bench, "POST", path, {"metadata": {"kit": "2"}})).json
    same(changed.get("metadata"), {"kit": "2"}, "metadata when changed", changed)
    gone = (await offered(bench, "DELETE", path)).json
    same(gone.get("deleted"), True, "deleted", gone)
    refusal(await bench.line.ask("GET", path), (404,), "GET of a deleted conversation")


@endpoints.rule("a response in a conversation says so, and joins it with its input", _TALK)
async def conversation_grows(bench: Bench) -> None:
    made = await _conversation(bench)
    told = await bench.respond("One.", conversation=made["id"])
    same(obj(told.get("conversation")).get("id"), made["id"], "conversation.id", told)
    path = f"/conversations/{made['id']}/items"
    listed = (await offered(bench, "GET", f"{path}?order=asc")).json
    rows = objects(listed.get("data"))
    for row in rows:
        wrong = fault(OneItem, {"item": row})
        expect(wrong is None, str(wrong), row)
    expected = [each["id"] for each in objects(told.get("output"))]
    same([row.get("id") for row in rows[1:]], expected, "the ids after the input's", listed)
    same(said({"data": rows[:1]}), ["One."], "the first text", listed)


@endpoints.rule("what was said in a conversation is known there, and nowhere else", _TALK)
async def conversation_remembers(bench: Bench) -> None:
    item = {"type": "message", "role": "user", "content": MY_NAME}
    made = await _conversation(bench, items=[item])
    told = text_of(await bench.respond(WHAT_NAME, conversation={"id": made["id"]}))
    whole = [item, {"role": "user", "content": WHAT_NAME}]
    if "alice" not in text_of(await bench.respond(whole)).lower():
        skip("the model does not repeat a name even when the whole history is sent")
    expect("alice" in told.lower(), f"expected the name Alice, got {shown(told)}")
    other = await _conversation(bench)
    told = text_of(await bench.respond(WHAT_NAME, conversation=other["id"]))
    expect("alice" not in told.lower(), f"expected nothing of Alice, got {shown(told)}")


@endpoints.rule("conversation and previous_response_id together are a 400", "openai: create")
async def not_both(bench: Bench) -> None:
    made = await _conversation(bench)
    first = await bench.respond("One.")
    body = bench.body("Two.", conversation=made["id"], previous_response_id=first["id"])
    refusal(await bench.post(body), BAD, "both")


@endpoints.rule("an unknown conversation is a 400 or 404", "spec, Errors")
async def conversation_unknown(bench: Bench) -> None:
    await _conversation(bench)  # skips where there are none
    answer = await bench.post(bench.body("Hi.", conversation="conv_conformance_kit_nowhere"))
    refusal(answer, (400, 404), "an unknown conversation")


# --- files --------------------------------------------------------------------


@endpoints.rule("a file is uploaded, had, listed, read and deleted", _FILES)
async def files(bench: Bench) -> None:
    words = b"The tides follow the moon.\n"
    made = await offered(
        bench,
        "POST",
        "/files",
        files={"file": ("kit.txt", words, "text/plain")},
        data={"purpose": "user_data"},
    )
    told = made.json
    wanted = {"object": "file", "bytes": len(words), "filename": "kit.txt", "purpose": "user_data"}
    same({name: told.get(name) for name in wanted}, wanted, "the file", told)
    expect(isinstance(told.get("created_at"), int), "created_at: expected an integer", told)
    path = f"/files/{told['id']}"
    same((await offered(bench, "GET", path)).json.get("id"), told["id"], "id, had again")
    rows = objects((await offered(bench, "GET", "/files")).json.get("data"))
    expect(any(row.get("id") == told["id"] for row in rows), "expected it in the list", rows)
    content = await offered(bench, "GET", f"{path}/content")
    expect(content.body == words, f"expected its bytes, got {shown(content.body)}")
    gone = (await offered(bench, "DELETE", path)).json
    same(gone.get("deleted"), True, "deleted", gone)
    refusal(await bench.line.ask("GET", path), (404,), "GET of a deleted file")
