"""Functions that cannot be tools are refused when they are decorated, with a cure."""

# The point of this file is code that a type checker would refuse.
# pyright: basic, reportMissingModuleSource=false

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from antiphon.errors import ConfigurationError, ToolDefinitionError
from antiphon.tools import Context, tool


def stars(a: int, *args: int) -> None: ...
def keywords(a: int, **kwargs: int) -> None: ...
def positional(a: int, /) -> None: ...
def untyped(a) -> None: ...
def generator(a: int) -> Iterator[int]:
    yield a


def two(a: Context[int], b: Context) -> None: ...
def function_typed(a: int, call: Callable[[int], int]) -> None: ...


class Opaque:
    pass


def opaque(thing: Opaque) -> None: ...
def unresolved(thing: "Nowhere") -> None: ...  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
def maybe_context(ctx: Context | None) -> None: ...


class Shop:
    def price(self, thing: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (stars, r"`\*args: int` cannot be described"),
        (keywords, r"`\*\*kwargs: int` cannot be described"),
        (positional, "`a` is positional-only.*remove the `/`"),
        (untyped, "`a` has no type: annotate it"),
        (generator, "a generator cannot be a tool"),
        (two, "at most one Context, got `a` and `b`"),
        (function_typed, "parameter `call` cannot be described"),
        (opaque, "parameter `thing` cannot be described"),
        (unresolved, "cannot be resolved.*Nowhere"),
        (maybe_context, "parameter `ctx` cannot be described"),
        (Shop.price, r"`self` has no type: make the tool of a bound method"),
        (lambda: "", "a lambda has no name"),
        (Shop, "expected a function or a bound method"),
        (functools.partial(positional, 1), "expected a function or a bound method"),
        (3, "expected a function or a bound method, got 3"),
    ],
)
def test_it_is_refused_with_the_reason(function: Any, words: str) -> None:
    with pytest.raises(ToolDefinitionError, match=words) as caught:
        tool(function)
    assert isinstance(caught.value, ConfigurationError)


@pytest.mark.parametrize("name", ["", "a b", "é", "a.b", "x" * 65, "new\n"])
def test_a_name_that_no_model_takes_is_refused(name: str) -> None:
    async def ok(a: int) -> AsyncIterator[int]:
        yield a

    with pytest.raises(ToolDefinitionError, match="1 to 64 letters"):
        tool(ok, name=name)
    assert tool(ok, name="x" * 64).name == "x" * 64


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(ToolDefinitionError, match="timeout above 0"):
        tool(name="f", timeout=timeout)(lambda: "")


def test_a_named_lambda_is_a_tool() -> None:
    assert tool(lambda: "hi", name="hi")() == "hi"


def test_a_policy_that_looks_at_no_parameter_of_the_tool_is_refused() -> None:
    def pay(amount: int) -> None: ...

    with pytest.raises(ToolDefinitionError, match="needs_approval looks at sum"):
        tool(needs_approval=lambda sum: sum > 1)(pay)  # noqa: A006
    with pytest.raises(ToolDefinitionError, match="expected needs_approval to be True"):
        tool(needs_approval="yes")(pay)  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_the_parameter_at_fault_is_named_among_good_ones() -> None:
    def take(box: dict[str, int], thing: Opaque) -> None: ...

    with pytest.raises(ToolDefinitionError, match="take: parameter `thing` cannot"):
        tool(take)
