"""`Upstream`: a server of models, whatever it speaks, over real connections."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from antiphon.agents import Agent
from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import Completed
from antiphon.models import ModelRequest, Upstream, model
from antiphon.provider import Provider

pytestmark = pytest.mark.anyio
