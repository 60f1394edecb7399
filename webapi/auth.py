"""Who is calling: a credential, local trust, or nobody known."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from aiohttp import HttpVersion11, web

from service.audit import Actor
from service.credentials import Scope
from service.logins import Login
from service.model import LOCAL_ACCOUNT, Account
from webapi.problems import not_authenticated

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


class CallerKind(StrEnum):
    """Every kind of caller that exists."""

    ANONYMOUS = "anonymous"
    LOCAL = "local"
    USER = "user"
    SUPERUSER = "superuser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request. `address` is what limits count by: an IPv4 address or an IPv6 /64; empty when it is not known."""

    kind: CallerKind
    account_id: int | None
    address: str
    account: Account | None = None
    """None for local trust too: it is a right, not an owner."""
    scope: Scope = Scope.ALL
    key_id: int | None = None
    login: Login | None = None
    """Of somebody who has logged in, on a page or for a token."""

    @property
    def is_local(self) -> bool:
        return self.kind is CallerKind.LOCAL

    @property
    def is_privileged(self) -> bool:
        """Whether it has a superuser's rights."""
        return self.kind in {CallerKind.LOCAL, CallerKind.SUPERUSER}

    @property
    def actor(self) -> Actor:
        return Actor(account_id=self.account_id, is_superuser=self.is_privileged)

    def owns(self, account_id: int | None) -> bool:
        """Whether it may see what belongs to this account; superusers see all."""
        return self.is_privileged or (account_id is not None and account_id == self.account_id)


class Identifies(Protocol):
    """Whatever can say who calls."""

    async def identify(self, request: web.Request, *, is_public: bool = False) -> Caller:
        """Raises `Refused` (401) for a credential that is present but wrong."""
        ...

    def address_of(self, request: web.Request) -> str:
        """What limits count by."""
        ...


class Credentials(Protocol):
    """What a request shows, as callers; None for what it does not show. Raises `Refused` for what is wrong."""

    async def known(self, request: web.Request, *, is_public: bool) -> Caller | None: ...


class Authenticator:
    """Says who calls. `trust` is None where no caller is trusted without a credential."""

    def __init__(
        self, *, trust: LocalTrust | None, credentials: Credentials | None = None, trusted_proxies: Sequence[IpNetwork] = ()
    ) -> None:
        self._trust, self._credentials = trust, credentials
        self._proxies = tuple(trusted_proxies)

    def address_of(self, request: web.Request) -> str:
        return caller_address(request, self._proxies)

    async def identify(self, request: web.Request, *, is_public: bool = False) -> Caller:
        """Raises `Refused` (401). On public pages an expired cookie counts as none."""
        address = self.address_of(request)
        if self._credentials is not None:
            caller = await self._credentials.known(request, is_public=is_public)
            if caller is not None:
                return replace(caller, address=address)
        elif "Authorization" in request.headers or "X-API-Key" in request.headers:
            raise not_authenticated()
        if self._trust is not None and await self._trust.covers(request):
            return Caller(kind=CallerKind.LOCAL, account_id=LOCAL_ACCOUNT, address=address)
        return Caller(kind=CallerKind.ANONYMOUS, account_id=None, address=address)


# --- local trust ------------------------------------------------------------------------------------------------------

_LOOPBACK_HOST = re.compile(r"(?:localhost|127(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE | re.ASCII)
_FORWARDED = re.compile(r"forwarded|x-forwarded(?:-.*)?|x-real-ip|via|cf-.*", re.IGNORECASE)


def local_trust(*, enabled: bool, listen: Iterable[str], public_urls: Iterable[str | None]) -> LocalTrust | None:
    """Local trust, unless the configuration rules it out.

    That is when the setting is off, the server listens to more than loopback addresses (`listen`), or one of the addresses
    by which the world reaches it (`public_urls`) is not a loopback one.
    """
    if not enabled or not only_loopback(listen):
        return None
    if any(url and not _is_loopback_url(url) for url in public_urls):
        return None
    return LocalTrust(uid=os.getuid() if sys.platform == "linux" else None)


def only_loopback(hosts: Iterable[str]) -> bool:
    """Whether all of these are literal loopback addresses, and there are some. A name is none: it may resolve to anything."""
    addresses = [_ip(host) for host in hosts]
    return bool(addresses) and all(address is not None and address.is_loopback for address in addresses)


def _is_loopback_url(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    address = _ip(host)
    return host == "localhost" or (address is not None and address.is_loopback)


class LocalTrust:
    """Trusts a caller on this machine, of this service's own user, who came directly and not from another web site.

    A reverse proxy on the same machine looks much like such a caller, so every condition counts. `uid` is the service's
    own user id, or None where sockets do not tell theirs (anywhere but on Linux).
    """

    def __init__(self, *, uid: int | None) -> None:
        self._uid = uid
        self._own_peers: WeakKeyDictionary[asyncio.BaseTransport, bool] = WeakKeyDictionary()

    async def covers(self, request: web.Request) -> bool:
        return _is_direct(request) and _is_own_page(request) and await self._is_own_peer(request.transport)

    async def _is_own_peer(self, transport: asyncio.BaseTransport | None) -> bool:
        if transport is None:
            return False
        known = self._own_peers.get(transport)
        if known is None:
            known = await self._look_up(transport)
            self._own_peers[transport] = known
        return known

    async def _look_up(self, transport: asyncio.BaseTransport) -> bool:
        peer, own = (_endpoint(transport.get_extra_info(end)) for end in ("peername", "sockname"))
        if peer is None or own is None or not peer[0].is_loopback:
            return False
        if self._uid is None:
            return True
        # Off the loop: the kernel lists every socket of the machine.
        return await asyncio.get_running_loop().run_in_executor(None, socket_uid, peer, own) == self._uid


def _is_direct(request: web.Request) -> bool:
    """HTTP/1.1 to a loopback name, with nothing that speaks of a proxy in between. The name also shuts out DNS rebinding."""
    headers = request.headers
    hosts = headers.getall("Host", [])
    return (
        request.version == HttpVersion11
        and request.raw_path.startswith("/")  # an absolute address is what one sends to a proxy
        and len(hosts) == 1
        and _names_loopback(hosts[0])
        and not any(map(_speaks_of_a_proxy, headers))
    )


@lru_cache(maxsize=1024)
def _names_loopback(host: str) -> bool:
    return _LOOPBACK_HOST.fullmatch(host) is not None


@lru_cache(maxsize=1024)
def _speaks_of_a_proxy(header: str) -> bool:
    return _FORWARDED.fullmatch(header) is not None


def _is_own_page(request: web.Request) -> bool:
    """No page of another site made a browser send this."""
    headers = request.headers
    if "Sec-Fetch-Site" in headers and not {"same-origin", "none"}.issuperset(headers.getall("Sec-Fetch-Site")):
        return False
    if "Origin" not in headers:
        return True
    own = _with_port(request.scheme, headers["Host"])
    return all(origin_of(origin) == own for origin in headers.getall("Origin"))


def origin_of(origin: str) -> tuple[str, str] | None:
    """Scheme and host with its port, of an origin or an address; the scheme's own port is left out."""
    scheme, separator, rest = origin.strip().partition("://")
    host = rest.partition("/")[0]
    return _with_port(scheme, host) if separator else None


def _with_port(scheme: str, host: str) -> tuple[str, str]:
    default = {"http": ":80", "https": ":443"}.get(scheme.lower(), "")
    return scheme.lower(), host.lower().removesuffix(default) if default else host.lower()


# --- whose socket it is -----------------------------------------------------------------------------------------------

End = tuple[IpAddress, int]
"""One end of a connection: address and port."""


def socket_uid(peer: End, own: End) -> int | None:
    """The user id of the socket at the peer's end of a connection on this machine (Linux); None when there is none.

    Source: `/proc/net/tcp` and `tcp6`, which the kernel documents in proc_net_tcp. A socket whose process has closed it
    shows no inode, and in some kernels the user id 0: it counts as nobody's.
    """
    for table, mapped in (("tcp", False), ("tcp6", True)):
        if isinstance(peer[0], IPv6Address) and not mapped:
            continue
        wanted = (_kernel_end(peer, mapped=mapped), _kernel_end(own, mapped=mapped))
        try:
            lines = Path("/proc/net", table).read_text("ascii").splitlines()[1:]
        except OSError:  # no such table where that protocol is switched off
            continue
        for line in lines:
            columns = line.split()
            if (columns[1], columns[2]) == wanted and columns[9] != "0":
                return int(columns[7])
    return None


def _kernel_end(end: End, *, mapped: bool) -> str:
    """As the kernel writes it: each 32-bit word of the address in the machine's byte order, then the port."""
    address, port = end
    packed = address.packed
    if mapped and isinstance(address, IPv4Address):
        packed = IPv6Address(f"::ffff:{address}").packed
    words = (int.from_bytes(packed[i : i + 4], sys.byteorder) for i in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _endpoint(name: object) -> End | None:
    """From what a socket says of its end."""
    match name:
        case (str(host), int(port), *_) if (address := _ip(host)) is not None:
            return address, port
        case _:
            return None


# --- from where -------------------------------------------------------------------------------------------------------


def caller_address(request: web.Request, proxies: Sequence[IpNetwork]) -> str:
    """The peer's address; behind a trusted proxy, the right-most `X-Forwarded-For` entry that is not one itself."""
    peer = _endpoint(request.get_extra_info("peername"))
    if peer is None:
        return ""
    address = peer[0]
    if not proxies:
        return group(address)
    named = [entry for line in request.headers.getall("X-Forwarded-For", []) for entry in line.split(",")]
    while named and _is_one_of(address, proxies):
        before = _ip(_without_port(named.pop().strip()))
        if before is None:
            break  # the proxy does not know: what stands further left is anybody's word
        address = before
    return group(address)


@lru_cache(maxsize=1024)
def group(address: IpAddress) -> str:
    """What limits count by: one IPv4 address, or the /64 that an IPv6 customer usually has to themselves."""
    if isinstance(address, IPv4Address) or address.is_loopback:
        return str(address)
    return str(IPv6Network((address, 64), strict=False))


def _is_one_of(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address in network for network in networks)


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


@lru_cache(maxsize=1024)
def _ip(text: str) -> IpAddress | None:
    """The address, IPv4 where it is one in IPv6 clothing."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
