"""The zygote: a process with yt-dlp loaded and warm that forks workers in milliseconds. Run as `python -m scraper.zygote FD PARENT`.

It stays single-threaded, holds one socket (to the service) and opens no address of a user. First comes a line with the `Equipment`;
after that each byte with a descriptor asks for a process that talks over that descriptor: `w` a worker, `p` the filtering proxy. The
answer is one line with its process id.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from typing import Any, NoReturn

from scraper import process
from scraper.equipment import Equipment

NICENESS = 5
"""Fetching is the work that can wait: the service's own process, which answers people, comes first."""
_MAX_SETUP = 1024 * 1024


def main() -> NoReturn:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    process.die_with_parent(parent)
    process.adopt_orphans()
    # Ctrl-C and a service manager's SIGTERM go to all: when the zygote ends is for the service to decide.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    control = socket.socket(fileno=descriptor)
    equipment = Equipment.from_line(_line(control))
    try:
        _serve(control, equipment)
    except Exception as error:  # noqa: BLE001 - the process's outermost frame: the service's log is the place to say it
        _tell(control, {"problem": f"{type(error).__name__}: {error}"})
        os._exit(1)


def _serve(control: socket.socket, equipment: Equipment) -> NoReturn:
    # Imported late: yt-dlp takes a while, and what goes wrong here can be told by now.
    from yt_dlp import version  # noqa: PLC0415

    from scraper.heating import heated  # noqa: PLC0415
    from scraper.proxy import serve  # noqa: PLC0415
    from scraper.worker import work  # noqa: PLC0415

    workshop, trouble = heated(equipment)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    _tell(control, {"ready": True, "ytdlp": version.__version__, "file": version.__file__, "trouble": trouble})
    own = os.getpid()
    while True:
        kind, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not kind or not descriptors:
            os._exit(0)
        child = os.fork()
        if child == 0:
            control.close()
            connection = socket.socket(fileno=descriptors[0])
            if kind == b"p":
                serve(connection, equipment.policy, own)
            work(connection, workshop, own)
        os.close(descriptors[0])
        with contextlib.suppress(ProcessLookupError):
            os.setpgid(child, child)  # here and in the child: whoever is first, the group exists when its id is known
        _tell(control, {"pid": child})


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")


def _line(control: socket.socket) -> bytes:
    """Byte by byte: what follows the line may carry descriptors, which a longer read would lose."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = control.recv(1)
        if not byte or len(line) > _MAX_SETUP:
            os._exit(0)
        line += byte
    return bytes(line)


if __name__ == "__main__":
    main()
