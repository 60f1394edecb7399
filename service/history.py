"""What somebody had: theirs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import JobNotFound
from service.model import HistoryEntry, Job, JobFile
from service.ports import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Newest first. `count` is of all that match, `skip` how many are newer than these."""

    entries: tuple[HistoryEntry, ...]
    count: int
    skip: int
    words: tuple[str, ...] = ()


class Histories:
    """Reads the history of one account at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, account_id: int, *, words: Sequence[str] = (), skip: int = 0, limit: int = 8) -> HistoryPage:
        """Those in whose title or address every word occurs."""
        async with self._database.read() as transaction:
            entries, count = await transaction.history.page(account_id, words=words, skip=skip, limit=limit)
        return HistoryPage(entries=tuple(entries), count=count, skip=skip, words=tuple(words))

    async def entry(self, account_id: int, entry_id: int) -> tuple[HistoryEntry, Job | None, list[JobFile]]:
        """With its job and files, as far as they are still there. Raises `JobNotFound` for another account's."""
        async with self._database.read() as transaction:
            entry = await transaction.history.get(entry_id)
            if entry is None or entry.account_id != account_id:
                raise JobNotFound
            job = await transaction.jobs.get(entry.job_id)
            children = await transaction.jobs.children_of(entry.job_id)
            jobs = children or ([job] if job else [])
            files = [file for one in jobs for file in await transaction.media_files.of_job(one.id)]
        return entry, job, files
