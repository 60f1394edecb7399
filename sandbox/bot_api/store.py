"""Keeps the sandbox's objects over a restart, also after kill -9: one row an object, written as it changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

_TABLE = """
CREATE TABLE IF NOT EXISTS objects (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (kind, key)
)
"""


class Store(Protocol):
    """Objects by kind and key."""

    def put(self, kind: str, key: object, value: Any) -> None: ...
    def drop(self, kind: str, key: object) -> None: ...
    def drop_all(self, kind: str) -> None: ...
    def rows(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Key and value, in the order in which they were first put."""
        ...

    def close(self) -> None: ...


class NoStore:
    """Keeps nothing."""

    def put(self, kind: str, key: object, value: Any) -> None:
        """Nothing."""

    def drop(self, kind: str, key: object) -> None:
        """Nothing."""

    def drop_all(self, kind: str) -> None:
        """Nothing."""

    def rows(self, kind: str) -> Iterator[tuple[str, Any]]:  # noqa: ARG002 - there are none of any kind
        return iter(())

    def close(self) -> None:
        """Nothing."""


class SqliteStore:
    """In one file. Not synced to the disk: it survives the end of the process, not that of the machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = sqlite3.connect(self._path, isolation_level=None)
            self._open.execute("PRAGMA journal_mode=WAL")
            self._open.execute("PRAGMA synchronous=OFF")
            self._open.execute(_TABLE)
        return self._open

    def put(self, kind: str, key: object, value: Any) -> None:
        self._connection.execute(
            "INSERT INTO objects (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
            (kind, str(key), json.dumps(value)),
        )

    def drop(self, kind: str, key: object) -> None:
        self._connection.execute("DELETE FROM objects WHERE kind = ? AND key = ?", (kind, str(key)))

    def drop_all(self, kind: str) -> None:
        self._connection.execute("DELETE FROM objects WHERE kind = ?", (kind,))

    def rows(self, kind: str) -> Iterator[tuple[str, Any]]:
        for key, value in self._connection.execute("SELECT key, value FROM objects WHERE kind = ? ORDER BY number", (kind,)):
            yield key, json.loads(value)

    def close(self) -> None:
        """It opens again when it is used again."""
        if self._open is not None:
            self._open.close()
            self._open = None
