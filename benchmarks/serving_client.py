"""The clients of `serving`, in a process of their own: plain asyncio and plain sockets.

`python serving_client.py` reads one question a line, each naming what to do:

- `streams`: so many streams begin within `over` seconds, beside `stuck` readers that never read.
- `side`: one small request after another for so many seconds, by a client that does nothing else.
- `jobs`: so many background responses are begun. `look`: how these responses stand now.
"""

import asyncio
import json
import socket
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

_DELTA = b"event: response.output_text.delta"
_LINES = 20
"""Connections that begin jobs, or look after them."""
_PAUSE = 0.02
"""Seconds between two side requests."""

_TOOLS = {
    "type": "mcp",
    "server_label": "antiphon",
    "connector_id": "antiphon",
    "require_approval": "never",
}
"""How a client asks for all functions that the provider runs."""


def _request(method: str, path: str, body: Any = None, *, close: bool = False) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    return (
        b"%b %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"connection: %b\r\ncontent-length: %d\r\n\r\n%b"
        % (method.encode(), path.encode(), b"close" if close else b"keep-alive", len(data), data)
    )


def _asked(name: str, **fields: Any) -> bytes:
    body = {"model": name, "input": "go", "stream": True, **fields}
    return _request("POST", "/v1/responses", body, close=True)


class _Stream(asyncio.Protocol):
    """One stream: how many deltas came, and when."""

    def __init__(self, asked: bytes) -> None:
        self._asked = asked
        self._rest = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.deltas: int = 0
        self.began: float = time.perf_counter()
        self.first: float = 0.0
        self.ended: float = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._asked)

    def data_received(self, data: bytes) -> None:
        """Count; a name that is cut in two is put together again."""
        data = self._rest + data
        came = data.count(_DELTA)
        if came and not self.deltas:
            self.first = time.perf_counter()
        self.deltas += came
        self._rest = data[1 - len(_DELTA) :]

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closes when all is said."""
        self.ended = time.perf_counter()
        self.over.set_result(None)


def _stuck(port: int) -> socket.socket:
    """A client that asks for a flood and takes nothing of it."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", port))
    line.sendall(_asked("flood"))
    return line


async def _streams(asked: dict[str, Any]) -> dict[str, Any]:
    """Streams from the first one's beginning to the last one's end, in seconds."""
    loop = asyncio.get_running_loop()
    port, many = asked["port"], asked["streams"]
    body = _asked("paced", instructions=str(asked["deltas"]))
    lines: list[_Stream] = []
    with ExitStack() as held:
        for _ in range(asked["stuck"]):
            held.enter_context(_stuck(port))
        if asked["stuck"]:
            await asyncio.sleep(asked["settle"])
        began = loop.time()

        async def one(number: int) -> None:
            await asyncio.sleep(began + number / many * asked["over"] - loop.time())
            _, line = await loop.create_connection(lambda: _Stream(body), "127.0.0.1", port)
            lines.append(line)
            await line.over

        await asyncio.gather(*map(one, range(many)))
        length = loop.time() - began
    return {
        "deltas": sum(line.deltas for line in lines),
        "length": length,
        "each": sorted(line.ended - line.began for line in lines),
        "first": sorted(line.first - line.began for line in lines),
    }


def _side(asked: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds that small requests took, each kind on a line that is kept."""
    kinds = {
        "health": _request("GET", "/healthz"),
        "post": _request("POST", "/v1/responses", {"model": "short", "input": "go"}),
    }
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    lines = {kind: socket.create_connection(("127.0.0.1", asked["port"])) for kind in kinds}
    readers = {kind: line.makefile("rb") for kind, line in lines.items()}
    until = time.perf_counter() + asked["side"]
    while time.perf_counter() < until:
        for kind, data in kinds.items():
            began = time.perf_counter()
            lines[kind].sendall(data)
            _whole(readers[kind])
            took[kind].append(time.perf_counter() - began)
            time.sleep(_PAUSE)
    for line in (*readers.values(), *lines.values()):
        line.close()
    return {kind: sorted(found) for kind, found in took.items()}


def _whole(reader: Any) -> bytes:
    """One answer's body.

    Raises:
        RuntimeError: It is no success.
    """
    status = reader.readline()
    if not status:
        raise RuntimeError("the server closed the line before it answered")
    size, chunked = 0, False
    while (line := reader.readline().lower()) not in (b"\r\n", b""):
        if line.startswith(b"content-length:"):
            size = int(line.partition(b":")[2])
        chunked |= line.startswith(b"transfer-encoding:")
    body = b""
    if not chunked:
        body = reader.read(size)
    while chunked and (length := int(reader.readline(), 16)) >= 0:
        body += reader.read(length)
        reader.readline()
        if not length:
            break
    if not status.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{status!r}: {body!r}")
    return body


def _many(port: int, requests: list[bytes]) -> list[Any]:
    """The bodies of many answers, over some connections that are kept."""
    bodies: list[Any] = []
    waiting = iter(requests)

    def work() -> None:
        with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as reader:
            for data in waiting:
                line.sendall(data)
                bodies.append(json.loads(_whole(reader)))

    with ThreadPoolExecutor(_LINES) as threads:
        for done in [threads.submit(work) for _ in range(_LINES)]:
            done.result()
    return bodies


def _jobs(asked: dict[str, Any]) -> dict[str, Any]:
    """Begin jobs; gives their ids, and the seconds until the last one was taken."""
    began = time.perf_counter()
    body = {"model": "worker", "input": "go", "background": True, "tools": [_TOOLS]}
    bodies = _many(asked["port"], [_request("POST", "/v1/responses", body)] * asked["jobs"])
    return {"ids": [body["id"] for body in bodies], "seconds": time.perf_counter() - began}


def _look(asked: dict[str, Any]) -> dict[str, int]:
    """How many of these responses have which status, and how many items."""
    requests = [_request("GET", f"/v1/responses/{each}") for each in asked["look"]]
    told = _many(asked["port"], requests)
    return Counter(f"{one['status']}, {len(one['output'])} items" for one in told)


async def _main() -> None:
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "side" in asked:
            told: Any = _side(asked)
        elif "streams" in asked:
            told = await _streams(asked)
        else:
            told = _jobs(asked) if "jobs" in asked else _look(asked)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
