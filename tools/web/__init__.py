"""What reads the web: queries and what they find, pages and what they say.

A search is somebody else's: a callable, or any endpoint that answers with JSON (`JsonSearch`).
Pages are opened here, public ones alone and within bounds (`PageFetcher`): a model chooses the
address, or a stranger for the model.

Above: `web_search`, which makes a tool of it; `mcp_server`, which uses the `network`. Below:
httpx2, imported when something is opened and not before; `items`. Not here: calls, menus, markers.
"""

from .action import Action as Action, actions as actions
from .address import is_public as is_public
from .endpoint import JsonSearch as JsonSearch
from .fetcher import PageFetcher as PageFetcher
from .link import PageLink as PageLink
from .page import OpenPage as OpenPage, WebPage as WebPage
from .pages import Pages as Pages
from .query import WebQuery as WebQuery, WebResult as WebResult, result_of as result_of
from .terms import Terms as Terms, terms_of as terms_of
