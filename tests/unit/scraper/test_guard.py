"""The audit hook's decisions. It is not installed here: a hook can't be taken out of a process again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scraper.egress import EgressPolicy
from scraper.guard import Guard, Refused

FFMPEG, DENO = "/opt/bin/ffmpeg", "/opt/bin/deno"
PROXY = ("127.0.0.1", 3128)


@pytest.fixture
def guard() -> Guard:
    return Guard(EgressPolicy(), FFMPEG, DENO)


def ask(guard: Guard, event: str, *args: object) -> None:
    guard._checks[event](args)


def test_the_address_that_is_connected_to_decides(guard: Guard) -> None:
    ask(guard, "socket.connect", None, ("8.8.8.8", 443))
    with pytest.raises(Refused):
        ask(guard, "socket.connect", None, ("127.0.0.1", 443))
    assert guard.refused_address == "127.0.0.1 port 443"


@pytest.mark.parametrize("address", ["/run/docker.sock", b"\0abstract", ("localhost", 80), ("fe80::1%lo", 80, 0, 1)])
def test_local_sockets_and_names_are_refused(guard: Guard, address: object) -> None:
    with pytest.raises(Refused):
        ask(guard, "socket.connect", None, address)


def test_datagrams_are_checked_too(guard: Guard) -> None:
    ask(guard, "socket.sendmsg", None, None)
    for event in ("socket.sendto", "socket.sendmsg"):
        with pytest.raises(Refused):
            ask(guard, event, None, ("10.0.0.1", 53))


def test_raw_sockets_and_servers_are_refused(guard: Guard) -> None:
    ask(guard, "socket.__new__", None, socket.AF_INET, socket.SOCK_STREAM, 0)
    with pytest.raises(Refused):
        ask(guard, "socket.__new__", None, socket.AF_INET, socket.SOCK_RAW, 0)
    with pytest.raises(Refused):
        ask(guard, "socket.bind", None, ("", 0))


def test_a_blocked_host_is_refused_when_it_is_looked_up() -> None:
    guard = Guard(EgressPolicy(blocked_hosts=frozenset({"bad.example"})), FFMPEG, DENO)
    ask(guard, "socket.getaddrinfo", "good.example", 80, 0, 0, 0)
    with pytest.raises(Refused):
        ask(guard, "socket.getaddrinfo", "www.bad.example", 80, 0, 0, 0)


@pytest.mark.parametrize("program", ["/bin/sh", "ffmpeg", "/tmp/ffmpeg", "/usr/bin/curl"])
def test_no_other_program_is_started(guard: Guard, program: str) -> None:
    with pytest.raises(Refused):
        ask(guard, "subprocess.Popen", program, [program], None, None)
    assert guard.refused_address is None


@pytest.mark.parametrize("event", ["os.exec", "os.posix_spawn", "os.system", "os.fork"])
def test_no_other_way_of_starting_one_is_left(guard: Guard, event: str) -> None:
    with pytest.raises(Refused):
        ask(guard, event)


def test_ffmpeg_gets_files_only(guard: Guard) -> None:
    ask(
        guard, "subprocess.Popen", FFMPEG, [FFMPEG, "-i", "file:/job/x.mp4", "-map", "0:a:0", "-c:a", "copy", "file:/job/y.m4a"], None, None
    )
    for argument in ("http://8.8.8.8/x", "tcp://127.0.0.1:1", "concat:a|b", "udp:127.0.0.1:1", "HTTPS://x"):
        with pytest.raises(Refused):
            ask(guard, "subprocess.Popen", FFMPEG, [FFMPEG, "-i", argument], None, None)


def test_ffmpeg_gets_web_addresses_with_the_proxy_alone(guard: Guard) -> None:
    command = [FFMPEG, "-i", "http://site.example/x.mp4"]
    via = {"http_proxy": "http://127.0.0.1:3128"}
    with pytest.raises(Refused):
        ask(guard, "subprocess.Popen", FFMPEG, command, None, via)
    guard.through_proxy(PROXY)
    ask(guard, "subprocess.Popen", FFMPEG, command, None, via)
    for environment in ({}, {"http_proxy": "http://127.0.0.1:1"}, {**via, "no_proxy": "*"}, None):
        with pytest.raises(Refused):
            ask(guard, "subprocess.Popen", FFMPEG, command, None, environment)
    with pytest.raises(Refused):
        ask(guard, "subprocess.Popen", FFMPEG, [FFMPEG, "-i", "rtmp://8.8.8.8/x"], None, via)
    guard.reset()
    with pytest.raises(Refused):
        ask(guard, "subprocess.Popen", FFMPEG, command, None, via)


def test_text_that_ffmpeg_sends_is_no_address(guard: Guard) -> None:
    guard.through_proxy(PROXY)
    via = {"http_proxy": "http://127.0.0.1:3128"}
    texts = ["-headers", "User-Agent: x\r\n", "-cookies", "a:b=c; path=/\r\n"]
    ask(guard, "subprocess.Popen", FFMPEG, [FFMPEG, *texts, "-i", "http://site.example/x.mp4"], None, via)
    with pytest.raises(Refused):
        ask(guard, "subprocess.Popen", FFMPEG, [FFMPEG, *texts, "-i", "tcp://site.example:1"], None, via)


def test_deno_runs_without_rights(guard: Guard) -> None:
    ask(guard, "subprocess.Popen", DENO, [DENO, "run", "--no-remote", "-"], None, None)
    with pytest.raises(Refused):
        ask(guard, "subprocess.Popen", DENO, [DENO, "run", "--allow-net", "-"], None, None)


INSTALLED = """
import socket, subprocess, sys, os
from scraper.egress import EgressPolicy
from scraper.guard import Guard
Guard(EgressPolicy(), None, None).install()
def refused(do):
    try:
        do()
    except PermissionError as error:
        return "egress guard" in str(error)
    return False
port = int(sys.argv[1])
print(refused(lambda: socket.create_connection(("localhost", port))),
      refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))),
      refused(lambda: subprocess.run(["/bin/true"])),
      refused(lambda: os.system("true")),
      refused(lambda: os.posix_spawn("/bin/true", ["true"], {})),
      refused(lambda: socket.socket(socket.AF_UNIX).connect("/tmp/x")),
      refused(lambda: __import__("ctypes").CDLL(None)))
"""


def test_the_installed_hook_stops_all_of_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        root = Path(__file__).parents[3]
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", INSTALLED, port], capture_output=True, text=True, check=True, cwd=root)
        assert done.stdout.split() == ["True"] * 7
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()
