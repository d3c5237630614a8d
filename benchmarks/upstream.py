"""A fake upstream in a process of its own: plain asyncio, scripted bytes, nothing thought about.

Paths: `/loop/{turns}/{parallel}/v1/responses` calls tools for so many turns and answers (the
turn is read off the outputs in the request, so it keeps no state); `/burst/{deltas}/v1/responses`
sends all at once; `/paced/{deltas}/{hertz}/v1/responses` sends one delta after another.
"""

import asyncio
import os
import sys

from script import burst, last_turn, tool_turn

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            path = head.split(b" ", 2)[1].decode().strip("/").split("/")
            await _answer(path, body, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _answer(path: list[str], body: bytes, writer: asyncio.StreamWriter) -> None:
    kind = path[0]
    if kind == "loop":
        turns, parallel = int(path[1]), int(path[2])
        turn = body.count(b"function_call_output") // parallel
        writer.write(_HEAD + (tool_turn(turn, parallel) if turn < turns else last_turn(turns)))
    elif kind == "burst":
        writer.write(_HEAD + b"".join(burst(int(path[1]))))
    else:
        await _paced(int(path[1]), float(path[2]), writer)
    await writer.drain()


async def _paced(deltas: int, hertz: float, writer: asyncio.StreamWriter) -> None:
    head, *middle, tail = burst(deltas)
    clock = asyncio.get_running_loop().time
    began = clock()
    writer.write(_HEAD + head)
    for number, chunk in enumerate(middle, 1):
        await asyncio.sleep(began + number / hertz - clock())
        writer.write(chunk)
    writer.write(tail)


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it is gone
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
