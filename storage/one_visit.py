"""SQLite from the loop, a statement a visit to its thread.

SQLAlchemy's own dialect for aiosqlite goes there four times for each: to make a cursor, to execute, to fetch, to close. A visit costs more
than a small statement itself, so that this is most of what a small transaction takes.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from typing import Any, NamedTuple

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.util import EMPTY_DICT

SCHEME = "sqlite+onevisit:"


class _Done(NamedTuple):
    """What a statement left."""

    rows: list[Any]
    description: Any
    rowcount: int
    lastrowid: int | None


def _execute(connection: sqlite3.Connection, statement: str, parameters: Any) -> _Done:
    cursor = connection.cursor()
    try:
        cursor.execute(statement, () if parameters is None else parameters)
        rows = cursor.fetchall() if cursor.description else []
        return _Done(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()


def _execute_many(connection: sqlite3.Connection, statement: str, parameters: Any) -> _Done:
    cursor = connection.cursor()
    try:
        cursor.executemany(statement, parameters)
        return _Done([], cursor.description, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()


class OneVisitCursor(AsyncAdapt_aiosqlite_cursor):
    """Holds what the statement left; in SQLite's thread nothing of it stays."""

    __slots__ = ("_done",)

    def __init__(self, adapt_connection: OneVisitConnection) -> None:
        # Not the parent's: that makes a cursor over there.
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection  # noqa: SLF001 - the parent's way
        self._soft_closed_memoized = EMPTY_DICT
        self._rows = deque()
        self._done = _Done([], None, -1, None)

    @property
    def description(self) -> Any:
        return self._done.description

    @property
    def rowcount(self) -> int:
        return self._done.rowcount

    @property
    def lastrowid(self) -> Any:
        return self._done.lastrowid

    arraysize: Any = 1

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        await self._visit(_execute, operation, parameters)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        await self._visit(_execute_many, operation, seq_of_parameters)

    async def _visit(self, act: Any, operation: Any, parameters: Any) -> None:
        connection: Any = self._connection
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001 - the parent's way
            self._done = await connection._execute(act, connection._conn, operation, parameters)  # noqa: SLF001 - has no public name
        self._rows = deque(self._done.rows)

    async def _async_soft_close(self) -> None:
        """There is nothing to close."""

    def close(self) -> None:
        self._rows.clear()


class OneVisitConnection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls: Any = OneVisitCursor


class _Dbapi(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arg: Any, **kw: Any) -> OneVisitConnection:
        plain = super().connect(*arg, **kw)
        return OneVisitConnection(self, plain._connection)  # noqa: SLF001 - the parent's way


class Dialect(SQLiteDialect_aiosqlite):
    driver = "onevisit"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> AsyncAdapt_aiosqlite_dbapi:
        import aiosqlite  # noqa: PLC0415 - when SQLAlchemy asks for it

        return _Dbapi(aiosqlite, sqlite3)


registry.register("sqlite.onevisit", __name__, "Dialect")
