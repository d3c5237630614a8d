"""What the fake upstream says: streams of a Responses server, as bytes made beforehand.

Above: `upstream`, which sends them. Every event is one HTTP chunk of its own, as real servers
send them. Not here: sockets, or when anything is sent.
"""

import json
from functools import cache
from typing import Any

CITIES = ("Lisbon", "Oslo", "Rome", "Quito", "Kyoto", "Accra", "Lima", "Turin")

TOOL: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "Today's weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city."}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
"""The one tool of all benchmarks, on the wire."""


async def weather(city: str) -> str:
    """Today's weather in a city.

    Args:
        city: Name of the city.
    """
    return f"It is sunny in {city}, 24 degrees, with a light wind from the west."


def answer_text(turns: int) -> str:
    """The last words after so many tool turns."""
    return f"I have asked for the weather in {turns} turns, and it was sunny everywhere I looked."


@cache
def tool_turn(turn: int, parallel: int) -> bytes:
    """A turn that makes calls."""
    items = [
        {
            "type": "function_call",
            "id": f"fc_{turn:024d}{place:024d}",
            "call_id": f"call_{turn:012d}{place:012d}",
            "name": "weather",
            "arguments": json.dumps({"city": CITIES[place % len(CITIES)]}),
            "status": "completed",
        }
        for place in range(parallel)
    ]
    events: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        at = {"item_id": item["id"], "output_index": place}
        opened = {**item, "status": "in_progress", "arguments": ""}
        events.append(_event("output_item.added", output_index=place, item=opened))
        events += [
            _event("function_call_arguments.delta", **at, delta=piece)
            for piece in _pieces(item["arguments"], 4)
        ]
        events.append(_event("function_call_arguments.done", **at, arguments=item["arguments"]))
        events.append(_event("output_item.done", output_index=place, item=item))
    return _sent(_told(events, items))


@cache
def last_turn(turns: int) -> bytes:
    """The turn that answers."""
    events, items = _message(list(_pieces(answer_text(turns), 6)))
    return _sent(_told(events, items))


@cache
def burst(deltas: int) -> list[bytes]:
    """A long answer: its head, each of its deltas, and its tail, as they are sent."""
    events, items = _message([f" word{number % 100:02d}" for number in range(deltas)])
    chunks = [_chunk(event) for event in _told(events, items)]
    first = next(place for place, chunk in enumerate(chunks) if b"output_text.delta" in chunk)
    head, tail = chunks[:first], chunks[first + deltas :]
    return [b"".join(head), *chunks[first : first + deltas], b"".join(tail) + b"0\r\n\r\n"]


def _message(pieces: list[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    item: dict[str, Any] = {
        "type": "message",
        "id": f"msg_{0:048d}",
        "status": "completed",
        "role": "assistant",
        "content": [_part("".join(pieces))],
    }
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    opened: dict[str, Any] = {**item, "status": "in_progress", "content": []}
    events = [
        _event("output_item.added", output_index=0, item=opened),
        _event("content_part.added", **at, part=_part("")),
        *(_event("output_text.delta", **at, delta=piece, logprobs=[]) for piece in pieces),
        _event("output_text.done", **at, text="".join(pieces), logprobs=[]),
        _event("content_part.done", **at, part=_part("".join(pieces))),
        _event("output_item.done", output_index=0, item=item),
    ]
    return events, [item]


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _event(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{name}", **fields}


def _told(events: list[dict[str, Any]], items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events between those that every response has, numbered."""
    begun = _response("in_progress", [])
    whole = [
        _event("created", response=begun),
        _event("in_progress", response=begun),
        *events,
        _event("completed", response=_response("completed", items)),
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(whole)]


def _response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 120,
    }
    return {
        "id": f"resp_{0:048d}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "fake",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [TOOL],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if status == "completed" else None,
        "metadata": {},
    }


def _pieces(text: str, count: int) -> list[str]:
    """A text in so many pieces, or one more."""
    size = max(len(text) // count, 1)
    return [text[start : start + size] for start in range(0, len(text), size)]


def _sent(events: list[dict[str, Any]]) -> bytes:
    return b"".join(map(_chunk, events)) + b"0\r\n\r\n"


def _chunk(event: dict[str, Any]) -> bytes:
    data = json.dumps(event, separators=(",", ":")).encode()
    frame = b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), data)
    return b"%x\r\n%b\r\n" % (len(frame), frame)
