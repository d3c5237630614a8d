"""The client of a relay, in a process of its own: plain asyncio, many streams at once.

`python load.py` reads `{"port", "case", "streams"}` and prints how many text deltas came, and
the seconds until the first byte of each body. Above: `relay`.
"""

import asyncio
import json
import sys
import time
from typing import Any

_DELTA = b"event: response.output_text.delta"


async def _stream(port: int, body: bytes) -> tuple[int, float]:
    """One request on a line of its own: its deltas, and the seconds to its first event."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{head!r}: {await reader.read()!r}")
    whole = await reader.read(65536)
    first = time.perf_counter() - began
    parts = [whole]
    while part := await reader.read(262144):
        parts.append(part)
    writer.close()
    return _plain(b"".join(parts)).count(_DELTA), first


def _plain(body: bytes) -> bytes:
    """A body without the borders of its HTTP chunks, which may fall inside an event."""
    parts: list[bytes] = []
    place = 0
    while (end := body.find(b"\r\n", place)) >= 0 and (size := int(body[place:end], 16)):
        parts.append(body[end + 2 : end + 2 + size])
        place = end + size + 4
    return b"".join(parts)


async def _load(asked: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"model": asked["case"], "input": "go", "stream": True, "store": False})
    streams = [_stream(asked["port"], body.encode()) for _ in range(asked["streams"])]
    done = await asyncio.gather(*streams)
    return {"deltas": sum(count for count, _ in done), "first": [first for _, first in done]}


async def _main() -> None:
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(await _load(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
