"""The main use case on real storage and a real engine, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from service.downloads import Downloads, Promise
from service.errors import (
    ConversionFailed,
    IdempotencyConflict,
    JobNotLive,
    JobNotRetryable,
    LimitReached,
    NetworkFailed,
    VideoPrivate,
)
from service.fetching import Fetched, FetchRequest, FetchWatcher, Identified
from service.limits import NoQuota
from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobStatus, Origin, Outcome, Phase
from service.ports import Transaction
from service.selection import Selection
from storage.database import SqlDatabase
from storage.migrate import upgrade
from tests.support.fakes import FakeWeb, bigger
from tests.support.house import House, RealIds, living


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    await upgrade(database_url)
    house = House(database_url, tmp_path)
    house.web.pages = {f"https://example.com/{n}": f"body {n}".encode() for n in range(30)}
    async with living(house):
        yield house


async def test_an_address_becomes_a_stored_file(house: House) -> None:
    (job,) = await house.completed(await house.submit("1"))
    (file,) = await house.downloads.files(job)
    session = await house.downloads.session_of(job)
    assert file.path == f"downloads/{session.folder}/{job.id}/audio/Title 1.mp3"
    assert (house.root / "media" / file.path).read_bytes() == b"body 1"
    assert (house.root / "media" / file.path).stat().st_mode & 0o777 == 0o444
    assert (job.title, job.artist, job.progress.percent) == ("Title 1", "Artist", 100.0)
    assert session.closed_at is not None
    assert house.leftovers() == []


async def test_each_change_raises_seq_and_is_published(house: House) -> None:
    job = await house.submit("1")
    await house.completed(job)
    seqs = [seen.seq for seen in house.seen if seen.id == job.id]
    assert seqs == sorted(set(seqs))
    assert {Phase.QUEUED, Phase.LOOKING, Phase.DOWNLOADING, Phase.STORING} <= {seen.progress.phase for seen in house.seen}


async def test_the_same_address_again_comes_from_the_store_at_once_and_shares_the_bytes(house: House) -> None:
    (first,) = await house.completed(await house.submit("1"))
    again = await house.submit("1")
    assert again.status is JobStatus.COMPLETED, "a store hit is complete when submit returns"
    assert house.web.fetched == ["https://example.com/1"]
    files = [(await house.downloads.files(job))[0] for job in (first, again)]
    assert files[0].path != files[1].path
    assert (house.root / "media" / files[0].path).samefile(house.root / "media" / files[1].path)


async def test_a_refresh_fetches_again_and_later_jobs_get_the_newer_bytes(house: House) -> None:
    await house.completed(await house.submit("1"))
    house.web.pages["https://example.com/1"] = b"newer"
    house.clock.move(timedelta(minutes=1))
    await house.completed(await house.submit("1", refresh=True))
    house.clock.move(timedelta(minutes=1))
    (job,) = await house.completed(await house.submit("1"))
    (file,) = await house.downloads.files(job)
    assert (house.root / "media" / file.path).read_bytes() == b"newer"
    assert len(house.web.fetched) == 2


async def test_stored_bytes_that_vanished_are_fetched_again(house: House) -> None:
    (first,) = await house.completed(await house.submit("1"))
    (file,) = await house.downloads.files(first)
    (house.root / "media" / file.path).unlink()
    await house.completed(await house.submit("1"))
    assert len(house.web.fetched) == 2


async def test_media_found_by_its_address_alone_is_served_again_only_if_the_server_says_it_is_the_same(house: House) -> None:
    house.web.generic = True
    house.web.etags["https://example.com/1"] = '"a"'
    await house.completed(await house.submit("1"))
    house.clock.move(timedelta(minutes=1))
    await house.completed(await house.submit("1"))
    assert len(house.web.fetched) == 1
    house.web.etags["https://example.com/1"] = '"b"'
    house.clock.move(timedelta(minutes=1))
    await house.completed(await house.submit("1"))
    assert len(house.web.fetched) == 2


async def test_without_any_validator_generic_media_is_fetched_again(house: House) -> None:
    house.web.generic = True
    await house.completed(await house.submit("1"))
    house.clock.move(timedelta(minutes=1))
    await house.completed(await house.submit("1"))
    assert len(house.web.fetched) == 2


async def test_jobs_that_want_the_same_at_the_same_time_share_one_fetch(house: House) -> None:
    house.web.gate = asyncio.Event()
    jobs = [await house.submit("1") for _ in range(6)]
    await house.web.reached.wait()
    for job in jobs[1:4]:
        await house.reached(job, lambda job: job.waits_for is not None or job.progress.phase is Phase.DOWNLOADING)
    house.web.gate.set()
    await house.completed(*jobs)
    assert house.web.fetched == ["https://example.com/1"]


async def test_a_waiting_job_gives_its_place_to_others(house: House) -> None:
    house.web.gate = asyncio.Event()
    same = [await house.submit("1") for _ in range(4)]  # one fetches, three wait: three places are free again
    await house.web.reached.wait()
    others = [await house.submit(str(n)) for n in (2, 3, 4)]
    for other in others:
        await house.reached(other, lambda job: job.progress.phase is Phase.DOWNLOADING)
    house.web.gate.set()
    await house.completed(*same, *others)
    assert sorted(house.web.fetched) == [f"https://example.com/{n}" for n in (1, 2, 3, 4)]


async def test_another_scope_never_shares(house: House) -> None:
    house.web.pages |= {"https://example.com/1?token=a": b"secret"}
    await house.completed(await house.submit("1?token=a"))
    await house.completed(await house.submit("1?token=a"))
    assert house.web.fetched == ["https://example.com/1?token=a"] * 2


async def test_when_the_holder_is_cancelled_the_oldest_waiter_takes_over(house: House) -> None:
    house.web.gate = asyncio.Event()
    jobs = [await house.submit("1") for _ in range(3)]
    await house.web.reached.wait()
    for job in jobs:
        await house.reached(job, lambda job: job.waits_for is not None or job.progress.phase is Phase.DOWNLOADING)
    (holder,) = [job for job in jobs if (await house.downloads.get(job.id)).waits_for is None]
    await house.downloads.cancel(holder.id)
    house.web.gate.set()
    await house.completed(*(job for job in jobs if job is not holder))
    assert len(house.web.fetched) == 2
    async with house.database.read() as transaction:
        assert await transaction.fetches.all() == []


async def test_a_holder_that_turns_out_to_fetch_something_else_lets_its_waiters_go_on(house: House) -> None:
    names = iter(["first", "first", "other"])
    house.web.identify = lambda found: replace(found, id=next(names, "first"))
    house.web.gate, house.web.breaks = asyncio.Event(), [NetworkFailed()]
    holder = await house.submit("1")
    await house.web.reached.wait()
    waiter = await house.submit("1")
    await house.reached(waiter, lambda job: job.waits_for is not None)
    house.web.gate.set()  # the download breaks; when the holder looks again, it finds another medium
    await house.completed(holder, waiter)
    async with house.database.read() as transaction:
        assert await transaction.fetches.all() == []


async def test_when_the_holder_fails_the_oldest_waiter_takes_over(house: House) -> None:
    house.web.gate, house.web.breaks = asyncio.Event(), [VideoPrivate()]
    first = await house.submit("1")
    await house.web.reached.wait()
    second = await house.submit("1")
    await house.reached(second, lambda job: job.waits_for is not None)
    house.web.gate.set()
    assert (await house.ended(first)).error_code == "private"
    await house.completed(second)
    assert len(house.web.fetched) == 2


async def test_a_transient_failure_is_tried_again_and_a_final_one_is_not(house: House) -> None:
    house.web.failures = {
        "https://example.com/1": [NetworkFailed(), NetworkFailed()],
        "https://example.com/2": [NetworkFailed(), NetworkFailed(), NetworkFailed()],
        "https://example.com/3": [VideoPrivate(), VideoPrivate()],
    }
    await house.completed(await house.submit("1"))
    given_up = await house.ended(await house.submit("2"))
    private = await house.ended(await house.submit("3"))
    assert (given_up.error_code, private.error_code) == ("network", "private")
    assert private.error_message == "This video is private."
    assert len(house.web.failures["https://example.com/3"]) == 1
    assert house.leftovers() == []


async def test_every_end_leaves_one_history_entry(house: House) -> None:
    house.web.failures = {"https://example.com/2": [ConversionFailed()]}
    good, bad = await house.submit("1"), await house.submit("2")
    await house.ended(good)
    await house.ended(bad)
    async with house.database.read() as transaction:
        outcomes = [[entry.outcome for entry in await transaction.history.of_job(job.id)] for job in (good, bad)]
    assert outcomes == [[Outcome.SUCCESS], [Outcome.FAILURE]]


async def test_cancelling_a_running_job_ends_its_fetch_and_leaves_nothing(house: House) -> None:
    house.web.gate = asyncio.Event()
    job = await house.submit("1")
    await house.web.reached.wait()
    await house.downloads.cancel(job.id)
    assert house.web.cancelled == 1
    assert (await house.downloads.get(job.id)).status is JobStatus.CANCELLED
    assert (house.stored(), house.leftovers()) == ([], [])
    with pytest.raises(JobNotLive):
        await house.downloads.cancel(job.id)


async def test_a_job_that_is_cancelled_while_its_file_is_stored_leaves_no_file(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    adopt, is_stored = house.media.adopt, asyncio.Event()

    async def adopt_and_linger(file: Path, path: str) -> str:
        location = await adopt(file, path)
        is_stored.set()
        await asyncio.Event().wait()
        return location

    monkeypatch.setattr(house.media, "adopt", adopt_and_linger)
    job = await house.submit("1")
    await is_stored.wait()
    await house.downloads.cancel(job.id)
    assert (house.stored(), house.leftovers()) == ([], [])


class SlowToLeave(FakeWeb):
    """A web whose downloads take a moment to end when they are cancelled."""

    async def _download(self, request: FetchRequest, watcher: FetchWatcher, body: bytes, found: Identified) -> Fetched:
        try:
            return await super()._download(request, watcher, body, found)
        except asyncio.CancelledError:
            await asyncio.sleep(0.3)
            raise


async def test_a_retry_while_the_cancelled_attempt_still_ends_keeps_its_directory(database_url: str, tmp_path: Path) -> None:
    await upgrade(database_url)
    web = SlowToLeave(pages={"https://example.com/1": b"body 1"}, gate=asyncio.Event())
    async with living(House(database_url, tmp_path, web=web)) as house:
        job = await house.submit("1")
        await web.reached.wait()
        cancelling = asyncio.create_task(house.downloads.cancel(job.id))
        await house.reached(job, lambda job: job.status is JobStatus.CANCELLED)
        await house.downloads.retry(job.id)
        await cancelling
        assert web.gate is not None
        web.gate.set()
        await house.completed(job)


async def test_of_several_retries_at_once_one_counts(house: House) -> None:
    house.web.failures = {"https://example.com/1": [VideoPrivate()]}
    job = await house.ended(await house.submit("1"))
    told = await asyncio.gather(*(house.downloads.retry(job.id) for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in told) == ["Job", "JobNotRetryable", "JobNotRetryable", "JobNotRetryable"]
    await house.completed(job)


async def test_without_an_engine_a_job_does_not_wait_for_one_that_nobody_runs(house: House) -> None:
    house.web.gate = asyncio.Event()
    left = await house.submit("1")
    await house.web.reached.wait()
    await house.reached(left, lambda job: job.progress.phase is Phase.DOWNLOADING)
    await house.stop()
    database = SqlDatabase(house.url)
    alone = Downloads(
        database=database, engine=None, fetcher=house.web, media=house.media, events=house.events,
        quota=house.quota, clock=house.clock, ids=RealIds(), policy=house.policy,
    )  # fmt: skip
    house.web.gate.set()
    job, _ = await alone.submit(house.order("1"))
    await alone.run(job.id)
    assert (await alone.get(job.id)).status is JobStatus.COMPLETED
    await database.close()
    await house.start()
    await house.completed(left)


async def test_a_cancelled_queued_job_never_runs(house: House) -> None:
    house.web.gate = asyncio.Event()
    running = [await house.submit(str(n)) for n in range(4)]
    for job in running:
        await house.reached(job, lambda job: job.progress.phase is Phase.DOWNLOADING)
    queued = await house.submit("9")
    await house.downloads.cancel(queued.id)
    house.web.gate.set()
    await house.completed(*running)
    await house.completed(await house.submit("8"))
    assert "https://example.com/9" not in house.web.fetched


async def test_a_failed_job_can_be_tried_again_and_a_completed_one_not(house: House) -> None:
    house.web.failures = {"https://example.com/1": [VideoPrivate()]}
    job = await house.ended(await house.submit("1"))
    again = await house.downloads.retry(job.id)
    assert (again.attempt, again.error_code) == (2, None)
    await house.completed(again)
    with pytest.raises(JobNotRetryable):
        await house.downloads.retry(job.id)


async def test_a_stop_loses_nothing_and_the_next_start_goes_on(house: House) -> None:
    house.web.gate = asyncio.Event()
    jobs = [await house.submit(str(n)) for n in range(8)]
    await house.web.reached.wait()
    await house.stop()
    house.web.gate.set()
    await house.start()
    await house.completed(*jobs)
    assert house.leftovers() == []


async def test_a_live_job_that_the_engine_does_not_know_is_entered_again_at_the_start(house: House) -> None:
    await house.stop()
    job = Job(
        id=uuid4(),
        download_session_id=uuid4(),
        account_id=None,
        origin=Origin.CLI,
        url=MediaUrl.parse("https://example.com/5"),
        selection=Selection.of("audio"),
        created_at=house.clock.now(),
    )
    abandoned = house.root / "media" / ".work" / str(uuid4())
    abandoned.mkdir()
    session = DownloadSession(
        id=job.download_session_id,
        folder=job.download_session_id,
        owner_id=None,
        created_by=Origin.CLI,
        created_at=house.clock.now(),
        last_activity=house.clock.now(),
    )
    house.database = type(house.database)(house.url)
    async with house.database.write() as transaction:
        await transaction.download_sessions.add(session)
        await transaction.jobs.add(job)
    await house.database.close()
    await house.start()
    await house.completed(job)
    assert not abandoned.exists()


async def test_a_job_under_which_the_service_keeps_dying_is_given_up(house: House) -> None:
    job = (await house.downloads.submit(house.order("0")))[0]
    (done,) = await house.completed(job)
    stuck = replace(done, id=uuid4(), url=MediaUrl.parse("https://example.com/7"), status=JobStatus.PENDING, starts=5, ended_at=None, seq=1)
    async with house.database.write() as transaction:
        await transaction.jobs.add(stuck)
        await transaction.queue.enqueue(stuck)
    ended = await house.ended(stuck)
    assert ended.error_code == "interrupted"


async def test_files_that_an_earlier_start_stored_without_writing_it_down_are_removed(house: House) -> None:
    job = (await house.downloads.submit(house.order("0")))[0]
    (done,) = await house.completed(job)
    again = replace(done, id=uuid4(), url=MediaUrl.parse("https://example.com/7"), status=JobStatus.PENDING, starts=1, ended_at=None, seq=1)
    orphan = house.root / "media" / "downloads" / str(done.download_session_id) / str(again.id) / "audio" / "old.mp3"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"half")
    async with house.database.write() as transaction:
        await transaction.jobs.add(again)
        await transaction.queue.enqueue(again)
    await house.completed(again)
    assert not orphan.exists()


async def test_too_large_too_long_and_no_space_are_found_before_the_download(house: House) -> None:
    cases = {"too_large": bigger, "too_long": lambda found, _: replace(found, duration=timedelta(hours=13))}
    for code, change in cases.items():
        house.web.identify = lambda found, change=change: change(found, 10**18)  # type: ignore[misc]
        assert (await house.ended(await house.submit("1"))).error_code == code
    house.web.identify = lambda found: bigger(found, house.media.free_bytes() + 1)
    assert (await house.ended(await house.submit("1"))).error_code in {"no_space", "too_large"}
    assert house.web.fetched == []


async def test_without_free_disk_a_job_fails_before_it_starts(house: House) -> None:
    house.media.free_bytes = lambda: 0  # type: ignore[method-assign]
    ended = await house.ended(await house.submit("1"))
    assert ended.error_code == "no_space"
    assert house.web.fetched == []


async def test_the_same_idempotency_key_gives_the_same_job_and_another_body_is_refused(house: House) -> None:
    promise = Promise(caller="c", key="k", body_hash="a")
    first = (await house.downloads.submit(house.order("1"), promise))[0]
    again, is_new = await house.downloads.submit(house.order("1"), promise)
    assert (again.id, is_new) == (first.id, False)
    with pytest.raises(IdempotencyConflict):
        await house.downloads.submit(house.order("2"), replace(promise, body_hash="b"))
    together = await asyncio.gather(*(house.downloads.submit(house.order("3"), replace(promise, key="together")) for _ in range(5)))
    assert len({job.id for job, _ in together}) == 1
    house.clock.move(timedelta(hours=25))
    later, is_new = await house.downloads.submit(house.order("1"), promise)
    assert later.id != first.id
    assert is_new


async def test_within_one_download_session_a_live_twin_is_returned(house: House) -> None:
    house.web.gate = asyncio.Event()
    first = await house.submit("1")
    again, is_new = await house.downloads.submit(house.order("1", download_session_id=first.download_session_id))
    assert (again.id, is_new) == (first.id, False)
    house.web.gate.set()
    await house.completed(first)


@dataclass
class OneAtATime(NoQuota):
    """A quota with a place for one running job, and for a few jobs in all."""

    admitted: int = 0
    refunded: list[Job] = field(default_factory=list)
    most: int = 3

    async def admit(self, transaction: Transaction, job: Job) -> None:
        if self.admitted >= self.most:
            raise LimitReached
        self.admitted += 1

    async def refund(self, transaction: Transaction, job: Job) -> None:
        self.refunded.append(job)

    async def free_places(self, transaction: Transaction, payer: str) -> int | None:
        return 0 if [job for job in await transaction.jobs.live() if job.status is JobStatus.PROCESSING] else 1


async def test_the_quota_is_asked_and_a_job_without_a_place_waits_for_one(house: House) -> None:
    quota = OneAtATime()
    house.quota = quota
    await house.stop()
    await house.start()
    house.web.gate = asyncio.Event()
    jobs = [await house.submit(str(n), account_id=0) for n in range(3)]
    await house.web.reached.wait()
    await house.reached(jobs[2], lambda job: job.waits_for == "account:0")
    with pytest.raises(LimitReached):
        await house.submit("9", account_id=0)
    house.web.gate.set()
    await house.completed(*jobs)
    assert quota.refunded == []


async def test_a_client_waits_until_the_end_or_until_its_time_is_over(house: House) -> None:
    house.web.gate = asyncio.Event()
    job = await house.submit("1")
    assert (await house.downloads.wait(job.id, timedelta(0))).status.is_live
    waiting = asyncio.create_task(house.downloads.wait(job.id, timedelta(minutes=30)))
    await house.web.reached.wait()
    house.web.gate.set()
    assert (await waiting).status is JobStatus.COMPLETED
