"""Where code runs: sandboxes, and the events of the cells that run in them.

Above this room: tools, which turn a model's call into a cell and its events into items. Below:
the operating system, and `runner/`, the program inside every sandbox. This room is not where it is
decided *whether* code may run, and it knows neither items nor models.

A new backend is one file: a `Machine` that starts interpreters, a `Link` to one of them, and a
subclass of `Backend` that makes the first. `antiphon.testing.sandbox` proves it.
"""

from .backend import Backend as Backend
from .container import Limits as Limits
from .containers import MEMORY_LIMITS as MEMORY_LIMITS, Row as Row
from .docker import DockerSandboxes as DockerSandboxes
from .docker_maker import Transport as Transport
from .engine import Client as Client, Engine as Engine, Place as Place, find_places as find_places
from .image import (
    Progress as Progress,
    build_image as build_image,
    find_image as find_image,
    image_fingerprint as image_fingerprint,
)
from .link import Link as Link, Machine as Machine
from .local import LocalSandboxes as LocalSandboxes
from .probe import PROBES as PROBES, Finding as Finding, Probe as Probe, Verdict as Verdict
from .probing import probe_isolation as probe_isolation
from .runner.frames import FILE_COUNT as FILE_COUNT
from .runner.names import PARTIAL as PARTIAL
from .running import (
    Running as Running,
    list_running as list_running,
    prune_orphans as prune_orphans,
)
from .sandbox import (
    FILE_LIMIT as FILE_LIMIT,
    Activity as Activity,
    CellEvent as CellEvent,
    Display as Display,
    FileInfo as FileInfo,
    Finished as Finished,
    Isolation as Isolation,
    Output as Output,
    Sandbox as Sandbox,
    Sandboxes as Sandboxes,
    Started as Started,
    Status as Status,
)
from .tricks import TRICKS as TRICKS, Trick as Trick, Tricked as Tricked
