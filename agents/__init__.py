"""Who drives turns: agents, and the one loop under them.

Below: `models` (who speaks), `tools` (what is run), `items` (what is said). Above: `provider`,
which serves the same loop over HTTP. Not here: bytes, stores, what a client may see.
"""

from .agent import (
    Agent as Agent,
    AgentTool as AgentTool,
    Instructions as Instructions,
    team_of as team_of,
)
from .approval import (
    Word as Word,
    answers as answers,
    digest_of as digest_of,
    name_of as name_of,
    place_of as place_of,
    request_in as request_in,
    same_call as same_call,
)
from .budget import Budget as Budget, budget as budget
from .clients import form_of as form_of
from .combine import chain as chain, parallel as parallel, route as route
from .context import context_of as context_of
from .delegate import (
    ContextPolicy as ContextPolicy,
    Delegate as Delegate,
    Serve as Serve,
    function_of as function_of,
)
from .handoff import Seat as Seat, Switch as Switch
from .loop import drive as drive, loop as loop
from .menu import build_menu as build_menu, check_tools as check_tools
from .result import Result as Result
from .runnable import AgentInput as AgentInput, Runnable as Runnable, as_items as as_items
from .setting import Setting as Setting
from .telling import RESUMED as RESUMED, Before as Before, turn_told as turn_told
from .truncation import shortened as shortened, too_long as too_long
from .workflow import Workflow as Workflow, run as run, workflow as workflow
