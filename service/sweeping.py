"""Keeping house: what has expired, what belongs to nothing, and what nobody needs any more, goes.

Everything may be cut short and done again, and runs beside jobs: what is young is left alone, since it may be on its way.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from service.downloads import IDEMPOTENCY_LIFE, Downloads
from service.errors import Unavailable
from service.forgetting import EmptiesVaults, Leavings
from service.model import Account, Job
from service.opened_sessions import LIFE
from service.ports import Clock, Database, Media

log = logging.getLogger("magpie.sweeping")
GRACE = timedelta(hours=1)
"""Beyond its life: another process may not have written down yet that a session was used."""
YOUNG = timedelta(hours=1)
"""A file or a directory of this age may still get its row."""
ENGINE_ROWS = timedelta(days=7)
_ALL_DAYS = 365_000
AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What went, or would go. `stored_bytes` counts orphaned files only: of the others somebody else may have the bytes."""

    sessions: int = 0
    jobs: int = 0
    orphaned_files: int = 0
    stored_bytes: int = 0
    work_directories: int = 0
    engine_rows: int = 0
    other_rows: int = 0

    @property
    def is_nothing(self) -> bool:
        return not any(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as the store has it. `since`: when it came to its place."""

    path: str
    size: int
    since: datetime


class SweepRows(Protocol):
    """What the sweeper looks for in the database. Every `remove…` is a transaction of its own."""

    async def expired_sessions(self, used_before: datetime) -> list[UUID]:
        """Anonymous ones without a job that is under way."""
        ...

    async def empty_sessions(self, closed_before: datetime) -> list[UUID]:
        """Those that closed with their job, and have none any more."""
        ...

    async def owners_of_jobs(self, ended_before: datetime) -> list[Account]: ...
    async def jobs_of(self, account_id: int, ended_before: datetime) -> list[Job]:
        """Ended, without a parent, oldest first; at most `AT_ONCE`."""
        ...

    async def jobs_in(self, session_id: UUID) -> list[Job]: ...
    async def items_of(self, job_id: UUID) -> list[Job]: ...
    async def known_paths(self, paths: Sequence[str]) -> set[str]: ...
    async def live_jobs(self) -> set[UUID]: ...
    async def remove_session(self, session_id: UUID, media_file_ids: Sequence[int]) -> list[str]: ...
    async def remove_expired(self, session_id: UUID, used_before: datetime, media_file_ids: Sequence[int]) -> list[str]:
        """Only if it is nobody's and was not used since; else nothing happens."""
        ...

    async def remove_job(self, job_id: UUID, media_file_ids: Sequence[int]) -> list[str]: ...
    async def remove_old_rows(self, now: datetime, idempotency: datetime, *, dry_run: bool) -> int:
        """Codes, charges, keys of requests: what has expired. Returns how many."""
        ...


class StoredFiles(Protocol):
    """Every file of the media store."""

    def stored(self) -> AsyncIterator[StoredFile]: ...
    def work(self) -> AsyncIterator[tuple[UUID, datetime]]:
        """Work directories and when they were last changed."""
        ...


class EngineRows(Protocol):
    """What the engine keeps of jobs that ended."""

    async def ended(self, before: datetime) -> list[str]: ...
    async def remove(self, ids: Sequence[str]) -> None: ...


class Sweeper:
    """`engine` is None in a process that cannot look into it."""

    def __init__(
        self,
        *,
        rows: SweepRows,
        files: StoredFiles,
        engine: EngineRows | None,
        database: Database,
        downloads: Downloads,
        media: Media,
        clock: Clock,
        vaults: EmptiesVaults | None = None,
        keeps_files: Callable[[], bool] = lambda: False,
    ) -> None:
        """`keeps_files`: while what an import replaced is kept, its files are too."""
        self._rows, self._files, self._engine, self._media, self._clock = rows, files, engine, media, clock
        self._keeps_files = keeps_files
        self._leavings = Leavings(database=database, downloads=downloads, media=media, vaults=vaults)

    async def sweep(self, *, dry_run: bool = False) -> Swept:
        """With `dry_run` nothing is changed."""
        now = self._clock.now()
        sessions, jobs = await self._sessions(now, dry_run=dry_run)
        jobs += await self._old_jobs(now, dry_run=dry_run)
        orphans, size = await self._orphans(now, dry_run=dry_run)
        swept = Swept(
            sessions=sessions,
            jobs=jobs,
            orphaned_files=orphans,
            stored_bytes=size,
            work_directories=await self._work(now, dry_run=dry_run),
            engine_rows=await self._engine_rows(now, dry_run=dry_run),
            other_rows=await self._rows.remove_old_rows(now, now - IDEMPOTENCY_LIFE, dry_run=dry_run),
        )
        if not (dry_run or swept.is_nothing):
            log.info("swept", extra={field.name: getattr(swept, field.name) for field in fields(swept)})
        return swept

    async def _sessions(self, now: datetime, *, dry_run: bool) -> tuple[int, int]:
        sessions, count = 0, 0
        for session_id in await self._rows.expired_sessions(now - LIFE - GRACE):
            jobs = await self._rows.jobs_in(session_id)
            if dry_run or await self._drop_jobs(jobs, partial(self._rows.remove_expired, session_id, now - LIFE - GRACE)):
                sessions, count = sessions + 1, count + len(jobs)
        empty = await self._rows.empty_sessions(now - YOUNG)
        for session_id in () if dry_run else empty:
            await self._rows.remove_session(session_id, [])
        return sessions + len(empty), count

    async def _old_jobs(self, now: datetime, *, dry_run: bool) -> int:
        """Of each account what is older than it may keep things. Its history stays."""
        count = 0
        for account in await self._rows.owners_of_jobs(now - timedelta(days=1)):
            days = account.allowance.retention_days
            if days is None:
                continue
            for job in await self._rows.jobs_of(account.id, now - timedelta(days=min(days, _ALL_DAYS))):
                if dry_run or await self._delete(job):
                    count += 1
        return count

    async def _delete(self, job: Job) -> bool:
        family = [job, *await self._rows.items_of(job.id)]
        return await self._drop_jobs(family, partial(self._rows.remove_job, job.id))

    async def _drop_jobs(self, jobs: Sequence[Job], remove: Callable[[Sequence[int]], Awaitable[list[str]]]) -> bool:
        """False when they cannot go just now: they are left to the next time."""
        try:
            await self._leavings.drop(jobs, remove)
        except Unavailable as later:
            log.warning("some old files stay for now: %s", later.message)
            return False
        except OSError:  # their rows are gone by now: the next time they are files that belong to nothing
            log.exception("some old files could not be deleted")
        return True

    async def _orphans(self, now: datetime, *, dry_run: bool) -> tuple[int, int]:
        """Files that no row knows, and that no job is about to write down."""
        count, size = 0, 0
        if self._keeps_files():
            return count, size
        live = await self._rows.live_jobs()
        some: list[StoredFile] = []
        async for file in self._files.stored():
            if file.since < now - YOUNG and _job_in(file.path) not in live:
                some.append(file)
            if len(some) >= AT_ONCE:
                count, size = await self._drop(some, count, size, dry_run=dry_run)
                some = []
        return await self._drop(some, count, size, dry_run=dry_run)

    async def _drop(self, files: Sequence[StoredFile], count: int, size: int, *, dry_run: bool) -> tuple[int, int]:
        known = await self._rows.known_paths([file.path for file in files])
        for file in files:
            if file.path in known:
                continue
            count, size = count + 1, size + file.size
            if not dry_run:
                log.info("a file that belongs to nothing goes", extra={"path": file.path})
                await self._media.delete(file.path)
        return count, size

    async def _work(self, now: datetime, *, dry_run: bool) -> int:
        count = 0
        live = await self._rows.live_jobs()
        async for job_id, changed in self._files.work():
            if job_id in live or changed >= now - YOUNG:
                continue
            count += 1
            if not dry_run:
                self._media.discard_work(job_id)
        return count

    async def _engine_rows(self, now: datetime, *, dry_run: bool) -> int:
        if self._engine is None:
            return 0
        ids = await self._engine.ended(now - ENGINE_ROWS)
        if ids and not dry_run:
            await self._engine.remove(ids)
        return len(ids)


def _job_in(path: str) -> UUID | None:
    """Of `downloads/{folder}/{job}/{kind}/{file}`."""
    parts = path.split("/")
    try:
        return UUID(parts[2])
    except (IndexError, ValueError):
        return None
