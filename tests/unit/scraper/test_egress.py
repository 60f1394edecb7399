from __future__ import annotations

import pytest

from scraper.egress import EgressPolicy


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
        "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
        "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1",
        "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700::1%eth0",
    ],
)  # fmt: skip
def test_what_is_not_the_public_net_is_refused(address: str) -> None:
    assert not EgressPolicy().permits(address, 80)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_the_public_net_is_permitted(address: str) -> None:
    assert EgressPolicy().permits(address, 443)


@pytest.mark.parametrize("name", ["localhost", "example.org", "", "127.1", "0x7f.1"])
def test_a_name_is_no_address(name: str) -> None:
    assert not EgressPolicy(allow=("127.0.0.0/8",)).permits(name, 80)


def test_an_exception_covers_its_port_only() -> None:
    policy = EgressPolicy(allow=("127.0.0.1:8901", "10.0.0.0/8", "[::1]:80", "fd00::/8"))
    assert policy.permits("127.0.0.1", 8901)
    assert not policy.permits("127.0.0.1", 8902)
    assert not policy.permits("127.0.0.2", 8901)
    assert policy.permits("10.9.9.9", 1)
    assert policy.permits("::1", 80)
    assert not policy.permits("::1", 81)
    assert policy.permits("fd00::5", 7)
    assert policy.permits("::ffff:127.0.0.1", 8901)


def test_our_own_ports_are_refused_even_where_an_exception_covers_them() -> None:
    policy = EgressPolicy(allow=("127.0.0.0/8", "127.0.0.1:8000"), own_ports=frozenset({8000}))
    assert not policy.permits("127.0.0.1", 8000)
    assert policy.permits("127.0.0.1", 8001)
    assert policy.permits("8.8.8.8", 8000)


@pytest.mark.parametrize(
    "item", ["localhost:80", "127.0.0.1:0", "127.0.0.1:70000", "10.0.0.0/33", "::1:x", "", "300.1.1.1", "[::1", "http://127.0.0.1"]
)
def test_an_exception_that_cannot_be_read_is_named(item: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        EgressPolicy(allow=(item,))


def test_a_blocked_host_covers_those_below_it_by_whole_labels() -> None:
    policy = EgressPolicy(blocked_hosts=frozenset({"Bad.example."}))
    assert policy.blocks("bad.example")
    assert policy.blocks("WWW.bad.example.")
    assert not policy.blocks("notbad.example")


def test_the_policy_reaches_a_worker_as_it_is() -> None:
    policy = EgressPolicy(allow=("127.0.0.1:1",), blocked_hosts=frozenset({"a.b"}), own_ports=frozenset({8000}))
    assert EgressPolicy.from_wire(policy.to_wire()) == policy
