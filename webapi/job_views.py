"""A job as the outside sees it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field

from service.errors import fetch_failure
from service.job_pages import JobState
from service.model import DownloadSession, Job, JobFile, JobStatus
from service.opened_sessions import Viewer
from webapi.addresses import Addresses


class FileView(BaseModel):
    """A finished file. `path` is relative to the media root; `url` opens it for a while."""

    name: str
    kind: str
    size: int
    path: str
    url: str


class JobView(BaseModel):
    """A job. Sizes in bytes, `speed` in bytes a second, `eta` and `estimated_wait` in seconds."""

    job_uuid: UUID
    session_uuid: UUID
    parent_uuid: UUID | None = Field(description="The job of the list that this one is an item of")
    job_url: str
    media_type: str
    quality: str
    output_format: str
    status: str
    phase: str
    seq: int = Field(description="Rises with every change")
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    title: str | None
    artist: str | None
    progress_percent: float | None
    downloaded_bytes: int | None
    total_bytes: int | None
    items_done: int | None = Field(description="Of a list")
    items_total: int | None = Field(description="Of a list")
    speed: float | None
    eta: float | None
    queue_position: int | None
    estimated_wait: float | None
    error_message: str | None
    code: str | None
    advice: str | None
    output_path: str | None
    file_size_bytes: int | None
    download_url: str | None
    events_url: str
    files: list[FileView]


class PathsView(BaseModel):
    """Where a job's files are, relative to the media root."""

    job_uuid: UUID
    output_path: str | None
    files: list[FileView]


class JobViews:
    """`width` is how many downloads run at once."""

    def __init__(self, addresses: Addresses, *, width: int) -> None:
        self._addresses, self._width = addresses, width

    def of(self, request: web.Request, state: JobState, viewer: Viewer | None, *, usual: timedelta | None = None) -> JobView:
        """`usual` is how long a download takes."""
        job, running, is_list = state.job, state.job.status is JobStatus.PROCESSING, state.job.is_list
        files = self.files(request, state)
        return JobView(
            job_uuid=job.id,
            session_uuid=session_name(state.session, viewer),
            parent_uuid=job.parent_id,
            job_url=job.url.shown,
            media_type=job.selection.media_type,
            quality=job.selection.quality,
            output_format=job.selection.format,
            status=job.status,
            phase=phase_of(job),
            seq=job.seq,
            created_at=job.created_at,
            started_at=job.started_at,
            completed_at=job.ended_at,
            title=job.title,
            artist=job.artist,
            progress_percent=job.progress.percent,
            downloaded_bytes=None if is_list else job.progress.downloaded,
            total_bytes=None if is_list else job.progress.total,
            items_done=job.progress.downloaded if is_list else None,
            items_total=job.progress.total if is_list else None,
            speed=job.progress.speed if running else None,
            eta=job.progress.eta if running else None,
            queue_position=None if state.ahead is None else state.ahead + 1,
            estimated_wait=self._wait(state.ahead, usual),
            error_message=job.error_message,
            code=job.error_code,
            advice=fetch_failure(job.error_code).advice if job.error_code else None,
            output_path=files[0].path if files else None,
            file_size_bytes=sum(file.size for file in files) if files else None,
            download_url=files[0].url if files else None,
            events_url=self._addresses.events(request, job.id),
            files=files,
        )

    def paths(self, request: web.Request, state: JobState) -> PathsView:
        files = self.files(request, state)
        return PathsView(job_uuid=state.job.id, output_path=files[0].path if files else None, files=files)

    def files(self, request: web.Request, state: JobState) -> list[FileView]:
        return [_file(file, self._addresses.media(request, state.session, file)) for file in state.files]

    def _wait(self, ahead: int | None, usual: timedelta | None) -> float | None:
        """As long as those before it take, so many at once as there are places."""
        if ahead is None or usual is None:
            return None
        return round(ahead / self._width * usual.total_seconds(), 1)


def session_name(session: DownloadSession, viewer: Viewer | None) -> UUID:
    """The id for whoever names it so, or owns it; else the folder: the id of some is a credential."""
    is_known = viewer is not None and viewer.shown == session.id
    is_own = viewer is not None and session.owner_id is not None and session.owner_id == viewer.actor.account_id
    return session.id if is_known or is_own else session.folder


def phase_of(job: Job) -> str:
    return job.progress.phase if job.status.is_live else job.status


def _file(file: JobFile, url: str) -> FileView:
    return FileView(name=file.name, kind=file.media.kind.folder, size=file.media.size, path=file.path, url=url)
