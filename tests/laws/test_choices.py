"""Law 5: a choice that cannot be kept is refused before anything begins."""

from typing import Any

import anyio
import httpx2
import pytest

from antiphon.errors import RequestError
from antiphon.models import (
    FunctionCall as Call,
    Text,
)
from antiphon.provider import Provider

from .kit import BUILT_IN, OWN, body, check_whole, play, request
from .paper import Count, kit
from .scripts import Script, scripted

UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"type": "function", "name": "nowhere"}, "nowhere"),
    ({"type": "function"}, "function"),
    ({"type": "file_search"}, "file_search"),
    ({"type": "web_search"}, "web_search"),
    ({"type": "mcp", "server_label": "github"}, "github"),
    ({"type": "mcp", "server_label": "github", "name": "search"}, "search"),
    ({"type": "mcp", "server_label": "antiphon", "name": "nowhere"}, "nowhere"),
    ({"type": "custom", "name": "echo"}, "echo"),
]


@pytest.mark.parametrize(("ref", "named"), UNKNOWN)
def test_a_choice_of_what_is_not_declared_is_refused_before_anything_begins(
    ref: dict[str, Any], named: str
) -> None:
    async def law() -> None:
        known = {"type": "function", "name": "echo"}
        forms: list[tuple[Any, str]] = [
            (ref, "tool_choice"),
            ({"type": "allowed_tools", "tools": [known, ref]}, "tool_choice.tools[1]"),
        ]
        for choice, param in forms:
            model = scripted([[Text("never")]])
            with pytest.raises(RequestError, match=named) as caught:
                await play(request(own=BUILT_IN, tool_choice=choice), model)
            assert (caught.value.param, caught.value.status) == (param, 400)
            assert caught.value.code == "tool_not_found"
            assert not model.requests
            app = Provider(models=[model], tools=kit())
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
                for stream in (False, True):
                    sent = body(own=BUILT_IN, tool_choice=choice, stream=stream)
                    answer = await http.post("/v1/responses", json=sent)
                    assert answer.status_code == 400
                    assert answer.json()["error"]["param"] == param

    anyio.run(law)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "echo"}])
def test_a_call_cannot_be_demanded_where_nothing_can_be_called(choice: Any) -> None:
    async def law() -> None:
        with pytest.raises(RequestError) as caught:
            await play(request(tools=[], tool_choice=choice), scripted([[Text("never")]]))
        assert caught.value.param == "tool_choice"

    anyio.run(law)


def test_functions_asked_for_by_name_are_chosen_by_name() -> None:
    async def law() -> None:
        for kind in ("function", "antiphon:function"):
            count = Count()
            script: Script = [
                [Call("twice", {"text": "a"}), Call("echo", {"text": "b"})],
                [Text("the end.")],
            ]
            asked = request(own=OWN, tool_choice={"type": kind, "name": "echo"})
            check_whole(await play(asked, scripted(script), deps=count))
            assert count.ran == ["b"]

    anyio.run(law)
