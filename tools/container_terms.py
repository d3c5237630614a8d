"""What a request may ask of a container's surroundings, wherever it asks: one answer for all.

Above: `code_interpreter.py`, `shell.py`, and whoever serves containers over HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from antiphon.errors import RequestError
from antiphon.sandboxes import Isolation


@dataclass(frozen=True, slots=True)
class Terms:
    """What a container is to be like; None leaves it to the backend.

    Attributes:
        memory_limit: 1g, 4g, 16g or 64g.
        idle_seconds: Seconds without use after which it expires.
    """

    memory_limit: str | None = None
    idle_seconds: float | None = None


def check_terms(
    *, network_policy: object, skills: object, isolation: Isolation, within: str = ""
) -> None:
    """Refuse what no sandbox here can do.

    Args:
        network_policy: What the code may reach, as a client says it; None says nothing.
        skills: The skills that are asked for, if any.
        isolation: What stands between the code and this machine.
        within: Where both stand, with a dot at its end.

    Raises:
        RequestError: 400, with `param`.
    """
    if skills:
        raise _unsupported(f"{within}skills", "none: put what they bring in as files")
    if network_policy is None:
        return
    asked: object = None
    if isinstance(network_policy, Mapping):
        asked = cast("Mapping[str, object]", network_policy).get("type")
    if asked != "disabled":
        raise _unsupported(
            f"{within}network_policy", '{"type": "disabled"}: no container here has a network'
        )
    if isolation == "none":
        raise _unsupported(
            f"{within}network_policy",
            "none: the code runs on this machine as it is, network included (LocalSandboxes)",
        )


def idle_of(expires_after: object, *, within: str = "") -> float | None:
    """The seconds without use after which a container is to expire; None where nobody says.

    Args:
        expires_after: `{"anchor": "last_active_at", "minutes": 1..20}`, as a client says it.
        within: Where it stands, with a dot at its end.

    Raises:
        RequestError: 400, with `param`.
    """
    if expires_after is None:
        return None
    told: Mapping[object, object] = {}
    if isinstance(expires_after, Mapping):
        told = cast("Mapping[object, object]", expires_after)
    minutes = told.get("minutes")
    if told.get("anchor") != "last_active_at" or type(minutes) is not int or not 1 <= minutes <= 20:
        raise _unsupported(
            f"{within}expires_after", '{"anchor": "last_active_at", "minutes": 1 to 20}'
        )
    return minutes * 60.0


def _unsupported(param: str, expected: str) -> RequestError:
    return RequestError(f"{param}: expected {expected}", param=param, code="unsupported_parameter")
