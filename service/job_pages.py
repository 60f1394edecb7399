"""Jobs as somebody may see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from service.downloads import Downloads
from service.errors import JobNotFound
from service.forgetting import EmptiesVaults, Leavings
from service.model import DownloadSession, Job, JobFile, JobStatus
from service.opened_sessions import Viewer
from service.paging import Page, Window
from service.ports import Database, Media


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs. None takes all."""

    status: JobStatus | None = None
    media_type: str | None = None
    session: UUID | None = None
    """By the id or the folder of a session that the viewer may see."""
    also_session: UUID | None = None
    """As `session`; both must hold."""
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """All that is shown of a job. `ahead` is how many jobs wait in the queue before it; None where it does not wait there."""

    job: Job
    session: DownloadSession
    files: tuple[JobFile, ...] = ()
    ahead: int | None = None


class JobRows(Protocol):
    """Jobs with what belongs to them, in as few statements as there are tables."""

    async def get(self, job_id: UUID) -> JobState | None: ...
    async def page(self, viewer: Viewer, wanted: JobFilter, window: Window) -> Page[JobState]:
        """Newest first."""
        ...

    async def remove(self, job_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        """The job, if it has ended, with its children. Returns where bytes lie of those files that no job shows any more."""
        ...

    async def ended_since(self, viewer: Viewer, moment: datetime) -> list[Job]:
        """Only the newest when there are very many."""
        ...

    async def states(self, jobs: Sequence[Job]) -> list[JobState]: ...
    async def usual_time(self) -> timedelta | None:
        """How long the last jobs that ended well had been under way: their mean. None where none has."""
        ...


class SeenJobs:
    """Every look and every act is a viewer's: to others a job does not exist."""

    def __init__(
        self, *, rows: JobRows, database: Database, downloads: Downloads, media: Media, vaults: EmptiesVaults | None = None
    ) -> None:
        self._rows, self._downloads = rows, downloads
        self._leavings = Leavings(database=database, downloads=downloads, media=media, vaults=vaults)

    async def get(self, viewer: Viewer, job_id: UUID) -> JobState:
        """Raises `JobNotFound`."""
        state = await self.by_link(job_id)
        if not _may_see(viewer, state):
            raise JobNotFound
        return state

    async def by_link(self, job_id: UUID) -> JobState:
        """For whoever has been shown to hold a link to it. Raises `JobNotFound`."""
        state = await self._rows.get(job_id)
        if state is None:
            raise JobNotFound
        return state

    async def page(self, viewer: Viewer, wanted: JobFilter, window: Window) -> Page[JobState]:
        return await self._rows.page(viewer, wanted, window)

    async def ended_since(self, viewer: Viewer, moment: datetime) -> list[Job]:
        return await self._rows.ended_since(viewer, moment)

    async def states(self, jobs: Sequence[Job]) -> list[JobState]:
        return await self._rows.states(jobs)

    async def usual_time(self) -> timedelta | None:
        return await self._rows.usual_time()

    async def cancel(self, viewer: Viewer, job_id: UUID) -> JobState:
        """Raises `JobNotFound`, `JobNotLive`."""
        await self.get(viewer, job_id)
        await self._downloads.cancel(job_id)
        return await self.by_link(job_id)

    async def retry(self, viewer: Viewer, job_id: UUID) -> JobState:
        """Raises `JobNotFound`, `JobNotRetryable`, `Conflict`, `LimitReached`."""
        await self.get(viewer, job_id)
        await self._downloads.retry(job_id)
        return await self.by_link(job_id)

    async def delete(self, viewer: Viewer, job_id: UUID) -> JobState:
        """End it, and delete it with its files and its items; returns what it was. What another job also shows is kept for it.

        Cut short, it leaves files that belong to nothing, which the sweeper finds. Raises `JobNotFound`.
        """
        state = await self.get(viewer, job_id)
        family = [state.job, *await self._downloads.items_of(state.job)]
        await self._leavings.stop(family)
        await self._leavings.drop(family, partial(self._rows.remove, job_id))
        return state


def _may_see(viewer: Viewer, state: JobState) -> bool:
    owner = state.job.account_id
    if viewer.actor.is_superuser or (owner is not None and owner == viewer.actor.account_id):
        return True
    return state.session.opens_by_id and viewer.shown == state.session.id
