"""Rules about containers and the files in them, as clients make, list, read and delete them.

Above: `provider`. Below: `bench`. Not here: the code that runs in them (`hosted`). A server whose
/containers answers 404, 405 or 501 has none, and all rules are skipped.
"""

from typing import Any, Final

from .bench import Bench, Theme
from .endpoints import offered
from .errors import BAD, refusal
from .line import Answer
from .report import expect, filled, same, shown, skip
from .sse import Json, obj, objects

containers: Theme = Theme("containers")
_BOX: Final = "openai: /containers"
_FILES: Final = "openai: /containers/{id}/files"
_WORDS: Final = b"The tides follow the moon.\n"


async def _had(bench: Bench, method: str, path: str, body: object = None, **more: Any) -> Answer:
    """An answer of 200: what is made is there."""
    answer = await bench.line.ask(method, path, body, **more)
    expect(answer.status == 200, f"expected 200, got {answer}", body)
    return answer


async def _container(bench: Bench, **fields: Any) -> Json:
    """A new container.

    Raises:
        Skipped: They are not served.
    """
    made = (await offered(bench, "POST", "/containers", {"name": "kit", **fields})).json
    same(made.get("object"), "container", "object", made)
    expect(isinstance(made.get("id"), str), f"id: expected a text, got {shown(made)}")
    return made


async def _file(bench: Bench, made: Json, name: str = "kit.txt") -> Json:
    """A new file in a container."""
    path = f"/containers/{made['id']}/files"
    given = {"file": (name, _WORDS, "text/plain")}
    told = (await _had(bench, "POST", path, files=given)).json
    wanted = {"object": "container.file", "bytes": len(_WORDS), "container_id": made["id"]}
    same({key: told.get(key) for key in wanted}, wanted, "the file", told)
    filled(told.get("id"), "id", told)
    return told


async def _dismiss(bench: Bench, *made: Json) -> None:
    for each in made:
        await bench.line.ask("DELETE", f"/containers/{each['id']}")


@containers.rule("a container is made, had and deleted", _BOX)
async def life(bench: Bench) -> None:
    made = await _container(bench)
    same(made.get("name"), "kit", "name", made)
    same(made.get("status"), "running", "status", made)
    for name in ("created_at", "last_active_at"):
        expect(isinstance(made.get(name), int), f"{name}: expected an integer", made)
    path = f"/containers/{made['id']}"
    again = (await _had(bench, "GET", path)).json
    kept = ("id", "object", "name", "created_at", "memory_limit", "expires_after")
    same({key: again.get(key) for key in kept}, {key: made.get(key) for key in kept}, "had again")
    gone = (await _had(bench, "DELETE", path)).json
    same(gone.get("deleted"), True, "deleted", gone)
    same(gone.get("id"), made["id"], "id", gone)
    for method in ("GET", "DELETE"):
        refusal(await bench.line.ask(method, path), (404,), f"{method} of a deleted container")


@containers.rule("a container says after how many minutes without use it expires", _BOX)
async def expiry(bench: Bench) -> None:
    wanted = {"anchor": "last_active_at", "minutes": 1}
    made = await _container(bench, expires_after=wanted)
    same(obj(made.get("expires_after")), wanted, "expires_after", made)
    await _dismiss(bench, made)
    for wrong in (
        {"anchor": "last_active_at", "minutes": 0},
        {"anchor": "created_at", "minutes": 1},
    ):
        answer = await bench.line.ask(
            "POST", "/containers", {"name": "kit", "expires_after": wrong}
        )
        refusal(answer, BAD, f"expires_after {shown(wrong)}")


@containers.rule("containers are listed in pages: order, limit, after, has_more", _BOX)
async def listed(bench: Bench) -> None:
    made = [await _container(bench, name=name) for name in ("kit 1", "kit 2", "kit 3")]
    ids = [each["id"] for each in made]
    page = (await _had(bench, "GET", f"/containers?limit=2&order=asc&after={ids[0]}")).json
    same(page.get("object"), "list", "object", page)
    rows = [row.get("id") for row in objects(page.get("data"))]
    same(rows, ids[1:], "the ids after the first", page)
    same((page.get("first_id"), page.get("last_id")), (ids[1], ids[2]), "first_id, last_id", page)
    newest = (await _had(bench, "GET", "/containers?limit=1")).json
    same([row.get("id") for row in objects(newest.get("data"))], ids[2:], "the newest", newest)
    same(newest.get("has_more"), True, "has_more", newest)
    await _dismiss(bench, *made)


@containers.rule("an unknown container is a 404, whatever is asked of it", f"wire 9; {_BOX}")
async def unknown(bench: Bench) -> None:
    await _dismiss(bench, await _container(bench))  # skips where there are none
    path = "/containers/cntr_conformance_kit_nowhere"
    for method, more in (("GET", ""), ("DELETE", ""), ("GET", "/files"), ("GET", "/files/x")):
        refusal(await bench.line.ask(method, path + more), (404,), f"{method} {path}{more}")


@containers.rule("a file is put into a container, had, listed, read and deleted", _FILES)
async def files(bench: Bench) -> None:
    made = await _container(bench)
    told = await _file(bench, made)
    same(told.get("source"), "user", "source", told)
    expect(isinstance(told.get("created_at"), int), "created_at: expected an integer", told)
    wrong = not str(told.get("path")).endswith("/kit.txt")
    expect(not wrong, f"path: expected one that ends with /kit.txt, got {shown(told)}")
    every = f"/containers/{made['id']}/files"
    path = f"{every}/{told['id']}"
    same((await _had(bench, "GET", path)).json.get("id"), told["id"], "id, had again")
    rows = objects((await _had(bench, "GET", every)).json.get("data"))
    same([row.get("id") for row in rows], [told["id"]], "the ids of its files", rows)
    content = await _had(bench, "GET", f"{path}/content")
    expect(content.body == _WORDS, f"expected its bytes, got {shown(content.body)}")
    gone = (await _had(bench, "DELETE", path)).json
    same(gone.get("deleted"), True, "deleted", gone)
    refusal(await bench.line.ask("GET", path), (404,), "GET of a deleted file")
    await _dismiss(bench, made)


@containers.rule("the content of a container's file is a download, and nothing a page runs", _FILES)
async def download(bench: Bench) -> None:
    made = await _container(bench)
    told = await _file(bench, made, "kit.html")
    content = await _had(bench, "GET", f"/containers/{made['id']}/files/{told['id']}/content")
    kind = content.kind
    expect("html" not in kind, f"content-type: expected none that a browser shows, got {kind}")
    same(content.headers.get("x-content-type-options"), "nosniff", "x-content-type-options")
    await _dismiss(bench, made)


@containers.rule("an upload's name cannot leave the container's folder", f"wire 9; {_FILES}")
async def names(bench: Bench) -> None:
    made = await _container(bench)
    inside = str((await _file(bench, made)).get("path")).removesuffix("kit.txt")
    path = f"/containers/{made['id']}/files"
    for name in ("../../etc/kit.txt", "/etc/kit.txt", "..\\kit.txt"):
        answer = await bench.line.ask("POST", path, files={"file": (name, _WORDS, "text/plain")})
        if answer.status == 200:
            same(answer.json.get("path"), f"{inside}kit.txt", f"the path of {name}", answer.json)
        else:
            refusal(answer, (400, 422), f"the name {name}")
    await _dismiss(bench, made)


@containers.rule("an uploaded file is copied into a container by its id", _FILES)
async def copied(bench: Bench) -> None:
    given = {"file": ("kit.txt", _WORDS, "text/plain")}
    answer = await bench.line.ask("POST", "/files", files=given, data={"purpose": "user_data"})
    if answer.status != 200:
        skip(f"there are no uploads to copy: {answer}")
    file_id = answer.json["id"]
    made = await _container(bench, file_ids=[file_id])
    path = f"/containers/{made['id']}/files"
    rows = objects((await _had(bench, "GET", path)).json.get("data"))
    same([row.get("bytes") for row in rows], [len(_WORDS)], "the sizes of its files", rows)
    other = await _container(bench)
    path = f"/containers/{other['id']}/files"
    told = (await _had(bench, "POST", path, {"file_id": file_id})).json
    same(told.get("bytes"), len(_WORDS), "bytes", told)
    refusal(
        await bench.line.ask("POST", path, {"file_id": "file-conformance-kit-nowhere"}),
        (400, 404),
        "an unknown file_id",
    )
    await _dismiss(bench, made, other)
    await bench.line.ask("DELETE", f"/files/{file_id}")
