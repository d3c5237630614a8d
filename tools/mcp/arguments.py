"""The arguments of a call, and the schema that they are held to: as far as a stranger's can be.

Above: `tools.mcp_call`. Below: `items`. Not here: the call.
"""

from typing import Any, cast

from pydantic_core import from_json

from antiphon.errors import ToolFailed
from antiphon.items import Json, McpTool


def arguments_of(given: str, tool: McpTool) -> dict[str, Any]:
    """The arguments of a call, as far as they can be judged here; the server has the last word.

    Only the outermost object is looked at: a stranger's schema may hold patterns and references
    that take for ever.

    Raises:
        ToolFailed: They do not fit; the model is told how.
    """
    try:
        found: object = from_json(given or "{}", allow_inf_nan=False)
    except ValueError as error:
        raise ToolFailed(f"the arguments of {tool.name} are not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ToolFailed(f"the arguments of {tool.name} have to be a JSON object")
    arguments = cast("dict[str, Any]", found)
    schema = schema_of(tool)
    needed: object = schema.get("required")
    if isinstance(needed, list):
        names = [name for name in cast("list[object]", needed) if isinstance(name, str)]
        missing = [name for name in names if name not in arguments]
        if missing:
            raise ToolFailed(f"{tool.name} needs {', '.join(missing[:10])}: call it again")
    fields: object = schema.get("properties")
    if schema.get("additionalProperties") is False and isinstance(fields, dict):
        strange = [name for name in arguments if name not in fields]
        if strange:
            known = ", ".join(list(cast("Json", fields))[:20])
            raise ToolFailed(f"{tool.name} takes no {', '.join(strange[:10])}, but: {known}")
    return arguments


def schema_of(tool: McpTool) -> Json:
    """The JSON schema of a tool's arguments; of any object, where the server says nothing."""
    given: object = tool.input_schema
    return cast("Json", given) if isinstance(given, dict) else {"type": "object"}
