"""Two hosted tools of a provider's own, as an outsider writes them: each is one file like this."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Annotated, Literal

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from antiphon.errors import ToolFailed
from antiphon.items import Event, FunctionTool, ToolDefinition
from antiphon.tools import (
    HostedOffer,
    ModelRetry,
    Progress,
    ReceiptCall,
    Scope,
    guarded,
    hosted_tool,
    misfit,
)

Unit = Literal["m", "km", "ft", "mi"]
METRES: dict[Unit, float] = {"m": 1.0, "km": 1000.0, "ft": 0.3048, "mi": 1609.344}


class Options(BaseModel):
    """What a request may say of the units."""

    model_config = ConfigDict(extra="forbid")

    digits: Annotated[int, Field(ge=0, le=12)] = 3


@hosted_tool(
    "acme:units", options=Options, timeout=5, needs_approval=lambda value: abs(value) > 1_000_000
)
async def units(
    value: float, source: Unit, target: Unit, options: Options
) -> AsyncIterator[Progress | str]:
    """Convert a length from one unit to another."""
    if value < 0:
        raise ModelRetry("a length is not below 0")
    yield Progress("converting", 0.5)
    yield f"{round(value * METRES[source] / METRES[target], options.digits)} {target}"


class Words(BaseModel):
    """What the model writes."""

    text: str


class Tallying(ReceiptCall):
    """A call that tells its counts as they grow, in events of its own."""

    def run(self) -> AsyncIterator[Event]:
        return guarded(self, self._count(), name=self.name)

    async def _count(self) -> AsyncGenerator[Event, None]:
        try:
            words = Words.model_validate_json(self.arguments)
        except ValidationError as error:
            raise ToolFailed(misfit(error, self.name)) from None
        yield self.step("counting")
        counts = Counter[str]()
        for line in words.text.splitlines():
            counts.update(line.split())
            yield self.step("counted", counts=dict(counts))
        self.output = ", ".join(f"{word} {count}" for word, count in counts.most_common())
        self.more = {"counts": dict(counts)}


class Tally:
    """The hosted tool `acme:tally`, by hand."""

    type = "acme:tally"
    function = FunctionTool(
        name="acme__tally", description="Count words.", parameters=Words.model_json_schema()
    )

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[HostedOffer]:
        return (
            HostedOffer(
                self.function,
                "acme:tally_call",
                lambda call, slot, scope: Tallying(
                    slot, name=self.function.name, item_type="acme:tally_call"
                ),
            ),
        )

    async def aclose(self) -> None:
        """Nothing is held."""


class Held:
    """`acme:held`, whose calls wait until they are let go."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.ended = anyio.Event()
        self.tool = hosted_tool("acme:held")(self.wait)

    async def wait(self, minutes: int) -> str:
        """Wait."""
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended.set()
        return "over"
