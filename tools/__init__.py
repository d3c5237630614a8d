"""Tools: what a model may call and the provider runs.

A tool turns one call into events and ends it with a receipt, an item that says all of it.
Below: `items` (the vocabulary) and `sandboxes` (where code runs). Above: `agents`, which
decides who may call what, and when. Not here: loops, models, HTTP.
"""

from antiphon.errors import ModelRetry as ModelRetry, ToolFailed as ToolFailed

from .account import Account as Account, Price as Price
from .call import ArgumentsCall as ArgumentsCall, BaseCall as BaseCall
from .code_interpreter import CodeInterpreter as CodeInterpreter
from .context import Context as Context, Progress as Progress
from .gate import Gate as Gate, NeedsApproval as NeedsApproval, gate_of as gate_of
from .hosted import (
    Allowance as Allowance,
    Approvals as Approvals,
    Call as Call,
    HostedTool as HostedTool,
    Offer as Offer,
    Scope as Scope,
    Slot as Slot,
)
from .tool import Tool as Tool, tool as tool
