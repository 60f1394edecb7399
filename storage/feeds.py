"""What podcast feeds are made of, in the database."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from service.feeds import Episode
from service.model import JobFile, JobStatus
from service.ports import Vault
from service.selection import MediaType
from service.watched import Link
from storage.database import SqlDatabase
from storage.links import SqlLinks
from storage.media_files import SqlMediaFiles
from storage.sealed import Sealing
from storage.tables import accounts, job_files, jobs, link_items, links, media_files

TWICE = 2
"""So many more rows than episodes are looked at: where media came more than once, fewer are left."""


class SqlFeeds:
    """Reads on connections of its own."""

    def __init__(self, database: SqlDatabase, vault: Vault | None) -> None:
        self._database, self._vault, self._sealing = database, vault, Sealing(vault)

    async def link(self, link_id: int) -> Link | None:
        there = sa.select(accounts.c.id).where(
            accounts.c.id == links.c.account_id, accounts.c.is_active.is_(True), accounts.c.is_leaving.is_(False)
        )
        query = sa.select(links).where(links.c.id == link_id, sa.exists(there))
        async with self._database.reader.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
            return SqlLinks(connection, self._vault).link_of(row) if row else None

    async def episodes(self, link_id: int, limit: int) -> list[Episode]:
        seen = sa.func.coalesce(link_items.c.seen_at, jobs.c.created_at)
        place = sa.func.coalesce(link_items.c.position, jobs.c.position)
        query = (
            sa.select(jobs.c.id, jobs.c.url, jobs.c.ended_at, job_files.c.name, seen.label("seen_at"), place.label("place"))
            .join(job_files, job_files.c.job_id == jobs.c.id)
            .join(media_files, media_files.c.id == job_files.c.media_file_id)
            .outerjoin(link_items, sa.and_(link_items.c.job_id == jobs.c.id, link_items.c.link_id == link_id))
            .where(*_can_be_heard(link_id))
            .order_by(seen.desc(), place, jobs.c.id, job_files.c.position)
            .limit(limit * TWICE)
        )
        async with self._database.reader.connect() as connection:
            rows = (await connection.execute(query)).all()
            files = await SqlMediaFiles(connection).of_jobs(list({row.id for row in rows})) if rows else []
        by_name = {(file.job_id, file.name): file for file in files}
        found: dict[str, Episode] = {}
        for row in rows:
            file = by_name.get((row.id, row.name))
            if file is None:  # deleted between the two looks
                continue
            seen_at = row.seen_at - timedelta(seconds=row.place)
            episode = Episode(file=file, url=self._sealing.open_url(row.url), seen_at=seen_at, stored_at=row.ended_at)
            found.setdefault(episode.guid, episode)
        return list(found.values())[:limit]

    async def file(self, link_id: int, job_id: UUID, name: str) -> JobFile | None:
        query = (
            sa.select(jobs.c.id)
            .join(job_files, job_files.c.job_id == jobs.c.id)
            .join(media_files, media_files.c.id == job_files.c.media_file_id)
            .where(*_can_be_heard(link_id), jobs.c.id == job_id, job_files.c.name == name)
        )
        async with self._database.reader.connect() as connection:
            if (await connection.execute(query)).first() is None:
                return None
            files = await SqlMediaFiles(connection).of_job(job_id)
        return next((file for file in files if file.name == name), None)


def _can_be_heard(link_id: int) -> list[sa.ColumnElement[bool]]:
    return [
        jobs.c.link_id == link_id,
        jobs.c.status == JobStatus.COMPLETED.value,
        jobs.c.ended_at.is_not(None),
        media_files.c.kind == MediaType.AUDIO.value,
    ]
