"""`WorkerPool`: worker processes, forked from a heated zygote, each used again within one trust class only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from scraper.egress import EgressPolicy
from scraper.extractors import FreshExtractors
from scraper.forks import ProcessGone, Worker
from scraper.zygotes import Zygotes, equip


@dataclass(frozen=True, slots=True, kw_only=True)
class ScraperConfig:
    """`width` jobs run at once, and beside them `looks`: who only asks what is there does not wait for others' downloads.

    `state_directory` holds yt-dlp's cache, kept extractions and a link to ffmpeg; it is made when missing. `plugin_dirs` are the
    operator's: `*/yt_dlp_plugins` in them is for yt-dlp, `*/gallery_dl_plugins` for gallery-dl. Of a list at most `max_items` are
    told, and of a post of pictures at most so many fetched. A yt-dlp that is chosen among `extractors` has `warm_seconds` to start.
    """

    state_directory: Path
    policy: EgressPolicy = field(default_factory=EgressPolicy)
    plugin_dirs: tuple[Path, ...] = ()
    width: int = 4
    looks: int = 2
    max_items: int = 200
    jobs_a_worker: int = 50
    idle_seconds: float = 60.0
    extractors: FreshExtractors | None = None
    warm_seconds: float = 60.0


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
        self._zygotes = Zygotes(
            lambda: equip(config.state_directory, config.policy, config.plugin_dirs), config.extractors, config.warm_seconds, self._replaced
        )
        self.on_other_extractors: Callable[[], None] = lambda: None
        self._places = asyncio.Semaphore(config.width)
        self._looks = asyncio.Semaphore(config.looks)
        self._idle: dict[Worker, asyncio.TimerHandle] = {}
        self._busy: set[Worker] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._proxies: set[Worker] = set()
        self._stopping = False

    async def start(self) -> None:
        """Start the zygote, from this thread: it dies with the thread that started it. Returns before it is warm."""
        await self._zygotes.start()

    async def ready(self) -> None:
        """Returns when the zygote is warm."""
        while not await (await self._zygotes.living()).warm():
            pass

    @property
    def extractors(self) -> Path | None:
        """The directory that new workers have their yt-dlp from; None when it is the environment's."""
        zygote = self._zygotes.now
        return None if zygote is None else zygote.place

    async def stop(self) -> None:
        """Ends every process; running jobs get `ProcessGone`."""
        self._stopping = True
        await self._zygotes.settle()
        for timer in self._idle.values():
            timer.cancel()
        workers = [*self._idle, *self._busy, *self._proxies]
        self._idle.clear()
        await asyncio.gather(*(worker.gone() for worker in workers), *self._leaving)
        await self._zygotes.stop()

    def pids(self) -> list[int]:
        """The zygote first, and the workers and proxies that exist now."""
        return [*self._zygotes.pids(), *(worker.pid for worker in (*self._idle, *self._busy, *self._proxies))]

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
        is_old = worker.zygote is not self._zygotes.now
        if self._stopping or worker.is_gone or is_old or is_beside or worker.jobs >= self.config.jobs_a_worker:
            self._leave(worker)
            return
        self._idle[worker] = asyncio.get_running_loop().call_later(self.config.idle_seconds, self._retire, worker)

    def _retire(self, worker: Worker) -> None:
        del self._idle[worker]
        self._leave(worker)

    def _leave(self, worker: Worker) -> asyncio.Task[None]:
        task = asyncio.create_task(self._gone(worker), name="worker-leaves")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    async def _gone(self, worker: Worker) -> None:
        await worker.gone()
        worker.zygote.let_go()

    async def _forked(self, kind: bytes) -> Worker:
        for _ in range(3):
            zygote = await self._zygotes.living()
            zygote.hold()
            try:
                return Worker(zygote, *await zygote.fork(kind))
            except BaseException as failure:
                zygote.let_go()
                if self._stopping or not isinstance(failure, ProcessGone):
                    raise
                await zygote.ended.wait()
        raise ProcessGone

    def _replaced(self) -> None:
        """New workers come from another zygote. Those that are busy end their jobs with the old one, which stays for them."""
        for worker in [worker for worker in self._idle if worker.zygote is not self._zygotes.now]:
            self._idle.pop(worker).cancel()
            self._leave(worker)
        self.on_other_extractors()
