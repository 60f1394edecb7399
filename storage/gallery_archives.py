"""Archives as gallery-dl reads them (`--download-archive`): a database of SQLite with one table of one column."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing


def gallery_archive(entries: Iterable[str]) -> bytes:
    """The file's content. What occurs twice is there once."""
    with closing(sqlite3.connect(":memory:")) as archive:
        archive.execute("CREATE TABLE archive (entry TEXT PRIMARY KEY) WITHOUT ROWID")
        archive.executemany("INSERT OR IGNORE INTO archive (entry) VALUES (?)", ((entry,) for entry in entries))
        archive.commit()
        return archive.serialize()
