"""What `GET /api/jobs/{id}` is compared with: a bare handler with the same reads through the same engine, and the same JSON.

`python -m bench.bare_job DATABASE PORT`. Nobody is asked who they are, nothing is checked or logged, and the signatures are
fixed texts of the right length.
"""

from __future__ import annotations

import gc
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from aiohttp import web

from storage.database import SqlDatabase
from storage.tables import download_sessions, job_files, jobs, media_files

SIGNED = f"?e=1900000000&s={'x' * 43}"
FILES = (
    sa.select(media_files, job_files.c.job_id, job_files.c.name, job_files.c.path, job_files.c.epoch)
    .join(job_files, job_files.c.media_file_id == media_files.c.id)
    .join(jobs, jobs.c.id == job_files.c.job_id)
    .join(download_sessions, download_sessions.c.id == jobs.c.download_session_id)
    .order_by(jobs.c.created_at, job_files.c.position)
)


class Bare:
    def __init__(self, url: str) -> None:
        self._database = SqlDatabase(url)

    async def job(self, request: web.Request) -> web.Response:
        base = f"http://{request.headers['Host']}"
        async with self._database.reader.connect() as connection:
            job = (await connection.execute(sa.select(jobs).where(jobs.c.id == UUID(request.match_info["job_id"])))).one()
            sessions = sa.select(download_sessions).where(download_sessions.c.id.in_([job.download_session_id]))
            session = (await connection.execute(sessions)).one()
            of_job = FILES.where(job_files.c.job_id.in_([job.id]))
            files = [_file(base, session, row) for row in await connection.execute(of_job)] if job.status == "completed" else []
        return web.json_response(_job(base, session, job, files))


def _job(base: str, session: sa.Row[Any], job: sa.Row[Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    media_type, output_format, quality = job.selection.split(":")[:3]
    running = job.status == "processing"
    return {
        "job_uuid": str(job.id),
        "session_uuid": str(session.folder),
        "parent_uuid": None,
        "job_url": job.url,
        "media_type": media_type,
        "quality": quality,
        "output_format": output_format,
        "status": job.status,
        "phase": job.phase if running else job.status,
        "seq": job.seq,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "completed_at": _time(job.ended_at),
        "title": job.title,
        "artist": job.artist,
        "progress_percent": _percent(job),
        "downloaded_bytes": job.downloaded_bytes,
        "total_bytes": job.total_bytes,
        "items_done": None,
        "items_total": None,
        "speed": job.speed if running else None,
        "eta": job.eta if running else None,
        "queue_position": None,
        "estimated_wait": None,
        "error_message": job.error_message,
        "code": job.error_code,
        "advice": None,
        "output_path": files[0]["path"] if files else None,
        "file_size_bytes": sum(file["size"] for file in files) if files else None,
        "download_url": files[0]["url"] if files else None,
        "events_url": f"{base}/api/jobs/{job.id}/events{SIGNED}",
        "files": files,
    }


def _file(base: str, session: sa.Row[Any], row: sa.Row[Any]) -> dict[str, Any]:
    url = f"{base}/media/downloads/{session.folder}/{row.job_id}/{row.name}{SIGNED}"
    return {"name": row.name, "kind": row.kind, "size": row.size, "path": row.path, "url": url}


def _percent(job: sa.Row[Any]) -> float | None:
    return round(100 * job.downloaded_bytes / job.total_bytes, 1) if job.total_bytes else None


def _time(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


async def _settle(_: web.Application) -> None:
    """As the service does when it has started."""
    gc.collect()
    gc.freeze()


def main(url: str, port: str) -> None:
    app = web.Application()
    app.router.add_get("/api/jobs/{job_id}", Bare(url).job)
    app.on_startup.append(_settle)
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
