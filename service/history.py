"""What became of what somebody asked for: an entry a run, theirs alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from service.audit import Actor
from service.errors import HistoryEntryNotFound, JobNotFound
from service.model import DownloadSession, HistoryEntry, Job, JobFile, Origin, Outcome
from service.paging import Page, Window
from service.ports import Database

NOT_WELL = frozenset({Outcome.PARTIAL, Outcome.FAILURE})
A_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which entries. None and nothing take all; of the times, `since` belongs to what is taken and `until` does not."""

    account_id: int | None = None
    link_id: int | None = None
    source_id: UUID | None = None
    outcomes: frozenset[Outcome] = frozenset()
    origin: Origin | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()
    """Each of which occurs in the title, the address or the link's name, whatever the case."""

    def seen_by(self, actor: Actor) -> HistoryFilter | None:
        """What of it this one may see; None where that is nothing."""
        if actor.is_superuser:
            return self
        if actor.account_id is None or self.account_id not in {None, actor.account_id}:
            return None
        return replace(self, account_id=actor.account_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Newest first. `count` is of all that match, `skip` how many are newer than these."""

    entries: tuple[HistoryEntry, ...]
    count: int
    skip: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryState:
    """An entry, and those of its files that are still there."""

    entry: HistoryEntry
    session: DownloadSession | None = None
    files: tuple[JobFile, ...] = ()


class Histories:
    """Every look is somebody's: to others an entry does not exist."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- one account's, as the chat shows it ------------------------------------------------------------------------

    async def page(
        self, account_id: int, *, words: Sequence[str] = (), only_failed: bool = False, skip: int = 0, limit: int = 8
    ) -> HistoryPage:
        """`only_failed`: those of which something did not come."""
        wanted = HistoryFilter(account_id=account_id, words=tuple(words), outcomes=NOT_WELL if only_failed else frozenset())
        async with self._database.read() as transaction:
            found = await transaction.history.find(wanted, Window(skip=skip, limit=limit, count_all=True))
        return HistoryPage(entries=tuple(found.entries), count=found.count or 0, skip=skip, words=tuple(words))

    async def entry(self, account_id: int, entry_id: int) -> tuple[HistoryEntry, Job | None, list[JobFile]]:
        """With its job and files, as far as they are still there. Raises `JobNotFound` for another account's."""
        async with self._database.read() as transaction:
            entry = await transaction.history.get(entry_id)
            if entry is None or entry.account_id != account_id:
                raise JobNotFound
            return entry, await transaction.jobs.get(entry.job_id), await transaction.history.files_of(entry.job_id)

    # --- as the API shows it ----------------------------------------------------------------------------------------

    async def find(self, actor: Actor, wanted: HistoryFilter, window: Window) -> Page[HistoryEntry]:
        """Newest first: one's own, and everybody's for superusers."""
        seen = wanted.seen_by(actor)
        if seen is None:
            return Page(entries=[], count=0, next=None)
        async with self._database.read() as transaction:
            return await transaction.history.find(seen, window)

    async def get(self, actor: Actor, entry_id: int) -> EntryState:
        """Raises `HistoryEntryNotFound`."""
        async with self._database.read() as transaction:
            entry = await transaction.history.get(entry_id)
            if entry is None or not (actor.is_superuser or (entry.account_id is not None and entry.account_id == actor.account_id)):
                raise HistoryEntryNotFound
            session = await transaction.download_sessions.get(entry.download_session_id)
            # What came of a later try of the same job has an entry of its own.
            files = [file for file in await transaction.history.files_of(entry.job_id) if file.name in entry.files]
        return EntryState(entry=entry, session=session, files=tuple(files) if session else ())

    async def export(self, actor: Actor, wanted: HistoryFilter) -> AsyncIterator[list[HistoryEntry]]:
        """All of them, newest first, some at a time: however many there are, few are in memory. What ends meanwhile is not among them."""
        seen, before = wanted.seen_by(actor), None
        while seen is not None:
            async with self._database.read() as transaction:
                batch = await transaction.history.batch(seen, before=before, limit=A_BATCH)
            if batch:
                yield batch
            if len(batch) < A_BATCH:
                return
            before = batch[-1].id
