"""`EgressPolicy`: which addresses may be reached. Pure: it resolves nothing and opens nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Written out, since what `is_global` says differs between patch releases of Python. Source: IANA's special-purpose registries.
_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# Of IPv6 only 2000::/3 is given out; these parts of it are not hosts of the public net (Teredo is in 2001::/23, 6to4 is 2002::/16).
_GIVEN_OUT_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ITEM = re.compile(
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[\d.]+)(?P<bits>/\d{1,3})?(?::(?P<port>\d{1,5}))?"
    r"|(?P<bare_six>[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:/\d{1,3})?)"
)
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class _Allowed:
    network: _Network
    port: int | None

    def covers(self, address: Address, port: int) -> bool:
        return address.version == self.network.version and address in self.network and self.port in {None, port}


@dataclass(frozen=True, kw_only=True)
class EgressPolicy:
    """The public net, and nothing else but what `allow` names: `127.0.0.1:8901`, `10.0.0.0/8`, `[::1]:80`.

    `own_ports` are the service's own: they are refused even where `allow` covers them. Hosts in `blocked_hosts`, and those
    below them, are refused by name. Raises `ValueError` with a sentence for an item that cannot be read.
    """

    allow: tuple[str, ...] = ()
    blocked_hosts: frozenset[str] = frozenset()
    own_ports: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocked_hosts", frozenset(host.lower().strip(".") for host in self.blocked_hosts))
        _ = self._exceptions

    @cached_property
    def _exceptions(self) -> tuple[_Allowed, ...]:
        return tuple(_parsed(item) for item in self.allow)

    def permits(self, address: str, port: int) -> bool:
        """Whether this address, as a connection would use it, may be reached. A name is no address: False."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        real = _unwrapped(found)
        if _is_public(real):
            return True
        return port not in self.own_ports and any(entry.covers(real, port) for entry in self._exceptions)

    def blocks(self, host: str) -> bool:
        """Whether this host, or one that it is below, is in `blocked_hosts`."""
        labels = host.lower().rstrip(".").split(".")
        return any(".".join(labels[start:]) in self.blocked_hosts for start in range(len(labels)))

    def to_wire(self) -> dict[str, list[str] | list[int]]:
        return {"allow": list(self.allow), "blocked_hosts": sorted(self.blocked_hosts), "own_ports": sorted(self.own_ports)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Iterable[str] | Iterable[int]]) -> Self:
        return cls(
            allow=tuple(str(item) for item in wire["allow"]),
            blocked_hosts=frozenset(str(host) for host in wire["blocked_hosts"]),
            own_ports=frozenset(int(port) for port in wire["own_ports"]),
        )


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if ipaddress.IPv6Address(int(address)) in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    plain = ipaddress.IPv6Address(int(address))  # without a zone
    return address.scope_id is None and plain in _GIVEN_OUT_V6 and not any(plain in network for network in _REFUSED_V6)


def _parsed(item: str) -> _Allowed:
    wrong = ValueError(f"{item!r} is not an address, optionally with /bits and :port, such as 127.0.0.1:8901, 10.0.0.0/8 or [::1]:80")
    match = _ITEM.fullmatch(item.strip())
    if match is None:
        raise wrong
    # "::1:80" is one IPv6 address: with a port it needs its brackets.
    text = match["bare_six"] or match["host"].strip("[]") + (match["bits"] or "")
    port = None if match["port"] is None else int(match["port"])
    if port is not None and not 0 < port <= _MAX_PORT:
        raise wrong
    try:
        return _Allowed(ipaddress.ip_network(text, strict=False), port)
    except ValueError:
        raise wrong from None
