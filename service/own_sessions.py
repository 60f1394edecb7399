"""An account's own download sessions: looked through, and deleted one at a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from service.chat import TelegramCopy
from service.downloads import Downloads
from service.errors import DownloadSessionNotFound
from service.forgetting import Leavings
from service.model import DownloadSession, Job
from service.ports import Database, Media

log = logging.getLogger("magpie.download_sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSession:
    """A download session and what is in it. `is_in_use`: what somebody asks for in the chat goes there."""

    session: DownloadSession
    jobs: int
    files: int
    title: str | None
    is_in_use: bool


class OwnSessionRows(Protocol):
    """The rows of owned download sessions. `remove` is a transaction of its own."""

    async def page(self, account_id: int, *, skip: int, limit: int) -> tuple[list[OwnSession], int]:
        """Those with jobs, last used first, and how many there are."""
        ...

    async def get(self, account_id: int, folder: UUID) -> OwnSession | None: ...
    async def remove(self, session_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        """The session and its jobs; one in use stays, empty. Returns where bytes lie of those files that no job shows any more."""
        ...


class OwnSessions:
    """Every look-up is by the asker's account. Sessions are named by their folder: the id of some is a credential."""

    def __init__(self, *, rows: OwnSessionRows, database: Database, downloads: Downloads, media: Media) -> None:
        self._rows, self._database = rows, database
        self._leavings = Leavings(database=database, downloads=downloads, media=media)

    async def page(self, account_id: int, *, skip: int = 0, limit: int = 6) -> tuple[list[OwnSession], int]:
        return await self._rows.page(account_id, skip=skip, limit=limit)

    async def get(self, account_id: int, folder: UUID) -> OwnSession:
        """Raises `DownloadSessionNotFound`."""
        found = await self._rows.get(account_id, folder)
        if found is None:
            raise DownloadSessionNotFound
        return found

    async def in_vaults(self, account_id: int, folder: UUID) -> list[TelegramCopy]:
        """What lies in a vault chat and would be nobody's without this session: to be deleted there first."""
        session = (await self.get(account_id, folder)).session
        return await self._leavings.in_vaults(await self._leavings.files(await self._jobs(account_id, session)))

    async def delete(self, account_id: int, folder: UUID) -> None:
        """End its jobs, and delete them with their files. What another job also shows is kept for it; history is kept.

        May be called again after it was cut short. Raises `DownloadSessionNotFound`.
        """
        session = (await self.get(account_id, folder)).session
        await self._leavings.stop(await self._jobs(account_id, session))
        files = await self._leavings.files(await self._jobs(account_id, session))
        kept = await self._leavings.delete(files)
        unused = await self._rows.remove(session.id, sorted({file.media.id for file in files if file.media.id is not None}))
        await self._leavings.delete_paths(set(unused) - kept)
        log.info("download session deleted", extra={"session": str(session.folder), "files": len(files)})

    async def _jobs(self, account_id: int, session: DownloadSession) -> list[Job]:
        async with self._database.read() as transaction:
            return [job for job in await transaction.jobs.of_account(account_id) if job.download_session_id == session.id]
