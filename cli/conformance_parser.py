"""What can be typed after `antiphon conformance`: options and help.

Above: `parser`, `options`. Below: nothing. Not here: what it does, which is `conformance`.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from .command import Command

_EPILOG: Final = """\
examples:
  antiphon conformance http://localhost:8000/v1
  antiphon conformance http://localhost:11434/v1 --model qwen3 --only stream items
  antiphon conformance https://api.openai.com/v1 --model gpt-5 --api-key-env OPENAI_API_KEY
  antiphon conformance http://localhost:8000/v1 --schema openapi.json --json > report.json

A rule is passed, FAILED (with what was expected, what came, and where the rule stands), or
skipped: the provider says that it does not do it, or its model did not do its part. Where a rule
stands: in the specification (spec), its schema, the `openai` SDK, or in runs of real clients with
one thing of the answer removed at a time (wire). It asks some 200 short questions, one after
another; with a model that costs money they cost money.

exit codes: 0 nothing failed, 1 a rule is broken, 2 it was asked wrongly
"""


@dataclass(frozen=True, slots=True)
class ConformanceOptions:
    """`antiphon conformance`.

    Attributes:
        url: The provider, up to /v1.
        model: The model to ask; None takes the first that the provider lists.
        api_key_env: The environment variable that holds the key.
        only: Words of the rules to try; none are all.
        dialect: As whose client to speak.
        websocket: Whether WebSockets are tried.
        timeout: Seconds that one answer may take.
        schema: The openapi.json of Open Responses, to validate against.
        json: Print JSON.
    """

    url: str
    model: str | None = None
    api_key_env: str | None = None
    only: Sequence[str] = ()
    dialect: Literal["openresponses", "openai"] | None = None
    websocket: bool = True
    timeout: float = 60.0
    schema: str | None = None
    json: bool = False


def add_conformance(commands: Any, *, command: Command) -> None:
    """Add `conformance`."""
    parser = command(
        commands,
        "conformance",
        brief="try on a provider, rule by rule, whether it speaks Open Responses",
        epilog=_EPILOG,
        make=_made,
    )
    parser.add_argument("url", metavar="URL", help="the provider's address, up to /v1")
    parser.add_argument(
        "--model", metavar="NAME", help="the model to ask (default: the first that is listed)"
    )
    parser.add_argument(
        "--api-key-env", metavar="VAR", help="the environment variable that holds the key"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="WORD",
        help="try the rules whose name or theme contains one of these words",
    )
    parser.add_argument(
        "--dialect",
        choices=("openresponses", "openai"),
        help="as whose client to speak (default: nothing is said about it)",
    )
    parser.add_argument("--no-websocket", action="store_true", help="try no WebSocket")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="for each answer (default: 60)",
    )
    parser.add_argument(
        "--schema",
        metavar="FILE",
        help="the openapi.json of Open Responses: validate against it, too (needs jsonschema)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a report")


def _made(given: argparse.Namespace) -> ConformanceOptions:
    return ConformanceOptions(
        url=given.url,
        model=given.model,
        api_key_env=given.api_key_env,
        only=tuple(given.only),
        dialect=given.dialect,
        websocket=not given.no_websocket,
        timeout=given.timeout,
        schema=given.schema,
        json=given.json,
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and 0 < number < 86_400):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text}")
    return number
