"""`WorkerPool`: worker processes, forked from a heated zygote, each used again within one trust class only."""

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
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scraper.egress import EgressPolicy
from scraper.equipment import Equipment
from scraper.tools import find_deno, find_ffmpeg
from scraper.wire import MAX_LINE, encoded

_log = logging.getLogger("magpie.scraper")
_ROOT = Path(__file__).resolve().parent.parent
_GONE_SECONDS = 5.0
_MAX_PAUSE = 30.0


class ProcessGone(Exception):
    """A worker, the proxy or the zygote ended while something was expected of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScraperConfig:
    """`width` jobs run at once. `state_directory` holds yt-dlp's cache and a link to ffmpeg; it is made when missing."""

    state_directory: Path
    policy: EgressPolicy = field(default_factory=EgressPolicy)
    plugin_dirs: tuple[Path, ...] = ()
    width: int = 4
    jobs_a_worker: int = 50
    idle_seconds: float = 60.0


class Worker:
    """One forked process, seen from the service: a conversation in JSON lines."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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


class _Zygote:
    """The zygote process and the socket to it. Requests are answered in order."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self.process = process
        self._control = control
        self._waiting: deque[asyncio.Future[int]] = deque()
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self._reading = asyncio.create_task(self._read(), name="zygote")

    async def fork(self, kind: bytes) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        """A new process of this kind. Raises `ProcessGone`."""
        ours, theirs = socket.socketpair()
        try:
            if self.ended.is_set():
                raise ProcessGone
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            # A byte and a descriptor fit into the socket's buffer however long the heating takes.
            socket.send_fds(self._control, [kind], [theirs.fileno()])
            self._waiting.append(answer)
            pid = await answer
            ours.setblocking(False)
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
                        self.ready.set()
                    elif "problem" in message:
                        _log.error("the zygote could not start: %s", message["problem"])
                    else:
                        answer = self._waiting.popleft()
                        if not answer.done():
                            answer.set_result(message["pid"])
        except OSError:
            pass
        finally:
            self.ended.set()
            while self._waiting:
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_exception(ProcessGone())

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._control.close()


class WorkerPool:
    """`start`, then `worker(trust_class)` as often as wanted, then `stop`. At most `width` workers exist."""

    def __init__(self, config: ScraperConfig) -> None:
        self.config = config
        self._zygote: _Zygote | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._zygote_changed = asyncio.Condition()
        self._places = asyncio.Semaphore(config.width)
        self._idle: dict[Worker, asyncio.TimerHandle] = {}
        self._busy: set[Worker] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._proxy: tuple[Worker, int] | None = None
        self._proxy_lock = asyncio.Lock()
        self._stopping = False

    async def start(self) -> None:
        """Start the zygote, from this thread: it dies with the thread that started it. Returns before it is warm."""
        for folder in ("cache", "bin", "home"):
            (self.config.state_directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        equipment = await asyncio.to_thread(self._equip)
        self._keeper = asyncio.create_task(self._keep(equipment, await self._spawn(equipment)), name="zygote-keeper")

    async def ready(self) -> None:
        """Returns when the zygote is warm."""
        await (await self._warm()).ready.wait()

    async def stop(self) -> None:
        """Ends every process; running jobs get `ProcessGone`."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for timer in self._idle.values():
            timer.cancel()
        workers = [*self._idle, *self._busy, *([self._proxy[0]] if self._proxy else [])]
        self._idle.clear()
        await asyncio.gather(*(worker.gone() for worker in workers), *self._leaving)
        if self._zygote is not None:
            await self._zygote.stop()

    def pids(self) -> list[int]:
        """The zygote, the proxy and the workers that exist now."""
        found = [] if self._zygote is None else [self._zygote.process.pid]
        found += [self._proxy[0].pid] if self._proxy else []
        return [*found, *(worker.pid for worker in (*self._idle, *self._busy))]

    @contextlib.asynccontextmanager
    async def worker(self, trust_class: str) -> AsyncIterator[Worker]:
        """A worker that has seen no other trust class. Any exception in the body, cancellation too, kills it with all it started,
        and waits until they are gone. Raises `ProcessGone`."""
        async with self._places:
            worker = await self._taken(trust_class)
            self._busy.add(worker)
            try:
                yield worker
            except BaseException:
                worker.kill()
                await asyncio.shield(self._leave(worker))
                raise
            else:
                self._give_back(worker)
            finally:
                self._busy.discard(worker)

    async def proxy_port(self) -> int:
        """Where the filtering proxy listens; it is started when first needed. Raises `ProcessGone`."""
        async with self._proxy_lock:
            if self._proxy is not None and not self._proxy[0].is_gone:
                return self._proxy[1]
            process = await self._forked(b"p")
            try:
                port = int((await process.receive())["proxy"])
            except BaseException:
                process.kill()
                raise
            self._proxy = (process, port)
            return port

    # --- workers -------------------------------------------------------------------------------------------------

    async def _taken(self, trust_class: str) -> Worker:
        for worker, timer in list(self._idle.items()):
            if worker.trust_class == trust_class or worker.is_gone:
                timer.cancel()
                del self._idle[worker]
                if not worker.is_gone:
                    return worker
                self._leave(worker)
        if len(self._idle) + len(self._busy) >= self.config.width:
            # All places are taken by idle ones of other classes: the oldest makes room.
            oldest = next(iter(self._idle))
            self._idle.pop(oldest).cancel()
            self._leave(oldest)
        worker = await self._forked(b"w")
        worker.trust_class = trust_class
        return worker

    def _give_back(self, worker: Worker) -> None:
        worker.jobs += 1
        if self._stopping or worker.is_gone or worker.jobs >= self.config.jobs_a_worker:
            self._leave(worker)
            return
        self._idle[worker] = asyncio.get_running_loop().call_later(self.config.idle_seconds, self._retire, worker)

    def _retire(self, worker: Worker) -> None:
        del self._idle[worker]
        self._leave(worker)

    def _leave(self, worker: Worker) -> asyncio.Task[None]:
        task = asyncio.create_task(worker.gone(), name="worker-leaves")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    async def _forked(self, kind: bytes) -> Worker:
        for _ in range(3):
            zygote = await self._warm()
            try:
                return Worker(*await zygote.fork(kind))
            except ProcessGone:
                if self._stopping:
                    raise
                await zygote.ended.wait()
        raise ProcessGone

    # --- the zygote ----------------------------------------------------------------------------------------------

    async def _warm(self) -> _Zygote:
        """The zygote that lives; waits while one is being started. It may still be heating: what is asked of it then waits."""
        async with self._zygote_changed:
            await self._zygote_changed.wait_for(lambda: self._stopping or (self._zygote is not None and not self._zygote.ended.is_set()))
        if self._stopping or self._zygote is None:
            raise ProcessGone
        return self._zygote

    async def _keep(self, equipment: Equipment, zygote: _Zygote) -> None:
        """Start another one whenever it dies; slower each time when it does not live long."""
        pause = 0.1
        while True:
            self._zygote = zygote
            began = time.monotonic()
            async with self._zygote_changed:
                self._zygote_changed.notify_all()
            await zygote.ended.wait()
            await zygote.stop()
            _log.error("the zygote ended with status %s; starting another", zygote.process.returncode)
            pause = 0.1 if time.monotonic() - began > _MAX_PAUSE else min(_MAX_PAUSE, pause * 2)
            await asyncio.sleep(pause)
            zygote = await self._spawn(equipment)

    async def _spawn(self, equipment: Equipment) -> _Zygote:
        ours, theirs = socket.socketpair()
        home = self.config.state_directory / "home"
        environment = {
            "PATH": f"{self.config.state_directory / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(_ROOT),
            "PYTHONUTF8": "1",
            "HOME": str(home),
            "DENO_DIR": str(self.config.state_directory / "cache" / "deno"),
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
        ours.sendall(equipment.to_line())
        ours.setblocking(False)
        return _Zygote(process, ours)

    def _equip(self) -> Equipment:
        """The links in our own directory, which is all that stands on the workers' PATH before the system's."""
        ffmpeg = self.config.state_directory.absolute() / "bin" / "ffmpeg"
        fresh = ffmpeg.with_name(f".ffmpeg-{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(find_ffmpeg())
        fresh.replace(ffmpeg)
        deno = find_deno()
        return Equipment(
            policy=self.config.policy,
            state_directory=self.config.state_directory.absolute(),
            ffmpeg=str(ffmpeg),
            deno=str(deno) if deno else None,
            plugin_dirs=tuple(str(path.absolute()) for path in self.config.plugin_dirs),
        )
