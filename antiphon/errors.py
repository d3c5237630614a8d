"""Every error that antiphon raises, one tree.

    AntiphonError
    |- ConfigurationError        the program is wrong: fix the code or the command line
    |  |- ToolDefinitionError    this function cannot be a tool
    |- RequestError              the request is wrong (HTTP 4xx): has status, code, param
    |- ModelError                the model or its server failed: has status, code, retry_after
    |- ToolError                 raised *by tools* to speak to the model
    |  |- ModelRetry             the arguments were not right: try again
    |  |- ToolFailed             the tool could not do it: go on without
    |- SandboxError              code could not be run where it should
    |  |- SandboxUnavailable     no engine, or it does not start
    |  |- SandboxBusy            every place is taken: has retry_after
    |  |- SandboxNotFound        no such container for this principal
    |  |- SandboxFileError       the file is absent, too large or not a regular file
    |  |- SandboxProtocolError   something inside spoke out of turn and was discarded
    |- RunError                  a run failed: has response
    |- OutputError               the answer does not fit the output type: has response
    |- ScriptError               a ScriptedModel was asked for more, or less, than its script

Messages say what was expected, what came, and what to do.
"""

from traceback import walk_tb
from typing import Any, Final

_LINES: Final = 12


def whence(error: BaseException) -> str:
    """What kind of error it is, and the last lines that it came through, without its words.

    For logs: what a tool raises often holds the arguments that it was called with.
    """
    through = [
        f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    return " < ".join([type(error).__name__, *reversed(through[-_LINES:])])


class AntiphonError(Exception):
    """Base of all errors raised by antiphon."""


class ConfigurationError(AntiphonError):
    """The program or its configuration is wrong; nothing was sent anywhere."""


class ToolDefinitionError(ConfigurationError):
    """A function cannot be offered to a model as it stands."""


class RequestError(AntiphonError):
    """A request that cannot be served as it stands.

    Args:
        message: What was expected, what came, what to do.
        param: The request field at fault, such as `input[2].content`, if one is.
        code: A short machine-readable reason, such as `model_not_found`.
        status: The HTTP status to answer with (4xx).
        type: The error family of the wire (`invalid_request_error`, `not_found_error` ...).
        retry_after: Seconds after which a retry is sensible, for 429.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        type: str = "invalid_request_error",  # noqa: A002  (the wire's own word)
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status
        self.type = type
        self.retry_after = retry_after


class ModelError(AntiphonError):
    """The model, or the server in front of it, failed.

    Args:
        message: What happened, in words that may be shown to a client (no secrets).
        code: A short reason, such as `server_error`, `rate_limit_exceeded`, `stream_cut`.
        status: The upstream's HTTP status, where there was one.
        retry_after: Seconds the upstream asked us to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "server_error",
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.retry_after = retry_after


class ToolError(AntiphonError):
    """Raised inside a tool; its message is what the model reads."""


class ModelRetry(ToolError):
    """The call was not right; the message tells the model how to call again."""


class ToolFailed(ToolError):
    """The tool could not do its work; the message tells the model why."""


class SandboxError(AntiphonError):
    """Code could not be run where it should."""


class SandboxUnavailable(SandboxError):
    """There is no engine, or a sandbox does not start."""


class SandboxBusy(SandboxError):
    """Every place is taken.

    Args:
        message: What is full and what to do.
        retry_after: Seconds after which a retry is sensible.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SandboxNotFound(SandboxError):
    """No such container for this principal (absent, expired or another's: the same answer)."""


class SandboxFileError(SandboxError):
    """A file is absent, too large, or not a regular file."""


class SandboxProtocolError(SandboxError):
    """What runs inside a sandbox broke the frame protocol and was discarded."""


class RunError(AntiphonError):
    """A run failed, so there is no answer.

    Args:
        message: Why it ended, and what to do.
        response: The terminal response, with every item that was finished.
    """

    def __init__(self, message: str, *, response: Any) -> None:
        super().__init__(message)
        self.response = response


class OutputError(AntiphonError):
    """The final answer does not validate as the agent's output type.

    Args:
        message: What the type wanted and what came.
        response: The terminal response.
    """

    def __init__(self, message: str, *, response: Any) -> None:
        super().__init__(message)
        self.response = response


class ScriptError(AntiphonError):
    """A ScriptedModel was asked for a turn it does not have, or kept turns unplayed."""
