"""What a request says of credentials is never in the response that repeats the request."""

from typing import Any

import pytest

from antiphon.items import CreateResponse, opening

SECRET = "hunter2"
NETWORK = {
    "type": "allowlist",
    "allowed_domains": ["api.host"],
    "domain_secrets": [{"domain": "api.host", "name": "KEY", "value": SECRET}],
}

TOOLS: dict[str, dict[str, Any]] = {
    "a shell's network": {
        "type": "shell",
        "environment": {"type": "container_auto", "network_policy": NETWORK},
    },
    "a code interpreter's network": {
        "type": "code_interpreter",
        "container": {"type": "auto", "memory_limit": "4g", "network_policy": NETWORK},
    },
    "a server's headers": {
        "type": "mcp",
        "server_label": "s",
        "server_url": f"https://u:{SECRET}@host/mcp?key={SECRET}",
        "headers": {"x-key": SECRET},
        "authorization": SECRET,
    },
    "a tool of no known type": {"type": "made:up", "api_key": SECRET, "deep": {"token": SECRET}},
}
TOOLS["an agent's own tools"] = {
    "type": "antiphon:agent",
    "name": "reader",
    "tools": list(TOOLS.values()),
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_no_credential_of_a_tool_is_repeated(tool: dict[str, Any]) -> None:
    request = CreateResponse.model_validate({"input": "x", "tools": [tool]})
    assert SECRET not in opening(request, id="r", created_at=0).to_json().decode()
    assert SECRET in request.to_json().decode(), "whoever serves it has it still"


def test_what_is_no_credential_is_repeated() -> None:
    tool = TOOLS["a code interpreter's network"]
    shell = {"type": "shell", "environment": {"type": "local", "skills": [{"name": "pdf"}]}}
    request = CreateResponse.model_validate({"input": "x", "tools": [tool, shell]})
    code, given = opening(request, id="r", created_at=0).model_dump(mode="json")["tools"]
    assert code["container"]["memory_limit"] == "4g"
    assert code["container"]["network_policy"]["allowed_domains"] == ["api.host"]
    assert given == shell
