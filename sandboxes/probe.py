"""What is tried from inside a sandbox, and must fail: the list of the isolation probes.

The probes themselves are in `probes/`, which runs inside a sandbox, in `tricks.py`, which tries to
be tricked by files, and in `neighbours.py`. `probing.py` runs them. Not here: faults, that is, what
a sandbox does when its code breaks it; and whether a cell's result is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["held", "open", "unclear"]
"""`held`: it was tried and refused. `open`: it got through. `unclear`: it could not be tried."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that code in a sandbox must not be able to do."""

    id: str
    """`group.name`: where the probe is, too."""
    tries: str
    """What it tries, to be read after "code in a sandbox cannot"."""

    @property
    def group(self) -> str:
        """`network`, `kernel`, `host`, `files` or `limits`."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one probe went, and why it is known: text from inside, to be shown as data."""

    probe: Probe
    verdict: Verdict
    why: str


PROBES: tuple[Probe, ...] = (
    Probe("network.loopback", "reach a server on the host's loopback address"),
    Probe("network.bridge", "reach the host through the engine's networks"),
    Probe("network.link_local", "reach the address where clouds hand out credentials"),
    Probe("network.internet", "reach an address in the internet"),
    Probe("network.internet6", "reach an IPv6 address"),
    Probe("network.datagrams", "send a datagram anywhere"),
    Probe("network.names", "look up a name"),
    Probe("network.interfaces", "find a route or an interface that is up"),
    Probe("network.raw", "make a raw socket"),
    Probe("network.ping", "make a ping socket"),
    Probe("network.packets", "make a packet socket"),
    Probe("network.netlink", "make a netlink socket"),
    Probe("network.vsock", "make a vsock socket"),
    Probe("network.crypto", "make a socket of the kernel's ciphers"),
    Probe("network.families", "make a socket of any other family"),
    Probe("network.protocols", "make a socket of SCTP, DCCP or MPTCP"),
    Probe("network.abstract", "reach an abstract unix socket of the host"),
    Probe("network.engine", "find the engine's own socket"),
    Probe("network.neighbour", "reach a server in another sandbox"),
    Probe("kernel.io_uring", "set up an io_uring"),
    Probe("kernel.keys", "use the kernel's key rings"),
    Probe("kernel.bpf", "load a bpf program"),
    Probe("kernel.perf", "open a performance event"),
    Probe("kernel.faults", "handle page faults"),
    Probe("kernel.trace", "trace the first process"),
    Probe("kernel.memory", "read the first process's memory by a call"),
    Probe("kernel.descriptors", "take a descriptor of the first process"),
    Probe("kernel.mount", "mount, remount or unmount"),
    Probe("kernel.unshare", "make namespaces of its own"),
    Probe("kernel.clone", "start a child in new namespaces"),
    Probe("kernel.clone3", "start such a child by clone3"),
    Probe("kernel.setns", "enter a namespace"),
    Probe("kernel.chroot", "change its root folder"),
    Probe("kernel.nodes", "make a device node"),
    Probe("kernel.identity", "become another user or join a group"),
    Probe("kernel.modules", "load a kernel module or another kernel"),
    Probe("kernel.power", "reboot, add swap, account or set quotas"),
    Probe("kernel.clock", "set the clock or the machine's name"),
    Probe("kernel.log", "read the kernel's log"),
    Probe("kernel.handles", "open a file of the host by its number"),
    Probe("kernel.flush", "make the whole machine sync its disks"),
    Probe("kernel.shares", "use asynchronous I/O, inotify or message queues"),
    Probe("kernel.filters", "give the kernel filter programs to compile"),
    Probe("kernel.ports", "use ports or segment tables of the machine"),
    Probe("kernel.old_calls", "use the 32-bit tables of system calls"),
    Probe("kernel.terminal", "find a terminal to type into"),
    Probe("host.memory", "read or write the first process's memory as a file"),
    Probe("host.environment", "read the first process's environment"),
    Probe("host.reach", "look into the first process's files"),
    Probe("host.others", "touch a process of another user"),
    Probe("host.settings", "write to /proc/sys"),
    Probe("host.devices_tree", "write to /sys"),
    Probe("host.sysrq", "press the magic SysRq key"),
    Probe("host.kernel_files", "read the machine's memory, log or keys"),
    Probe("host.devices", "find a device that matters"),
    Probe("host.processes", "see a process of the host"),
    Probe("host.files", "read a file of the host"),
    Probe("host.secrets", "find the host's secrets in an environment"),
    Probe("host.root", "write to the root file system"),
    Probe("host.mounts", "write to anything but memory"),
    Probe("host.rights", "hold a capability"),
    Probe("host.promotion", "gain rights from a program (no_new_privs)"),
    Probe("host.filters", "run without the filter of system calls"),
    Probe("host.user", "be a user that is somebody"),
    Probe("host.neighbour_files", "find another sandbox's files"),
    Probe("host.neighbour_memory", "find another sandbox's memory or processes"),
    Probe("files.owner", "be opened by somebody else"),
    Probe("files.link", "have a link followed at download"),
    Probe("files.device", "have a device read at download"),
    Probe("files.pipe", "stall a download with a named pipe"),
    Probe("files.folder", "have a folder or a socket downloaded"),
    Probe("files.sparse", "have a terabyte downloaded"),
    Probe("files.growing", "outgrow the limit during a download"),
    Probe("files.swapped", "swap a file for a link during a download"),
    Probe("files.put_path", "have an upload written anywhere else"),
    Probe("files.get_path", "have a download read from anywhere else"),
    Probe("files.put_link", "have an upload follow a link"),
    Probe("files.names", "have a name that means something be taken"),
    Probe("files.listing", "put a name that means something into a listing"),
    Probe("limits.terminals", "take the terminals that all containers share"),
    Probe("limits.shares", "take what another sandbox needs of its user's limits"),
    Probe("limits.space", "write bytes or files without end"),
    Probe("limits.processors", "use processors without end"),
    Probe("limits.processes", "start processes without end"),
    Probe("limits.buffers", "use the kernel's memory by the buffers of sockets"),
    Probe("limits.memory", "use more memory than it has"),
)
"""All probes, in the order in which they run: those that may end an interpreter come last."""
