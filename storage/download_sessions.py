"""Download sessions in the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import DownloadSession, Origin
from storage.tables import download_sessions


class SqlDownloadSessions:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, session: DownloadSession) -> None:
        await self._connection.execute(sa.insert(download_sessions).values(**asdict(session)))

    async def get(self, session_id: UUID) -> DownloadSession | None:
        row = (await self._connection.execute(sa.select(download_sessions).where(download_sessions.c.id == session_id))).one_or_none()
        if row is None:
            return None
        return DownloadSession(**{**row._mapping, "created_by": Origin(row.created_by)})  # noqa: SLF001 - SQLAlchemy's public name

    async def close(self, session_id: UUID, now: datetime) -> None:
        """Closing a closed one keeps its time."""
        await self._connection.execute(
            sa.update(download_sessions)
            .where(download_sessions.c.id == session_id, download_sessions.c.closed_at.is_(None))
            .values(closed_at=now, last_activity=now)
        )
