"""The use cases on real storage and a real engine, with a web that is a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from service.downloads import Downloads, Order
from service.events import JobEventBus
from service.limits import NoQuota
from service.media_url import MediaUrl
from service.model import Job, JobStatus, Origin
from service.ports import Quota, Vault
from service.run import RunPolicy
from service.selection import Selection
from storage.database import SqlDatabase
from storage.media import DiskMedia
from storage.queue import JobEngine
from tests.support.fakes import FakeClock, FakeWeb


class RealIds:
    def new(self) -> UUID:
        return uuid4()


@dataclass
class House:
    """Everything but the edges. `start` and `stop` may alternate, as with a service that is restarted."""

    url: str
    root: Path
    web: FakeWeb = field(default_factory=FakeWeb)
    clock: FakeClock = field(default_factory=FakeClock)
    quota: Quota = field(default_factory=NoQuota)
    width: int = 4
    policy: RunPolicy = field(
        default_factory=lambda: RunPolicy(backoff=(timedelta(0), timedelta(0)), min_free_disk=0, progress_interval=0.05)
    )
    seen: list[Job] = field(default_factory=list)
    vault: Vault | None = None
    messenger: Callable[[UUID, int], Awaitable[None]] | None = None
    """Delivers webhooks."""

    async def start(self) -> None:
        self.engine = JobEngine(self.url, self._run, width=self.width, messenger=self._deliver)
        self.database = SqlDatabase(self.url, self.engine, self.vault)
        self.media = DiskMedia(self.root / "media")
        self.events = JobEventBus()
        self.events.subscribe(self.seen.append)
        self.downloads = Downloads(
            database=self.database,
            engine=self.engine,
            fetcher=self.web,
            media=self.media,
            events=self.events,
            quota=self.quota,
            clock=self.clock,
            ids=RealIds(),
            policy=self.policy,
        )
        await self.engine.start()
        await self.downloads.recover()

    async def _run(self, job_id: UUID) -> None:
        await self.downloads.run(job_id)

    async def _deliver(self, message_id: UUID, number: int) -> None:
        if self.messenger is not None:
            await self.messenger(message_id, number)

    async def stop(self) -> None:
        await self.engine.stop()
        await self.database.close()

    async def submit(self, path: str, **more: object) -> Job:
        return (await self.downloads.submit(self.order(path, **more)))[0]

    def order(self, path: str, **more: object) -> Order:
        return Order(url=MediaUrl.parse(f"https://example.com/{path}"), selection=Selection.of("audio"), origin=Origin.API, **more)  # type: ignore[arg-type]

    async def ended(self, job: Job) -> Job:
        """A hang guard, not a measure."""
        for _ in range(1500):
            now = await self.downloads.get(job.id)
            if not now.status.is_live:
                return now
            await asyncio.sleep(0.02)
        raise AssertionError(f"still {now.status} {now.progress.phase} after 30 s")

    async def reached(self, job: Job, condition: Callable[[Job], bool]) -> Job:
        for _ in range(1500):
            now = await self.downloads.get(job.id)
            if condition(now):
                return now
            await asyncio.sleep(0.02)
        raise AssertionError(f"still {now.status} {now.progress.phase} after 30 s")

    async def completed(self, *jobs: Job) -> list[Job]:
        ended = [await self.ended(job) for job in jobs]
        assert [job.status for job in ended] == [JobStatus.COMPLETED] * len(jobs), [job.error_message for job in ended]
        return ended

    def leftovers(self) -> list[str]:
        """Files that no job owns: temporary ones."""
        work = self.root / "media" / ".work"
        return [str(path) for path in work.rglob("*")]

    def stored(self) -> list[Path]:
        return sorted(path for path in (self.root / "media" / "downloads").rglob("*") if path.is_file())


@asynccontextmanager
async def living(house: House) -> AsyncIterator[House]:
    await house.start()
    try:
        yield house
    finally:
        if house.web.gate:
            house.web.gate.set()
        await house.stop()


Step = Callable[[], Awaitable[None]]
