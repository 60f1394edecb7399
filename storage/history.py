"""History entries in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.history import HistoryFilter
from service.model import HistoryEntry, JobFile, Origin, Outcome
from service.paging import EXACT_UP_TO, Mark, Page, Window
from storage.fetches import insert
from storage.media_files import SqlMediaFiles
from storage.paging import LAST_ID
from storage.tables import history_entries, jobs

_SAME = [field.name for field in fields(HistoryEntry) if field.name not in {"origin", "outcome", "files"}]
"""The fields that a column of the same name holds as they are."""


class SqlHistory:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection, self._is_sqlite = connection, connection.dialect.name == "sqlite"

    async def add(self, entry: HistoryEntry) -> None:
        await self._connection.execute(
            insert(self._connection, history_entries)
            .values(
                {name: getattr(entry, name) for name in _SAME if name != "id"}
                | {
                    "origin": entry.origin.value,
                    "outcome": entry.outcome.value,
                    "files": list(entry.files),
                    "words": " ".join(filter(None, (entry.title, entry.url, entry.link_name))).casefold(),
                }
            )
            .on_conflict_do_nothing(index_elements=["job_id", "attempt"])
        )

    async def of_job(self, job_id: UUID) -> list[HistoryEntry]:
        """Oldest first."""
        return await self._many(sa.select(history_entries).where(history_entries.c.job_id == job_id).order_by(history_entries.c.id))

    async def get(self, entry_id: int) -> HistoryEntry | None:
        found = await self._many(sa.select(history_entries).where(history_entries.c.id == entry_id))
        return found[0] if found else None

    async def files_of(self, job_id: UUID) -> list[JobFile]:
        run = sa.select(jobs.c.id).where(sa.or_(jobs.c.id == job_id, jobs.c.parent_id == job_id)).order_by(jobs.c.position, jobs.c.id)
        places = {found: place for place, found in enumerate((await self._connection.execute(run)).scalars())}
        files = await SqlMediaFiles(self._connection).of_jobs(list(places)) if places else []
        return sorted(files, key=lambda file: places[file.job_id])

    async def page(self, account_id: int, *, words: Sequence[str] = (), skip: int = 0, limit: int = 10) -> tuple[list[HistoryEntry], int]:
        conditions = self._conditions(HistoryFilter(account_id=account_id, words=tuple(words)))
        count = await self._connection.execute(sa.select(sa.func.count()).select_from(history_entries).where(*conditions))
        return await self._many(_newest(conditions).offset(skip).limit(limit)), int(count.scalar_one())

    async def find(self, wanted: HistoryFilter, window: Window) -> Page[HistoryEntry]:
        """The order is that of the ids, which is that of the ends: a cursor's moment is not looked at."""
        conditions = self._conditions(wanted)
        before = min(window.after.id.int, LAST_ID) if window.after else LAST_ID
        ids = await self._ids(conditions, None if window.count_all else EXACT_UP_TO + 1)
        is_counted = window.count_all or len(ids) <= EXACT_UP_TO
        there = [id_ for id_ in ids if id_ < before][window.skip : window.skip + window.limit + 1]
        if is_counted or len(there) > window.limit:
            found = await self._many(_newest([history_entries.c.id.in_(there)])) if there else []
        else:  # the page reaches behind those that were counted
            found = await self._many(_newest([*conditions, history_entries.c.id < before]).offset(window.skip).limit(window.limit + 1))
        entries = found[: window.limit]
        following = _mark(entries[-1]) if entries and len(found) > window.limit else None
        return Page(entries=entries, count=len(ids) if is_counted else None, next=following)

    async def _ids(self, conditions: Sequence[sa.ColumnElement[bool]], limit: int | None) -> list[int]:
        """Newest first. One look at all that match tells a page and their number; as one value, since ten thousand rows would take
        longer to hand over than to find.
        """
        found = sa.select(history_entries.c.id).where(*conditions).order_by(history_entries.c.id.desc()).limit(limit).subquery()
        together = sa.func.json_group_array if self._is_sqlite else sa.func.json_agg
        return sorted((await self._connection.execute(sa.select(together(found.c.id, type_=sa.JSON)))).scalar_one() or (), reverse=True)

    async def batch(self, wanted: HistoryFilter, *, before: int | None, limit: int) -> list[HistoryEntry]:
        conditions = [*self._conditions(wanted), history_entries.c.id < (LAST_ID if before is None else before)]
        return await self._many(_newest(conditions).limit(limit))

    def _conditions(self, wanted: HistoryFilter) -> list[sa.ColumnElement[bool]]:
        columns = history_entries.c
        equal = {
            columns.account_id: wanted.account_id,
            columns.link_id: wanted.link_id,
            columns.source_id: wanted.source_id,
            columns.origin: wanted.origin.value if wanted.origin else None,
        }
        conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
        if wanted.outcomes:
            conditions.append(columns.outcome.in_([outcome.value for outcome in wanted.outcomes]))
        if wanted.since is not None:
            conditions.append(columns.ended_at >= wanted.since)
        if wanted.until is not None:
            conditions.append(columns.ended_at < wanted.until)
        # Both sides are case-folded already, so that LIKE, which folds once more and knows patterns, would only be slower.
        place_of = sa.func.instr if self._is_sqlite else sa.func.strpos
        return conditions + [place_of(columns.words, word.casefold()) > 0 for word in wanted.words]

    async def _many(self, query: sa.Select[Any]) -> list[HistoryEntry]:
        return [_entry(row) for row in await self._connection.execute(query)]


def _newest(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    return sa.select(history_entries).where(*conditions).order_by(history_entries.c.id.desc())


def _entry(row: sa.Row[Any]) -> HistoryEntry:
    return HistoryEntry(
        **{name: getattr(row, name) for name in _SAME},
        origin=Origin(row.origin),
        outcome=Outcome(row.outcome),
        files=tuple(row.files),
    )


def _mark(entry: HistoryEntry) -> Mark:
    assert entry.id is not None
    return Mark(at=entry.ended_at, id=UUID(int=entry.id))
