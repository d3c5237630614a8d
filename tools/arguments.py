"""The parameters of a function as a model fills them: read once, validated for every call.

Below: pydantic, to which the parameters are the fields of one model. Above: `tool.py`.
"""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import from_json, to_json

from antiphon.errors import ToolDefinitionError
from antiphon.items import Json

from .context import Context
from .schema import NotStrict, accepts_null, strict, untitled

_CONFIG = ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=False
)


class _Schema(GenerateJsonSchema):
    """A default that JSON cannot say is left out in silence: the function still has it."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that the model fills. `optional`: the function has its own default."""

    name: str
    annotation: Any
    default: Any
    optional: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function asks for: of the model, and (by these names) of the run, and of the request
    that declares the tool.
    """

    parameters: list[Parameter]
    context: str | None
    options: str | None = None


def read_signature(
    function: Callable[..., Any], name: str, local: Json, options: type[Any] | None = None
) -> Signature:
    """What a function asks for.

    Args:
        function: A function or a bound method.
        name: What errors call it.
        local: Names beside the function's globals in which its annotations may be written.
        options: The class of what a definition says: one parameter may be annotated with it.

    Raises:
        ToolDefinitionError: It has parameters that a model cannot fill.
    """
    hints = _hints(function, name, local)
    parameters: list[Parameter] = []
    contexts: list[str] = []
    wanted: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in hints and _is_context(hints[parameter.name]):
            contexts.append(parameter.name)
        elif options is not None and hints.get(parameter.name) is options:
            wanted.append(parameter.name)
        else:
            parameters.append(_parameter(parameter, hints, name))
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ToolDefinitionError(
                f"{name}: parameter `{parameter.name}` is positional-only, but models name their"
                " arguments: remove the `/`"
            )
    if len(contexts) > 1:
        named = " and ".join(f"`{context}`" for context in contexts)
        raise ToolDefinitionError(f"{name}: expected at most one Context, got {named}: keep one")
    if options is not None and len(wanted) != 1:
        raise ToolDefinitionError(
            f"{name}: expected one parameter annotated `{options.__name__}`, which gets what a "
            f"definition says, got {len(wanted)}"
        )
    return Signature(parameters, contexts[0] if contexts else None, wanted[0] if wanted else None)


def _hints(function: Callable[..., Any], name: str, local: Json) -> Json:
    try:
        return typing.get_type_hints(
            getattr(function, "__func__", function), localns=local, include_extras=True
        )
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ToolDefinitionError(
            f"{name}: an annotation cannot be resolved ({error}): import the type where the"
            " function is defined"
        ) from None


def _is_context(annotation: Any) -> bool:
    if get_origin(annotation) is typing.Annotated:
        annotation = get_args(annotation)[0]
    return annotation is Context or get_origin(annotation) is Context


def _parameter(parameter: inspect.Parameter, hints: Json, name: str) -> Parameter:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ToolDefinitionError(
            f"{name}: `{parameter}` cannot be described to a model: name every parameter,"
            " or take one list or dict"
        )
    if parameter.name not in hints:
        cure = "annotate it, as in `city: str`"
        if parameter.name in ("self", "cls"):
            cure = "make the tool of a bound method, as in `tool(instance.method)`"
        raise ToolDefinitionError(f"{name}: parameter `{parameter.name}` has no type: {cure}")
    default: Any = parameter.default
    given = default is not parameter.empty
    described = isinstance(default, FieldInfo)
    return Parameter(
        name=parameter.name,
        annotation=hints[parameter.name],
        default=default if given else ...,
        optional=given and not described,
    )


class Arguments:
    """Reads a model's JSON into keyword arguments.

    Strict where JSON can say it (a number in quotes is not a number), and pydantic's JSON mode
    for the rest: dates, enums, UUIDs and the like come as strings. Unknown names are errors.
    A field that wants it laxer says `Field(strict=False)`.

    Args:
        name: The tool's name, for errors and as the model's name.
        parameters: What the model fills.
        descriptions: Of parameters by name, where the parameter's own `Field` has none.

    Raises:
        ToolDefinitionError: A parameter's type has no JSON schema.
    """

    __slots__ = ("_nullable", "_plan", "_validate", "schema")

    def __init__(
        self, name: str, parameters: list[Parameter], descriptions: dict[str, str]
    ) -> None:
        model = _model(name, parameters, descriptions)
        self._validate = model.__pydantic_validator__.validate_json
        self._plan = [(f"p{i}", p.name, p.optional) for i, p in enumerate(parameters)]
        self.schema: Json = untitled(model.model_json_schema(schema_generator=_Schema))
        self.schema.setdefault("properties", {})
        required = self.schema.get("required", ())
        defs: Json = self.schema.get("$defs", {})
        self._nullable = {
            key
            for key, child in self.schema["properties"].items()
            if key not in required and not accepts_null(child, defs)
        }

    def form(self, wanted: bool | None, name: str) -> tuple[Json, bool]:
        """The schema to show, and whether it is OpenAI's strict form.

        Raises:
            ToolDefinitionError: Strict was demanded and there is no strict form.
        """
        if wanted is False:
            return self.schema, False
        try:
            return strict(self.schema), True
        except NotStrict as error:
            if wanted is None:
                return self.schema, False
            raise ToolDefinitionError(
                f"{name}: cannot be strict, since {error}: change its type, or leave out"
                " `strict=True`"
            ) from None

    def parse(self, text: str) -> dict[str, Any]:
        """Keyword arguments for the function, without those it has defaults for itself.

        Raises:
            pydantic.ValidationError: They do not fit.
        """
        text = text.strip() or "{}"  # some models say nothing where there is nothing to say
        try:
            model = self._validate(text)
        except ValidationError:
            sparse = self._without_nulls(text)
            if sparse is None:
                raise
            model = self._validate(sparse)
        values, said = model.__dict__, model.__pydantic_fields_set__
        return {
            name: values[key] for key, name, optional in self._plan if not optional or key in said
        }

    def _without_nulls(self, text: str) -> bytes | None:
        """The JSON less the nulls that stand for a default, if there are any."""
        if not self._nullable or "null" not in text:
            return None
        try:
            given: Any = from_json(text)
        except ValueError:
            return None
        if not isinstance(given, dict):
            return None
        fields = typing.cast("Json", given)
        kept = {k: v for k, v in fields.items() if v is not None or k not in self._nullable}
        return to_json(kept) if len(kept) < len(fields) else None


def _model(name: str, parameters: list[Parameter], descriptions: dict[str, str]) -> type[BaseModel]:
    """The fields have names of our own (`p0`), so that `schema`, `copy` or `_x` are allowed."""
    fields: Json = {
        f"p{position}": _field(parameter, descriptions.get(parameter.name))
        for position, parameter in enumerate(parameters)
    }
    try:
        model = create_model(name, __config__=_CONFIG, **fields)
        model.model_json_schema(schema_generator=_Schema)
        return model
    except (PydanticUserError, TypeError, ValueError, NameError) as error:
        at_fault = next((p for p in parameters if not _describable(p)), None)
        where = f"parameter `{at_fault.name}`" if at_fault else "its parameters"
        what = str(error).split("\n", 1)[0]
        raise ToolDefinitionError(
            f"{name}: {where} cannot be described in JSON schema ({what}): use JSON types,"
            " dataclasses, TypedDicts or pydantic models"
        ) from error


def _field(parameter: Parameter, description: str | None) -> Any:
    """The annotated type of one field; the author's own `Field` goes before the docstring."""
    if isinstance(parameter.default, FieldInfo):
        info = FieldInfo.from_annotated_attribute(parameter.annotation, parameter.default)
    else:
        info = FieldInfo.from_annotation(parameter.annotation)
    extra: Json = {}
    if info.alias is None and info.validation_alias is None:
        extra["alias"] = parameter.name
    if info.description is None and description is not None:
        extra["description"] = description
    if isinstance(parameter.default, FieldInfo):
        return typing.Annotated[parameter.annotation, parameter.default, Field(**extra)]
    if parameter.default is not ...:
        extra["default"] = parameter.default
    return typing.Annotated[parameter.annotation, Field(**extra)]


def _describable(parameter: Parameter) -> bool:
    fields: Json = {"p": typing.Annotated[parameter.annotation, Field()]}
    try:
        create_model("Alone", __config__=_CONFIG, **fields).model_json_schema(
            schema_generator=_Schema
        )
    except (PydanticUserError, TypeError, ValueError, NameError):
        return False
    return True
