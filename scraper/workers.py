"""`WorkerPool`: worker processes, forked from a heated zygote, each used again within one trust class only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from scraper.egress import EgressPolicy
from scraper.equipment import Equipment
from scraper.forks import ProcessGone, Worker, Zygote, spawn_zygote
from scraper.tools import find_deno, find_ffmpeg

_log = logging.getLogger("magpie.scraper")
_MAX_PAUSE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScraperConfig:
    """`width` jobs run at once, and beside them `looks`: who only asks what is there does not wait for others' downloads.

    `state_directory` holds yt-dlp's cache, kept extractions and a link to ffmpeg; it is made when missing. `plugin_dirs` are the
    operator's: `*/yt_dlp_plugins` in them is for yt-dlp, `*/gallery_dl_plugins` for gallery-dl. Of a list at most `max_items` are
    told, and of a post of pictures at most so many fetched.
    """

    state_directory: Path
    policy: EgressPolicy = field(default_factory=EgressPolicy)
    plugin_dirs: tuple[Path, ...] = ()
    width: int = 4
    looks: int = 2
    max_items: int = 200
    jobs_a_worker: int = 50
    idle_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """The filtering proxy of one job, on `port` of 127.0.0.1."""

    process: Worker
    port: int

    async def has_refused(self) -> bool:
        """Whether anything that it was asked for led to an address that may not be reached. Raises `ProcessGone`."""
        await self.process.send({})
        return bool((await self.process.receive())["refused"])


class WorkerPool:
    """`start`, then `worker(trust_class)` as often as wanted, then `stop`.

    At most `width` workers stay for more, and at most `looks` are there beside them.
    """

    def __init__(self, config: ScraperConfig) -> None:
        self.config = config
        self._zygote: Zygote | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._zygote_changed = asyncio.Condition()
        self._places = asyncio.Semaphore(config.width)
        self._looks = asyncio.Semaphore(config.looks)
        self._idle: dict[Worker, asyncio.TimerHandle] = {}
        self._busy: set[Worker] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._proxies: set[Worker] = set()
        self._stopping = False

    async def start(self) -> None:
        """Start the zygote, from this thread: it dies with the thread that started it. Returns before it is warm."""
        for folder in ("cache", "bin", "home"):
            (self.config.state_directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        equipment = await asyncio.to_thread(self._equip)
        # Known before the task has run: a stop may come first.
        self._zygote = await spawn_zygote(equipment)
        self._keeper = asyncio.create_task(self._keep(equipment, self._zygote), name="zygote-keeper")

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
        workers = [*self._idle, *self._busy, *self._proxies]
        self._idle.clear()
        await asyncio.gather(*(worker.gone() for worker in workers), *self._leaving)
        if self._zygote is not None:
            await self._zygote.stop()

    def pids(self) -> list[int]:
        """The zygote, and the workers and proxies that exist now."""
        found = [] if self._zygote is None else [self._zygote.process.pid]
        return [*found, *(worker.pid for worker in (*self._idle, *self._busy, *self._proxies))]

    @contextlib.asynccontextmanager
    async def worker(self, trust_class: str, *, looks: bool = False) -> AsyncIterator[Worker]:
        """A worker that has seen no other trust class; one that only `looks` takes no job's place. Any exception in the body,
        cancellation too, kills it with all it started, and waits until they are gone. Raises `ProcessGone`.
        """
        async with self._looks if looks else self._places:
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

    @contextlib.asynccontextmanager
    async def proxy(self) -> AsyncIterator[Proxy]:
        """A filtering proxy for one job. It ends with the body. Raises `ProcessGone`."""
        process = await self._forked(b"p")
        self._proxies.add(process)
        try:
            yield Proxy(process, int((await process.receive())["proxy"]))
        finally:
            process.kill()
            await asyncio.shield(self._leave(process))
            self._proxies.discard(process)

    # --- workers -------------------------------------------------------------------------------------------------

    async def _taken(self, trust_class: str) -> Worker:
        for worker, timer in list(self._idle.items()):
            if worker.trust_class == trust_class or worker.is_gone:
                timer.cancel()
                del self._idle[worker]
                if not worker.is_gone:
                    return worker
                self._leave(worker)
        if self._idle and len(self._idle) + len(self._busy) >= self.config.width:
            # All places are taken by idle ones of other classes: the oldest makes room.
            oldest = next(iter(self._idle))
            self._idle.pop(oldest).cancel()
            self._leave(oldest)
        worker = await self._forked(b"w")
        worker.trust_class = trust_class
        return worker

    def _give_back(self, worker: Worker) -> None:
        worker.jobs += 1
        is_beside = len(self._idle) + len(self._busy) > self.config.width
        if self._stopping or worker.is_gone or is_beside or worker.jobs >= self.config.jobs_a_worker:
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

    async def _warm(self) -> Zygote:
        """The zygote that lives; waits while one is being started. It may still be heating: what is asked of it then waits."""
        async with self._zygote_changed:
            await self._zygote_changed.wait_for(lambda: self._stopping or (self._zygote is not None and not self._zygote.ended.is_set()))
        if self._stopping or self._zygote is None:
            raise ProcessGone
        return self._zygote

    async def _keep(self, equipment: Equipment, zygote: Zygote) -> None:
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
            zygote = await spawn_zygote(equipment)

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
