"""Each rule about containers catches its mutant; the containers are local."""

from collections.abc import Iterator

import pytest

from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.testing.provider import CHECKS, check_provider, obliging_model
from antiphon.tools import CodeInterpreter

from .conformance_mutants import Exchange, Json, Mutant, Switch, found, value_of
from .conformance_reference import KEY
from .conformance_serving import serving_at

pytestmark = pytest.mark.anyio

LIFE = "a container is made, had and deleted"
EXPIRY = "a container says after how many minutes without use it expires"
LISTED = "containers are listed in pages: order, limit, after, has_more"
UNKNOWN = "an unknown container is a 404, whatever is asked of it"
FILES = "a file is put into a container, had, listed, read and deleted"
DOWNLOAD = "the content of a container's file is a download, and nothing a page runs"
NAMES = "an upload's name cannot leave the container's folder"
COPIED = "an uploaded file is copied into a container by its id"


@pytest.fixture(scope="module")
def switch() -> Switch:
    tools = [CodeInterpreter(LocalSandboxes(live=64))]
    return Switch(Provider(models=[obliging_model], tools=tools, api_keys={KEY: "kit"}))


@pytest.fixture(scope="module")
def url(switch: Switch) -> Iterator[str]:
    with serving_at(switch) as base:
        yield base


def keeps(one: Exchange) -> None:
    """What is deleted stays."""
    if one.method == "DELETE":
        one.answer(200, {"id": one.path.rpartition("/")[2], "deleted": True})


def forgets_files(one: Exchange) -> None:
    if "/files/" in one.path and one.method == "GET":
        one.refuse(404)


def backwards(page: Json) -> None:
    page["data"] = page["data"][::-1]


def whole(one: Exchange) -> None:
    """There is always one page, with everything."""
    one.query = "" if "limit=1" in one.query else one.query


def forgives(one: Exchange) -> None:
    if "nowhere" in one.path:
        one.answer(200, {"id": "cntr_1", "object": "container"})


def takes_any_expiry(one: Exchange) -> None:
    wanted = one.asked.get("expires_after")
    if wanted and wanted.get("minutes") != 1:
        one.asked.pop("expires_after")


def takes_any_anchor(one: Exchange) -> None:
    wanted = one.asked.get("expires_after")
    if wanted:
        one.asked["expires_after"] = {**wanted, "anchor": "last_active_at"}


def shows(one: Exchange) -> None:
    if one.path.endswith("/content"):
        one.told["content-type"] = "text/html"


def sniffs(one: Exchange) -> None:
    one.told.pop("x-content-type-options", None)


def follows(one: Exchange) -> None:
    """A name is taken for a path."""
    if one.method == "POST" and b"../" in one.sent:
        one.body = one.body.replace(b"/mnt/data/", b"/etc/")


def other_bytes(one: Exchange) -> None:
    if one.path.endswith("/content"):
        one.body = b"others"


def takes_no_ids(one: Exchange) -> None:
    one.asked.pop("file_ids", None)


def any_id(one: Exchange) -> None:
    if "nowhere" in str(one.asked.get("file_id")):
        one.answer(200, {"id": "cfile_1", "object": "container.file"})


CONTAINERS = [
    Mutant(LIFE, before=keeps, how="and stays"),
    Mutant(LIFE, after=value_of("/containers", lambda told: told.update(name="other"))),
    Mutant(
        LIFE,
        after=value_of("/containers", lambda told: told.update(status="expired")),
        how="expired at once",
    ),
    Mutant(EXPIRY, after=value_of("/containers", lambda told: told.pop("expires_after", None))),
    Mutant(EXPIRY, before=takes_any_expiry, how="any is taken"),
    Mutant(EXPIRY, before=takes_any_anchor, how="any anchor is taken"),
    Mutant(LISTED, after=value_of("/containers", backwards, method="GET")),
    Mutant(LISTED, before=whole, how="in one page"),
    Mutant(UNKNOWN, before=forgives),
    Mutant(FILES, before=forgets_files),
    Mutant(FILES, after=other_bytes, how="others"),
    Mutant(FILES, after=value_of("/files", lambda told: told.update(source="?")), how="no source"),
    Mutant(DOWNLOAD, after=shows),
    Mutant(DOWNLOAD, after=sniffs, how="a browser may guess"),
    Mutant(NAMES, after=follows),
    Mutant(COPIED, before=takes_no_ids),
    Mutant(COPIED, before=any_id, how="any id is taken"),
]


@pytest.mark.parametrize("mutant", CONTAINERS, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)


def test_every_rule_of_the_theme_has_a_mutant() -> None:
    rules = {check.name for check in CHECKS if check.theme == "containers"}
    assert rules == {mutant.rule for mutant in CONTAINERS}


async def test_our_own_provider_keeps_every_rule_and_leaves_nothing(url: str) -> None:
    report = await check_provider(url, api_key=KEY, only=["containers"], seconds=20)
    assert {result.verdict for result in report.results} == {"passed"}, str(report)


async def test_they_are_skipped_where_there_are_no_containers() -> None:
    with serving_at(Provider(models=[obliging_model], api_keys={KEY: "kit"})) as base:
        report = await check_provider(base, api_key=KEY, only=["containers"], seconds=20)
    assert {result.verdict for result in report.results} == {"skipped"}, str(report)
