"""A page of fifty of very many jobs against one of few: `python -m bench.pages DIRECTORY ANSWER [MANY]` writes JSON.

Both databases have the tables and indexes that the migrations make. A job in two is one account's, the others are spread over a
hundred accounts and callers without one, ten to a session; what is queued and running is as much in both, all the rest grows.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from service.audit import Actor
from service.job_pages import JobFilter
from service.model import JobStatus, Origin, Phase
from service.opened_sessions import Viewer
from service.paging import Mark, Window
from service.selection import Selection
from storage.database import SqlDatabase
from storage.job_pages import SqlJobPages
from storage.migrate import upgrade

FEW, MANY, PAGE, ROUNDS = 1_000, 1_000_000, 50, 7
OWNER, OTHERS = 100, 100
QUEUED, RUNNING = 200, 4
SLOW = 1000
"""Milliseconds."""

NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count)"
AT = "strftime('%Y-%m-%d %H:%M:%S.000000', 1700000000 + 20 * n, 'unixepoch')"
"""As the service writes times."""
WHOSE = f"CASE WHEN n % 2 = 0 THEN {OWNER} WHEN n % 10 = 1 THEN NULL ELSE {OWNER} + 1 + n % {OTHERS} END"
"""Of the nth session."""
STATUS = f"""CASE WHEN n >= :count - {QUEUED} THEN 'pending' WHEN n >= :count - {QUEUED + RUNNING} THEN 'processing'
    WHEN n * 31 % 20 < 15 THEN 'completed' WHEN n * 31 % 20 < 19 THEN 'failed' ELSE 'cancelled' END"""
FILL = (
    f"""{NUMBERS} INSERT INTO accounts (id, username, username_key, is_active, is_superuser, created_at)
    SELECT {OWNER} + n, 'user' || n, 'user' || n, 1, 0, {AT} FROM numbers WHERE n <= {OTHERS}""",
    f"""{NUMBERS} INSERT INTO download_sessions (id, folder, owner_id, created_by, closes_with_job, created_at, last_activity)
    SELECT lower(hex(randomblob(16))), lower(hex(randomblob(16))), {WHOSE}, '{Origin.API}', 0, at, at
    FROM (SELECT n, {AT} AS at FROM numbers WHERE n <= :count / 10)""",
    "CREATE TEMP TABLE opened AS SELECT row_number() OVER (ORDER BY rowid) - 1 AS n, id, owner_id FROM download_sessions",
    "CREATE UNIQUE INDEX temp.opened_n ON opened (n)",
    f"""{NUMBERS} INSERT INTO media_files (id, scope, extractor, media_id, selection, position, is_current, kind, extension, size, sha256,
        location, title, created_at)
    SELECT n + 1, 'public', 'generic', lower(hex(randomblob(32))), :selection, 0, 1, 'video', 'mp4', 1000000, lower(hex(randomblob(32))),
        'media/' || n, 'A title of the usual length', {AT} FROM numbers WHERE n <= :count / 10""",
    f"""{NUMBERS} INSERT INTO jobs (id, download_session_id, account_id, payer, origin, url, selection, scope, dedupe_key, refresh,
        position, status, attempt, starts, seq, phase, downloaded_bytes, total_bytes, title, error_code, error_message, created_at,
        asked_at, started_at, ended_at)
    SELECT lower(hex(randomblob(16))), opened.id, owner_id, 'account:' || owner_id, '{Origin.API}',
        'https://media.example.com/watch/' || numbers.n, :selection, 'public', lower(hex(randomblob(32))), 0, 0, status, 1,
        status != 'pending', 12, CASE status WHEN 'pending' THEN '{Phase.QUEUED}' ELSE '{Phase.STORING}' END, 1000000, 1000000,
        'A title of the usual length', CASE status WHEN 'failed' THEN 'not_found' END, CASE status WHEN 'failed' THEN 'Not found' END,
        at, at, CASE status WHEN 'pending' THEN NULL ELSE at END, CASE WHEN status IN ('pending', 'processing') THEN NULL ELSE at END
    FROM (SELECT n, {AT} AS at, {STATUS} AS status FROM numbers) AS numbers JOIN opened ON opened.n = numbers.n / 10""",
    """INSERT INTO job_files (job_id, name, position, media_file_id, path, epoch)
    SELECT id, 'clip.mp4', 0, 1 + rowid % (:count / 10), 'downloads/a/b/clip.mp4', 0 FROM jobs WHERE status = 'completed'""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Who looks, at what, and whether at the first page or at one in the middle."""

    is_superuser: bool
    status: JobStatus | None
    is_first: bool

    def __str__(self) -> str:
        who = "superuser" if self.is_superuser else "owner"
        return f"{who}, {self.status or 'all'}, {'first' if self.is_first else 'middle'}"

    @property
    def viewer(self) -> Viewer:
        return Viewer(actor=Actor(account_id=1 if self.is_superuser else OWNER, is_superuser=self.is_superuser))

    @property
    def condition(self) -> str:
        wanted = [*([] if self.is_superuser else [f"account_id = {OWNER}"]), *([f"status = '{self.status}'"] if self.status else [])]
        return " AND ".join(wanted) or "true"


def cases() -> Iterator[Case]:
    """Every list that people open, with the filters by status."""
    for is_superuser in (True, False):
        for status in (None, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PENDING):
            for is_first in (True, False):
                yield Case(is_superuser=is_superuser, status=status, is_first=is_first)


class Filled:
    """A database with so many jobs."""

    def __init__(self, file: Path, count: int) -> None:
        self._file, self._count = file, count

    async def fill(self) -> None:
        """By plain SQL, without the safety that only a crash would need."""
        await upgrade(f"sqlite:///{self._file}")
        with sqlite3.connect(self._file) as connection:
            connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = MEMORY")
            for statement in FILL:
                connection.execute(statement, {"count": self._count, "selection": Selection.of("video").key})
        connection.close()
        self._database = SqlDatabase(f"sqlite:///{self._file}")
        self.pages = SqlJobPages(self._database, None)

    async def close(self) -> None:
        await self._database.close()

    def window(self, case: Case) -> Window:
        """At the middle of all that the case is about, where a whole page still follows it."""
        if case.is_first:
            return Window(limit=PAGE)
        connection = sqlite3.connect(self._file)
        (all_,) = connection.execute(f"SELECT count(*) FROM jobs WHERE {case.condition}").fetchone()
        query = f"SELECT created_at, id FROM jobs WHERE {case.condition} ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ?"
        at, id_ = connection.execute(query, (min(all_ // 2, all_ - PAGE) - 1,)).fetchone()
        connection.close()
        return Window(limit=PAGE, after=Mark(at=datetime.fromisoformat(at).replace(tzinfo=UTC), id=UUID(id_)))

    async def page(self, case: Case, window: Window) -> float:
        """Milliseconds."""
        start = time.perf_counter()
        page = await self.pages.page(case.viewer, JobFilter(status=case.status), window)
        took = (time.perf_counter() - start) * 1e3
        assert len(page.entries) == PAGE, f"{case}: {len(page.entries)}"
        return took


async def measure(directory: Path, many: int) -> dict[str, tuple[float, float]]:
    """Of each case the median milliseconds for few and for many, in turn, after one round that does not count.

    Where a page takes seconds, one round tells enough.
    """
    few, more = Filled(directory / "few.db", FEW), Filled(directory / "many.db", many)
    await few.fill()
    await more.fill()
    found = {}
    for case in cases():
        windows = few.window(case), more.window(case)
        first = await few.page(case, windows[0]) + await more.page(case, windows[1])
        rounds = ROUNDS if first < SLOW else 1
        pairs = [(await few.page(case, windows[0]), await more.page(case, windows[1])) for _ in range(rounds)]
        found[str(case)] = statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
    await few.close()
    await more.close()
    return found


if __name__ == "__main__":
    how_many = int(sys.argv[3]) if len(sys.argv) > 3 else MANY
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(measure(Path(sys.argv[1]), how_many))))
