"""Who looks on while jobs change: each reader hears of its own jobs, in order, and never holds up anybody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from service.model import Job
from service.opened_sessions import Viewer
from service.ports import Clock, JobEvents

log = logging.getLogger("magpie.events")
LOOK_EVERY = 1.0
"""Seconds."""
OVERLAP = timedelta(seconds=5)
BACKLOG = 1000
"""So many changes a reader may be behind before it is cut off: it comes again, and begins with the present state."""


class NewsOfJobs(Protocol):
    """Jobs of the whole installation."""

    async def news(self, job_ids: Sequence[UUID], since: datetime | None) -> list[Job]:
        """These and their items; with a moment, also all that run or wait for something, and those that were made or ended since."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a reader wants to hear of: one job with its items, or all that a viewer may see."""

    job_id: UUID | None = None
    viewer: Viewer | None = None

    def takes(self, job: Job) -> bool:
        if self.job_id is not None:
            return self.job_id in {job.id, job.parent_id}
        assert self.viewer is not None
        actor, owner = self.viewer.actor, job.account_id
        if self.viewer.named not in {None, job.download_session_id}:
            return False
        is_shown = owner is None and job.download_session_id == self.viewer.shown
        return actor.is_superuser or is_shown or (owner is not None and owner == actor.account_id)


@dataclass(slots=True, eq=False)
class Reader:
    """What one reader has not been sent yet. Of a job's progress only the newest is kept; no change of its status is left out."""

    watched: Watched
    backlog: int = BACKLOG
    pending: list[Job] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False
    """Whether it is to be cut off: it is too far behind, or the service stops."""

    def hear(self, job: Job) -> None:
        for place in range(len(self.pending) - 1, -1, -1):
            earlier = self.pending[place]
            if earlier.id != job.id:
                continue
            if job.seq <= earlier.seq:
                return
            if earlier.status is job.status:
                self.pending[place] = job
                return
            break
        if len(self.pending) >= self.backlog:
            self.is_over = True
        else:
            self.pending.append(job)
        self.news.set()

    async def more(self) -> bool:
        """Wait for news. False when there will be none any more."""
        await self.news.wait()
        return not self.is_over

    def dismiss(self) -> None:
        """There will be no news for it any more."""
        self.is_over = True
        self.news.set()

    def take(self) -> list[Job]:
        """All that there is; nothing is left."""
        taken, self.pending = self.pending, []
        self.news.clear()
        return taken


class Watching:
    """Hands the news of jobs on to its readers."""

    def __init__(self, events: JobEvents) -> None:
        self._events = events
        self._of_job: dict[UUID, set[Reader]] = {}
        self._of_viewer: set[Reader] = set()
        self._end: Callable[[], None] | None = None
        self._is_closed = False

    @property
    def readers(self) -> int:
        """How many there are."""
        return len(self._of_viewer) + sum(map(len, self._of_job.values()))

    @property
    def job_ids(self) -> list[UUID]:
        """The jobs that readers look at one by one."""
        return list(self._of_job)

    def join(self, watched: Watched, backlog: int = BACKLOG) -> Reader:
        """From now on; `leave` ends it."""
        if self._end is None:
            self._end = self._events.subscribe(self.hear)
        reader = Reader(watched, backlog)
        if self._is_closed:
            reader.dismiss()
        if watched.job_id is not None:
            self._of_job.setdefault(watched.job_id, set()).add(reader)
        else:
            self._of_viewer.add(reader)
        return reader

    def close(self) -> None:
        """Every reader is sent away, and whoever comes later: the service stops."""
        self._is_closed = True
        self.dismiss_all()

    def dismiss_all(self) -> None:
        """Every reader is sent away. Those who come again are asked again who they are: others may have their numbers by then."""
        for reader in {*self._of_viewer, *(one for readers in self._of_job.values() for one in readers)}:
            reader.dismiss()

    def leave(self, reader: Reader) -> None:
        job_id = reader.watched.job_id
        if job_id is None:
            self._of_viewer.discard(reader)
        elif job_id in self._of_job:
            self._of_job[job_id].discard(reader)
            if not self._of_job[job_id]:
                del self._of_job[job_id]

    async def follow(self, rows: NewsOfJobs, clock: Clock) -> None:
        """What other processes do with jobs, for as long as this runs: their news do not come by themselves."""
        since = clock.now()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                since = await self._look(rows, clock, since)
            except Exception:
                # The task's outermost loop: a database that does not answer for a moment must not end it.
                log.exception("the news of jobs could not be looked at")

    async def _look(self, rows: NewsOfJobs, clock: Clock, since: datetime) -> datetime:
        now = clock.now()
        if self.readers:
            for job in await rows.news(self.job_ids, since - OVERLAP if self._of_viewer else None):
                self.hear(job)
        return now

    def hear(self, job: Job) -> None:
        """A change of a job, of this process or of another. Those that a reader knows already are no news to it."""
        named = {*self._of_job.get(job.id, ()), *(self._of_job.get(job.parent_id, ()) if job.parent_id else ())}
        for reader in named:
            reader.hear(job)
        for reader in self._of_viewer:
            if reader.watched.takes(job):
                reader.hear(job)
