"""Policies of approval: what they are shown of a call."""

import pytest

from antiphon.tools import tool

pytestmark = pytest.mark.anyio


async def test_a_policy_sees_the_default_of_what_the_model_left_out() -> None:
    @tool(needs_approval=lambda amount: amount > 100)
    def pay(to: str, amount: int = 500) -> str:
        return f"{amount} to {to}"

    assert pay.gate is not None
    assert await pay.gate('{"to": "ada"}')
    assert not await pay.gate('{"to": "ada", "amount": 5}')
    assert await pay.gate('{"to": "ada", "amount": null}')


async def test_a_policy_of_everything_sees_defaults_and_arguments() -> None:
    seen: list[dict[str, object]] = []

    def note(**arguments: object) -> bool:
        seen.append(arguments)
        return False

    @tool(needs_approval=note)
    def pay(to: str, amount: int = 500) -> str:
        return f"{amount} to {to}"

    assert pay.gate is not None and not await pay.gate('{"to": "ada"}')
    assert seen == [{"to": "ada", "amount": 500}]
