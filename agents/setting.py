"""`Setting`: the circumstances of a run, whoever runs and whatever is asked.

Above: everything that serves a request (`loop`, agents, workflows, a provider's catalogue). It
is made once, at the outermost run, and handed on. Below: `tools.Scope`, which it becomes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from antiphon.items import Clock, CreateResponse, Fold, Ids, Item, Response, now, opening
from antiphon.tools import Account, Allowance, Approvals, Citations, Scope, Uploads

from .approval import Word, answers
from .budget import Budget, account_of, held
from .telling import Before, Telling


@dataclass(frozen=True, slots=True)
class Setting:
    """The circumstances of a run.

    Attributes:
        history: Items that come before the request's input (`previous_response_id`).
        principal: Whose run it is.
        deps: For tools that take a `Context`.
        ids: Where ids come from; seed it for repeatable runs.
        clock: Gives seconds since 1970.
        parent: The run that this one is a call of; counts and budgets are shared with it.
        account: The budgets that a run without a parent is held to, beside its own.
        approvals: Who is told of calls that wait for a person; the parent's by default.
        before: What was told of the response already, where another process began it.
        words: What people decided, checked by whoever serves the run; None: what the request's
            own input says, since its sender is trusted.
        private_urls: Whether URLs that the request gives may lead into private networks.
        uploads: The files that requests may name by id; None where nobody keeps uploads.
        fold: Where the run is folded, where the run around it reads it there.
    """

    history: Sequence[Item] = ()
    principal: str = "local"
    deps: Any = None
    ids: Ids = field(default_factory=Ids)
    clock: Clock = now
    parent: Scope | None = None
    account: Account | None = None
    approvals: Approvals | None = None
    before: Before | None = None
    words: Sequence[Word] | None = None
    private_urls: bool = False
    uploads: Uploads | None = None
    fold: Fold | None = None

    @classmethod
    def inside(
        cls,
        parent: Scope,
        *,
        history: Sequence[Item] = (),
        words: Sequence[Word] = (),
        fold: Fold | None = None,
    ) -> "Setting":
        """The circumstances of a run that is a call of another.

        Args:
            parent: The run around it.
            history: What it reads of that.
            words: What people decided on its requests.
            fold: Where it is folded.
        """
        return cls(
            history=history,
            fold=fold,
            words=words,
            principal=parent.principal,
            deps=parent.deps,
            ids=parent.ids,
            clock=parent.clock,
            parent=parent,
            account=parent.account,
            approvals=parent.approvals,
            private_urls=parent.private_urls,
            uploads=parent.uploads,
        )

    def items(self, request: CreateResponse) -> list[Item]:
        """The whole effective input."""
        return [*self.history, *request.items]

    def decided(self, request: CreateResponse) -> Sequence[Word]:
        """The words that may count in this run."""
        if self.words is not None:
            return self.words
        return [Word(answer) for answer in answers(request.items)]

    def opening(self, request: CreateResponse, model: str) -> Response:
        """The response as it stands before anybody has spoken."""
        if self.before is not None:
            return self.before.fold.response.model_copy(
                update={"status": "in_progress", "output": []}
            )
        created = int(self.clock())
        return opening(request, id=self.ids("resp"), created_at=created, model=model)

    def telling(self, response: Response) -> Telling:
        """What tells of the run, from its opening on."""
        return Telling(response, clock=self.clock, before=self.before, fold=self.fold)

    def scope(
        self, request: CreateResponse, response: Response, *, name: str, budget: Budget | None
    ) -> Scope:
        """The run as its calls know it.

        Args:
            request: What is asked.
            response: Its opening.
            name: Who runs, where that is not said by a parent.
            budget: Its own.
        """
        parent = self.parent
        path = parent.path if parent else (name,)
        around = held(path[-1], budget, self.account)
        allowance = Allowance(request.max_tool_calls, parent and parent.allowance)
        account = account_of(path[-1], request.antiphon_budget, around)
        if self.before is not None:
            for _ in range(self.before.calls):
                allowance.take()
                account.call()
            for model, used in self.before.turns:
                account.restore(model, used)
        return Scope(
            principal=self.principal,
            request=request,
            response_id=response.id,
            items=self.items(request),
            ids=self.ids,
            deps=self.deps,
            clock=self.clock,
            depth=parent.depth + 1 if parent else 0,
            allowance=allowance,
            account=account,
            approvals=self.approvals,
            path=path,
            citations=Citations(parent and parent.citations.names),
            private_urls=self.private_urls,
            uploads=self.uploads,
        )
