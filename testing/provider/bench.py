"""The bench: what every check is given, and how checks are registered and run.

Above: the themes, one file each, and `provider`. Below: `line`, `report`. Not
here: any rule. Specimens (a greeting, a counting stream, a call ...) are asked for once, when the
first check wants them; the rules about streams are then tried on every stream among them.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .line import Answer, Line, Stream
from .questions import STREAMS, TRIES, Question
from .report import LONG, Broken, Result, Skipped, Verdict, expect, safe, shown
from .sse import Json, objects

Dialect: TypeAlias = Literal["openresponses", "openai"]
"""Whose names the events of raw reasoning bear, and as whose client the kit speaks."""

AS_CLIENT: dict[Dialect | None, dict[str, str]] = {
    None: {},
    "openresponses": {"openresponses-version": "latest"},
    "openai": {
        "openresponses-version": "",
        "user-agent": "OpenAI/Python 3.0.0",
        "x-stainless-lang": "python",
    },
}
"""The headers by which a provider knows the dialect; an empty one is not sent."""

MISSING = (404, 405, 501)
"""Statuses of a path that is not served."""


class Bench:
    """One provider under test.

    Args:
        line: How to reach it.
        model: The model to ask; None lets the provider choose.
        dialect: As whose client the kit speaks; None says nothing about it.
        websocket: Whether WebSockets are tried.
    """

    def __init__(
        self, line: Line, *, model: str | None, dialect: Dialect | None, websocket: bool
    ) -> None:
        self.line = line
        self.model = model
        self.dialect: Dialect | None = dialect
        self.websocket = websocket
        self.seen: list[tuple[str, Json]] = []
        self._kept: dict[str, Any] = {}

    def body(self, asked: str | Sequence[Json] | Mapping[str, Any], **fields: Any) -> Json:
        """A request: an input, or fields with an input among them."""
        given = dict(asked) if isinstance(asked, Mapping) else {"input": asked}
        named = {"model": self.model} if self.model is not None else {}
        return {**named, **given, **fields}

    async def post(self, body: object, **options: Any) -> Answer:
        """POST /responses, whatever comes."""
        return await self.line.ask("POST", "/responses", body, **options)

    async def respond(self, asked: str | Sequence[Json] | Mapping[str, Any], **fields: Any) -> Json:
        """A response object, as one JSON answer.

        Raises:
            Broken: The answer is no 200, or no object.
        """
        body = self.body(asked, **fields)
        return self.taken(await self.post(body), body)

    def taken(self, answer: Answer, asked: object) -> Json:
        """The response object of an answer.

        Raises:
            Broken: The answer is no 200, or no object.
        """
        why = f"expected 200, got {answer.status}: {answer.message}"
        expect(answer.status == 200, why, asked)
        response = answer.json
        expect(response, f"expected a JSON object, got {shown(answer.body)}")
        self.seen.append((answer.asked, response))
        return response

    async def stream(
        self, name: str, body: Json, *, headers: Mapping[str, str] | None = None
    ) -> Stream:
        """A response as a stream of events.

        Raises:
            Broken: The answer is no 200, or no events came.
        """
        asked = {**body, "stream": True}
        answer = await self.post(asked, headers=headers)
        why = f"expected 200, got {answer.status}: {answer.message}"
        expect(answer.status == 200, why, asked)
        stream = Stream.of(name, asked, answer)
        expect(stream.events, f"expected a stream of events, got {shown(answer.body)}")
        return stream

    async def once(self, name: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """What `make` gives, asked for once; a failure is kept, too, and is every check's."""
        if name not in self._kept:
            try:
                self._kept[name] = await make()
            except (Broken, Skipped) as error:
                self._kept[name] = error
        kept = self._kept[name]
        if isinstance(kept, Broken | Skipped):
            raise kept
        return kept

    async def hello(self) -> Json:
        """A greeting, as one JSON answer."""
        return await self.once("hello", lambda: self.respond("Say hello in exactly 3 words."))

    async def specimen(self, name: str) -> Stream:
        """One of `STREAMS`; asked again when a model does not do its part.

        Raises:
            Broken: The provider fails to answer.
            Skipped: The model does not do its part, or the provider refuses the request.
        """
        return await self.once(name, lambda: self._specimen(name, STREAMS[name]))

    async def _specimen(self, name: str, question: Question) -> Stream:
        body = self.body(question.fields)
        tries = TRIES if question.wanted else 1
        for _ in range(tries):
            answer = await self.post({**body, "stream": True}, headers=question.headers)
            if question.optional and 400 <= answer.status < 500:
                raise Skipped(f"the provider refuses it ({answer.status}: {answer.message})")
            why = f"expected 200, got {answer.status}: {answer.message}"
            expect(answer.status == 200, why, body)
            stream = Stream.of(name, body, answer)
            expect(stream.events, f"expected a stream of events, got {shown(answer.body)}")
            if question.wanted is None or question.wanted(_items(stream), stream.terminal):
                return stream
        raise Skipped(f"the model did not do its part in {tries} tries: {question.part}")

    async def streams(self) -> AsyncIterator[Stream]:
        """Every specimen that can be had.

        Raises:
            Skipped: There is not even one.
        """
        some, why = False, ""
        for name in STREAMS:
            try:
                yield await self.specimen(name)
                some = True
            except (Broken, Skipped) as error:
                why = why or str(error)
        if not some:
            raise Skipped(f"there is no stream to look at: {why}")


def _items(stream: Stream) -> list[Json]:
    """The finished items of a stream."""
    done = [each for each in stream.events if each.get("type") == "response.output_item.done"]
    return objects([each.get("item") for each in done])


Run: TypeAlias = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule.

    Attributes:
        name: The rule, as a sentence.
        theme: The group that it belongs to.
        source: Where it stands.
        run: Returns where it holds; raises Broken or Skipped.
    """

    name: str
    theme: str
    source: str
    run: Run

    async def __call__(self, bench: Bench) -> Result:
        """Try the rule on a provider; whatever its server does comes out as a result."""
        began = time.monotonic()
        verdict: Verdict = "passed"
        why, evidence = "", ""
        try:
            await self.run(bench)
        except Broken as error:
            verdict, why = "failed", error.why
            evidence = "" if error.evidence is None else shown(error.evidence, LONG)
        except Skipped as error:
            verdict, why = "skipped", str(error)
        except Exception as error:  # nothing that a stranger answers may end the kit
            what = f"{type(error).__name__}: {shown(str(error))}"
            verdict, why = "failed", f"what came is too odd to be looked at ({what})"
        seconds = time.monotonic() - began
        why, evidence = bench.line.clean(safe(why)), bench.line.clean(evidence)
        return Result(self.name, self.theme, self.source, verdict, why, evidence, seconds)


@dataclass(frozen=True, slots=True)
class Theme:
    """A group of rules; `rule` registers one."""

    name: str
    checks: list[Check] = field(default_factory=list[Check])

    def rule(self, name: str, source: str) -> Callable[[Run], Run]:
        """Register an async function of the bench as a rule.

        Args:
            name: The rule, as a sentence.
            source: Where it stands.
        """

        def register(run: Run) -> Run:
            self.checks.append(Check(name, self.name, source, run))
            return run

        return register
