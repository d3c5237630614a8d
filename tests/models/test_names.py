"""Models by name, with keys and addresses from the environment."""

import pytest

from antiphon.errors import ConfigurationError
from antiphon.models import ChatModel, Model, ResponsesModel, resolve

pytestmark = pytest.mark.anyio

VARIABLES = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "HF_TOKEN",
    "HF_BASE_URL",
    "OPENROUTER_API_KEY",
    "OPENROUTER_BASE_URL",
    "OLLAMA_HOST",
    "OLLAMA_API_KEY",
    "LMSTUDIO_BASE_URL",
    "LMSTUDIO_API_KEY",
    "VLLM_BASE_URL",
    "VLLM_API_KEY",
    "AI_GATEWAY_API_KEY",
    "AI_GATEWAY_BASE_URL",
]


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("name", "settings", "kind", "shown"),
    [
        (
            "openai:gpt-5",
            {"OPENAI_API_KEY": "k"},
            ResponsesModel,
            "'gpt-5' at https://api.openai.com",
        ),
        (
            "openai:gpt-5",
            {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://proxy:1/v1"},
            ResponsesModel,
            "'gpt-5' at http://proxy:1",
        ),
        (
            "hf:openai/gpt-oss-120b:cerebras",
            {"HF_TOKEN": "k"},
            ChatModel,
            "'openai/gpt-oss-120b:cerebras' at https://router.huggingface.co",
        ),
        (
            "openrouter:a/b:free",
            {"OPENROUTER_API_KEY": "k"},
            ChatModel,
            "'a/b:free' at https://openrouter.ai",
        ),
        ("ollama:qwen3:8b", {}, ChatModel, "'qwen3:8b' at http://localhost:11434"),
        ("ollama:q", {"OLLAMA_HOST": "0.0.0.0"}, ChatModel, "'q' at http://127.0.0.1:11434"),
        ("ollama:q", {"OLLAMA_HOST": "box:1"}, ChatModel, "'q' at http://box:1"),
        ("ollama:q", {"OLLAMA_HOST": "https://o.com"}, ChatModel, "'q' at https://o.com"),
        ("lmstudio:m", {}, ChatModel, "'m' at http://localhost:1234"),
        ("vllm:m", {"VLLM_BASE_URL": "http://gpu:8/v1"}, ChatModel, "'m' at http://gpu:8"),
        (
            "vercel:a/b",
            {"AI_GATEWAY_API_KEY": "k"},
            ChatModel,
            "'a/b' at https://ai-gateway.vercel.sh",
        ),
    ],
)
async def test_a_prefix_leads_to_its_service(
    name: str,
    settings: dict[str, str],
    kind: type[Model],
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    model = resolve(name)
    assert type(model) is kind and model.name == name
    assert shown in repr(model)
    await model.aclose()


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai:m", "OPENAI_API_KEY"),
        ("hf:m", "HF_TOKEN"),
        ("openrouter:m", "OPENROUTER_API_KEY"),
        ("vercel:m", "AI_GATEWAY_API_KEY"),
    ],
)
def test_a_missing_key_is_named(name: str, variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"environment variable {variable}; it is not set"):
        resolve(name)


@pytest.mark.parametrize("name", ["acme:m", "gpt-5", ""])
def test_an_unknown_prefix_lists_the_known_ones(name: str) -> None:
    known = "openai:, hf:, openrouter:, ollama:, lmstudio:, vllm:, vercel:"
    with pytest.raises(ConfigurationError, match=known):
        resolve(name)


def test_a_prefix_alone_is_no_model() -> None:
    with pytest.raises(ConfigurationError, match="expected a model after the colon"):
        resolve("ollama:")
