"""What can be typed after `antiphon conformance`: options and help.

Above: `parser`. Below: `options`. Not here: what it does, which is `conformance`.
"""

import argparse
from typing import Any, Final

from . import values
from .command import add_command
from .options import ConformanceOptions

_EPILOG: Final = """\
examples:
  antiphon conformance http://localhost:8000/v1
  antiphon conformance http://localhost:11434/v1 --model qwen3 --only stream items
  antiphon conformance https://api.openai.com/v1 --model gpt-5 --api-key-env OPENAI_API_KEY
  antiphon conformance http://localhost:8000/v1 --schema openapi.json --json > report.json

Each rule is passed, FAILED (with what was expected, what came, and where the rule is written), or
skipped: the provider says that it does not support the feature, or the model did not do its part.
The source of a rule is the specification (spec), its schema, the `openai` SDK, or an experiment
with real clients in which one part of the answer was removed at a time (wire). The command sends
some 200 short requests, one after another; a model that costs money is paid for them.

exit codes: 0 no rule failed, 1 a rule failed, 2 usage error
"""


def add_conformance(commands: Any) -> None:
    """Add `conformance`."""
    parser = add_command(
        commands,
        "conformance",
        brief="test, rule by rule, whether a provider speaks Open Responses",
        epilog=_EPILOG,
        make=_made,
    )
    parser.add_argument(
        "url", type=values.url, metavar="URL", help="the provider's address, up to /v1"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="the model to ask (default: the first that is listed)"
    )
    parser.add_argument(
        "--api-key-env", metavar="VAR", help="the environment variable that holds the API key"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="WORD",
        help="test only rules whose name or theme contains one of these words",
    )
    parser.add_argument(
        "--dialect",
        choices=("openresponses", "openai"),
        help="behave as a client of this kind (default: send no sign of either)",
    )
    parser.add_argument("--no-websocket", action="store_true", help="test no WebSocket")
    parser.add_argument(
        "--timeout",
        type=values.timeout,
        default=60.0,
        metavar="SECONDS",
        help="how long one answer may take (default: 60)",
    )
    parser.add_argument(
        "--schema",
        metavar="FILE",
        help="validate against the openapi.json of Open Responses, too (needs jsonschema)",
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
