"""From the words of a command line to a model.

Above: `demo`, `chat`, `check`, `serve`, `files`. Below: `antiphon.models`. Not here: which API a
server speaks; `Upstream` asks it.
"""

import os
from urllib.parse import urlsplit

from antiphon.errors import ConfigurationError
from antiphon.models import Model, Upstream, resolve

from .options import Endpoint


def open_model(endpoint: Endpoint) -> Model:
    """The model that was asked for; no server is asked yet.

    Raises:
        ConfigurationError: There is no name, or what it says cannot be.
    """
    if not endpoint.model:
        raise ConfigurationError("expected a model: say --model NAME")
    if endpoint.base_url is not None:
        return open_upstream(endpoint).model(endpoint.model)
    if endpoint.api_key_env is not None or endpoint.api != "auto":
        raise ConfigurationError(
            "--api-key-env and --api belong to --base-url: say where the server is, or leave them "
            "out (a name such as ollama:qwen3 knows its server and its key)"
        )
    return resolve(endpoint.model)


def open_upstream(endpoint: Endpoint) -> Upstream:
    """The server that was asked for.

    Raises:
        ConfigurationError: Its address or its key is missing.
    """
    if endpoint.base_url is None:
        raise ConfigurationError("expected the server's address: say --base-url URL")
    return Upstream(endpoint.base_url, api_key=key_in(endpoint.api_key_env), api=endpoint.api)


def shown(url: str) -> str:
    """A URL without the name and password that it may hold."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def key_in(variable: str | None, *, option: str = "--api-key-env") -> str | None:
    """The key in this environment variable. Keys are sent only where they were said to go.

    Args:
        variable: Its name; None: there is no key.
        option: The option that named it, for the error.

    Raises:
        ConfigurationError: There is none in it.
    """
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise ConfigurationError(
            f"{option}: expected a key in the environment variable {variable}; it is "
            f"{'empty' if key == '' else 'not set'}: export {variable}=..."
        )
    return key
