"""Addresses on the network: whether a host, or what its name leads to, is a public place.

Above: `fetcher` and `network`, which look at the address that they connect to; providers, which
look at the text of URLs. Source: IANA's registries of special-purpose addresses, as `ipaddress`
knows them.
"""

import ipaddress
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_INSIDE: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)
"""What not every version of `ipaddress` knows: the protocol's own, local NAT64, examples, sites."""

_HOLD_IPV4: Final = (ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96"))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public network. What is no address is not."""
    try:
        found = _within(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if any(found in network for network in _INSIDE):
        return False
    return found.is_global and not found.is_multicast


def _within(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in _HOLD_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def host_of(url: str) -> str:
    """The host that a URL names; empty where it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def in_domains(host: str, domains: tuple[str, ...]) -> bool:
    """Whether a host is one of these domains or below one; of no domains, each is."""
    name = host.lower().rstrip(".")
    return not domains or any(name == each or name.endswith(f".{each}") for each in domains)
