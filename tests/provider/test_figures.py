"""Images that code shows: data URLs, or URLs of their container's files where that is wished."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from antiphon.errors import ConfigurationError
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import MemoryStore, Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

from .keeping import KEYS
from .serving import EXTENDED, events_of, serve

PNG = b"\x89PNG\r\n\x1a\nnot much of a picture"
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SHOW = f"""
class Picture:
    def _repr_png_(self): return {PNG!r}
class Table:
    def __repr__(self): return 'a b'
    def _repr_html_(self): return '<table><tr><td>a</td></tr></table>'
display(Picture())
Table()
"""
PUBLIC = "https://public.example/llm"
CODE = [{"type": "code_interpreter"}]
OUTPUTS = ["code_interpreter_call.outputs"]
ALICE = {"authorization": "Bearer sk-a"}


class House:
    """A Provider whose model shows a picture, and then says what it is told to."""

    def __init__(self, stack: ExitStack, *later: Any, code: str = SHOW, **options: Any) -> None:
        self.sandboxes = LocalSandboxes(grace=0.5)
        cell = FunctionCall("code_interpreter", {"code": code})
        self.script = ScriptedModel([cell, "Look.", *later], name="m")
        app = Provider(
            models=[self.script],
            tools=[CodeInterpreter(self.sandboxes)],
            api_keys=KEYS,
            **options,
        )
        url = stack.enter_context(serve(app))
        self.http = stack.enter_context(
            httpx2.Client(base_url=url, headers=ALICE, trust_env=False, timeout=60)
        )

    def ask(self, given: Any = "go", headers: dict[str, str] | None = None, **body: Any) -> Any:
        asked = {"model": "m", "input": given, "tools": CODE, "include": OUTPUTS, **body}
        answer = self.http.post("/v1/responses", json=asked, headers=headers or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def shown_to_the_model(self, turn: int) -> list[str]:
        """The images of a turn's context."""
        parts: list[Any] = []
        for item in self.script.requests[turn].items:
            output = getattr(item, "output", None)
            parts += output if isinstance(output, list) else []
        return [part.image_url for part in parts if part.type == "input_image"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_still:
        yield open_still


def outputs(item: Any) -> list[tuple[str, str]]:
    """The kind of each output of a receipt, and what it holds."""
    told = [dict(one) for one in item["outputs"]]
    return [(one.pop("type"), *one.values()) for one in told]


def test_an_image_is_a_data_url_where_nobody_said_more(stack: ExitStack) -> None:
    response = House(stack).ask()
    assert outputs(response["output"][0]) == [("logs", "a b\n"), ("image", DATA)]


def test_an_image_has_the_url_of_its_containers_file(stack: ExitStack) -> None:
    house = House(stack, public_url=f"{PUBLIC}/")
    response = house.ask()
    item = response["output"][0]
    (_, (kind, url)) = outputs(item)
    assert kind == "image"
    assert url.startswith(f"{PUBLIC}/v1/containers/{item['container_id']}/files/cfile_")
    assert url.endswith("/content")
    got = house.http.get(url.removeprefix(PUBLIC))
    assert (got.status_code, got.content) == (200, PNG)
    stranger = house.http.get(url.removeprefix(PUBLIC), headers={"authorization": "Bearer sk-b"})
    assert stranger.status_code == 404
    again = house.http.get(f"/v1/responses/{response['id']}", params={"include[]": OUTPUTS[0]})
    assert again.json()["output"][0] == item
    assert house.shown_to_the_model(1) == [DATA]


def test_a_stream_shows_the_same_url(stack: ExitStack) -> None:
    house = House(stack, public_url=PUBLIC)
    body = {"model": "m", "input": "go", "tools": CODE, "include": OUTPUTS, "stream": True}
    events = events_of(house.http.post("/v1/responses", json=body).content)
    done = next(event for event in events if event["type"] == "response.output_item.done")
    assert done["item"] == events[-1]["response"]["output"][0]
    assert b"data:image" not in str(events).encode()


def test_a_later_response_reads_the_image_itself(stack: ExitStack) -> None:
    house = House(stack, "Still there.", public_url=PUBLIC)
    first = house.ask()
    house.ask("again", previous_response_id=first["id"])
    assert house.shown_to_the_model(2) == [DATA]


@pytest.mark.parametrize("store", [True, False])
def test_a_replayed_url_is_the_image_again(stack: ExitStack, store: bool) -> None:
    house = House(stack, "Still there.", public_url="http://127.0.0.1:8000")
    first = house.ask(store=store)
    house.ask([{"role": "user", "content": "go"}, *first["output"]], store=False)
    assert house.shown_to_the_model(2) == [DATA]
    assert house.script.requests[2].items[:3] == house.script.requests[1].items[:3]


def test_an_image_whose_container_is_gone_is_a_note(stack: ExitStack) -> None:
    house = House(stack, "It was there.", public_url=PUBLIC)
    first = house.ask(store=False)
    container_id = first["output"][0]["container_id"]
    assert house.http.delete(f"/v1/containers/{container_id}").status_code == 200
    house.ask([{"role": "user", "content": "go"}, *first["output"]])
    receipt: Any = house.script.requests[2].items[2]
    assert receipt.output == "a b\n[An image was shown here; it is not kept any more.]\n"


def test_urls_of_images_bring_in_no_more_than_a_request_may_have(stack: ExitStack) -> None:
    code = SHOW.replace(repr(PNG), f"{PNG!r} * 500")
    house = House(stack, "Fine.", code=code, public_url=PUBLIC, max_body=100_000)
    item = house.ask(store=False)["output"][0]
    image = item["outputs"][1]
    (shown,) = house.shown_to_the_model(1)
    many = 100_000 // len(shown)
    fits = {**item, "outputs": [image] * many}
    house.ask([{"role": "user", "content": "go"}, fits], store=False)
    assert house.shown_to_the_model(2) == [shown] * many and many > 3
    large = {**item, "outputs": [image] * (many + 1)}
    given = [{"role": "user", "content": "go"}, large]
    asked = {"model": "m", "input": given, "tools": CODE}
    for path, body, param in (
        ("/v1/responses", asked, "input"),
        ("/v1/conversations", {"items": given}, "items"),
    ):
        answer = house.http.post(path, json=body)
        assert answer.status_code == 413, answer.text
        assert answer.json()["error"]["param"] == param


def test_an_image_that_was_never_shown_here_stays_what_it_is(stack: ExitStack) -> None:
    house = House(stack, public_url=PUBLIC)
    made = {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "container_id": "cntr_elsewhere",
        "code": "1",
        "outputs": [{"type": "image", "url": DATA}],
    }
    response = house.ask([made, {"role": "user", "content": "go"}])
    path = f"/v1/responses/{response['id']}/input_items"
    listed = house.http.get(path, params={"include[]": OUTPUTS[0]}).json()["data"]
    (item,) = [each for each in listed if each["type"] == "code_interpreter_call"]
    assert outputs(item) == [("image", DATA)]


def test_a_stored_image_outlives_the_url_that_it_had(stack: ExitStack) -> None:
    house = House(stack, "Still there.", "And now.", public_url=PUBLIC)
    first = house.ask()
    item = first["output"][0]
    assert house.http.delete(f"/v1/containers/{item['container_id']}").status_code == 200
    got = house.http.get(f"/v1/responses/{first['id']}", params={"include[]": OUTPUTS[0]}).json()
    assert outputs(got["output"][0]) == [("logs", "a b\n"), ("image", DATA)]
    for turn, replayed in ((2, item), (3, got["output"][0])):  # as it was, and as it is
        house.ask([{"role": "user", "content": "go"}, replayed])
        assert house.shown_to_the_model(turn) == [DATA]


def test_a_job_is_followed_with_the_same_urls(stack: ExitStack) -> None:
    house = House(stack, public_url=PUBLIC)
    body = {"model": "m", "input": "go", "tools": CODE, "include": OUTPUTS, "stream": True}
    events = events_of(house.http.post("/v1/responses", json={**body, "background": True}).content)
    done = next(event for event in events if event["type"] == "response.output_item.done")
    assert outputs(done["item"])[1][1].startswith(f"{PUBLIC}/v1/containers/")


def test_the_image_of_another_principal_is_a_note_too(stack: ExitStack) -> None:
    house = House(stack, "Nothing.", public_url=PUBLIC)
    first = house.ask(store=False)
    bob = {"authorization": "Bearer sk-b"}
    house.ask([{"role": "user", "content": "go"}, *first["output"]], headers=bob)
    assert house.shown_to_the_model(2) == []


def test_the_items_of_a_conversation_hold_the_image(stack: ExitStack) -> None:
    store = MemoryStore()
    house = House(stack, "I see.", public_url=PUBLIC, store=store)
    receipt = house.ask(store=False)["output"][0]
    made = house.http.post("/v1/conversations", json={"items": [receipt]}).json()
    path = f"/v1/conversations/{made['id']}/items"
    listed = house.http.get(path, params={"include[]": OUTPUTS[0]}).json()
    assert listed["data"][0]["outputs"] == receipt["outputs"]
    house.ask(conversation=made["id"])
    assert house.shown_to_the_model(2) == [DATA]


def test_a_table_is_html_to_clients_that_asked_for_extensions(stack: ExitStack) -> None:
    house = House(stack, "Still there.")
    response = house.ask(headers=EXTENDED)
    item = response["output"][0]
    html = "<table><tr><td>a</td></tr></table>"
    assert outputs(item) == [("logs", "a b\n"), ("antiphon:html", html), ("image", DATA)]
    house.ask([{"role": "user", "content": "go"}, *response["output"]], headers=EXTENDED)
    assert house.script.requests[2].items[:3] == house.script.requests[1].items[:3]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("api.example", "expected what stands before /v1"),
        ("ftp://api.example", "expected what stands before /v1"),
        ("https://api.example/?x=1", "expected what stands before /v1"),
        ("https://user@api.example", "expected what stands before /v1"),
        ("https://api.example/v1", "expected it without /v1"),
        ("", "expected what stands before /v1"),
        ("http://[::1", "expected what stands before /v1"),
        ("https://api.example:x", "expected what stands before /v1"),
        ("https://api.example:99999", "expected what stands before /v1"),
    ],
)
def test_a_public_url_that_is_none_is_said_at_once(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Provider(models=[ScriptedModel([], name="m")], public_url=url)
