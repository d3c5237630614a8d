"""`antiphon conformance`: the report on the terminal and as JSON, the exit code, the secrets."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.testing.provider import CHECKS, obliging_model

from .kit import Outcome, Run, Serving

KEY = "sk-kit-secret-4711"
GOOD = ("created_at", "usage", "no frame has an id", "fold(events)")


@pytest.fixture
def good(serving: Serving) -> str:
    return serving(Provider(models=[obliging_model]))


def refusing(serving: Serving, message: str = "no") -> str:
    """A server that refuses everything, and repeats the key it was given."""

    async def endpoint(request: Request) -> JSONResponse:
        told = f"{message} {request.headers.get('authorization', '')}"
        return JSONResponse({"error": {"message": told}}, 400)

    return serving(Router([Route("/{path:path}", endpoint, methods=["GET", "POST", "DELETE"])]))


def test_a_provider_that_keeps_the_rules_is_told_so(antiphon: Run, good: str) -> None:
    ran = antiphon("conformance", good, "--only", *GOOD)
    assert ran.code == 0, ran.out
    lines = ran.out.splitlines()
    assert lines[0] == f"obliging at {good}/v1"
    assert lines[1:3] == ["", "the response object"]
    assert lines[3] == "  passed   created_at and completed_at are whole seconds"
    assert "the stream" in lines
    assert lines[-1].endswith("passed, 0 failed, 0 skipped")
    assert "\x1b" not in ran.out


def test_a_broken_rule_says_what_was_expected_what_came_and_where_it_stands(
    antiphon: Run, serving: Serving
) -> None:
    url = refusing(serving)
    ran = antiphon("conformance", url, "--model", "m", "--only", "a text as input")
    assert ran.code == 1
    assert ran.out.splitlines()[2:] == [
        "the response object",
        "  FAILED   a text as input is answered with 200, application/json and a response object",
        '           expected 200, got 400: "no "',
        '           {"model": "m", "input": "Say hello in exactly 3 words."}',
        "           see: spec, Core Responses Capabilities; HTTP Responses",
        "",
        "1 rules: 0 passed, 1 failed, 0 skipped",
    ]


def test_a_reason_that_repeats_is_printed_once(antiphon: Run, good: str) -> None:
    ran = antiphon("conformance", good, "--only", "WebSocket", "--no-websocket")
    assert ran.code == 0
    assert ran.out.count("WebSockets were not to be tried") == 1
    assert ran.out.count("  skipped  ") == sum(check.theme == "WebSocket" for check in CHECKS)


def test_json_says_the_same_to_programs(antiphon: Run, good: str) -> None:
    ran = antiphon("conformance", f"{good}/v1", "--model", "obliging", "--json", "--only", *GOOD)
    told = json.loads(ran.out)
    assert (told["ok"], told["model"], told["url"]) == (True, "obliging", f"{good}/v1")
    assert told["passed"] == len(told["results"]) >= len(GOOD)
    assert {"theme", "name", "source", "verdict", "why", "evidence", "seconds"} == set(
        told["results"][0]
    )


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_key_is_sent_to_the_provider_and_never_printed(
    antiphon: Run, serving: Serving, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    monkeypatch.setenv("KIT_KEY", KEY)
    url = refusing(serving)
    ran = antiphon(
        "conformance", url, "--api-key-env", "KIT_KEY", "--only", "a text as input", *how
    )
    assert ran.code == 1
    assert "Bearer ***" in ran.out
    assert KEY not in ran.out + ran.err


def test_where_a_key_is_needed_it_opens_the_door(
    antiphon: Run, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIT_KEY", KEY)
    url = serving(Provider(models=[obliging_model], api_keys={KEY: "kit"}))
    only = ("--only", "a text as input", "where a key is needed, none")
    assert antiphon("conformance", url, *only).code == 1
    ran = antiphon("conformance", url, "--api-key-env", "KIT_KEY", *only)
    assert ran.code == 0, ran.out
    assert "2 passed" in ran.out


def test_what_a_server_says_cannot_command_the_terminal(antiphon: Run, serving: Serving) -> None:
    url = refusing(serving, "\x1b[2J\u202e\x9b")
    for how in ([], ["--json"]):
        ran = antiphon("conformance", url, "--model", "\x1b[31m", "--only", "a text", *how)
        assert not {"\x1b", "\u202e", "\x9b"} & set(ran.out)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["localhost:8000"], "begin it with http:// or https://"),
        (["http://127.0.0.1:9", "--only", "nonsense"], "the themes are the response object"),
        (["http://127.0.0.1:9", "--schema", "/nowhere.json"], "openapi.json"),
        (["http://127.0.0.1:9", "--api-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY; it is not set"),
        (["http://127.0.0.1:9", "--timeout", "0"], "expected seconds above 0"),
        (["http://127.0.0.1:9", "--timeout", "nan"], "expected seconds above 0"),
        (["http://127.0.0.1:9", "--dialect", "latin"], "invalid choice"),
        ([], "the following arguments are required: URL"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_that_names_the_cure(
    antiphon: Run, argv: list[str], said: str
) -> None:
    ran = antiphon("conformance", *argv)
    assert ran.code == 2
    assert said in ran.err


def test_a_server_that_is_not_there_is_one_line_that_says_so(antiphon: Run) -> None:
    ran = antiphon("conformance", "http://me:secret@127.0.0.1:9")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("antiphon: http://127.0.0.1:9 cannot be reached: is a provider")


@pytest.mark.parametrize("dialect", ["openresponses", "openai"])
def test_the_dialect_is_the_one_that_was_asked_for(
    antiphon: Run, serving: Serving, dialect: str
) -> None:
    heard: list[str] = []
    app = Provider(models=[ScriptedModel(["ok"], repeat=True)])
    url = serving(listening(app, heard))
    antiphon("conformance", url, "--dialect", dialect, "--only", "a text as input")
    assert ("latest" in heard) == (dialect == "openresponses")


def listening(app: Any, heard: list[str]) -> Callable[..., Any]:
    """The application, and the versions that its clients say."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope.get("headers", ()):
            if name == b"openresponses-version":
                heard.append(value.decode())
        await app(scope, receive, send)

    return inner


def test_help_shows_examples(antiphon: Run) -> None:
    ran: Outcome = antiphon("conformance", "--help")
    assert ran.code == 0
    assert "antiphon conformance http://localhost:8000/v1" in ran.out.partition("examples:")[2]
