"""The conformance kit of providers: what keeps the rules passes, and a report can be read."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.testing.provider import (
    CHECKS,
    Examination,
    Report,
    Result,
    check_provider,
    obliging_model,
)
from antiphon.tools import CodeInterpreter

from .conformance_reference import KEY, Reference, moon_phase, plain_provider
from .conformance_serving import serving_at
from .conformance_socket import with_socket

pytestmark = pytest.mark.anyio

NEED_CODE = ("tools that the provider runs", "containers")
SOME = ("the stream", "items", "errors", "tools that the provider runs")
SCHEMA = Path(__file__).resolve().parents[3] / "shared/spec/openapi.json"


def verdicts(report: Report) -> dict[str, str]:
    return {result.name: result.verdict for result in report.results}


async def test_a_provider_that_offers_everything_passes_every_rule() -> None:
    with serving_at(with_socket(Reference())) as url:
        report = await check_provider(url, api_key=KEY, seconds=20)
    assert report.failed == [], str(report)
    assert {result.name for result in report.skipped} <= {
        "annotations are told one by one as they stand in the finished text",
        *(check.name for check in CHECKS if check.theme in NEED_CODE),
    }
    assert report.ok
    assert report.model == "obliging"


@pytest.mark.parametrize("dialect", [None, "openresponses", "openai"])
async def test_our_own_provider_breaks_no_rule(dialect: str | None) -> None:
    tools = [moon_phase, CodeInterpreter(LocalSandboxes())]
    app = Provider(models=[obliging_model], tools=tools, api_keys={KEY: "kit"})
    with serving_at(app) as url:
        report = await check_provider(url, api_key=KEY, dialect=dialect, seconds=20)  # pyright: ignore[reportArgumentType]
    assert report.failed == [], str(report)
    assert {result.theme for result in report.passed}.issuperset(SOME)
    assert all(result.why for result in report.skipped)


async def test_what_is_not_offered_is_skipped_with_the_servers_word_for_it() -> None:
    with serving_at(plain_provider(store_by_default=True)) as url:
        report = await check_provider(url, only=["a wrong", "where a key", "annotations"])
    told = {result.name: result.why for result in report.skipped}
    assert told["where a key is needed, none and a wrong one are a 401"] == (
        "the kit was given no key"
    )
    assert "no specimen has an annotation" in told.values()


async def test_a_model_that_never_calls_is_skipped_and_not_blamed_on_the_provider() -> None:
    app = Provider(models=[ScriptedModel(["Hm."], repeat=True)])
    with serving_at(app) as url:
        report = await check_provider(url, only=["functions and tool_choice"])
    found = verdicts(report)
    assert found["asked for the weather, a model with get_weather calls it"] == "skipped"
    assert found["tool_choice none: nothing is called"] == "passed"
    assert found["tool_choice required: something is called"] == "skipped"
    assert report.failed == [], str(report)
    whys = [result.why for result in report.skipped]
    assert any("the model did not do its part in 3 tries: call get_weather" in why for why in whys)


async def test_the_schema_file_is_checked_too_when_it_is_given() -> None:
    if not SCHEMA.exists():
        pytest.skip(f"no Open Responses schema at {SCHEMA}")
    with serving_at(plain_provider()) as url:
        report = await check_provider(url, only=["schema file", "completed"], schema=SCHEMA)
    assert report.failed == [], str(report)
    assert sum(result.theme == "the schema file" for result in report.passed) == 2


async def test_a_schema_that_cannot_be_read_is_said_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    odd = tmp_path / "openapi.json"
    odd.write_text("[]")
    for path in (tmp_path / "nowhere.json", odd):
        with pytest.raises(ConfigurationError, match="expected the openapi"):
            await check_provider("http://127.0.0.1:9", schema=path)


async def test_without_jsonschema_a_schema_is_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigurationError, match="pip install jsonschema"):
        await check_provider("http://127.0.0.1:9", schema=SCHEMA)


async def test_without_websockets_its_rules_are_skipped_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "websockets.asyncio", None)
    with serving_at(plain_provider()) as url:
        report = await check_provider(url, only=["WebSocket"])
    assert {result.verdict for result in report.results} == {"skipped"}
    assert any("pip install 'antiphon[server]'" in result.why for result in report.results)


async def test_websockets_are_left_alone_when_asked_to() -> None:
    with serving_at(plain_provider()) as url:
        report = await check_provider(url, only=["WebSocket"], websocket=False)
    assert "WebSockets were not to be tried" in {result.why for result in report.skipped}
    assert report.failed == report.passed == []
    assert not report.ok


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"only": ["no such words"]}, "the themes are the response object"),
        ({"dialect": "latin"}, "expected one of openresponses, openai"),
        ({"seconds": 0.0}, "expected seconds above 0"),
        ({"seconds": float("nan")}, "expected seconds above 0"),
        ({"base_url": "localhost:8000"}, "begin it with http:// or https://"),
        ({"base_url": "http://"}, "begin it with http:// or https://"),
    ],
)
async def test_what_makes_no_sense_is_said_before_anything_is_asked(
    arguments: dict[str, object], said: str
) -> None:
    given: dict[str, object] = {"base_url": "http://127.0.0.1:9", **arguments}
    with pytest.raises(ConfigurationError) as error:
        await check_provider(**given)  # pyright: ignore[reportArgumentType]
    assert said in str(error.value)


async def test_results_come_one_by_one_and_make_the_report() -> None:
    with serving_at(plain_provider()) as url:
        async with Examination(url, only=["usage", "created_at"]) as examination:
            names = [result.name async for result in examination.results()]
            report = examination.report
    assert names == [check.name for check in examination.checks]
    assert [result.name for result in report.results] == names
    assert report.url == f"{url}/v1"


def test_every_rule_has_a_name_of_its_own_and_says_where_it_stands() -> None:
    counts = Counter(check.name for check in CHECKS)
    assert [name for name, count in counts.items() if count > 1] == []
    assert all(check.source and check.theme for check in CHECKS)
    assert len(CHECKS) > 200


def test_a_report_tells_people_and_programs_the_same() -> None:
    results = [
        Result("it answers", "basics", "spec", "passed", seconds=0.25),
        Result("it ends", "basics", "wire 1", "failed", "expected 1, got 2", '{"a": 1}'),
        Result("it sings", "extras", "spec", "skipped", "it does not sing"),
    ]
    report = Report("http://host/v1", "m", results)
    assert str(report).splitlines() == [
        "m at http://host/v1",
        "",
        "basics",
        "  passed   it answers",
        "  failed   it ends",
        "           expected 1, got 2",
        '           {"a": 1}',
        "           see: wire 1",
        "",
        "extras",
        "  skipped  it sings",
        "           it does not sing",
        "",
        "3 rules: 1 passed, 1 failed, 1 skipped",
    ]
    told = report.to_dict()
    assert (told["ok"], told["passed"], told["failed"], told["skipped"]) == (False, 1, 1, 1)
    assert told["results"][1]["why"] == "expected 1, got 2"
    assert [result.name for result in report.passed] == ["it answers"]
