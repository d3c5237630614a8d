"""Containers over HTTP, as OpenAI's own client uses them; on this machine and in Docker."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.container_retrieve_response import ContainerRetrieveResponse
from openai.types.containers.file_retrieve_response import FileRetrieveResponse

from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, Shell
from tests.sandboxes.docker_kit import boxes, docker as docker, docker_sandboxes, remove

from .harbour import (
    Clock,
    Harbour,
    content,
    harbour as harbour,
    harbour_at,
    names,
    place as place,
    run,
    runner,
    upload,
)
from .keeping import KEYS
from .serving import inside, serve

pytestmark = pytest.mark.anyio

HOUR = 3600.0


async def test_a_container_is_made_looked_at_and_deleted(harbour: Harbour) -> None:
    before = int(time.time())
    async with harbour.client() as client:
        made = await client.containers.create(
            name="report",
            memory_limit="4g",
            expires_after={"anchor": "last_active_at", "minutes": 5},
        )
        assert made.id.startswith("cntr_") and made.object == "container"
        assert (made.name, made.status, made.memory_limit) == ("report", "running", "4g")
        assert made.expires_after is not None and made.expires_after.minutes == 5
        assert made.last_active_at is not None
        assert before <= made.created_at <= made.last_active_at <= time.time()
        again = await client.containers.retrieve(made.id)
        assert again.created_at == made.created_at and again.name == "report"
        await client.containers.delete(made.id)
        with pytest.raises(openai.NotFoundError, match="there is no such container"):
            await client.containers.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.containers.delete(made.id)
        assert (await client.containers.list()).data == []


async def test_a_file_goes_in_and_comes_out_and_is_removed(harbour: Harbour) -> None:
    data = bytes(range(256)) * 20_000
    async with harbour.client() as client:
        box = await client.containers.create(name="files")
        assert await names(client, box.id) == []
        file = await upload(client, box.id, "in.bin", data)
        assert (file.object, file.bytes, file.source) == ("container.file", len(data), "user")
        assert file.path == "/mnt/data/in.bin" and file.container_id == box.id
        told = await client.containers.files.retrieve(file.id, container_id=box.id)
        assert told.model_dump() == file.model_dump()
        assert await content(client, box.id, file.id) == data
        await upload(client, box.id, "in.bin", b"new")  # replaces it, under the same id
        assert await content(client, box.id, file.id) == b"new"
        await client.containers.files.delete(file.id, container_id=box.id)
        assert await names(client, box.id) == []
        for asked in (
            client.containers.files.retrieve(file.id, container_id=box.id),
            client.containers.files.content.retrieve(file.id, container_id=box.id),
            client.containers.files.delete(file.id, container_id=box.id),
        ):
            with pytest.raises(openai.NotFoundError, match="there is no file"):
                await asked


async def test_what_code_writes_is_a_file_of_the_assistant(harbour: Harbour) -> None:
    async with harbour.client() as client:
        box = await client.containers.create(name="work")
        await upload(client, box.id, "in.txt", b"tide")
        said = await run(client, box.id, "open('out.txt', 'w').write(open('in.txt').read() * 2)")
        assert "out.txt" in said
        page = await client.containers.files.list(box.id)
        made = {file.path: file for file in page.data}
        assert {path: file.source for path, file in made.items()} == {
            "/mnt/data/in.txt": "user",
            "/mnt/data/out.txt": "assistant",
        }
        assert await content(client, box.id, made["/mnt/data/out.txt"].id) == b"tidetide"


async def test_uploads_are_copied_in_by_their_ids(harbour: Harbour) -> None:
    async with harbour.client() as client:
        ids = [
            (await client.files.create(file=(name, name.encode()), purpose="user_data")).id
            for name in ("a.txt", "b.txt", "a.txt")
        ]
        box = await client.containers.create(name="given", file_ids=[*ids, ids[0]])
        second, *rest = await names(client, box.id)  # two of one name are told apart
        assert rest == ["a.txt", "b.txt"]
        said = await run(client, box.id, f"print(open({second!r}).read(), open('b.txt').read())")
        assert "a.txt b.txt" in said
        other = await client.containers.create(name="later")
        file = await client.containers.files.create(other.id, file_id=ids[1])
        assert (file.path, file.bytes) == ("/mnt/data/b.txt", 5)
        with pytest.raises(openai.NotFoundError, match="file_id: there is no file"):
            await client.containers.files.create(other.id, file_id="file-0")


async def test_a_container_removed_from_the_engine_is_a_new_empty_one(
    docker: None, tmp_path: Path
) -> None:
    sandboxes = docker_sandboxes()
    with harbour_at(tmp_path, sandboxes) as harbour:
        async with harbour.client() as client:
            box = await client.containers.create(
                name="fragile", network_policy={"type": "disabled"}
            )
            assert box.network_policy is not None and box.network_policy.type == "disabled"
            assert box.memory_limit == "1g", "expected the backend's own to be told"
            file = await upload(client, box.id, "a.txt", b"words")
            (real,) = await boxes(sandboxes)
            await remove(real)
            with pytest.raises(openai.NotFoundError, match="there is no file"):
                await client.containers.files.content.retrieve(file.id, container_id=box.id)
            assert (await client.containers.retrieve(box.id)).status == "running"
            await upload(client, box.id, "b.txt", b"more")
            assert await names(client, box.id) == ["b.txt"]
            await client.containers.delete(box.id)
    assert await boxes(sandboxes) == []


async def test_an_image_that_code_shows_is_a_file_too(harbour: Harbour) -> None:
    code = "class Shown:\n    def _repr_png_(self): return b'\\x89PNG and so on'\nShown()"
    async with harbour.client() as client, harbour.http() as http:
        box = await client.containers.create(name="figures")
        await run(client, box.id, code)
        (file,) = (await client.containers.files.list(box.id)).data
        assert (file.source, file.bytes) == ("assistant", 14) and file.path.endswith(".png")
        answer = await http.get(f"/containers/{box.id}/files/{file.id}/content")
        assert answer.content == b"\x89PNG and so on"
        assert answer.headers["content-type"] == "image/png"
        await client.containers.files.delete(file.id, container_id=box.id)
        assert await names(client, box.id) == []


# --- on this machine alone: nothing here depends on where the code runs -----------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def near(tmp_path: Path, clock: Clock) -> Iterator[Harbour]:
    with harbour_at(tmp_path, LocalSandboxes(clock=clock, live=2)) as made:
        yield made


async def test_containers_are_listed_in_pages_and_by_name(near: Harbour) -> None:
    async with near.client() as client:
        made = [await client.containers.create(name=name) for name in ("a", "b", "a", "c", "a")]
        ids = [each.id for each in made]
        assert [each.id async for each in await client.containers.list(limit=2)] == ids[::-1]
        page = await client.containers.list(order="asc", limit=2, after=ids[1])
        assert [each.id for each in page.data] == ids[2:4] and page.has_more
        assert (page.model_extra or {})["first_id"] == ids[2]
        named = await client.containers.list(name="a", order="asc")
        assert [each.id for each in named.data] == [ids[0], ids[2], ids[4]]
        assert not named.has_more
        with pytest.raises(openai.NotFoundError, match="after: 'cntr_no'"):
            await client.containers.list(after="cntr_no")


async def test_files_are_listed_in_pages(near: Harbour) -> None:
    async with near.client() as client:
        box = await client.containers.create(name="many")
        await run(client, box.id, "for at in range(25): open(f'{at:02}', 'w').close()")
        listed = [file async for file in await client.containers.files.list(box.id, limit=10)]
        assert len({file.id for file in listed}) == len(listed) == 25
        page = await client.containers.files.list(box.id)
        assert len(page.data) == 20 and page.has_more
        with pytest.raises(openai.NotFoundError, match="after: there is no file"):
            await client.containers.files.list(box.id, after="cfile_no")


async def test_the_containers_that_tools_make_are_there_too(near: Harbour) -> None:
    async with near.client() as client:
        response = await client.responses.create(
            model="runner",
            input="open('made.txt', 'w').write('1')",
            tools=[{"type": "code_interpreter", "container": {"type": "auto"}}],
        )
        call: Any = response.output[0]
        (listed,) = (await client.containers.list()).data
        assert listed.id == call.container_id
        assert await names(client, listed.id) == ["made.txt"]
        await client.containers.delete(listed.id)
        with pytest.raises(openai.NotFoundError):
            await run(client, listed.id, "1")


async def test_objects_are_what_the_sdks_classes_say(near: Harbour) -> None:
    async with near.client() as client, near.http() as http:
        box = await client.containers.create(name="strict")
        file = await upload(client, box.id, "a.txt", b"1")
        told = (await http.get(f"/containers/{box.id}")).json()
        ContainerRetrieveResponse.model_validate(told, strict=True)
        assert told["network_policy"] is None, "local code has the network of this machine"
        told = (await http.get(f"/containers/{box.id}/files/{file.id}")).json()
        FileRetrieveResponse.model_validate(told, strict=True)
        gone = (await http.delete(f"/containers/{box.id}/files/{file.id}")).json()
        assert gone == {"id": file.id, "object": "container.file.deleted", "deleted": True}
        gone = (await http.delete(f"/containers/{box.id}")).json()
        assert gone == {"id": box.id, "object": "container.deleted", "deleted": True}


async def test_anothers_container_and_an_absent_one_look_the_same(near: Harbour) -> None:
    async with near.client() as alice, near.http("sk-b") as bob:
        box = await alice.containers.create(name="mine")
        file = await upload(alice, box.id, "a.txt", b"1")
        paths = ("", "/files", f"/files/{file.id}", f"/files/{file.id}/content")
        asked = [("GET", path) for path in paths] + [("DELETE", ""), ("DELETE", paths[2])]
        for method, path in [*asked, ("POST", "/files")]:
            said = set[tuple[int, str]]()
            for named in (box.id, f"cntr_{'0' * 48}"):
                body: Any = {"json": {"file_id": "file-0"}} if method == "POST" else {}
                answer = await bob.request(method, f"/containers/{named}{path}", **body)
                said.add((answer.status_code, answer.text.replace(named, "X")))
            assert len(said) == 1 and said.pop()[0] == 404, f"{method} {path}"
        assert (await bob.get("/containers")).json()["data"] == []
        after = await bob.get("/containers", params={"after": box.id})
        assert after.status_code == 404
        assert await content(alice, box.id, file.id) == b"1"


async def test_it_expires_when_it_said_and_what_is_asked_of_it_keeps_it(
    near: Harbour, clock: Clock
) -> None:
    async with near.client() as client:
        box = await client.containers.create(
            name="short", expires_after={"anchor": "last_active_at", "minutes": 5}
        )
        file = await upload(client, box.id, "a.txt", b"1")
        for _ in range(3):  # it is used each time, and lives on
            clock.time += 299
            await client.containers.retrieve(box.id)
            clock.time += 299
            await client.containers.files.list(box.id)
        clock.time += 299
        assert (await client.containers.list()).data[0].status == "running"  # no use of it
        clock.time += 1
        assert (await client.containers.list()).data[0].status == "expired"
        for _ in range(2):
            assert (await client.containers.retrieve(box.id)).status == "expired"
        for asked in (
            client.containers.files.list(box.id),
            client.containers.files.content.retrieve(file.id, container_id=box.id),
            upload(client, box.id, "b.txt", b"2"),
            client.containers.delete(box.id),
            run(client, box.id, "1"),
        ):
            with pytest.raises(openai.NotFoundError, match="expired"):
                await asked
        clock.time += HOUR
        with pytest.raises(openai.NotFoundError, match="no such container"):
            await client.containers.retrieve(box.id)
        assert (await client.containers.list()).data == []


async def test_a_provider_may_keep_containers_for_less(tmp_path: Path) -> None:
    with harbour_at(tmp_path, LocalSandboxes(idle=150)) as harbour:
        async with harbour.client() as client, harbour.http() as http:
            box = await client.containers.create(name="short")
            assert box.expires_after is not None and box.expires_after.minutes == 2
            longer = {"anchor": "last_active_at", "minutes": 3}
            body = {"name": "long", "expires_after": longer}
            answer = await http.post("/containers", json=body)
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"]["param"] == "expires_after.minutes"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": 1}, "name"),
        ({"expires_after": {"anchor": "created_at", "minutes": 1}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "last_active_at", "minutes": 0}}, "expires_after.minutes"),
        ({"expires_after": {"anchor": "last_active_at", "minutes": 21}}, "expires_after.minutes"),
        ({"memory_limit": "2g"}, "memory_limit"),
        ({"file_ids": [1]}, "file_ids[0]"),
        ({"file_ids": ["file-0"]}, "file_ids[0]"),
        ({"file_ids": ["file-0"] * 51}, "file_ids"),
        ({"skills": [{"type": "skill_reference", "skill_id": "x"}]}, "skills"),
        ({"network_policy": {"type": "open"}}, "network_policy.type"),
        (
            {"network_policy": {"type": "allowlist", "allowed_domains": ["a.example"]}},
            "network_policy",
        ),
        ({"network_policy": {"type": "disabled"}}, "network_policy"),  # it is not, here
    ],
)
async def test_what_is_wrong_with_a_request_is_said(
    near: Harbour, body: dict[str, Any], param: str
) -> None:
    given = body if param == "name" else {"name": "x", **body}
    async with near.http() as http:
        answer = await http.post("/containers", json=given)
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["error"]["param"] == param, answer.text
        assert (await http.get("/containers")).json()["data"] == [], "expected none to be left"


async def test_a_full_machine_is_a_429_and_leaves_no_container(near: Harbour) -> None:
    async with near.client() as client, near.http() as http:
        file = await client.files.create(file=("a.txt", b"1"), purpose="user_data")
        for _ in range(2):
            await client.containers.create(name="busy", file_ids=[file.id])
        body = {"name": "more", "file_ids": [file.id]}
        answer = await http.post("/containers", json=body)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "sandbox_busy"
        assert len((await client.containers.list()).data) == 2
        await client.containers.create(name="waits")  # nothing starts, so there is room


async def test_one_principal_has_so_many_containers_and_no_more(near: Harbour) -> None:
    async with near.http() as http, near.http("sk-b") as other, near.client() as client:
        last = await http.post("/containers", json={"name": "x"})
        for _ in range(99):
            await http.post("/containers", json={"name": "x"})
        answer = await http.post("/containers", json={"name": "x"})
        assert answer.status_code == 429 and 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.json()["error"]["code"] == "too_many_containers"
        tools: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]
        response = await client.responses.create(model="runner", input="1", tools=tools)
        assert response.output[0].status == "failed"  # pyright: ignore[reportAttributeAccessIssue]
        assert "100 containers already" in response.output_text
        assert (await other.post("/containers", json={"name": "x"})).status_code == 200
        await http.delete(f"/containers/{last.json()['id']}")
        assert (await http.post("/containers", json={"name": "x"})).status_code == 200


async def test_without_a_tool_that_runs_code_the_404_says_which_to_add() -> None:
    async with inside(Provider(models=[runner])) as http:
        for path in ("/v1/containers", "/v1/containers/cntr_1/files"):
            for method in ("GET", "POST"):
                answer = await http.request(method, path)
                assert answer.status_code == 404
                assert "CodeInterpreter(" in answer.json()["error"]["message"]


async def test_tools_with_backends_of_their_own_share_the_endpoints() -> None:
    code, shell = CodeInterpreter(LocalSandboxes()), Shell(LocalSandboxes(idle=60))
    with serve(Provider(models=[runner], tools=[code, shell], api_keys=KEYS)) as url:
        async with Harbour(url).client() as client:
            first = await client.containers.create(name="first")
            second = shell.containers.create(principal="alice", name="second")
            listed = [each.name for each in (await client.containers.list(order="asc")).data]
            assert sorted(listed) == ["first", "second"]
            assert code.containers.find(first.id, "alice") is not None
            await upload(client, second.id, "a.txt", b"1")
            assert await names(client, second.id) == ["a.txt"]
            await client.containers.delete(second.id)
            assert shell.containers.find(second.id, "alice") is None


async def test_a_machine_that_starts_no_sandbox_is_a_503(tmp_path: Path) -> None:
    with harbour_at(tmp_path, LocalSandboxes(python="/nowhere/python")) as harbour:
        async with harbour.client() as client:
            box = await client.containers.create(name="never")
            assert await names(client, box.id) == []
            with pytest.raises(openai.InternalServerError, match="see the provider's log") as told:
                await upload(client, box.id, "a.txt", b"1")
            assert told.value.status_code == 503 and "/nowhere" not in str(told.value)
