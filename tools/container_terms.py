"""What a request may ask of a container's surroundings, wherever it asks: one answer for all.

Above: `code_interpreter.py`, `shell.py`, and whoever serves containers over HTTP.
"""

from collections.abc import Mapping
from typing import cast

from antiphon.errors import RequestError
from antiphon.sandboxes import Isolation


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


def _unsupported(param: str, expected: str) -> RequestError:
    return RequestError(f"{param}: expected {expected}", param=param, code="unsupported_parameter")
