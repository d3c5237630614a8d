"""Where tokens come from: one protocol, an engine of one's own, and adapters for servers.

Above: `agents` (the loop asks) and `provider` (serves what is asked). Below: `items`. Not
here: tools, turns, or anything that decides what happens with what a model said.
"""

from .chat import (
    ChatModel as ChatModel,
)
from .clients import (
    prefer_fast as prefer_fast,
)
from .count import (
    Counts as Counts,
)
from .fallback import (
    Fallback as Fallback,
)
from .model import (
    Model as Model,
    ModelRequest as ModelRequest,
)
from .names import (
    resolve as resolve,
)
from .responses import (
    ResponsesModel as ResponsesModel,
)
from .router import (
    Router as Router,
)
from .scripted import (
    ScriptedModel as ScriptedModel,
)
from .speech import (
    Failure as Failure,
    FunctionCall as FunctionCall,
    Reasoning as Reasoning,
    Refusal as Refusal,
    Speech as Speech,
    Stop as Stop,
    Text as Text,
    Usage as Usage,
)
from .transport import (
    server_url as server_url,
)
from .upstream import (
    Upstream as Upstream,
)

# After `.model`, whose import would else hide the decorator from checkers.
from .engine import Engine as Engine, model as model  # isort: skip
