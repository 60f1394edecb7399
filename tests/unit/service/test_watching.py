"""Readers of jobs' news: in order, nothing important left out, nobody held up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from service.audit import Actor
from service.events import JobEventBus
from service.media_url import MediaUrl
from service.model import Job, Origin, Phase, Progress
from service.opened_sessions import Viewer
from service.selection import Selection
from service.watching import Watched, Watching
from tests.support.fakes import FakeClock

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def a_job(account_id: int | None = None, **more: object) -> Job:
    job = Job(
        id=uuid4(),
        download_session_id=uuid4(),
        account_id=account_id,
        origin=Origin.API,
        url=MediaUrl.parse("https://example.com/a"),
        selection=Selection.of("audio"),
        created_at=NOW,
    )
    return replace(job, **more)  # type: ignore[arg-type]


def moved(job: Job, downloaded: int) -> Job:
    return job.moved(Progress(phase=Phase.DOWNLOADING, downloaded=downloaded, total=100))


def test_of_progress_only_the_newest_is_kept() -> None:
    watching, job = Watching(events := JobEventBus()), a_job().started(NOW)
    reader = watching.join(Watched(job_id=job.id))
    for downloaded in (1, 2, 3):
        job = moved(job, downloaded)
        events.publish(job)
    assert reader.take() == [job]


def test_no_change_of_status_is_left_out() -> None:
    watching, job = Watching(events := JobEventBus()), a_job()
    reader = watching.join(Watched(job_id=job.id))
    states = [job, started := job.started(NOW), moved(started, 1), done := moved(started, 2).completed(NOW, 9), done.queued_again()]
    for state in states:
        events.publish(state)
    assert [state.status for state in reader.take()] == ["pending", "processing", "completed", "pending"]


def test_old_news_are_no_news() -> None:
    watching, job = Watching(events := JobEventBus()), a_job()
    reader = watching.join(Watched(job_id=job.id))
    newer = job.started(NOW)
    for state in (newer, job):
        events.publish(state)
    assert reader.take() == [newer]


def test_a_list_is_followed_with_its_items() -> None:
    watching, parent = Watching(events := JobEventBus()), a_job()
    reader = watching.join(Watched(job_id=parent.id))
    child = a_job(parent_id=parent.id)
    events.publish(child)
    events.publish(a_job())
    assert reader.take() == [child]


def viewer(account_id: int | None = None, *, shown: UUID | None = None, is_superuser: bool = False) -> Watched:
    return Watched(viewer=Viewer(actor=Actor(account_id=account_id, is_superuser=is_superuser), shown=shown))


def test_one_hears_of_ones_own_jobs_only() -> None:
    watching = Watching(events := JobEventBus())
    mine, others, nobodys = a_job(5), a_job(6), a_job(None)
    readers = [watching.join(one) for one in (viewer(5), viewer(None, shown=nobodys.download_session_id), viewer(7, is_superuser=True))]
    for job in (mine, others, nobodys):
        events.publish(job)
    assert [reader.take() for reader in readers] == [[mine], [nobodys], [mine, others, nobodys]]


def test_whoever_showed_a_session_hears_no_more_of_it_once_it_is_claimed() -> None:
    watching, job = Watching(events := JobEventBus()), a_job()
    reader = watching.join(viewer(None, shown=job.download_session_id))
    events.publish(replace(job, account_id=5))
    assert reader.take() == []


def test_who_names_one_of_their_sessions_hears_of_that_alone() -> None:
    watching = Watching(events := JobEventBus())
    here, elsewhere = a_job(5), a_job(5)
    reader = watching.join(Watched(viewer=Viewer(actor=Actor(account_id=5), named=here.download_session_id)))
    for job in (here, elsewhere):
        events.publish(job)
    assert reader.take() == [here]


async def test_who_is_too_far_behind_is_sent_away() -> None:
    watching = Watching(events := JobEventBus())
    reader = watching.join(viewer(None, is_superuser=True), backlog=3)
    for _ in range(4):
        events.publish(a_job())
    assert not await reader.more()


async def test_a_reader_that_left_costs_nothing() -> None:
    watching, job = Watching(JobEventBus()), a_job()
    for watched in (Watched(job_id=job.id), viewer(5)):
        watching.leave(watching.join(watched))
    assert (watching.readers, watching.job_ids) == (0, [])


async def test_a_stop_sends_everybody_away_and_whoever_comes_later() -> None:
    watching, job = Watching(JobEventBus()), a_job()
    early = watching.join(Watched(job_id=job.id))
    watching.close()
    late = watching.join(viewer(5))
    assert [await early.more(), await late.more()] == [False, False]


class Elsewhere:
    """What another process does with jobs."""

    def __init__(self, job: Job) -> None:
        self.job, self.breaks = job, 1

    async def news(self, job_ids: Sequence[UUID], since: datetime | None) -> list[Job]:
        del since
        if self.breaks:
            self.breaks -= 1
            raise OSError
        return [self.job] if self.job.id in job_ids else []


async def test_news_of_other_processes_are_looked_for_also_after_the_database_was_gone() -> None:
    watching, job = Watching(JobEventBus()), a_job()
    reader = watching.join(Watched(job_id=job.id))
    following = asyncio.create_task(watching.follow(Elsewhere(job), FakeClock()))
    async with asyncio.timeout(20):
        assert await reader.more()
    following.cancel()
    assert reader.take() == [job]
