"""What speaks MCP: servers that others run, asked for their tools and called.

Whatever comes from a server is a stranger's data. From the top down: a `Source` is one server as a
definition of a request has it; a `Link` asks it, with times and retries; a `Line` is a session
that several questions share; a way (`Address`, `Program`, `InProcess`) leads there.

Above: `mcp_servers` and `mcp_server`, which say which servers; `mcp_listing` and `mcp_call`, which
make items of what was listed and called. Below: the `mcp` SDK, imported when a way is gone and not
before; `items`. Not here: menus, calls, who is asked before one runs; serving tools by MCP, which
is the provider's.
"""

from .address import Address as Address
from .arguments import arguments_of as arguments_of, schema_of as schema_of
from .content import Output as Output, output_of as output_of
from .definition import headers_of as headers_of, sent as sent, url_of as url_of
from .in_process import InProcess as InProcess
from .line import Lines as Lines
from .link import Link as Link, Trouble as Trouble, told as told
from .mark import (
    definition_mark as definition_mark,
    digest_of as digest_of,
    listed_before as listed_before,
    mark_of as mark_of,
)
from .plain import Plain as Plain
from .policy import Approval as Approval, Names as Names, policy_of as policy_of
from .program import Program as Program
from .secrets import check_named as check_named
from .source import Seen as Seen, Source as Source
from .way import Way as Way
