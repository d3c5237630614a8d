"""The probes in a container without fences, to see that they see: it is root and shares the
host's network, has no filter of calls and no limits. They do no harm where they get through."""

import base64
import io
import json
import os
import socket
import tempfile
import zipfile
from pathlib import Path
from typing import Any, cast

import anyio

from antiphon.sandboxes import Engine, build_image

PROBES = Path(__file__).parent.parent.parent / "sandboxes/probes"
EACH = """
import base64, os, sys
with open("/root/probes.zip", "wb") as file:
    file.write(base64.b64decode(sys.argv[1]))
sys.path.insert(0, "/root/probes.zip")
from antiphon_probes import kit
for place in sys.argv[3:]:  # each in a process of its own: one gets another root, one another user
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        kit.attempt(place, sys.argv[2])
        os._exit(0)
"""


def found_open(places: list[str]) -> dict[str, str]:
    """The verdicts of these probes there."""
    name = f"antiphon-weak-{os.getpid()}"
    secret = tempfile.NamedTemporaryFile("w")
    with secret, socket.create_server(("127.0.0.1", 0)) as server, socket.socket(1) as abstract:
        secret.write("the host's")
        secret.flush()
        abstract.bind(f"\0{name}")
        abstract.listen()
        facts: dict[str, Any] = {
            "port": server.getsockname()[1],
            "abstract": name,
            "file": secret.name,
            "secret": "the host's",
            "names": ["WEAK_SECRET"],
            "process": os.getpid(),
            "users": [0],
            "memory": 2**30,
            "neighbour": {},
        }
        said = anyio.run(_run, name, [_packed(), json.dumps(facts), *places], secret.name)
    told = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {each["probe"]: each["verdict"] for each in told}


async def _run(name: str, arguments: list[str], file: str) -> str:
    engine = Engine()
    image = await build_image(engine=engine)

    def run(client: Any) -> str:
        host = client.create_host_config(
            network_mode="host",
            security_opt=["seccomp=unconfined"],
            binds={file: {"bind": file, "mode": "ro"}},
        )
        client.create_container(
            image,
            name=name,
            entrypoint=["python3", "-c", EACH],
            command=arguments,
            user="0:0",
            working_dir="/root",
            environment={"WEAK_SECRET": "known"},
            host_config=host,
        )
        try:
            client.start(name)
            client.wait(name, timeout=120)
            return cast(bytes, client.logs(name)).decode()
        finally:
            client.remove_container(name, force=True, v=True)

    try:
        return await engine.call(run)
    finally:
        engine.close()


def _packed() -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("antiphon_probes/__init__.py", "")
        for path in PROBES.glob("*.py"):
            archive.write(path, f"antiphon_probes/{path.name}")
    return base64.b64encode(packed.getvalue()).decode()
