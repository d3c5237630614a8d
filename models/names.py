"""Models by name: `openai:gpt-5`, `ollama:qwen3`, with keys and addresses from the environment.

Above: `cli`, `agents`. Below: the adapters. Sources: each service's own documentation of its
OpenAI-compatible address. Not here: models that a Provider holds.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx2

from antiphon.errors import ConfigurationError

from .chat import ChatModel
from .model import Model
from .responses import ResponsesModel


@dataclass(frozen=True, slots=True)
class Service:
    """Where a prefix leads.

    Attributes:
        base_url: Its usual address.
        url_variable: The environment variable that gives another address.
        key_variable: The one that holds the key, if it takes one.
        needs_key: Whether it answers nobody without.
        speaks: The adapter.
    """

    base_url: str
    url_variable: str
    key_variable: str | None = None
    needs_key: bool = False
    speaks: type[ChatModel] | type[ResponsesModel] = ChatModel


SERVICES: Final[dict[str, Service]] = {
    "openai": Service(
        "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY", True, ResponsesModel
    ),
    "hf": Service("https://router.huggingface.co/v1", "HF_BASE_URL", "HF_TOKEN", True),
    "openrouter": Service(
        "https://openrouter.ai/api/v1", "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY", True
    ),
    "ollama": Service("http://localhost:11434/v1", "OLLAMA_HOST", "OLLAMA_API_KEY"),
    "lmstudio": Service("http://localhost:1234/v1", "LMSTUDIO_BASE_URL", "LMSTUDIO_API_KEY"),
    "vllm": Service("http://localhost:8000/v1", "VLLM_BASE_URL", "VLLM_API_KEY"),
    "vercel": Service(
        "https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_BASE_URL", "AI_GATEWAY_API_KEY", True
    ),
}
"""The prefixes."""


def resolve(name: str) -> Model:
    """The model that a prefixed name stands for; requests find it under the whole name.

    Args:
        name: `prefix:model`, such as `hf:openai/gpt-oss-120b:cerebras` (the rest is the
            service's own name for it, suffixes included).

    Raises:
        ConfigurationError: The prefix is unknown, there is no model, or a key is missing.
    """
    prefix, colon, model = name.partition(":")
    service = SERVICES.get(prefix)
    if service is None or not colon:
        known = ", ".join(f"{known}:" for known in SERVICES)
        raise ConfigurationError(
            f"model {name!r}: expected a name that begins with one of {known}; "
            "write it so, or pass a Model"
        )
    if not model:
        raise ConfigurationError(
            f"model {name!r}: expected a model after the colon; got none: write {prefix}:<model>"
        )
    key = os.environ.get(service.key_variable or "") or None
    if key is None and service.needs_key:
        raise ConfigurationError(
            f"model {name!r}: expected a key in the environment variable {service.key_variable}; "
            f"it is not set: export {service.key_variable}=..."
        )
    given = os.environ.get(service.url_variable)
    address = _ADDRESS.get(prefix, _plain)
    base_url = address(given) if given else service.base_url
    return service.speaks(model, base_url=base_url, api_key=key, name=name)


def _plain(given: str) -> str:
    return given


def _ollama(given: str) -> str:
    """OLLAMA_HOST is the server's own variable: `host`, `host:port` or a URL, without a path;
    and 0.0.0.0, where it listens, is no address to call.
    """
    url = httpx2.URL(given if "://" in given else f"http://{given}")
    host = "127.0.0.1" if url.host in ("0.0.0.0", "") else url.host
    port = url.port or (11434 if "://" not in given else None)
    return str(url.copy_with(host=host, port=port, path="/v1"))


_ADDRESS: Final[dict[str, Callable[[str], str]]] = {"ollama": _ollama}
