"""Everybody who runs the same loop: we, a loop written by hand, and other libraries.

`python contenders.py NAME UPSTREAM` is one of them in a process of its own: it reads cases and
prints the CPU seconds of each repeat. Above: `loop`.
"""

import asyncio
import gc
import importlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import httpx2
from script import TOOL, answer_text, weather

Runner: TypeAlias = Callable[[str, list[dict[str, Any]]], Awaitable[str]]
"""Runs a conversation against a base URL to its end; returns the last words."""

Prepared: TypeAlias = Callable[[str, list[dict[str, Any]]], Callable[[], Awaitable[str]]]
"""What can be done once for many runs (clients, agents, typed items), and then one run."""


def raw() -> Prepared:
    """A loop written by hand on httpx2 and json: what all the others are measured by."""
    client = httpx2.AsyncClient(timeout=None)

    def prepare(base: str, given: list[dict[str, Any]]) -> Callable[[], Awaitable[str]]:
        return lambda: _raw(client, base, given)

    return prepare


async def _raw(client: httpx2.AsyncClient, base: str, given: list[dict[str, Any]]) -> str:
    items = list(given)
    fixed = {"model": "fake", "tools": [TOOL], "stream": True, "store": False}
    while True:
        body = json.dumps({**fixed, "input": items}).encode()
        said: list[dict[str, Any]] = []
        headers = {"content-type": "application/json", "authorization": "Bearer none"}
        async with client.stream(
            "POST", f"{base}/responses", content=body, headers=headers
        ) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    event = json.loads(line[6:])
                    if event["type"] == "response.output_item.done":
                        said.append(event["item"])
        items += said
        calls = [item for item in said if item["type"] == "function_call"]
        if not calls:
            return said[-1]["content"][0]["text"]
        done = await asyncio.gather(*(weather(**json.loads(call["arguments"])) for call in calls))
        items += [
            {"type": "function_call_output", "call_id": call["call_id"], "output": output}
            for call, output in zip(calls, done, strict=True)
        ]


def antiphon(*, typed: bool = True) -> Prepared:
    """We. `typed`: the history is items, as an earlier run gave them; else plain dicts."""
    from antiphon.agents import Agent, as_items
    from antiphon.models import ResponsesModel
    from antiphon.tools import tool

    function = tool(weather)

    def prepare(base: str, given: list[dict[str, Any]]) -> Callable[[], Awaitable[str]]:
        model = ResponsesModel("fake", base_url=base, api_key="none")
        agent = Agent(name="guide", model=model, tools=[function])
        items: Any = as_items(given) if typed else given

        async def run() -> str:
            return (await agent.run(items)).output_text

        return run

    return prepare


def openai() -> Prepared:
    """A loop written by hand on the `openai` SDK."""
    sdk: Any = importlib.import_module("openai")

    def prepare(base: str, given: list[dict[str, Any]]) -> Callable[[], Awaitable[str]]:
        client = sdk.AsyncOpenAI(base_url=base, api_key="none")

        async def run() -> str:
            items: list[Any] = list(given)
            while True:
                said: list[Any] = []
                stream = await client.responses.create(
                    model="fake", input=items, tools=[TOOL], stream=True, store=False
                )
                async for event in stream:
                    if event.type == "response.output_item.done":
                        said.append(event.item)
                items += said
                calls = [item for item in said if item.type == "function_call"]
                if not calls:
                    return said[-1].content[0].text
                done = await asyncio.gather(*(weather(**json.loads(c.arguments)) for c in calls))
                for call, output in zip(calls, done, strict=True):
                    items.append(
                        {
                            "type": "function_call_output",
                            "call_id": call.call_id,
                            "output": output,
                        }
                    )

        return run

    return prepare


def openai_agents() -> Prepared:
    """openai-agents, streamed, without tracing."""
    sdk: Any = importlib.import_module("openai")
    library: Any = importlib.import_module("agents")
    library.set_tracing_disabled(True)

    def prepare(base: str, given: list[dict[str, Any]]) -> Callable[[], Awaitable[str]]:
        client = sdk.AsyncOpenAI(base_url=base, api_key="none")
        model = library.OpenAIResponsesModel(model="fake", openai_client=client)
        agent = library.Agent(name="guide", model=model, tools=[library.function_tool(weather)])

        async def run() -> str:
            result = library.Runner.run_streamed(agent, list(given), max_turns=1000)
            async for _ in result.stream_events():
                pass
            return result.final_output

        return run

    return prepare


def pydantic_ai() -> Prepared:
    """Pydantic AI, streamed, without limits."""
    sdk: Any = importlib.import_module("openai")
    library: Any = importlib.import_module("pydantic_ai")
    models: Any = importlib.import_module("pydantic_ai.models.openai")
    providers: Any = importlib.import_module("pydantic_ai.providers.openai")
    usage: Any = importlib.import_module("pydantic_ai.usage")
    messages: Any = importlib.import_module("pydantic_ai.messages")

    async def handler(context: Any, events: Any) -> None:
        async for _ in events:
            pass

    def prepare(base: str, given: list[dict[str, Any]]) -> Callable[[], Awaitable[str]]:
        client = sdk.AsyncOpenAI(base_url=base, api_key="none")
        provider = providers.OpenAIProvider(openai_client=client)
        model = models.OpenAIResponsesModel("fake", provider=provider)
        agent = library.Agent(model, tools=[weather])
        before: list[Any] = []
        for item in given[:-1]:
            if item["role"] == "user":
                asked = messages.UserPromptPart(item["content"])
                before.append(messages.ModelRequest(parts=[asked]))
            else:
                told = messages.TextPart(item["content"][0]["text"])
                before.append(messages.ModelResponse(parts=[told]))

        async def run() -> str:
            result = await agent.run(
                given[-1]["content"],
                message_history=before,
                usage_limits=usage.UsageLimits(request_limit=None),
                event_stream_handler=handler,
            )
            return result.output

        return run

    return prepare


CONTENDERS: dict[str, Callable[[], Prepared]] = {
    "raw": raw,
    "antiphon": antiphon,
    "antiphon-dicts": lambda: antiphon(typed=False),
    "openai": openai,
    "openai-agents": openai_agents,
    "pydantic-ai": pydantic_ai,
}


def conversation(length: int) -> list[dict[str, Any]]:
    """User and assistant in turns, the user last."""
    said: list[dict[str, Any]] = []
    for number in range(length - 1):
        text = f"Message {number}: the river was high, the road was closed, and we took the train."
        if number % 2 == (length - 1) % 2:
            said.append({"type": "message", "role": "user", "content": text})
        else:
            part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
            said.append(
                {
                    "type": "message",
                    "id": f"msg_{number:048d}",
                    "status": "completed",
                    "role": "assistant",
                    "content": [part],
                }
            )
    question = "What is the weather like, everywhere?"
    return [*said, {"type": "message", "role": "user", "content": question}]


async def _measure(run: Callable[[], Awaitable[str]], turns: int, times: int) -> float:
    """CPU seconds of one run, out of so many."""
    gc.collect()
    began = time.process_time()
    for _ in range(times):
        said = await run()
        if said != answer_text(turns):
            raise RuntimeError(f"it did not run to the end: it said {said!r}")
    return (time.process_time() - began) / times


async def _main(name: str, upstream: str) -> None:
    try:
        prepare = CONTENDERS[name]()
    except Exception as error:
        print(json.dumps({"skipped": f"{name}: {type(error).__name__}: {error}"}), flush=True)
        return
    print(json.dumps({}), flush=True)
    runs: dict[str, Callable[[], Awaitable[str]]] = {}
    for line in sys.stdin:
        case = json.loads(line)
        key = f"{case['turns']}/{case['parallel']}/{case['history']}"
        if key not in runs:
            base = f"{upstream}/loop/{case['turns']}/{case['parallel']}/v1"
            runs[key] = prepare(base, conversation(case["history"]))
        try:
            spent = await _measure(runs[key], case["turns"], case["times"])
            print(json.dumps({"cpu": spent}), flush=True)
        except Exception as error:
            print(json.dumps({"skipped": f"{name}: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
