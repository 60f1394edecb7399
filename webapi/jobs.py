"""`/api/jobs/…`: how a job is doing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from service.downloads import Downloads
from service.errors import JobNotFound, LinkExpired, LinkInvalid, fetch_failure
from service.model import DownloadSession, Job, JobFile, JobStatus
from service.signed_links import STATUS, SignedLinks
from webapi.addresses import Addresses, status_path
from webapi.auth import Caller, CallerKind
from webapi.contract import OWNERS, Api
from webapi.parameters import Query
from webapi.problems import not_authenticated


class FileView(BaseModel):
    """A finished file. `path` is relative to the media root; `url` opens it for a while."""

    name: str
    kind: str
    size: int
    path: str
    url: str


class JobView(BaseModel):
    """A job. Sizes in bytes, `speed` in bytes a second, `eta` in seconds."""

    job_uuid: UUID
    session_uuid: UUID
    job_url: str
    media_type: str
    quality: str
    output_format: str
    status: str
    phase: str
    seq: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    title: str | None
    artist: str | None
    progress_percent: float | None
    downloaded_bytes: int | None
    total_bytes: int | None
    speed: float | None
    eta: float | None
    queue_position: int | None
    error_message: str | None
    code: str | None
    advice: str | None
    output_path: str | None
    file_size_bytes: int | None
    download_url: str | None
    files: list[FileView]


def add_jobs(api: Api, *, downloads: Downloads, addresses: Addresses, links: SignedLinks) -> None:
    """Register the endpoints."""

    @api.route(
        "GET",
        "/api/jobs/{job_id}",
        access=replace(OWNERS, signed=True),
        tags=["Jobs"],
        faults=[JobNotFound, LinkInvalid, LinkExpired],
    )
    async def get_job(
        request: web.Request,
        caller: Caller,
        job_id: str,
        expiry: Annotated[str | None, Query("e")] = None,
        signature: Annotated[str | None, Query("s")] = None,
    ) -> JobView:
        """How a job is doing, and its files once it is completed.

        For the caller whom it belongs to, or by the signed `status_url`.
        """
        known = _uuid(job_id)
        if expiry is not None or signature is not None:
            links.check(status_path(known), purpose=STATUS, expiry=expiry or "", signature=signature or "")
            return await view(request, downloads, addresses, await downloads.get(known))
        if caller.kind is CallerKind.ANONYMOUS:
            raise not_authenticated()
        job = await downloads.get(known)
        if not caller.owns(job.account_id):
            raise JobNotFound
        return await view(request, downloads, addresses, job)


async def view(request: web.Request, downloads: Downloads, addresses: Addresses, job: Job) -> JobView:
    """The job as the outside sees it, with links that are signed anew."""
    session = await downloads.session_of(job)
    files = await downloads.files(job) if job.status is JobStatus.COMPLETED else []
    queued = job.status is JobStatus.PENDING and job.waits_for is None
    shown = [_file(file, addresses.media(request, session, file)) for file in files]
    return _view(job, session, shown, await downloads.ahead_of(job) + 1 if queued else None)


def _file(file: JobFile, url: str) -> FileView:
    return FileView(name=file.name, kind=file.media.kind.folder, size=file.media.size, path=file.path, url=url)


def _view(job: Job, session: DownloadSession, shown: list[FileView], queue_position: int | None) -> JobView:
    running = job.status is JobStatus.PROCESSING
    return JobView(
        job_uuid=job.id,
        session_uuid=session.folder,
        job_url=job.url.shown,
        media_type=job.selection.media_type,
        quality=job.selection.quality,
        output_format=job.selection.format,
        status=job.status,
        phase=job.progress.phase if job.status.is_live else job.status,
        seq=job.seq,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.ended_at,
        title=job.title,
        artist=job.artist,
        progress_percent=job.progress.percent,
        downloaded_bytes=job.progress.downloaded,
        total_bytes=job.progress.total,
        speed=job.progress.speed if running else None,
        eta=job.progress.eta if running else None,
        queue_position=queue_position,
        error_message=job.error_message,
        code=job.error_code,
        advice=fetch_failure(job.error_code).advice if job.error_code else None,
        output_path=shown[0].path if shown else None,
        file_size_bytes=sum(file.size for file in shown) if shown else None,
        download_url=shown[0].url if shown else None,
        files=shown,
    )


def _uuid(text: str) -> UUID:
    """Any string may stand in the path: what is no id belongs to no job."""
    try:
        return UUID(text)
    except ValueError:
        raise JobNotFound from None
