"""`antiphon check`: what it finds is what the server does."""

import base64
import json
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from antiphon.items import FunctionCallOutput, InputImage, Message
from antiphon.models import FunctionCall, ModelRequest, Reasoning, Speech, Text, model
from antiphon.provider import Provider

from .kit import Outcome, Run, Serving

EVERYTHING = ["api", "listed", "answers", "streams", "reasons", "tools", "images", "schema"]


def colour(url: str) -> str:
    """The colour of the first pixel of a PNG without filters."""
    data = base64.b64decode(url.partition(",")[2])
    at = data.index(b"IDAT")
    size = int.from_bytes(data[at - 4 : at])
    pixel = zlib.decompress(data[at + 4 : at + 4 + size])[1:4]
    return "Red." if pixel == b"\xff\0\0" else pixel.hex()


@model("able")
async def able(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Can do everything."""
    yield Reasoning("let me see")
    last = request.items[-1]
    parts = last.content if isinstance(last, Message) and not isinstance(last.content, str) else []
    images = [part.image_url or "" for part in parts if isinstance(part, InputImage)]
    if isinstance(last, FunctionCallOutput):
        yield Text(f"It has {last.output}.")
    elif request.tools:
        yield FunctionCall(request.tools[0].name, {"city": "Lisbon"})
    elif request.original.text is not None:
        yield Text('{"city": "Lisbon", "population_millions": 0.55}')
    elif images:
        yield Text(colour(images[0]))
    else:
        for word in ("one, ", "two, ", "three"):
            yield Text(word)


def found(ran: Outcome) -> dict[str, str]:
    return {each["name"]: each["verdict"] for each in json.loads(ran.out)["findings"]}


def test_a_server_that_can_do_everything_is_found_to(antiphon: Run, serving: Serving) -> None:
    url = serving(Provider(models=[able]))
    ran = antiphon("check", url, "--model", "able")
    assert ran.code == 0, ran.out
    lines = [line.split(maxsplit=2) for line in ran.out.splitlines()[1:]]
    assert [(line[0], line[1]) for line in lines] == [(name, "ok") for name in EVERYTHING]
    assert ran.out.startswith(f"able at {url}/v1\n")
    assert "3 pieces" in ran.out
    assert "\x1b" not in ran.out


def test_json_says_the_same_to_programs(antiphon: Run, serving: Serving) -> None:
    url = serving(Provider(models=[able]))
    ran = antiphon("check", f"{url}/v1", "--model", "able", "--json")
    told = json.loads(ran.out)
    assert (told["ok"], told["model"], told["url"]) == (True, "able", f"{url}/v1")
    assert found(ran) == dict.fromkeys(EVERYTHING, "ok")


def chunk(**delta: Any) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n"


async def plain_chat(request: Request) -> Response:
    """Chat Completions: one piece, no thought, no tools; images are refused."""
    body = await request.json()
    if "image_url" in json.dumps(body):
        return JSONResponse({"error": {"message": "images?\nnever"}}, status_code=400)
    end = f"data: {json.dumps({'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})}"
    text = chunk(content="I would rather not.") + f"{end}\n\ndata: [DONE]\n\n"
    return Response(text, media_type="text/event-stream")


def test_what_a_plain_server_cannot_do_is_said_with_the_reason(
    antiphon: Run, serving: Serving
) -> None:
    url = serving(Starlette(routes=[Route("/v1/chat/completions", plain_chat, methods=["POST"])]))
    ran = antiphon("check", url, "--model", "m", "--json")
    assert ran.code == 1  # it does not stream
    assert found(ran) == {
        "api": "ok",
        "listed": "error",
        "answers": "ok",
        "streams": "no",
        "reasons": "no",
        "tools": "no",
        "images": "error",
        "schema": "no",
    }
    whys = {each["name"]: each["why"] for each in json.loads(ran.out)["findings"]}
    assert whys["api"].startswith("chat: the server does not know POST /responses")
    assert "buffers" in whys["streams"]
    assert whys["tools"] == "it did not call: I would rather not."
    assert "images?" in whys["images"]
    assert "never" not in whys["images"]  # one line


@model("clumsy")
async def clumsy(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Calls the tool, but forgets what it said."""
    for word in ("well", ", ", "well"):
        yield Text(word)
    if request.tools and not isinstance(request.items[-1], FunctionCallOutput):
        yield FunctionCall(request.tools[0].name, {"city": "Lisbon"})


@model("confused")
async def confused(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Calls the tool with arguments that it does not have; its JSON is of another shape."""
    yield Text('{"city": ')
    yield Text("7}")
    if request.tools:
        yield FunctionCall(request.tools[0].name, {"town": "Lisbon"})


@model("mute")
async def mute(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Thinks, and says nothing."""
    yield Reasoning("...")


@pytest.mark.parametrize(
    ("name", "code", "verdicts", "why"),
    [
        ("clumsy", 0, {"answers": "ok", "tools": "no"}, "it called, but did not use the output"),
        ("confused", 0, {"tools": "no", "schema": "no"}, "its arguments do not fit"),
        ("mute", 1, {"answers": "no"}, "it said nothing (completed)"),
    ],
)
def test_half_a_skill_is_none(
    antiphon: Run, serving: Serving, name: str, code: int, verdicts: dict[str, str], why: str
) -> None:
    url = serving(Provider(models=[clumsy, confused, mute]))
    ran = antiphon("check", url, "--model", name, "--api", "responses", "--json")
    assert ran.code == code
    assert verdicts.items() <= found(ran).items()
    assert why in ran.out
    assert "responses, as you said" in ran.out


def test_a_server_that_is_not_there_is_the_end_of_the_check(antiphon: Run) -> None:
    ran = antiphon("check", "http://127.0.0.1:9/v1", "--model", "m")
    assert ran.code == 1
    assert "api       error" in ran.out
    assert "is it running" in ran.out
    assert "answers" not in ran.out


def test_a_model_that_nobody_has_is_not_asked_five_times(antiphon: Run, serving: Serving) -> None:
    ran = antiphon("check", serving(Provider(models=[able])), "--model", "baker", "--json")
    assert ran.code == 1
    assert found(ran) == {"api": "ok", "listed": "no", "answers": "error"}
    assert "able" in ran.out


@model("slow")
async def slow(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Says nothing, for ever."""
    await anyio.sleep_forever()
    yield Text("never")


def test_a_model_that_says_nothing_is_given_up_on(antiphon: Run, serving: Serving) -> None:
    url = serving(Provider(models=[slow]))
    ran = antiphon("check", url, "--model", "slow", "--timeout", "2")
    assert ran.code == 1
    assert "answers   error  no answer in 2 seconds" in ran.out


def test_the_key_of_the_environment_is_sent_and_never_shown(
    antiphon: Run, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serving(Provider(models=[able], api_keys={"sk-secret": "alice"}))
    monkeypatch.setenv("THE_KEY", "sk-wrong")
    ran = antiphon("check", url, "--model", "able", "--api-key-env", "THE_KEY")
    assert ran.code == 1
    assert "401" in ran.out
    assert "sk-wrong" not in ran.out + ran.err
    monkeypatch.setenv("THE_KEY", "sk-secret")
    assert antiphon("check", url, "--model", "able", "--api-key-env", "THE_KEY").code == 0


@pytest.mark.parametrize(
    "argv",
    [
        ["http://x"],
        ["--model", "m"],
        ["x:1", "--model", "m"],
        ["http://x", "--model", "m", "--timeout", "0"],
        ["http://x", "--model", "m", "--api-key-env", "NO_SUCH_KEY"],
    ],
)
def test_words_that_make_no_sense_are_usage_errors(antiphon: Run, argv: list[str]) -> None:
    assert antiphon("check", *argv).code == 2
