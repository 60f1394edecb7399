"""How fast a database goes out into a file and in again: rows a second, on SQLite, as the command line does it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.audit import NOBODY
from service.backup import Backups, Importer
from storage.backup import BACKUPS, SqlBackups
from storage.database import SqlDatabase
from storage.media import DiskMedia
from storage.migrate import upgrade
from storage.vault import MultiFernetVault
from tests.support.backups import Standstill
from tests.support.house import RealIds

ROWS, KINDS = 200_000, 8
NOW, SELECTION = "2026-11-21 22:00:00.123456", "video:mp4:best"


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


SESSION, JOB = uuid.uuid4().hex, uuid.uuid4().hex
FOLDER = f"downloads/{SESSION}/{JOB}/video"
FIRST: dict[str, dict[str, Any]] = {
    "download_sessions": {
        "id": SESSION, "folder": uuid.uuid4().hex, "created_by": "link", "closes_with_job": 0, "created_at": NOW, "last_activity": NOW,
    },
    "links": {
        "id": 1, "account_id": 0, "url": "https://example.com/", "url_digest": "d", "name": "A link", "type": "youtube_channel",
        "is_enabled": 1, "download_automatically": 1, "tags": "[]", "timezone": "UTC", "filters": "{}", "selection": SELECTION,
        "telling": "send", "state": "ok", "state_since": NOW, "created_at": NOW,
    },
}  # fmt: skip


def download(n: int) -> dict[str, dict[str, Any]]:
    """What a finished download of a watched link leaves: a row in each of eight tables."""
    job, title, url = uuid.uuid4().hex, f"It's a title, number {n}", f"https://example.com/watch?v={n}"
    path = f"{FOLDER}/{n}.mp4"
    medium = {"scope": "public", "extractor": "youtube", "media_id": f"{n:011x}"}
    return {
        "jobs": {
            "id": job, "download_session_id": SESSION, "account_id": 0, "payer": "0", "origin": "link", "link_id": 1, "url": url,
            "selection": SELECTION, "scope": "public", "dedupe_key": f"{n:064x}", "refresh": 0, "status": "completed", "attempt": 1,
            "starts": 1, "seq": 3000, "phase": "storing", "downloaded_bytes": n, "total_bytes": n, "title": title, "created_at": NOW,
            "started_at": NOW, "ended_at": NOW,
        },
        "media_files": {
            "id": n + 1, **medium, "selection": SELECTION, "position": 0, "is_current": 1, "kind": "video", "extension": "mp4", "size": n,
            "sha256": f"{n:064x}", "title": title, "location": path, "duration_ms": 206_000, "created_at": NOW,
        },
        "job_files": {"job_id": job, "name": f"{title}.mp4", "position": 0, "media_file_id": n + 1, "path": path, "epoch": 0},
        "history_entries": {
            "job_id": job, "attempt": 1, "account_id": 0, "download_session_id": SESSION, "origin": "link", "outcome": "success",
            "link_id": 1, "link_name": "A link", "title": title, "url": url, "message": "Downloaded 1 file.",
            "files": json.dumps([f"{title}.mp4"]), "items": 1, "items_done": 1, "started_at": NOW, "ended_at": NOW,
        },
        "media_urls": {"url_digest": f"{n:064x}", **medium},
        "link_items": {
            "link_id": 1, "extractor": "youtube", "item_id": f"{n:011x}", "state": "ordered", "url": url, "title": title, "job_id": job,
            "seen_at": NOW, "position": 0, "is_told": 1,
        },
        "charges": {"job_id": job, "payer": "0", "account_id": 0, "bytes": n, "charged_at": NOW},
        "telegram_copies": {"media_file_id": n + 1, "bot_id": 1, "kind": "video", "file_id": f"BAACAgIAAxkDAAI{n:048x}"},
    }  # fmt: skip


def fill(file: Path, rows: int) -> int:
    """Returns how many there are."""
    with closing(sqlite3.connect(file)) as connection:

        def add(made: Iterable[dict[str, dict[str, Any]]]) -> None:
            for tables in made:
                for table, row in tables.items():
                    values = ", ".join("?" * len(row))
                    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})", tuple(row.values()))

        add([FIRST])
        add(download(n) for n in range(rows // KINDS))
        connection.commit()
    return rows // KINDS * KINDS + len(FIRST)


async def measure(directory: Path, rows: int = ROWS) -> dict[str, float]:
    """Rows a second: out, in to an empty database, and in to the same one, of which everything is kept."""
    vault = MultiFernetVault(["a secret key of the bench"])
    found: dict[str, float] = {}
    databases = []

    async def place(name: str) -> Backups:
        (directory / name).mkdir()
        url = f"sqlite:///{directory / name}/magpie.db"
        await upgrade(url)
        databases.append(database := SqlDatabase(url, vault=vault))
        return Backups(
            dumps=SqlBackups(database, vault, directory / name / BACKUPS, "bench"),
            standstill=Standstill(),
            database=database,
            downloads=None,
            media=DiskMedia(directory / name / "media"),
            clock=_Clock(),
            ids=RealIds(),
        )

    full, empty = await place("full"), await place("empty")
    for name in ("full", "empty"):
        stored = directory / name / "media" / FOLDER
        stored.mkdir(parents=True)
        for n in range(rows // KINDS):
            (stored / f"{n}.mp4").touch()
    count, file = fill(directory / "full" / "magpie.db", rows), directory / "dump.sql"
    began = time.perf_counter()
    with file.open("wb") as dump:
        async for piece in await full.export(NOBODY):
            dump.write(piece)
    found["export"] = count / (time.perf_counter() - began)
    for name, backups in (("import", empty), ("again", full)):
        began = time.perf_counter()
        await backups.run(file, Importer())
        found[name] = count / (time.perf_counter() - began)
    for database in databases:
        await database.close()
    found["rows"], found["megabytes"] = count, file.stat().st_size / 1e6
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="magpie-bench-") as home:
        Path(sys.argv[1]).write_text(json.dumps(asyncio.run(measure(Path(home)))))
