"""Calls that wait for a person, asked by elicitation: nothing runs that nobody approved."""

from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult, InputResponses

from antiphon.agents import Agent, run, workflow
from antiphon.models import FunctionCall, Reasoning, ResponsesModel, ScriptedModel
from antiphon.provider import MemoryStore, Provider
from antiphon.tools import MCPServer

from .hosting import REVISIONS, Person, Till, host, text_of
from .mcp_serving import desk
from .serving import Serve

pytestmark = pytest.mark.anyio

KEY = "k" * 32


def payer(till: Till, *turns: Any) -> Agent[str]:
    script = turns or ([FunctionCall("pay", {"amount": 3})], "It is paid.")
    return Agent(name="payer", model=ScriptedModel(list(script)), tools=[till.pay])


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_call_that_was_accepted_runs_once(revision: str) -> None:
    till, person = Till(), Person("accept")
    app = Provider(tools=[till.pay])
    async with host(app, revision, elicitation_callback=person) as client:
        result = await client.call_tool("pay", {"amount": 5})
    assert (text_of(result), till.paid, len(person.asked)) == ("paid 5 to ann", [5], 1)


@pytest.mark.parametrize("answer", ["decline", "cancel"])
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_call_that_was_not_accepted_does_not_run(revision: str, answer: str) -> None:
    till, person = Till(), Person(answer)
    app = Provider(tools=[till.pay])
    async with host(app, revision, elicitation_callback=person) as client:
        result = await client.call_tool("pay", {"amount": 5})
    assert result.is_error and "did not approve" in text_of(result)
    assert till.paid == []


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_host_that_cannot_ask_is_told_so_and_nothing_runs(revision: str) -> None:
    till = Till()
    async with host(Provider(tools=[till.pay], agents=[payer(till)]), revision) as client:
        call = await client.call_tool("pay", {"amount": 5})
        inner = await client.call_tool("payer", {"input": "go"})
    for result in (call, inner):
        assert result.is_error
        assert "needs a person's approval" in text_of(result)
        assert "elicitation" in text_of(result)
    assert till.paid == []


@pytest.mark.parametrize("revision", REVISIONS)
async def test_arguments_are_shown_as_data(revision: str) -> None:
    till, person = Till(), Person("decline")
    app = Provider(tools=[till.pay])
    sly = "ann\u202e\x1b[2J\nAccept this: it is free"
    async with host(app, revision, elicitation_callback=person) as client:
        await client.call_tool("pay", {"amount": 5, "to": sly})
    (asked,) = person.asked
    assert '"amount": 5' in asked
    assert "\u202e" not in asked and "\x1b" not in asked
    assert "\\u202e" in asked and "\nAccept this" not in asked


async def test_nobody_is_asked_about_more_than_can_be_shown() -> None:
    till, person = Till(), Person("accept")
    app = Provider(tools=[till.pay])
    async with host(app, "legacy", elicitation_callback=person) as client:
        result = await client.call_tool("pay", {"amount": 5, "to": "x" * 10_000})
    assert result.is_error and "longer than" in text_of(result)
    assert (person.asked, till.paid) == ([], [])


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_agent_goes_on_when_what_its_tool_waits_for_is_accepted(revision: str) -> None:
    till, person = Till(), Person("accept")
    app = Provider(agents=[payer(till)])
    async with host(app, revision, elicitation_callback=person) as client:
        result = await client.call_tool("payer", {"input": "go"})
    assert (text_of(result), till.paid) == ("It is paid.", [3])
    assert person.asked[0].startswith("payer wants to call pay")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_person_is_told_at_which_server_a_call_would_run(revision: str) -> None:
    person = Person("decline")
    servers = [
        MCPServer.in_process(label, desk(), require_approval="always") for label in ("prod", "test")
    ]
    model = ScriptedModel([[FunctionCall("prod__erase", {"path": "a"})], "Then not."])
    app = Provider(agents=[Agent(name="clerk", model=model, tools=servers)])
    async with host(app, revision, elicitation_callback=person) as client:
        await client.call_tool("clerk", {"input": "go"})
    await app.aclose()
    assert person.asked[0].startswith("clerk wants to call erase of the MCP server prod with")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_agent_reads_that_its_call_was_declined(revision: str) -> None:
    till, person = Till(), Person("decline")
    model = ScriptedModel([[FunctionCall("pay", {"amount": 3})], "Then not."])
    agent = Agent(name="payer", model=model, tools=[till.pay])
    async with host(Provider(agents=[agent]), revision, elicitation_callback=person) as client:
        result = await client.call_tool("payer", {"input": "go"})
    assert (text_of(result), till.paid) == ("Then not.", [])
    assert "did not approve" in str(model.requests[-1].items[-1])


@pytest.mark.parametrize("revision", REVISIONS)
async def test_what_waits_deep_inside_is_asked_about_with_who_asks(revision: str) -> None:
    till, person = Till(), Person("accept")
    inner = payer(till)

    @workflow
    async def office(text: str) -> str:
        return (await run(inner, text)).output

    app = Provider(workflows=[office])
    async with host(app, revision, elicitation_callback=person) as client:
        result = await client.call_tool("office", {"input": "go"})
    assert (text_of(result), till.paid) == ("It is paid.", [3])
    assert person.asked[0].startswith("payer wants to call pay")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_agent_that_is_a_tool_goes_on_too(revision: str) -> None:
    till, person = Till(), Person("accept")
    office = payer(till).as_tool(name="office", description="Pays.", needs_approval=True)
    app = Provider(tools=[office])
    async with host(app, revision, elicitation_callback=person) as client:
        result = await client.call_tool("office", {"input": "go"})
    assert (text_of(result), till.paid) == ("It is paid.", [3])
    assert [asked.partition(" with")[0] for asked in person.asked] == [
        "This host wants to call office",
        "payer wants to call pay",
    ]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_thoughts_that_another_antiphon_sealed_do_not_stop_an_agent(
    serving: Serve, revision: str
) -> None:
    till = Till()
    script = [[Reasoning("hm"), FunctionCall("pay", {"amount": 3})], "It is paid."]
    far = Provider(models=[ScriptedModel(script, name="far")])
    with serving(far) as url:
        agent = Agent(
            name="payer",
            model=ResponsesModel("far", base_url=f"{url}/v1"),
            tools=[till.pay],
            options={"include": ["reasoning.encrypted_content"]},
        )
        app = Provider(agents=[agent])
        async with host(app, revision, elicitation_callback=Person("accept")) as client:
            result = await client.call_tool("payer", {"input": "go"})
        await app.aclose()
    assert (text_of(result), till.paid) == ("It is paid.", [3])


@pytest.mark.parametrize("revision", REVISIONS)
async def test_several_calls_are_asked_about_one_by_one(revision: str) -> None:
    till = Till()
    person = Person("accept", "decline")
    both = [FunctionCall("pay", {"amount": 1}), FunctionCall("pay", {"amount": 2})]
    app = Provider(agents=[payer(till, both, "Done.")])
    async with host(app, revision, elicitation_callback=person) as client:
        result = await client.call_tool("payer", {"input": "go"})
    assert (text_of(result), len(person.asked), len(till.paid)) == ("Done.", 2, 1)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_agent_cannot_ask_for_ever(revision: str) -> None:
    till, person = Till(), Person("accept")
    turns = [[FunctionCall("pay", {"amount": number})] for number in range(20)]
    app = Provider(agents=[payer(till, *turns)])
    async with host(app, revision, elicitation_callback=person) as client:
        result = await client.call_tool("payer", {"input": "go"})
    assert result.is_error and "asked for approvals 8 times" in text_of(result)
    assert (len(person.asked), till.paid) == (8, list(range(8)))


async def test_a_host_whose_question_fails_runs_nothing() -> None:
    till = Till()

    async def broken(context: Any, params: Any) -> ElicitResult:
        raise RuntimeError("no window")

    async with host(Provider(tools=[till.pay]), "legacy", elicitation_callback=broken) as client:
        result = await client.call_tool("pay", {"amount": 5})
    assert result.is_error and "failed to ask" in text_of(result)
    assert till.paid == []


async def required(client: Client, **arguments: Any) -> InputRequiredResult:
    """The first answer to a call of `pay`."""
    result = await client.session.call_tool("pay", arguments, allow_input_required=True)
    assert isinstance(result, InputRequiredResult)
    return result


async def again(
    client: Client, first: InputRequiredResult, answer: Any = "accept", **arguments: Any
) -> CallToolResult:
    """The same call again, with what a host says that a person said."""
    said = ElicitResult(action=answer, content={}) if answer else None
    responses: InputResponses = {key: said for key in first.input_requests or {} if said}
    return await client.session.call_tool(
        "pay", arguments, input_responses=responses, request_state=first.request_state
    )


async def test_a_word_counts_once_however_often_a_host_sends_it() -> None:
    till = Till()
    app = Provider(tools=[till.pay])
    async with host(app, "2026-07-28", elicitation_callback=Person("accept")) as client:
        first = await required(client, amount=5)
        assert text_of(await again(client, first, amount=5)) == "paid 5 to ann"
        twice = await again(client, first, amount=5)
    assert twice.is_error and "answered before" in text_of(twice)
    assert till.paid == [5]


async def test_a_word_is_good_for_the_call_that_was_shown_and_no_other() -> None:
    till = Till()
    app = Provider(tools=[till.pay])
    async with host(app, "2026-07-28", elicitation_callback=Person("accept")) as client:
        first = await required(client, amount=5)
        with pytest.raises(MCPError, match="another call"):
            await again(client, first, amount=5000)
    assert till.paid == []


async def test_what_nobody_answered_is_refused() -> None:
    till = Till()
    app = Provider(tools=[till.pay])
    async with host(app, "2026-07-28", elicitation_callback=Person("accept")) as client:
        first = await required(client, amount=5)
        result = await again(client, first, answer=None, amount=5)
    assert result.is_error and till.paid == []


async def test_a_state_that_a_host_made_itself_is_none() -> None:
    till = Till()
    app = Provider(tools=[till.pay])
    async with host(app, "2026-07-28", elicitation_callback=Person("accept")) as client:
        first = await required(client, amount=5)
        forged = first.model_copy(update={"request_state": f"{first.request_state}x"})
        with pytest.raises(MCPError, match="as it was"):
            await again(client, forged, amount=5)
    assert till.paid == []


async def test_another_process_goes_on_with_a_call_that_waits() -> None:
    till, store = Till(), MemoryStore()
    apps = [Provider(tools=[till.pay], store=store, seal_keys=[KEY]) for _ in range(2)]
    async with host(apps[0], "2026-07-28", elicitation_callback=Person("accept")) as client:
        first = await required(client, amount=5)
    async with host(apps[1], "2026-07-28", elicitation_callback=Person("accept")) as client:
        assert text_of(await again(client, first, amount=5)) == "paid 5 to ann"
    assert till.paid == [5]
