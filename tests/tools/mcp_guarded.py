"""A server of the official SDK that lets nobody in without a token, with the SDK's own parts of an
authorization server; and a person with a browser, who is sent there.
"""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import uvicorn
from mcp.client.auth import OAuthClientProvider
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

CALLBACK = "http://127.0.0.1:1/callback"


class Office:
    """Registers clients, and hands out codes and tokens, in memory.

    Attributes:
        refuses: Whether the person who is asked says no.
        told: What it was asked to do, in order.
    """

    def __init__(self) -> None:
        self.refuses = False
        self.told: list[str] = []
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.told.append("register")
        self.clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        self.told.append("authorize")
        back = str(params.redirect_uri)
        if self.refuses:
            return construct_redirect_uri(back, error="access_denied", state=params.state)
        code = f"code-{len(self.codes)}"
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or [],
            expires_at=4e9,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        return construct_redirect_uri(back, code=code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        self.told.append("exchange")
        return self._tokens(client.client_id, authorization_code.scopes)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.told.append("refresh")
        del self.refresh[refresh_token.token]
        return self._tokens(client.client_id, scopes)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)

    async def exchange_identity_assertion(self, client: Any, params: Any) -> OAuthToken:
        raise TokenError("unsupported_grant_type")

    def _tokens(self, client_id: str, scopes: list[str]) -> OAuthToken:
        number = len(self.access)
        access, refresh = f"access-0123456789-{number}", f"refresh-0123456789-{number}"
        self.access[access] = AccessToken(token=access, client_id=client_id, scopes=scopes)
        self.refresh[refresh] = RefreshToken(token=refresh, client_id=client_id, scopes=scopes)
        return OAuthToken(access_token=access, refresh_token=refresh, expires_in=3600)


class Kept:
    """Where a client keeps its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """Somebody with a browser: goes where they are sent, and comes back with what they got.

    Attributes:
        sent: The parameters of the addresses that they were sent to.
    """

    def __init__(self) -> None:
        self.sent: list[dict[str, list[str]]] = []
        self._back: dict[str, list[str]] = {}

    async def go(self, url: str) -> None:
        self.sent.append(parse_qs(urlsplit(url).query))
        async with httpx2.AsyncClient(trust_env=False) as browser:
            answer = await browser.get(url)
        self._back = parse_qs(urlsplit(answer.headers["location"]).query)

    async def come_back(self) -> AuthorizationCodeResult:
        def said(name: str) -> Any:
            return self._back.get(name, [None])[0]

        return AuthorizationCodeResult(
            code=said("code") or "", state=said("state"), iss=said("iss")
        )


def login(url: str, kept: Kept, person: Person) -> OAuthClientProvider:
    """The SDK's own client of it all, as a user would make it."""
    metadata = OAuthClientMetadata(
        client_name="antiphon", redirect_uris=[AnyUrl(CALLBACK)], scope="tools"
    )
    return OAuthClientProvider(url, metadata, kept, person.go, person.come_back)


@contextmanager
def guarded(office: Office) -> Generator[str]:
    """Serve it; gives the server's URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    registering = ClientRegistrationOptions(
        enabled=True, valid_scopes=["tools"], default_scopes=["tools"]
    )
    settings = AuthSettings.model_validate(
        {
            "issuer_url": base,
            "resource_server_url": f"{base}/mcp",
            "client_registration_options": registering,
            "required_scopes": ["tools"],
            "validate_token_resource": False,
        }
    )
    server = MCPServer("guarded", auth_server_provider=office, auth=settings)

    @server.tool()
    def token() -> str:  # pyright: ignore[reportUnusedFunction]
        """By what it was let in."""
        found = get_access_token()
        return "nothing" if found is None else f"{found.token} of {','.join(found.scopes)}"

    config = uvicorn.Config(server.streamable_http_app(), log_level="error")
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, args=([listening],))
    thread.start()
    try:
        yield f"{base}/mcp"
    finally:
        serving.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive(), "the server did not stop"
