"""`module:app`: find a user's application and import it, with the user's folder last on the path.

Above: `serve`. Not here: what the application is.

Last, because a folder's own `agents.py` or `tools/` would otherwise stand before the packages
of that name that its modules import, such as openai-agents' `agents`.
"""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from antiphon.errors import ConfigurationError

Application: TypeAlias = Callable[..., Any]
"""An ASGI application: called with scope, receive and send."""


def load(spec: str) -> Application:
    """The application that `module:name` names; the name is `app` if left out.

    Raises:
        ConfigurationError: There is no such module, or no application of that name in it.
    """
    name, _, path = spec.partition(":")
    if not name or name.endswith(".py") or os.sep in name:
        raise ConfigurationError(f"expected module:app, such as app:app for app.py; got {spec!r}")
    _folder_last(os.getcwd())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"{name} imports {error.name}, which is not installed: install it"
            ) from error
        raise ConfigurationError(
            f"there is no module {name!r} in {os.getcwd()}, and none is installed: "
            "go to the folder that holds it"
        ) from error
    found: Any = module
    for step in (path or "app").split("."):
        found = getattr(found, step, None)
    if not callable(found):
        where = getattr(module, "__file__", None) or name
        raise ConfigurationError(
            f"expected an ASGI application named {path or 'app'!r} in {where}; "
            f"got {'nothing' if found is None else type(found).__name__}: "
            "write app = Provider(...), and name it module:app"
        )
    return found


def _folder_last(folder: str) -> None:
    """Move a folder to the end of the path, however it came to be on it."""
    real = os.path.realpath(folder)
    sys.path[:] = [each for each in sys.path if os.path.realpath(each or ".") != real]
    sys.path.append(folder)
    importlib.invalidate_caches()
