"""The swap: what a scratch database holds takes the place of what there is, in one transaction, with what was there kept in a file."""
# ruff: noqa: S608 - the names in the statements are those of our own tables, and every value is bound

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from service.errors import ImportUncertain, InvalidDump, Unavailable
from storage.dumps import Header, Kind, TableShape, postgres_dump, shapes, sqlite_dump

STAY: Final = frozenset({"ended_logins"})
"""Log-ins that somebody has ended stay ended, whatever the dump says."""
AT_ONCE: Final = 1000
LOCK_WAIT: Final = "60s"
INCOMING: Final = "incoming"
"""The directory for what is not whole yet. What was cut short is swept from there."""


def connected(file: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Used by one thread at a time, but not always the same."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=60, check_same_thread=False)
    connection.execute(f"PRAGMA query_only={int(read_only)}")
    return connection


def moved() -> list[TableShape]:
    return [table for table in shapes() if table.name not in STAY]


@contextmanager
def _kept(target: Path) -> Iterator[Callable[[bytes], object]]:
    """What is written is on the disk under this name at the end; until then under another, which nobody takes for a whole one."""
    part = target.parent / INCOMING / target.name
    part.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
        _sync_names(target.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sync_names(directory: Path) -> None:
    """Else a name may be lost with the power, though its bytes are there."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def swap_sqlite(file: Path, scratch: Path, target: Path, header: Header) -> None:
    """References were checked in the scratch database, so that they need not be looked after row by row.

    What was there is kept as `target` unless it is certain that nothing took its place: whoever waits for this may have gone.
    """
    with closing(connected(file)) as connection, ThreadPoolExecutor(1) as beside:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("ATTACH ? AS scratch", (str(scratch),))
        connection.execute("BEGIN IMMEDIATE")
        kept = beside.submit(_keep, file, target, header)
        try:
            _replace(connection)
            kept.result()
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            wait({kept})
            target.unlink(missing_ok=True)
            raise
        _commit(connection, target)


def _replace(connection: sqlite3.Connection) -> None:
    for table in reversed(moved()):
        connection.execute(f"DELETE FROM main.{table.name}")
    for table in moved():
        _copy(connection, table)
    for name, number in connection.execute("SELECT name, seq FROM scratch.sqlite_sequence").fetchall():
        known = f"SELECT 1 FROM main.sqlite_sequence WHERE name = '{name}'"
        connection.execute(f"INSERT INTO main.sqlite_sequence (name, seq) SELECT ?, 0 WHERE NOT EXISTS ({known})", (name,))
        connection.execute("UPDATE main.sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (number, name))


def _commit(connection: sqlite3.Connection, target: Path) -> None:
    try:
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
            target.unlink(missing_ok=True)
        raise


def _keep(file: Path, target: Path, header: Header) -> None:
    """On a connection of its own, which sees what was there until the swap is committed; and nobody else may write meanwhile."""
    with closing(connected(file, read_only=True)) as connection, _kept(target) as write:
        for piece in sqlite_dump(connection, header):
            write(piece)


def _copy(connection: sqlite3.Connection, table: TableShape) -> None:
    """Where both have their columns in the same order, SQLite moves whole records and index entries without a look inside."""
    orders = [[row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table.name})")] for schema in ("main", "scratch")]
    names = ", ".join(orders[0])
    if orders[0] == orders[1]:
        connection.execute(f"INSERT INTO main.{table.name} SELECT * FROM scratch.{table.name}")
    else:
        connection.execute(f"INSERT INTO main.{table.name} ({names}) SELECT {names} FROM scratch.{table.name}")


async def swap_postgres(url: str, scratch: Path, target: Path, header: Header) -> None:
    """As `swap_sqlite`. Raises `InvalidDump`, `Unavailable`, `ImportUncertain`."""
    connection = await asyncpg.connect(url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        try:
            with _refusals():
                await _replace_postgres(connection, scratch, target, header)
        except BaseException:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await transaction.rollback()
            await asyncio.to_thread(target.unlink, missing_ok=True)
            raise
        try:
            await transaction.commit()
        except asyncpg.IntegrityConstraintViolationError as wrong:
            await asyncio.to_thread(target.unlink, missing_ok=True)
            raise _refused(wrong) from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as lost:
            raise ImportUncertain from lost
    finally:
        await connection.close()


async def _replace_postgres(connection: Any, scratch: Path, target: Path, header: Header) -> None:
    names = ", ".join(table.name for table in shapes())
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
    await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
    with _kept(target) as write:
        async for piece in postgres_dump(connection, header):
            await asyncio.to_thread(write, piece)
    await connection.execute(f"TRUNCATE {', '.join(table.name for table in moved())}")
    for table in moved():
        try:
            await connection.copy_records_to_table(
                table.name, records=_records(scratch, table), columns=[column.name for column in table.columns]
            )
        except (ValueError, OverflowError, TypeError) as wrong:  # its own encoders: a number that is too large, a text with NUL
            raise _refused(wrong) from None
    await _number_postgres(connection, scratch)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raises `InvalidDump`, `Unavailable`."""
    try:
        yield
    except asyncpg.LockNotAvailableError:
        raise Unavailable("The database is busy: an export may be under way. Try again.") from None
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as wrong:
        raise _refused(wrong) from None


def _refused(wrong: Exception) -> InvalidDump:
    return InvalidDump(f"PostgreSQL refuses a value of the dump ({type(wrong).__name__}).")


async def _records(scratch: Path, table: TableShape) -> AsyncIterator[tuple[Any, ...]]:
    turn = [_TURN.get(column.kind) for column in table.columns]
    names = ", ".join(column.name for column in table.columns)
    connection = await asyncio.to_thread(connected, scratch, read_only=True)
    try:
        found = await asyncio.to_thread(connection.execute, f"SELECT {names} FROM {table.name}")
        while rows := await asyncio.to_thread(found.fetchmany, AT_ONCE):
            for row in rows:
                yield tuple(value if turned is None or value is None else turned(value) for value, turned in zip(row, turn, strict=True))
    finally:
        await asyncio.to_thread(connection.close)


_TURN: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.BOOLEAN: bool,
    Kind.REAL: float,
    Kind.TIME: lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC),
    Kind.UUID: UUID,
    Kind.TEXT: str,
    Kind.JSON: str,
}
"""From what SQLite holds to what asyncpg takes."""


async def _number_postgres(connection: Any, scratch: Path) -> None:
    known = dict(await asyncio.to_thread(_sequences, scratch))
    for table in moved():
        sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, 'id')", table.name) if table.key == ("id",) else None
        if sequence is not None:
            highest = await connection.fetchval(f"SELECT coalesce(max(id), 0) FROM {table.name}")
            await connection.execute(
                "SELECT setval($1::regclass, greatest($2::bigint, nextval($1::regclass)))", sequence, max(highest, known.get(table.name, 0))
            )


def _sequences(scratch: Path) -> list[tuple[str, int]]:
    with closing(connected(scratch, read_only=True)) as connection:
        return connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
