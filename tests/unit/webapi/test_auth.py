"""Local trust, condition by condition: each test fails when its condition is taken out. And where a caller comes from."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address, ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from tests.unit.webapi.toy import Site, served, toy_api
from webapi import auth
from webapi.auth import Authenticator, LocalTrust, caller_address, group, local_trust, only_loopback, socket_uid
from webapi.contract import EVERYBODY, Api
from webapi.server import LOOPBACK

TRUSTED, ANONYMOUS = 200, 401


async def status(site: Site, headers: Mapping[str, str] | None = None, *, version: str = "1.1", target: str = "/birds/1") -> int:
    """What a caller on this machine gets with these headers; a list under one name is written as two lines."""
    sent = {"Host": f"127.0.0.1:{site.server.port}"} | dict(headers or {})
    lines = [f"{name}: {one}" for name, value in sent.items() for one in value.split("\n")]
    raw = "\r\n".join([f"GET {target} HTTP/{version}", *lines, "", ""]).encode()
    return (await site.send(raw))[0]


# --- the conditions ---------------------------------------------------------------------------------------------------


async def test_a_direct_caller_on_this_machine_is_trusted(site: Site) -> None:
    assert await status(site) == TRUSTED


async def test_both_loopbacks_are_trusted(site: Site) -> None:
    if len(site.server.addresses) < 2:
        pytest.skip("this machine has no IPv6")
    raw = f"GET /birds/1 HTTP/1.1\r\nHost: [::1]:{site.server.port}\r\n\r\n".encode()
    assert (await site.send(raw, host="::1"))[0] == TRUSTED


@pytest.mark.parametrize(
    ("on", "listen", "urls", "trusts"),
    [
        (True, LOOPBACK, (None, None), True),
        (True, ("127.8.9.1",), ("http://localhost:8000", "https://127.0.0.1/x"), True),
        (True, ("::1",), ("http://[::1]:8000",), True),
        (False, LOOPBACK, (), False),
        (True, ("127.0.0.1", "192.168.1.5"), (), False),
        (True, ("0.0.0.0",), (), False),
        (True, ("::",), (), False),
        (True, ("example.com",), (), False),
        (True, (), (), False),
        (True, LOOPBACK, ("https://magpie.example", None), False),
        (True, LOOPBACK, (None, "https://magpie.example/hook"), False),
        (True, LOOPBACK, ("http://localhost.example",), False),
    ],
)
def test_the_configuration_may_rule_trust_out(on: bool, listen: tuple[str, ...], urls: tuple[str | None, ...], trusts: bool) -> None:  # noqa: FBT001 - a table
    assert (local_trust(enabled=on, listen=listen, public_urls=urls) is not None) is trusts


async def test_without_local_trust_a_direct_caller_is_anonymous() -> None:
    async with served(toy_api(), authenticator=Authenticator(trust=None)) as site:
        assert await status(site) == ANONYMOUS


async def test_http_1_0_is_not_trusted(site: Site) -> None:
    assert await status(site, version="1.0") == ANONYMOUS


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8000"])
async def test_a_loopback_host_is_trusted(site: Site, host: str) -> None:
    assert await status(site, {"Host": host}) == TRUSTED


@pytest.mark.parametrize(
    "host",
    [
        "magpie.example",
        "localhost.example",
        "127.0.0.1.example",
        "127.0.0.1@example.com",
        "127.0.0.256",
        "1127.0.0.1",
        "192.168.1.1",
        "[::2]",
        "localhost:80x",
        "",
        "localhost\nexample.com",
    ],
)
async def test_any_other_host_is_not_trusted_whatever_it_resolves_to(site: Site, host: str) -> None:
    assert await status(site, {"Host": host}) in {ANONYMOUS, 400}  # some are not even HTTP


def test_of_two_hosts_neither_counts() -> None:
    headers = CIMultiDict([("Host", "localhost")])
    assert auth._is_direct(make_mocked_request("GET", "/", headers=headers))
    headers.add("Host", "example.com")
    assert not auth._is_direct(make_mocked_request("GET", "/", headers=headers))


async def test_a_request_without_a_host_is_not_trusted(site: Site) -> None:
    assert (await site.send(b"GET /birds/1 HTTP/1.1\r\n\r\n"))[0] in {ANONYMOUS, 400}


async def test_an_absolute_target_is_what_a_proxy_gets_and_is_not_trusted(site: Site) -> None:
    assert await status(site, target=f"http://127.0.0.1:{site.server.port}/birds/1") == ANONYMOUS


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-host",
        "X-Forwarded-Proto",
        "X-Forwarded",
        "X-Real-IP",
        "Via",
        "CF-Ray",
        "cf-connecting-ip",
    ],
)
async def test_a_header_that_speaks_of_a_proxy_is_not_trusted(site: Site, header: str) -> None:
    assert await status(site, {header: "127.0.0.1"}) == ANONYMOUS


async def test_our_own_origin_is_trusted(site: Site) -> None:
    assert await status(site, {"Host": "localhost:8000", "Origin": "http://localhost:8000"}) == TRUSTED
    assert await status(site, {"Host": "localhost:80", "Origin": "http://LOCALHOST"}) == TRUSTED


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://localhost:8001",
        "http://localhost",
        "https://localhost:8000",
        "http://127.0.0.1:8000",
        "http://localhost:8000\nhttps://evil.example",
    ],
)
async def test_the_origin_of_another_site_is_not_trusted(site: Site, origin: str) -> None:
    assert await status(site, {"Host": "localhost:8000", "Origin": origin}) == ANONYMOUS


@pytest.mark.parametrize(("fetch_site", "expected"), [("same-origin", TRUSTED), ("none", TRUSTED), ("cross-site", ANONYMOUS)])
async def test_a_request_that_another_site_caused_is_not_trusted(site: Site, fetch_site: str, expected: int) -> None:
    assert await status(site, {"Sec-Fetch-Site": fetch_site}) == expected


@pytest.mark.parametrize("fetch_site", ["same-site", "", "none\ncross-site"])
async def test_other_words_of_sec_fetch_site_are_not_trusted(site: Site, fetch_site: str) -> None:
    assert await status(site, {"Sec-Fetch-Site": fetch_site}) == ANONYMOUS


# --- whose socket it is -------------------------------------------------------------------------------------------------


async def _as_user(site: Site, uid: int, host: str = "127.0.0.1") -> int:
    """The status that this user gets. A socket belongs to who made it."""
    own = os.geteuid()
    os.seteuid(uid)
    try:
        client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    finally:
        os.seteuid(own)
    client.settimeout(0)
    await asyncio.get_running_loop().sock_connect(client, (host, site.server.port))
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(b"GET /birds/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(20):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


@pytest.fixture
def nobody() -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can make a socket of another user")
    return 65534


async def test_another_users_socket_is_not_trusted(site: Site, nobody: int) -> None:
    for host, _ in site.server.addresses:
        assert await _as_user(site, nobody, host) == ANONYMOUS
        assert await _as_user(site, os.geteuid(), host) == TRUSTED


async def test_without_the_look_up_another_users_socket_would_be_trusted(nobody: int) -> None:
    async with served(toy_api(), authenticator=Authenticator(trust=LocalTrust(uid=None))) as site:
        assert await _as_user(site, nobody) == TRUSTED


async def test_a_socket_of_another_user_id_than_the_services_is_not_trusted() -> None:
    async with served(toy_api(), authenticator=Authenticator(trust=LocalTrust(uid=os.getuid() + 1))) as site:
        assert await status(site) == ANONYMOUS


async def test_a_peer_that_is_not_loopback_is_not_trusted(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    seen = auth._endpoint
    elsewhere = ip_address("192.0.2.1")
    monkeypatch.setattr(auth, "socket_uid", lambda _peer, _own: os.getuid())
    assert await status(site) == TRUSTED
    monkeypatch.setattr(auth, "_endpoint", lambda name: end and (elsewhere, end[1]) if (end := seen(name)) else None)
    assert await status(site) == ANONYMOUS


async def test_the_look_up_is_made_once_a_connection(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    looked: list[object] = []
    real = socket_uid

    def counted(peer: auth.End, own: auth.End) -> int | None:
        looked.append(peer)
        return real(peer, own)

    monkeypatch.setattr(auth, "socket_uid", counted)
    for _ in range(3):
        async with site.http.get("/birds/1") as got:
            assert got.status == TRUSTED
            await got.read()
    assert len(looked) == 1
    assert await status(site) == TRUSTED
    assert len(looked) == 2


@pytest.fixture
async def connected() -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            yield client, accepted


def _ends(accepted: socket.socket) -> tuple[auth.End, auth.End]:
    return (ip_address(accepted.getpeername()[0]), accepted.getpeername()[1]), (ip_address("127.0.0.1"), accepted.getsockname()[1])


def test_a_socket_tells_its_user(connected: tuple[socket.socket, socket.socket]) -> None:
    assert socket_uid(*_ends(connected[1])) == os.getuid()


def test_a_closed_socket_is_nobodys(connected: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = connected
    ends = _ends(accepted)
    client.close()
    assert socket_uid(*ends) is None


def test_a_socket_that_does_not_exist_is_nobodys() -> None:
    assert socket_uid((ip_address("127.0.0.1"), 1), (ip_address("127.0.0.1"), 2)) is None
    assert socket_uid((ip_address("::1"), 1), (ip_address("::1"), 2)) is None


def test_an_ipv6_socket_that_speaks_ipv4_tells_its_user_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        accepted, _ = server.accept()
        with accepted:
            assert socket_uid(*_ends(accepted)) == os.getuid()


# --- from where -----------------------------------------------------------------------------------------------------------


async def seen_as(forwarded: str | None, *proxies: str) -> str:
    """The address that a caller at 127.0.0.1 has behind these trusted proxies."""
    api = Api(title="", version="")
    networks = [ip_network(proxy) for proxy in proxies]

    @api.route("GET", "/", access=EVERYBODY)
    async def show(request: web.Request) -> str:
        return caller_address(request, networks)

    async with served(api) as site:
        headers = [("X-Forwarded-For", line) for line in forwarded.split("\n")] if forwarded is not None else []
        async with site.http.get("/", headers=headers) as got:
            return str(await got.json())


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        (None, (), "127.0.0.1"),
        ("203.0.113.9", (), "127.0.0.1"),
        ("203.0.113.9", ("127.0.0.1",), "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", ("127.0.0.1",), "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.0.0.2", ("127.0.0.1", "10.0.0.0/8"), "203.0.113.9"),
        ("6.6.6.6\n203.0.113.9\n10.0.0.2", ("127.0.0.1", "10.0.0.0/8"), "203.0.113.9"),
        ("10.0.0.1, 10.0.0.2", ("127.0.0.1", "10.0.0.0/8"), "10.0.0.1"),
        ("6.6.6.6, unknown", ("127.0.0.1",), "127.0.0.1"),
        ("", ("127.0.0.1",), "127.0.0.1"),
        ("203.0.113.9:5555", ("127.0.0.1",), "203.0.113.9"),
        ("[2001:db8:1:2:3::4]:5555", ("127.0.0.1",), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3::4", ("127.0.0.1",), "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", ("127.0.0.1",), "203.0.113.9"),
    ],
)
async def test_the_address_is_the_right_most_that_is_no_trusted_proxy(
    forwarded: str | None, proxies: tuple[str, ...], address: str
) -> None:
    assert await seen_as(forwarded, *proxies) == address


def test_two_addresses_of_one_ipv6_customer_count_as_one() -> None:
    assert group(ip_address("2001:db8::1")) == group(ip_address("2001:db8::ffff:1")) != group(ip_address("2001:db8:0:1::1"))
    assert group(ip_address("::1")) == "::1"


def test_a_listener_is_loopback_only_when_all_its_addresses_are() -> None:
    assert only_loopback(["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    assert not only_loopback(["127.0.0.1", "::"])
