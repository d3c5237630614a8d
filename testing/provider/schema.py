"""Rules that are the schema file itself: every answer and event that came, validated against it.

Above: `provider`. Below: `jsonschema`, imported when a file is given. Not here: the kit's own
shapes (`shapes`), which need no file.
"""

import json
from pathlib import Path
from typing import Any, Final

from antiphon.errors import ConfigurationError

from .bench import Bench, Theme
from .report import expect, skip
from .sse import Json, obj, objects
from .stories import kind

_STANDARD: Final = (
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "compaction",
)
"""The item types of the schema; what else stands in an output is left out before validating."""


class Schema:
    """An OpenAPI document with the schemas of Open Responses.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It cannot be read, or `jsonschema` is missing.
    """

    def __init__(self, path: Path) -> None:
        try:
            from jsonschema import Draft202012Validator
        except ImportError:
            raise ConfigurationError(
                "schema: expected the `jsonschema` library; it is not installed: "
                "pip install jsonschema, or leave the schema file out"
            ) from None
        try:
            document = json.loads(path.read_bytes())
            self._schemas: Json = document["components"]["schemas"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"schema: expected the openapi.json of Open Responses at {path}, "
                f"got {type(error).__name__}"
            ) from error
        self._validators: dict[str, Any] = {
            name: Draft202012Validator({**document, "$ref": f"#/components/schemas/{name}"})
            for name in self._schemas
            if name == "ResponseResource" or name.endswith("StreamingEvent")
        }
        self.events: dict[str, str] = {
            kinds[0]: name
            for name in self._validators
            if (kinds := obj(obj(self._schemas[name].get("properties")).get("type")).get("enum"))
        }

    def fault(self, name: str, value: object) -> str | None:
        """What is wrong with a value, or None."""
        for error in self._validators[name].iter_errors(value):
            return f"{error.json_path}: {str(error.message)[:200]}"
        return None


def _plain(response: Json) -> Json:
    """A response with what the schema knows."""
    output = [each for each in objects(response.get("output")) if each.get("type") in _STANDARD]
    tools = [each for each in objects(response.get("tools")) if each.get("type") == "function"]
    return {**response, "output": output, "tools": tools}


def schema_theme(path: Path) -> Theme:
    """The rules of a schema file.

    Raises:
        ConfigurationError: It cannot be used.
    """
    schema = Schema(path)
    theme = Theme("the schema file")

    @theme.rule("every response object that came is a ResponseResource", f"{path.name}")
    async def responses(bench: Bench) -> None:
        await bench.hello()
        for asked, told in bench.seen:
            if told.get("object") == "response":
                wrong = schema.fault("ResponseResource", _plain(told))
                expect(wrong is None, f"{asked}: {wrong}", told)

    @theme.rule("every event that came is what the schema says of its type", f"{path.name}")
    async def events(bench: Bench) -> None:
        some = False
        async for one in bench.streams():
            for event in one.events:
                name = schema.events.get(kind(event))
                item = obj(event.get("item"))
                if name is None or (item and item.get("type") not in _STANDARD):
                    continue
                some = True
                value = dict(event)
                if "response" in value:
                    value["response"] = _plain(obj(value["response"]))
                wrong = schema.fault(name, value)
                expect(wrong is None, f"{one.name!r}, {kind(event)}: {wrong}", event)
        if not some:
            skip("no event came that the schema knows")

    assert responses and events
    return theme
