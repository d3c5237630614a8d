"""OAuth as the SDK has it: a person logs in once, tokens are renewed, and none of them is shown."""

import json
import logging
from typing import Any

import anyio
import pytest
from mcp.shared.auth import AuthorizationCodeResult

from antiphon.agents import Agent
from antiphon.items import Response
from antiphon.models import ScriptedModel
from antiphon.tools import MCPServer, mcp_server

from .mcp_guarded import Kept, Office, Person, guarded, login
from .mcp_kit import PATIENCE, call, call_of, end_of, listing_of, play

pytestmark = pytest.mark.anyio

TOKEN = [call("token")]


async def called(server: MCPServer) -> Response:
    """A run that calls the tool."""
    return end_of(await play(TOKEN, "ok", tools=[server]))


async def test_a_person_is_sent_to_log_in_once_and_is_not_asked_again() -> None:
    office, kept, person = Office(), Kept(), Person()
    with guarded(office) as url:
        async with MCPServer.http("desk", url, auth=login(url, kept, person)) as server:
            first = await called(server)
            second = await called(server)
        again = MCPServer.http("desk", url, auth=login(url, kept, person))  # with what was kept
        async with again:
            third = await called(again)
    for response in (first, second, third):
        assert call_of(response.output).output == "[redacted] of tools"
    assert office.told == ["register", "authorize", "exchange"]
    (sent,) = person.sent
    assert sent["code_challenge_method"] == ["S256"]
    assert sent["resource"] == [url]
    assert sent["client_id"] == [next(iter(office.clients))]


async def test_a_token_that_has_expired_is_renewed_without_the_person() -> None:
    office, kept, person = Office(), Kept(), Person()
    with guarded(office) as url:
        auth = login(url, kept, person)
        async with MCPServer.http("desk", url, auth=auth) as server:
            await called(server)
            auth.context.token_expiry_time = 1.0
            response = await called(server)
    assert call_of(response.output).status == "completed"
    assert office.told == ["register", "authorize", "exchange", "refresh"]
    assert kept.tokens is not None
    assert kept.tokens.access_token == "access-0123456789-1"
    assert len(person.sent) == 1


async def test_a_token_that_the_server_revoked_is_asked_for_again() -> None:
    office, kept, person = Office(), Kept(), Person()
    with guarded(office) as url:
        async with MCPServer.http("desk", url, auth=login(url, kept, person)) as server:
            await called(server)
            office.access.clear()
            response = await called(server)
    assert call_of(response.output).status == "completed"
    assert len(person.sent) == 2


async def test_a_person_who_refuses_is_a_failed_listing_that_says_so() -> None:
    office, kept, person = Office(), Kept(), Person()
    office.refuses = True
    with guarded(office) as url:
        async with MCPServer.http("desk", url, auth=login(url, kept, person)) as server:
            response = end_of(await play("without, then", tools=[server]))
            office.refuses = False
            later = await called(server)
    assert "logging in failed: No authorization code received" in str(
        listing_of(response.output).error
    )
    assert response.output_text == "without, then"
    assert call_of(later.output).status == "completed"


async def test_a_person_may_take_longer_than_a_connection_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_server, "CONNECT_SECONDS", 0.001)
    office, kept, person = Office(), Kept(), Person()
    with guarded(office) as url:
        async with MCPServer.http("desk", url, auth=login(url, kept, person)) as server:
            response = await called(server)
    assert call_of(response.output).status == "completed"


async def test_a_person_who_never_comes_back_holds_nobody_up() -> None:
    class Away(Person):
        async def come_back(self) -> AuthorizationCodeResult:
            await anyio.sleep_forever()
            raise AssertionError

    office = Office()
    with guarded(office) as url, anyio.fail_after(PATIENCE):
        auth = login(url, Kept(), Away())
        async with MCPServer.http("desk", url, auth=auth, timeout=1.0) as server:
            response = end_of(await play("without, then", tools=[server]))
    assert "1 s" in str(listing_of(response.output).error)
    assert response.output_text == "without, then"


async def test_no_token_is_in_a_response_a_log_or_what_the_model_reads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    office, kept, person = Office(), Kept(), Person()
    model = ScriptedModel([TOKEN, "ok"])
    with guarded(office) as url:
        auth = login(url, kept, person)
        async with MCPServer.http("desk", url, auth=auth) as server:
            result = await Agent(name="clerk", model=model, tools=[server]).run("go")
            auth.context.token_expiry_time = 1.0
            await called(server)
            shown = repr(server)
    read: Any = [(request.items, request.tools) for request in model.requests]
    told = json.dumps([item.model_dump(mode="json") for item in result.items])
    logged = [record.getMessage() for record in caplog.records]
    for token in (*office.access, *office.refresh):
        for place in (told, repr(read), shown, *logged):
            assert token not in place
