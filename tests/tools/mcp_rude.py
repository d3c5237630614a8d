"""A program that speaks MCP by hand, and badly: how is its first argument.

Standard library only, so that it starts at once.
"""

import json
import os
import signal
import subprocess
import sys
from typing import Any, NoReturn, cast

TOOL = {"name": "look", "description": "Look.", "inputSchema": {"type": "object"}}


WHOLE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(asked: dict[str, Any], result: dict[str, Any]) -> None:
    say({"id": asked["id"], "result": result})


def text(said: str) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": said}]}


def endless() -> NoReturn:
    """A line without end."""
    while True:
        os.write(1, b"x" * 65536)


def flood() -> NoReturn:
    """Messages without end, that nobody asked for."""
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'
    while True:
        os.write(1, (note + b"\n") * 100)


def called(how: str, message: dict[str, Any]) -> None:
    """Somebody calls the tool."""
    if how == "endless":
        endless()
    elif how == "flood":
        flood()
    elif how == "cut":  # in the middle of its answer
        os.write(1, b'{"jsonrpc":"2.0","id":')
        os._exit(1)
    elif how == "long":
        answer(message, text("x" * 4_000_000))
    elif how == "chatty":
        sys.stdout.buffer.write(
            b"debug: looking ...\n\xff\xfe\n\n[]\n{}\nnull\n" + b"[" * 100_000 + b"\n"
        )
        sys.stdout.flush()
        answer(message, text("seen"))
    elif how == "pieces":
        result = text("caf\u00e9 \U0001f375")
        said = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        for byte in said.replace("\\u00e9", "\u00e9").encode() + b"\n":
            os.write(1, bytes([byte]))
    elif how == "deaf":
        signal.pause()
    elif how == "parent":
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        answer(message, text(f"{os.getpid()} {child.pid}"))
    else:
        answer(message, text(str(os.getpid())))


def main(how: str) -> None:
    if len(sys.argv) > 2:
        with open(sys.argv[2], "a") as book:
            book.write(f"{os.getpid()}\n")
    if how == "greeting":
        endless()
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        message = cast("dict[str, Any]", json.loads(line))
        method = message.get("method")
        if method == "initialize":
            info = {"name": "rude", "version": "0"}
            given: dict[str, Any] = {"capabilities": {"tools": {}}, "serverInfo": info}
            answer(message, {"protocolVersion": "2025-06-18", **given})
        elif method == "server/discover" and how == "mute":
            found = {"supportedVersions": ["2026-07-28"], **WHOLE}
            answer(message, {**found, "capabilities": {"tools": {"listChanged": True}}})
        elif method == "subscriptions/listen":
            continue  # it never says whether it will
        elif method == "server/discover" and how == "old":
            sys.stdin.readline()  # it has broken already, and ends when it reads once more
            sys.exit(1)
        elif method == "tools/list":
            answer(message, {"tools": [TOOL], **(WHOLE if how == "mute" else {})})
        elif method == "tools/call":
            called(how, message)
        elif "id" in message:
            say({"id": message["id"], "error": {"code": -32601, "message": "no such method"}})
    if how == "stubborn":
        while True:
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
