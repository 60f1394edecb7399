"""The job engine: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobStatus, Origin, Phase
from service.selection import Selection
from storage import queue
from storage.database import SqlDatabase
from storage.migrate import upgrade
from storage.queue import JobEngine, WakeableEvent, workflow_id
from storage.worker_lock import WorkerLock, engine_runs
from tests.support.database import postgres_database
from tests.support.fakes import FakeClock
from tests.support.house import House, living

HANG = 30


@dataclass
class Bench:
    """An engine whose jobs note when they begin and wait until they may end."""

    url: str
    width: int = 2
    begun: list[UUID] = field(default_factory=list)
    ended: list[UUID] = field(default_factory=list)
    most: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self.engine = JobEngine(self.url, self._work, width=self.width)
        self.database = SqlDatabase(self.url, self.engine)
        await self.engine.start()
        clock = FakeClock()
        self.session = DownloadSession(
            id=uuid4(), folder=uuid4(), owner_id=None, created_by=Origin.API, created_at=clock.now(), last_activity=clock.now()
        )
        async with self.database.write() as transaction:
            await transaction.download_sessions.add(self.session)

    async def stop(self) -> None:
        self.gate.set()
        await self.engine.stop()
        await self.database.close()

    async def _work(self, job_id: UUID) -> None:
        self.begun.append(job_id)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        await self.gate.wait()
        self.ended.append(job_id)

    def job(self, lane: UUID | None = None) -> Job:
        number = uuid4()
        return Job(
            id=number,
            download_session_id=lane or self.session.id,
            account_id=None,
            origin=Origin.API,
            url=MediaUrl.parse(f"https://example.com/{number}"),
            selection=Selection.of("audio"),
            created_at=FakeClock().now(),
        )

    async def enter(self, *jobs: Job) -> None:
        async with self.database.write() as transaction:
            for job in jobs:
                await transaction.queue.enqueue(job)

    async def state(self, job: Job) -> str:
        """As the engine keeps it."""
        table = "workflow_status" if self.database.is_sqlite else "dbos.workflow_status"
        async with self.database.reader.connect() as connection:
            found = await connection.execute(sa.text(f"select status from {table} where workflow_uuid = :id"), {"id": workflow_id(job)})
        return str(found.scalar_one())

    async def settled(self) -> None:
        """The number of places is what was asked for last."""
        async with asyncio.timeout(20):
            while self.engine.is_changing_width:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)  # the engine's own thread takes it up

    async def until(self, number: int) -> None:
        """A hang guard, not a measure."""
        async with asyncio.timeout(20):
            while len(self.begun) < number:
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    await upgrade(database_url)
    bench = Bench(database_url)
    await bench.start()
    yield bench
    await bench.stop()


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long polls: whatever starts in a test was woken."""
    monkeypatch.setattr(queue, "IDLE_POLL_SECONDS", 300.0)
    monkeypatch.setattr(queue, "BUSY_POLL_SECONDS", 300.0)


async def test_a_job_starts_because_it_was_entered_not_because_of_a_poll(no_polling: None, bench: Bench) -> None:
    await asyncio.sleep(0.3)
    job = bench.job()
    await bench.enter(job)
    await bench.until(1)
    assert bench.begun == [job.id]


async def test_the_next_job_starts_because_one_ended(no_polling: None, bench: Bench) -> None:
    bench.gate.set()
    jobs = [bench.job() for _ in range(9)]
    await bench.enter(*jobs)
    await bench.until(9)
    assert set(bench.begun) == {job.id for job in jobs}


async def test_no_more_jobs_run_at_once_than_there_are_places(bench: Bench) -> None:
    await bench.enter(*(bench.job() for _ in range(6)))
    await bench.until(2)
    await asyncio.sleep(0.3)
    bench.gate.set()
    await bench.until(6)
    assert bench.most == 2


async def test_more_places_take_effect_while_the_engine_runs(bench: Bench) -> None:
    bench.engine.widen(5)
    await bench.enter(*(bench.job() for _ in range(6)))
    await bench.until(5)
    await asyncio.sleep(0.3)
    bench.gate.set()
    await bench.until(6)
    assert bench.most == 5


async def test_fewer_places_take_effect_while_the_engine_runs(bench: Bench) -> None:
    bench.engine.widen(1)
    await bench.settled()
    await bench.enter(*(bench.job() for _ in range(3)))
    await bench.until(1)
    await asyncio.sleep(0.3)
    bench.gate.set()
    await bench.until(3)
    assert bench.most == 1


async def test_of_several_changes_of_the_places_the_last_one_stays(bench: Bench) -> None:
    for width in (5, 1, 4):
        bench.engine.widen(width)
    await bench.settled()
    await bench.enter(*(bench.job() for _ in range(6)))
    await bench.until(4)
    await asyncio.sleep(0.3)
    bench.gate.set()
    await bench.until(6)
    assert bench.most == 4


async def test_a_lane_with_one_job_does_not_wait_for_the_end_of_a_long_one(bench: Bench) -> None:
    crowd, lonely = [bench.job(uuid4()) for _ in range(1)], bench.job(uuid4())
    lane = crowd[0].download_session_id
    crowd += [bench.job(lane) for _ in range(40)]
    await bench.enter(*crowd)
    await bench.until(2)
    await bench.enter(lonely)
    bench.gate.set()
    await bench.until(42)
    assert bench.begun.index(lonely.id) < 35


async def test_what_is_rolled_back_is_never_run(bench: Bench) -> None:
    async def break_off() -> None:
        async with bench.database.write() as transaction:
            await transaction.queue.enqueue(bench.job())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()
    after = bench.job()
    await bench.enter(after)
    await bench.until(1)
    assert bench.begun == [after.id]


async def test_a_cancelled_entry_is_never_run_and_not_known_any_more(bench: Bench) -> None:
    running = [bench.job(), bench.job()]
    queued = bench.job()
    await bench.enter(*running)
    await bench.until(2)
    await bench.enter(queued)
    assert await bench.engine.known([*running, queued, bench.job()]) == {job.id for job in (*running, queued)}
    await bench.engine.cancel(queued)
    await bench.engine.cancel(bench.job())
    assert await bench.engine.known([queued]) == set()
    bench.gate.set()
    last = bench.job()
    await bench.enter(last)
    await bench.until(3)
    assert queued.id not in bench.begun


async def test_a_job_that_was_let_go_runs_again_at_the_next_start(bench: Bench) -> None:
    job = bench.job()
    await bench.enter(job)
    await bench.until(1)
    assert await bench.engine.stop() == 1
    await bench.database.close()
    bench.begun.clear()
    bench.gate.set()
    await bench.start()
    await bench.until(1)
    assert bench.begun == [job.id]


async def test_a_job_that_ends_in_time_is_waited_for_and_none_begins_meanwhile(bench: Bench) -> None:
    running, later = bench.job(), bench.job()
    await bench.enter(running)
    await bench.until(1)
    draining = asyncio.create_task(bench.engine.drain(timedelta(seconds=HANG)))
    await asyncio.sleep(0)
    await bench.enter(later)
    await asyncio.sleep(1.5)  # more than a poll's interval
    assert not draining.done()
    bench.gate.set()
    assert await asyncio.wait_for(draining, HANG) == 0
    assert await bench.engine.stop() == 0
    assert bench.begun == [running.id]
    await bench.database.close()
    await bench.start()
    await bench.until(2)
    assert bench.begun == [running.id, later.id]


async def test_what_is_entered_while_the_engine_drains_stays_in_the_queue_for_others(no_polling: None, bench: Bench) -> None:
    running, later = bench.job(), bench.job()
    await bench.enter(running)
    await bench.until(1)
    await asyncio.sleep(0.5)  # whoever looks into the queue sleeps again
    draining = asyncio.create_task(bench.engine.drain(timedelta(seconds=HANG)))
    await asyncio.sleep(0)
    await bench.enter(later)
    assert bench.engine._poll is not None
    bench.engine._poll.wake(queue.QUEUE_THREAD)  # as its next poll would
    await asyncio.sleep(1)
    assert await bench.state(later) == "ENQUEUED"
    bench.gate.set()
    await draining


async def test_a_job_that_does_not_end_in_time_is_let_go(bench: Bench) -> None:
    await bench.enter(bench.job())
    await bench.until(1)
    assert await bench.engine.drain(timedelta(seconds=0.05)) == 1
    assert await bench.engine.stop() == 1


async def test_a_wake_up_that_comes_while_the_thread_is_busy_is_not_lost() -> None:
    import threading

    woken = WakeableEvent()
    woken.wake(queue.QUEUE_THREAD)
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(woken.wait(60)), name=queue.QUEUE_THREAD)
    thread.start()
    thread.join(20)
    assert results == [False], "it woke, and it was not told to stop"
    woken.set()
    assert woken.wait(60)


@pytest.fixture
def postgres_url(postgres: object) -> Iterator[str]:
    yield from postgres_database(postgres, "template_migrated")


async def test_a_workers_lock_that_is_closed_is_anothers_to_take(postgres_url: str) -> None:
    first, second = WorkerLock(postgres_url, "worker"), WorkerLock(postgres_url, "worker")
    await first.take()
    taking = asyncio.create_task(second.take())
    await asyncio.sleep(0.3)
    assert not taking.done()
    await first.close()
    await first.close()
    await asyncio.wait_for(taking, HANG)
    await second.close()


async def test_an_engine_that_is_stopped_at_once_lets_go_of_its_lock(postgres_url: str) -> None:
    engine = JobEngine(postgres_url, Bench(postgres_url)._work, width=1)
    await engine.start()
    await engine.stop()
    async with asyncio.timeout(HANG):
        while await engine_runs(postgres_url):
            await asyncio.sleep(0.01)


async def test_peers_take_over_the_jobs_of_a_killed_worker(postgres: object, tmp_path: Path) -> None:
    for url in postgres_database(postgres):
        await upgrade(url)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.worker_process", url, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "downloading\n"
        assert await engine_runs(url)
        house = House(url, tmp_path)
        house.web.pages = {"https://example.com/1": b"body 1"}
        async with living(house):
            async with house.database.read() as transaction:
                (job,) = await transaction.jobs.live()
            assert (await house.downloads.get(job.id)).progress.phase is Phase.DOWNLOADING, "a living worker's job is left alone"
            process.kill()
            await asyncio.to_thread(process.wait)
            process.stdout.close()
            (done,) = await house.completed(job)
            assert done.status is JobStatus.COMPLETED
            assert house.web.fetched == ["https://example.com/1"]
        assert not await engine_runs(url)
