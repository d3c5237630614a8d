"""Credentials in tools' definitions, known or not: what is never sent back or kept.

Nobody can know them all. So what a type does not know is shown without anything that is named, or
looks, like one.
"""

import re
from typing import Any, Final, cast

from .wire import Json

_NAMED: Final = re.compile(
    r"key$|token|secret|passw|credential|cookie|bearer|headers?$|authorization|(^|[-_])auth([-_]|$)",
    re.IGNORECASE,
)
_LOOKS: Final = re.compile(r"\s*(bearer\s|basic\s|sk-|gh[a-z]_|xox[a-z]-|eyJ)", re.IGNORECASE)
_SCHEMAS: Final = ("parameters", "input_schema", "schema")  # whose names are the arguments'


def cleared(fields: Json) -> Json:
    """Fields without credentials, however deep; JSON schemas stay as they are."""
    shown: Json = {}
    for key, value in fields.items():
        if key in _SCHEMAS:
            shown[key] = value
        elif not (_NAMED.search(key) and isinstance(value, str | dict | list)):
            shown[key] = bare(value) if _is_url(key, value) else _shown(value)
    return shown


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return cleared(cast("Json", value))
    if isinstance(value, list):
        return [_shown(each) for each in cast("list[Any]", value)]
    return None if isinstance(value, str) and _LOOKS.match(value) else value


def _is_url(key: str, value: object) -> bool:
    return key.endswith("url") and isinstance(value, str)


def bare(url: str) -> str:
    """A URL without what may be a credential: its user, password, query and fragment."""
    plain = url.partition("#")[0].partition("?")[0]
    scheme, mark, rest = plain.partition("://") if "://" in plain else ("", "", plain)
    authority, slash, path = rest.lstrip("/").partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"
