"""Processes of the scraper, seen from the service: the zygote, and what it forks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scraper.equipment import Equipment
from scraper.wire import MAX_LINE, encoded

_log = logging.getLogger("magpie.scraper")
_ROOT = Path(__file__).resolve().parent.parent
_GONE_SECONDS = 5.0


class ProcessGone(Exception):
    """A worker, the proxy or the zygote ended while something was expected of it."""


class Worker:
    """One forked process, seen from the service: a conversation in JSON lines."""

    def __init__(self, zygote: Zygote, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.zygote = zygote
        self.pid = pid
        self.trust_class = ""
        self.jobs = 0
        self._reader = reader
        self._writer = writer

    async def send(self, message: dict[str, Any]) -> None:
        """Raises `ProcessGone`."""
        try:
            self._writer.write(encoded(message))
            await self._writer.drain()
        except OSError as broken:
            raise ProcessGone from broken

    async def receive(self) -> dict[str, Any]:
        """Raises `ProcessGone`."""
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as broken:
            raise ProcessGone from broken
        if not line.endswith(b"\n"):
            raise ProcessGone
        message: dict[str, Any] = json.loads(line)
        return message

    @property
    def is_gone(self) -> bool:
        return self._reader.at_eof()

    def kill(self) -> None:
        """SIGKILL to the process and all that it started. Does not wait."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Kill it and wait until nothing of its process group is left."""
        self.kill()
        self._writer.close()
        deadline = time.monotonic() + _GONE_SECONDS
        pause = 0.001
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            except PermissionError:
                return  # the number belongs to somebody else by now
            await asyncio.sleep(pause)
            pause = min(0.02, pause * 1.5)
        _log.error("worker %s does not end", self.pid)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteNews:
    """What a zygote tells when it is warm: its yt-dlp, the file that this was loaded from, and what went wrong in the heating.
    One that cannot start tells its `problem`.
    """

    version: str | None = None
    file: str | None = None
    trouble: tuple[str, ...] = ()
    problem: str | None = None


class Zygote:
    """The zygote process and the socket to it. Requests are answered in order."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket, place: Path | None = None) -> None:
        self.process = process
        self.place = place
        self.news = ZygoteNews()
        self._control = control
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._users = 0
        self.unused = asyncio.Event()
        self.unused.set()
        self.settled = asyncio.Event()
        self.ended = asyncio.Event()
        self._reading = asyncio.create_task(self._read(), name="zygote")

    async def warm(self) -> bool:
        """Waits until it is, or has ended. Returns whether it is."""
        await self.settled.wait()
        return not self.ended.is_set()

    def hold(self) -> None:
        """Somebody uses a process of it, or is about to: they end with it."""
        self._users += 1
        self.unused.clear()

    def let_go(self) -> None:
        """Once for each `hold`."""
        self._users -= 1
        if not self._users:
            self.unused.set()

    async def fork(self, kind: bytes) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        """A new process of this kind. Raises `ProcessGone`."""
        if self.ended.is_set():
            raise ProcessGone
        ours, theirs = socket.socketpair()
        try:
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            # A byte and a descriptor fit into the socket's buffer however long the heating takes.
            socket.send_fds(self._control, [kind], [theirs.fileno()])
            self._waiting.append(answer)
            pid = await answer
            ours.setblocking(False)  # noqa: FBT003 - the library's signature
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE)
        except OSError as broken:
            ours.close()
            raise ProcessGone from broken
        except BaseException:
            ours.close()  # a process that nobody waits for any more reads the end and goes
            raise
        finally:
            theirs.close()
        return pid, reader, writer

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        rest = b""
        try:
            while piece := await loop.sock_recv(self._control, 65536):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    if message.get("ready"):
                        self.news = ZygoteNews(version=message["ytdlp"], file=message["file"], trouble=tuple(message["trouble"]))
                        self.settled.set()
                    elif "problem" in message:
                        self.news = ZygoteNews(problem=message["problem"])
                    else:
                        answer = self._waiting.popleft()
                        if not answer.done():
                            answer.set_result(message["pid"])
        except OSError:
            pass
        finally:
            self.ended.set()
            self.settled.set()
            while self._waiting:
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_exception(ProcessGone())

    async def stop(self) -> None:
        await killed(self.process)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._control.close()


async def killed(process: asyncio.subprocess.Process) -> None:
    """With all that is of its group, until it is over. It must lead one: `start_new_session`.

    Not by the process's own `kill`: when it has ended already, that takes away its exit status, and whoever waits for it complains
    (seen with Python 3.11).
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter on macOS, of one that waits to be reaped
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def spawn_zygote(equipment: Equipment, place: Path | None = None) -> Zygote:
    """Start one, from this thread: it dies with the thread that started it. Returns before it is warm.

    `place` is the directory that yt-dlp is loaded from; without it, the environment's is.
    """
    ours, theirs = socket.socketpair()
    home = equipment.state_directory / "home"
    environment = {
        "PATH": f"{equipment.state_directory / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(str(path) for path in (place, _ROOT) if path is not None),
        "PYTHONUTF8": "1",
        "HOME": str(home),
        "DENO_DIR": str(equipment.state_directory / "cache" / "deno"),
        "DENO_NO_UPDATE_CHECK": "1",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        # Blocks of a megabyte are read by the thousand: kept by the allocator, not mapped and faulted in anew each time.
        "MALLOC_MMAP_THRESHOLD_": str(8 * 1024 * 1024),
        "MALLOC_TRIM_THRESHOLD_": str(8 * 1024 * 1024),
        "MALLOC_ARENA_MAX": "2",
    }
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-P", "-m", "scraper.zygote", str(theirs.fileno()), str(os.getpid()),
            env=environment, cwd=home, pass_fds=(theirs.fileno(),), start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    try:
        ours.sendall(equipment.to_line())
    except BaseException:
        ours.close()
        await killed(process)
        raise
    ours.setblocking(False)  # noqa: FBT003 - the library's signature
    return Zygote(process, ours, place)
