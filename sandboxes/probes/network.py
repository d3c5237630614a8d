"""Probes of the network: there must be none, not even to the machine the sandbox runs on."""

from __future__ import annotations

import errno
import os
import socket

from .kit import REFUSED, Facts, Through, denied, each

# What a network that is not there says at once. A time-out would mean: the packets went out.
_NOWHERE = (*REFUSED, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_NO_SOCKET = (*REFUSED, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT)
_KNOWN = {1, 2, 10}  # AF_UNIX, AF_INET, AF_INET6, by Linux's numbers

_ENGINES = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/systemd/private",
    "/run/dbus/system_bus_socket",
)


def _connect(address: tuple[str, int], family: int = socket.AF_INET, *also: int) -> str:
    def dial() -> str:
        with socket.socket(family, socket.SOCK_STREAM) as stream:
            stream.settimeout(3)
            try:
                stream.connect(address)
            except TimeoutError:
                raise Through(f"packets to {address[0]} have a way out") from None
            return f"a connection to {address[0]}"

    return denied(dial, address[0], (*_NOWHERE, *also))


def loopback(facts: Facts) -> str:
    """A server that listens on the host's loopback address."""
    return _connect(("127.0.0.1", facts.port), socket.AF_INET, errno.ECONNREFUSED)


def bridge(facts: Facts) -> str:
    """The host's end of the engine's usual networks."""
    hosts = ("172.17.0.1", "172.18.0.1", "10.88.0.1", "10.0.2.2", "192.168.65.254")
    return each([_connect((host, port), socket.AF_INET) for host in hosts for port in (22, 2375)])


def link_local(facts: Facts) -> str:
    """The address where clouds hand out a machine's credentials."""
    return each([_connect(("169.254.169.254", 80)), _connect(("169.254.170.2", 80))])


def internet(facts: Facts) -> str:
    """An address in the internet (one reserved for documentation)."""
    return _connect(("192.0.2.1", 443))


def internet6(facts: Facts) -> str:
    """The same for version 6, and the hosts on the same link."""
    return each([_connect((host, 443), socket.AF_INET6) for host in ("2001:db8::1", "ff02::1")])


def datagrams(facts: Facts) -> str:
    """A datagram needs no answer to carry data away."""

    def send(address: tuple[str, int]) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            return sender.sendto(b"?", address)

    places = (("192.0.2.1", 53), ("255.255.255.255", 67), ("224.0.0.251", 5353))
    return each([denied(lambda p=p: send(p), p[0], _NOWHERE) for p in places])


def names(facts: Facts) -> str:
    """A lookup is a message to whoever answers for the name."""
    for name in ("example.com", "host.docker.internal", "metadata.google.internal"):
        try:
            found = socket.getaddrinfo(name, 443)
        except OSError as error:  # a lookup that fails, or that may not even begin
            why = error.strerror
        else:
            raise Through(f"{name} is {found[0][4][0]}")
    return f"no name is known: {why}"


def interfaces(facts: Facts) -> str:
    """A way out by any interface but the sandbox's own loopback."""
    with open("/proc/net/route", encoding="ascii") as file:
        routes = file.read().splitlines()[1:]
    if routes:
        raise Through(f"there is a route: {routes[0]}")
    up: list[str] = []
    for name in os.listdir("/sys/class/net"):
        with open(f"/sys/class/net/{name}/flags", encoding="ascii") as file:
            if name != "lo" and int(file.read(), 16) & 1:
                up.append(name)
    if up:
        raise Through(f"interfaces are up: {each(up)}")
    return "no route, and only loopback is up"


def raw(facts: Facts) -> str:
    """Packets made by hand, with any sender."""
    kinds = ((socket.AF_INET, 1), (socket.AF_INET, 255), (socket.AF_INET6, 58))
    return each([_socket(family, socket.SOCK_RAW, protocol) for family, protocol in kinds])


def ping(facts: Facts) -> str:
    """Echo requests without the right to raw sockets."""
    return _socket(socket.AF_INET, socket.SOCK_DGRAM, 1)


def packets(facts: Facts) -> str:
    """Frames of the link, read and written."""
    return each([_socket(17, kind, 0x0300) for kind in (2, 3)])


def netlink(facts: Facts) -> str:
    """The kernel's configuration of networks, firewalls, audit and devices."""
    return each([_socket(16, 3, protocol) for protocol in (0, 4, 9, 12, 15, 16)])


def vsock(facts: Facts) -> str:
    """The channel between a virtual machine and the machine below it."""
    return each([_socket(40, kind) for kind in (1, 2)])


def crypto(facts: Facts) -> str:
    """The kernel's ciphers, by sockets: a source of ways up."""
    return _socket(38, 5)


def families(facts: Facts) -> str:
    """Every other family of sockets that a kernel may have."""
    tried = [
        denied(lambda f=family, k=kind: call_socket(f, k), f"family {family}", _NO_SOCKET[:4])
        for family in range(46)
        if family not in _KNOWN
        for kind in (1, 2, 3, 5)
    ]
    return f"{len(tried)} kinds of sockets, none could be made"


def protocols(facts: Facts) -> str:
    """Protocols beside TCP and UDP that the kernel may load on demand: SCTP, DCCP, MPTCP ..."""
    kinds = ((1, 132), (5, 132), (6, 33), (1, 262), (2, 136), (1, 256))
    return each([_socket(socket.AF_INET, kind, protocol) for kind, protocol in kinds])


def abstract(facts: Facts) -> str:
    """An abstract unix socket of the host: it has no file, only a network namespace."""
    if not facts.abstract:
        return "the host has no such sockets"

    def dial() -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.connect(f"\0{facts.abstract}")
            return "a connection to the host"

    return denied(dial, "connect", (*REFUSED, errno.ECONNREFUSED))


def engine(facts: Facts) -> str:
    """The engine's own socket: whoever reaches it is root on the host."""
    there = [path for path in _ENGINES if os.path.lexists(path)]
    if there:
        raise Through(f"there is {each(there)}")
    return "no engine's socket is there"


def neighbour(facts: Facts) -> str:
    """A server in another sandbox, on its loopback address and by an abstract socket."""
    if not facts.neighbour:
        raise RuntimeError("there is no other sandbox to look for")
    found = _connect(("127.0.0.1", facts.neighbour["port"]), socket.AF_INET, errno.ECONNREFUSED)

    def dial() -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.connect(f"\0antiphon-{facts.neighbour['port']}")
            return "a connection to another sandbox"

    return each([found, denied(dial, "abstract socket", (*REFUSED, errno.ECONNREFUSED))])


def call_socket(family: int, kind: int, protocol: int = 0) -> str:
    """Make a socket, and say so."""
    with socket.socket(family, kind, protocol):
        return f"a socket ({family}, {kind}, {protocol})"


def _socket(family: int, kind: int, protocol: int = 0) -> str:
    what = f"socket({family}, {kind}, {protocol})"
    return denied(lambda: call_socket(family, kind, protocol), what, _NO_SOCKET)
