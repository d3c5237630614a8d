"""What a run cost: tokens, and money where somebody says what models cost.

Above: `trace`. Below: `antiphon.tools.Price`. Not here: prices; they change, and they are yours.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from antiphon.errors import ConfigurationError
from antiphon.items import Usage
from antiphon.tools import Price

from .run_file import fault_of, read_bytes

_MAX_PRICES: Final = 4 * 1024 * 1024

_Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Entry(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    input: _Money
    output: _Money
    cached_input: _Money | None = None


_PRICES: Final = TypeAdapter(dict[str, _Entry])


def read_prices(path: str) -> dict[str, Price]:
    """The prices in a file.

    Raises:
        ConfigurationError: It cannot be read, or says something else.
    """
    data = read_bytes(path, _MAX_PRICES, "a file of prices")
    try:
        entries = _PRICES.validate_json(data)
    except ValidationError as error:
        raise ConfigurationError(
            f'{path}: expected prices such as {{"gpt-5": {{"input": 1.25, "cached_input": 0.125, '
            f'"output": 10}}}}, for a million tokens: {fault_of(error)}'
        ) from None
    return {
        name: Price(input=one.input, output=one.output, cached_input=one.cached_input)
        for name, one in entries.items()
    }


class Bill:
    """Adds up what runs cost.

    Args:
        prices: What models cost, by name; None where nobody asked.
        models: The model of each agent, as far as it is known.

    Attributes:
        total: Money, of all that has a price.
        unknown: Models that used tokens and have no price.
    """

    def __init__(self, prices: Mapping[str, Price] | None, models: Mapping[str, str]) -> None:
        self.total: float = 0.0
        self.unknown: set[str] = set()
        self._prices = prices
        self._models = models

    def of(self, agent: str, usage: Usage) -> float | None:
        """What a run of this agent cost by itself; None where that is not known."""
        if self._prices is None or not usage.total_tokens:
            return None
        model = self._models.get(agent, agent)
        price = self._prices.get(model) or self._prices.get(model.partition(":")[2])
        if price is None:
            self.unknown.add(model)
            return None
        cost = price.of(usage)
        self.total += cost
        return cost

    @property
    def asked(self) -> bool:
        """Whether anybody wants to know."""
        return self._prices is not None
