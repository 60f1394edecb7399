"""The egress guard inside a worker process: an audit hook that every connection and every program start passes.

It sees the address that is connected to, not the name that was asked for, so a name that changes its answer gains nothing.
What it cannot see is native code that opens its own connections: ffmpeg, which therefore gets addresses only together with the
filtering proxy, and curl_cffi, which is taken out of yt-dlp's handlers.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from scraper.egress import EgressPolicy

_ADDRESS_LIKE = re.compile(r"[a-zA-Z][\w+.,-]*:")
_TEXT_OPTIONS = frozenset({"-headers", "-cookies"})
"""Options of ffmpeg whose value is text that it sends: `User-Agent: x` looks like an address and is none."""
_DENO_MUST_NOT = ("-A", "--allow-all", "--allow-net", "--allow-run", "--allow-write", "--allow-ffi", "--allow-sys", "--allow-import")


class Refused(PermissionError):
    """The guard refused a connection or a program."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EACCES, f"refused by the egress guard: {what}")


class Guard:
    """One a process: an audit hook cannot be taken out again.

    `refused_address` names the last address that was refused since `reset`: libraries below may swallow the exception, so the job
    asks here in the end.
    """

    def __init__(self, policy: EgressPolicy, ffmpeg: str | None, deno: str | None) -> None:
        self.policy = policy
        self._ffmpeg = ffmpeg
        self._deno = deno
        self._proxy: tuple[str, int] | None = None
        self.refused_address: str | None = None
        self._checks: dict[str, Callable[[Sequence[Any]], None]] = {
            "socket.__new__": self._new_socket,
            "socket.connect": self._connect,
            "socket.sendto": self._connect,
            "socket.sendmsg": self._send_message,
            "socket.bind": self._never,
            "socket.getaddrinfo": self._resolve,
            "socket.gethostbyname": self._resolve,
            "subprocess.Popen": self._start_program,
            "ctypes.dlopen": self._load_library,
            **dict.fromkeys(("os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty", "pty.spawn"), self._never),
        }

    def install(self) -> None:
        # Looked up at once, so that the thousands of other events cost one dict access each.
        find = self._checks.get

        def hook(event: str, args: Sequence[Any]) -> None:
            check = find(event)
            if check is not None:
                check(args)

        sys.addaudithook(hook)

    def reset(self) -> None:
        """A new job begins."""
        self.refused_address = None
        self._proxy = None

    def through_proxy(self, proxy: tuple[str, int] | None) -> None:
        """From now on ffmpeg may be given addresses, provided that its environment sends it to this proxy; None ends that."""
        self._proxy = proxy

    def refuse_address(self, what: str) -> Refused:
        """Note a refused address; returns what to raise."""
        self.refused_address = what
        return Refused(what)

    # --- the checks, by event; their arguments are in Python's table of audit events -----------------------------

    def _new_socket(self, args: Sequence[Any]) -> None:
        _, family, kind, _ = args
        # An address family or kind of -1 means: that of a descriptor which exists already.
        if family not in {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, -1} or kind & 0xF == socket.SOCK_RAW:
            raise Refused(f"socket family {family}, kind {kind}")

    def _connect(self, args: Sequence[Any]) -> None:
        address = args[1]
        if not isinstance(address, tuple) or len(address) < 2:  # noqa: PLR2004 - (host, port, …); a Unix socket's is text
            raise self.refuse_address("a local socket")
        host, port = str(address[0]), int(address[1])
        if (host, port) != self._proxy and not self.policy.permits(host, port):
            raise self.refuse_address(f"{host} port {port}")

    def _send_message(self, args: Sequence[Any]) -> None:
        if args[1] is not None:
            self._connect(args)

    def _resolve(self, args: Sequence[Any]) -> None:
        host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else args[0]
        if host and self.policy.blocks(host):
            raise self.refuse_address(host)

    def _start_program(self, args: Sequence[Any]) -> None:
        executable, arguments, _, environment = args
        given = [os.fsdecode(part) for part in ([arguments] if isinstance(arguments, (str, bytes)) else arguments)]
        program = os.fsdecode(executable)
        if program == self._ffmpeg:
            self._check_ffmpeg(given[1:], environment)
        elif program == self._deno:
            if any(part.startswith(_DENO_MUST_NOT) for part in given[1:]):
                raise Refused("deno with rights")
        else:
            raise Refused(f"program {os.path.basename(program)}")  # noqa: PTH119 - no objects in a hook

    def _check_ffmpeg(self, arguments: list[str], environment: dict[Any, Any] | None) -> None:
        """Files only, each behind `file:`; web addresses too while the proxy is in use and named in the environment."""
        before = ["", *arguments]
        addresses = [
            part
            for option, part in zip(before, arguments, strict=False)
            if option not in _TEXT_OPTIONS and _ADDRESS_LIKE.match(part) and not part.startswith("file:")
        ]
        if not addresses:
            return
        via = None if self._proxy is None else f"http://{self._proxy[0]}:{self._proxy[1]}"
        env = {os.fsdecode(key).lower(): os.fsdecode(value) for key, value in (environment or {}).items()}
        if via is None or env.get("http_proxy") != via or "no_proxy" in env:
            raise self.refuse_address("an address for ffmpeg")
        if not all(part.startswith(("http://", "https://")) for part in addresses):
            raise self.refuse_address("an address for ffmpeg that is not of the web")

    def _load_library(self, args: Sequence[Any]) -> None:
        name = args[0]
        # Python's own extension modules may come late; the C library, through which anything could be called, may not.
        if not isinstance(name, (str, bytes)) or not os.fsdecode(name).startswith((sys.prefix, sys.base_prefix)):
            raise Refused("a library")

    def _never(self, args: Sequence[Any]) -> None:
        raise Refused(f"{args[0] if args else 'that'}"[:80])
