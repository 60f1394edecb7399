"""Stored media and the files that jobs show, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.media_url import MediaUrl
from service.model import JobFile, MediaFile, MediaKey, Validators
from service.selection import MediaType, Selection
from storage.fetches import insert, key_columns, key_of, under
from storage.tables import download_sessions, job_files, jobs, media_files, media_urls

AT_ONCE = 500
_MILLISECOND = timedelta(milliseconds=1)


class SqlMediaFiles:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def under(self, key: MediaKey) -> list[MediaFile]:
        found = await self._connection.execute(
            sa.select(media_files).where(*under(media_files, key), media_files.c.is_current).order_by(media_files.c.position)
        )
        return [_media_file(row) for row in found]

    async def fetched_before(self, urls: Sequence[MediaUrl]) -> set[str]:
        known: set[str] = set()
        for start in range(0, len(urls), AT_ONCE):
            digests = [url.digest for url in urls[start : start + AT_ONCE]]
            among = media_urls.c.url_digest == digests[0] if len(digests) == 1 else media_urls.c.url_digest.in_(digests)
            known |= set((await self._connection.execute(sa.select(media_urls.c.url_digest).where(among))).scalars())
        return known

    async def key_of(self, url: MediaUrl, scope: str, selection: Selection) -> MediaKey | None:
        found = await self._connection.execute(
            sa.select(media_urls.c.extractor, media_urls.c.media_id).where(
                media_urls.c.url_digest == url.digest, media_urls.c.scope == scope
            )
        )
        row = found.one_or_none()
        return MediaKey(scope=scope, extractor=row.extractor, id=row.media_id, selection=selection.key) if row else None

    async def remember(self, url: MediaUrl, key: MediaKey) -> None:
        where_it_leads = {"extractor": key.extractor, "media_id": key.id}
        await self._connection.execute(
            insert(self._connection, media_urls)
            .values(url_digest=url.digest, scope=key.scope, **where_it_leads)
            .on_conflict_do_update(index_elements=["url_digest", "scope"], set_=where_it_leads)
        )

    async def replace(self, key: MediaKey, files: Sequence[MediaFile]) -> list[MediaFile]:
        """Files that jobs still show stay, no longer current; rows that nothing shows go."""
        await self._connection.execute(
            sa.update(media_files).where(*under(media_files, key), media_files.c.is_current).values(is_current=False)
        )
        shown = sa.exists().where(job_files.c.media_file_id == media_files.c.id)
        await self._connection.execute(sa.delete(media_files).where(*under(media_files, key), ~media_files.c.is_current, ~shown))
        stored = []
        for file in files:
            added = await self._connection.execute(sa.insert(media_files).values(**_values(file)).returning(media_files))
            stored.append(_media_file(added.one()))
        return stored

    async def attach(self, files: Sequence[JobFile]) -> None:
        """Make these the job's files: attaching again changes nothing."""
        for position, file in enumerate(files):
            values = {"position": position, "media_file_id": file.media.id, "path": file.path, "epoch": file.epoch}
            await self._connection.execute(
                insert(self._connection, job_files)
                .values(job_id=file.job_id, name=file.name, **values)
                .on_conflict_do_update(index_elements=["job_id", "name"], set_=values)
            )

    async def of_job(self, job_id: UUID) -> list[JobFile]:
        return await self._shown(job_files.c.job_id == job_id)

    async def of_jobs(self, job_ids: Sequence[UUID]) -> list[JobFile]:
        return await self._shown(job_files.c.job_id == job_ids[0] if len(job_ids) == 1 else job_files.c.job_id.in_(job_ids))

    async def shown_by(self, media_file_id: int) -> list[JobFile]:
        return await self._shown(job_files.c.media_file_id == media_file_id)

    async def had_by(self, account_id: int, extractor: str, media_id: str) -> set[str]:
        found = await self._connection.execute(
            sa.select(media_files.c.selection)
            .distinct()
            .join(job_files, job_files.c.media_file_id == media_files.c.id)
            .join(jobs, jobs.c.id == job_files.c.job_id)
            .where(media_files.c.extractor == extractor, media_files.c.media_id == media_id, jobs.c.account_id == account_id)
        )
        return {row.selection for row in found}

    async def relocate(self, media_file_id: int, location: str) -> None:
        await self._connection.execute(sa.update(media_files).where(media_files.c.id == media_file_id).values(location=location))

    async def forget_addresses(self, scopes: Sequence[str]) -> None:
        await self._connection.execute(sa.delete(media_urls).where(media_urls.c.scope.in_(scopes)))

    async def drop_unused(self, media_file_ids: Sequence[int]) -> list[str]:
        named = media_files.c.id.in_(media_file_ids)
        # On PostgreSQL somebody may be about to show one of them: this waits for that, and the next statement sees it.
        await self._connection.execute(sa.select(media_files.c.id).where(named).order_by(media_files.c.id).with_for_update())
        shown = sa.exists().where(job_files.c.media_file_id == media_files.c.id)
        gone = await self._connection.execute(sa.delete(media_files).where(named, ~shown).returning(media_files.c.location))
        return [row.location for row in gone]

    async def shown_as(self, folder: UUID, job_id: UUID, name: str) -> JobFile | None:
        found = await self._shown(job_files.c.job_id == job_id, job_files.c.name == name, download_sessions.c.folder == folder)
        return found[0] if found else None

    async def _shown(self, *conditions: sa.ColumnElement[bool]) -> list[JobFile]:
        query = (
            sa.select(media_files, job_files.c.job_id, job_files.c.name, job_files.c.path, job_files.c.epoch)
            .join(job_files, job_files.c.media_file_id == media_files.c.id)
            .join(jobs, jobs.c.id == job_files.c.job_id)
            .join(download_sessions, download_sessions.c.id == jobs.c.download_session_id)
            .where(*conditions)
            .order_by(jobs.c.created_at, job_files.c.position)
        )
        return [
            JobFile(job_id=row.job_id, media=_media_file(row), name=row.name, path=row.path, epoch=row.epoch)
            for row in await self._connection.execute(query)
        ]


def _values(file: MediaFile) -> dict[str, Any]:
    known = file.validators or Validators()
    return {
        **key_columns(file.key),
        "position": file.position,
        "is_current": True,
        "kind": file.kind.value,
        "extension": file.extension,
        "size": file.size,
        "sha256": file.sha256,
        "location": file.location,
        "title": file.title,
        "artist": file.artist,
        "duration_ms": None if file.duration is None else file.duration // _MILLISECOND,
        "width": file.width,
        "height": file.height,
        "etag": known.etag,
        "last_modified": known.last_modified,
        "length": known.length,
        "created_at": file.created_at,
    }


def _media_file(row: Any) -> MediaFile:
    has_validators = row.etag or row.last_modified or row.length is not None
    return MediaFile(
        id=row.id,
        key=key_of(row),
        position=row.position,
        kind=MediaType(row.kind),
        extension=row.extension,
        size=row.size,
        sha256=row.sha256,
        location=row.location,
        title=row.title,
        artist=row.artist,
        duration=None if row.duration_ms is None else timedelta(milliseconds=row.duration_ms),
        width=row.width,
        height=row.height,
        validators=Validators(etag=row.etag, last_modified=row.last_modified, length=row.length) if has_validators else None,
        created_at=row.created_at,
    )
