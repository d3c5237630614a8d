"""Tools: what a model may call and the provider runs.

A tool turns one call into events and ends it with a receipt, an item that says all of it.
Below: `items` (the vocabulary) and `sandboxes` (where code runs). Above: `agents`, which
decides who may call what, and when. Not here: loops, models, HTTP.
"""

from typing import TYPE_CHECKING, Any

from antiphon.errors import ModelRetry as ModelRetry, ToolFailed as ToolFailed

from .account import Account as Account, Price as Price
from .call import (
    ArgumentsCall as ArgumentsCall,
    BaseCall as BaseCall,
    ReceiptCall as ReceiptCall,
)
from .citations import (
    BEGUN as BEGUN,
    HINT as HINT,
    LONGEST as LONGEST,
    MARKER as MARKER,
    Annotate as Annotate,
    Citation as Citation,
    Citations as Citations,
    numbers_of as numbers_of,
)
from .code_interpreter import CodeInterpreter as CodeInterpreter
from .container_files import (
    ContainerFile as ContainerFile,
    container_name as container_name,
    figure_id as figure_id,
)
from .container_row import Container as Container
from .container_terms import check_terms as check_terms
from .containers import (
    MAX_CONTAINERS as MAX_CONTAINERS,
    Containers as Containers,
    HasContainers as HasContainers,
    container_of as container_of,
)
from .context import Context as Context, Progress as Progress
from .gate import Gate as Gate, NeedsApproval as NeedsApproval, gate_of as gate_of
from .guard import guarded as guarded, paced as paced, within as within
from .hosted import (
    ANEW as ANEW,
    Allowance as Allowance,
    Approvals as Approvals,
    Asked as Asked,
    Asks as Asks,
    Call as Call,
    Checks as Checks,
    Declared as Declared,
    HostedTool as HostedTool,
    Listing as Listing,
    Lists as Lists,
    Offer as Offer,
    Scope as Scope,
    Slot as Slot,
)
from .image_generation import (
    Generate as Generate,
    ImageDraft as ImageDraft,
    ImageGeneration as ImageGeneration,
    ImagePrompt as ImagePrompt,
    PaintedImage as PaintedImage,
)
from .mcp_built_in import built_in as built_in
from .mcp_server import MCPServer as MCPServer
from .mcp_servers import MCPServers as MCPServers
from .naming import Names as Names, Namings as Namings
from .offer import HostedOffer as HostedOffer
from .own import OwnTool as OwnTool, hosted_tool as hosted_tool
from .partial import StringField as StringField, StringsField as StringsField
from .result import misfit as misfit
from .shell import Shell as Shell
from .tool import Tool as Tool, tool as tool
from .uploads import (
    Upload as Upload,
    Uploads as Uploads,
    upload_ids as upload_ids,
    uploaded as uploaded,
)
from .web import (
    JsonSearch as JsonSearch,
    OpenPage as OpenPage,
    PageFetcher as PageFetcher,
    WebPage as WebPage,
    WebQuery as WebQuery,
    WebResult as WebResult,
    is_public as is_public,
)
from .web_search import Search as Search, WebSearch as WebSearch

if TYPE_CHECKING:
    from . import search as search
    from .file_search import FileSearch as FileSearch


def __getattr__(name: str) -> Any:
    """File search is imported when it is asked for: most runs have no vector stores."""
    if name == "FileSearch":
        from .file_search import FileSearch

        return FileSearch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
