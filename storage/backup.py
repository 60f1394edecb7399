"""Backups of a database: written as dumps, read into a scratch database, and from there in place of what there was."""
# ruff: noqa: S608 - the names in the statements are those of our own tables, and every value is bound

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from service.backup import KEPT_FOR, Changes, Import, Importer, ImportState
from service.errors import InvalidDump
from service.model import LOCAL_ACCOUNT
from storage.database import SqlDatabase
from storage.disk_space import NO_ROOM, check_room, full_disk_told
from storage.dump_checks import check_meaning
from storage.dump_reading import DumpReader, check_values, examine, read_header, shapes_of
from storage.dumps import Header, postgres_dump, shapes, sqlite_dump
from storage.migrate import DatabaseUnusable, head, is_known, upgrade
from storage.present import Present, read_present
from storage.scratch_changes import LOCATIONS, adapt, forget_missing, keep_void, lose_secrets
from storage.swap import INCOMING, connected, swap_postgres, swap_sqlite
from storage.vault import MultiFernetVault

T = TypeVar("T")
LAST_IMPORT: Final = "last_import"
"""The kept value that says how the last import went: it comes with the swap, or not at all."""
NUMBERED: Final = {
    "accounts": ("audit_entries.subject_id", "download_sessions.requested_id"),
    "links": ("history_entries.link_id",),
}
"""Tables whose numbers are never given twice, and what still names those that are gone."""
CACHE_KIB: Final = 64 << 10
PIECE: Final = 1 << 18
AT_ONCE: Final = 5000
BACKUPS: Final = "backups"
"""The directory, below that of the data."""
LEFT_OVER: Final = timedelta(days=1)
MOST_DETAILS: Final = 200
"""Characters that the audit trail has room for."""
SCRATCH_SIZE: Final = 2
"""So many times as large as its dump a scratch database may become."""


def keeps_any(directory: Path) -> bool:
    """Whether something that an import replaced is still kept there."""
    return any(directory.glob("before-import-*"))


class SqlBackups:
    """`directory` is for files that hold everything: only the service's own user may look into it."""

    def __init__(self, database: SqlDatabase, vault: MultiFernetVault, directory: Path, version: str) -> None:
        self._database, self._vault, self._directory, self._version = database, vault, directory, version

    def new_file(self) -> Path:
        """For a dump that arrives. Raises `OSError`."""
        return self._incoming() / f"{secrets.token_hex(16)}.sql"

    def _incoming(self) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        incoming = self._directory / INCOMING
        incoming.mkdir(mode=0o700, exist_ok=True)
        return incoming

    def check_room(self, size: int) -> None:
        check_room(self._incoming(), size)

    def _header(self, now: datetime) -> Header:
        return Header(revision=head(), key=self._vault.fingerprint, made_at=now, version=self._version)

    # --- out ----------------------------------------------------------------------------------------------------

    def export(self, now: datetime) -> AsyncIterator[bytes]:
        if self._database.is_sqlite:
            return self._export_sqlite(self._header(now))
        return self._export_postgres(self._header(now))

    async def _export_sqlite(self, header: Header) -> AsyncIterator[bytes]:
        connection = await asyncio.to_thread(connected, self._file, read_only=True)
        try:
            pieces = _gathered(sqlite_dump(connection, header))
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece
        finally:
            await asyncio.to_thread(connection.close)

    async def _export_postgres(self, header: Header) -> AsyncIterator[bytes]:
        connection = await asyncpg.connect(self._database.url)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                # Else a swap could empty a table that this has not looked at yet.
                await connection.execute(f"LOCK TABLE {', '.join(table.name for table in shapes())} IN ACCESS SHARE MODE")
                async for piece in postgres_dump(connection, header):
                    yield piece
        finally:
            await connection.close()

    @property
    def _file(self) -> Path:
        return Path(self._database.url.removeprefix("sqlite:///"))

    # --- in -----------------------------------------------------------------------------------------------------

    def check_beginning(self, beginning: bytes) -> None:
        _known(read_header(beginning))

    async def prepare(self, file: Path) -> SqlScratch:
        """Raises `InvalidDump`, `DiskFull`, `OSError`."""
        header = _known(await asyncio.to_thread(examine, file))
        scratch = await asyncio.to_thread(self._incoming) / f"{secrets.token_hex(16)}.db"
        made = SqlScratch(self, scratch, header)
        try:
            with full_disk_told():
                await asyncio.to_thread(self._check_room_for, file)
                await upgrade(f"sqlite:///{scratch}", header.revision)
                given_up = threading.Event()
                made.counts = await _in_thread(_load, scratch, file, given_up, on_cancel=given_up.set)
                if header.revision != head():
                    await _upgraded(scratch)
                await asyncio.to_thread(_check, scratch, brought_up_to_date=header.revision != head())
                await asyncio.to_thread(self._check_room_for_swap, scratch)
        except BaseException:
            await made.discard()
            raise
        return made

    def _check_room_for(self, file: Path) -> None:
        self.check_room(SCRATCH_SIZE * file.stat().st_size)

    def _check_room_for_swap(self, scratch: Path) -> None:
        """While nothing is stopped yet. What was there is written down, and SQLite writes what comes beside it first."""
        if self._database.is_sqlite:
            self.check_room(self._file.stat().st_size)
            check_room(self._file.parent, self._file.stat().st_size + scratch.stat().st_size)

    async def last_import(self) -> Import | None:
        async with self._database.read() as transaction:
            said = await transaction.kept_values.get(LAST_IMPORT)
        try:
            return _import_of(json.loads(said)) if said else None
        except (ValueError, TypeError, KeyError):
            return None

    async def sweep(self, before: datetime) -> int:
        return await asyncio.to_thread(self._sweep, before)

    def _sweep(self, before: datetime) -> int:
        count = 0
        for pattern, limit in (("before-import-*", before), (f"{INCOMING}/*", before + KEPT_FOR - LEFT_OVER)):
            for file in self._directory.glob(pattern):
                with suppress(FileNotFoundError):
                    if datetime.fromtimestamp(file.stat().st_mtime, UTC) < limit:
                        file.unlink()
                        count += 1
        return count

    # --- the swap -----------------------------------------------------------------------------------------------

    def kept_name(self, now: datetime) -> str:
        """The name of a file, below the data directory, for what will have been there."""
        return f"{self._directory.name}/before-import-{now:%Y%m%d_%H%M%S}-{secrets.token_hex(4)}.sql"

    async def swap(self, scratch: Path, kept_as: str, now: datetime) -> None:
        """What was there stays in the file unless it is certain that nothing was replaced.

        Raises `InvalidDump`, `Unavailable`, `DiskFull`, `ImportUncertain`.
        """
        target = self._directory.parent / kept_as
        with full_disk_told():
            if self._database.is_sqlite:
                await _in_thread(swap_sqlite, self._file, scratch, target, self._header(now))
            else:
                await swap_postgres(self._database.url, scratch, target, self._header(now))

    async def present(self, importer: Importer) -> Present:
        async with self._database.reader.connect() as connection:
            return await read_present(connection, importer)

    async def logins_of(self, importer: Importer) -> tuple[int, dict[str, Any] | None]:
        """The highest epoch of any account here, and the API key that the importer showed."""
        highest = sa.text("SELECT max(token_epoch) FROM accounts")
        key = sa.text("SELECT * FROM api_keys WHERE id = :id")
        async with self._database.reader.connect() as connection:
            epoch = (await connection.execute(highest)).scalar_one() or 0
            row = (await connection.execute(key, {"id": importer.key_id})).mappings().one_or_none() if importer.key_id else None
        return int(epoch), None if row is None else dict(row)

    @property
    def vault(self) -> MultiFernetVault:
        return self._vault


class SqlScratch:
    """One dump in a SQLite file of its own."""

    def __init__(self, backups: SqlBackups, file: Path, header: Header) -> None:
        self._backups, self._file, self._header = backups, file, header
        self.made_at, self.counts = header.made_at, dict[str, int]()
        self._missing, self._kept_as = 0, ""

    async def locations(self) -> AsyncIterator[Sequence[tuple[int, str]]]:
        last = -1

        def following(connection: sqlite3.Connection) -> list[tuple[int, str]]:
            return connection.execute(LOCATIONS, (last, AT_ONCE)).fetchall()

        while some := await self._do(following):
            yield some
            last = some[-1][0]

    async def mark_missing(self, ids: Sequence[int]) -> None:
        await self._do(lambda connection: forget_missing(connection, ids))
        self._missing += len(ids)

    async def adapt(self, import_id: UUID, importer: Importer, now: datetime) -> Changes:
        highest, key = await self._backups.logins_of(importer)
        present = await self._backups.present(importer)
        self._kept_as = self._backups.kept_name(now)

        def change(connection: sqlite3.Connection) -> Changes:
            lost = lose_secrets(connection, self._backups.vault)
            changes = adapt(connection, importer=present.importer, key=key, highest_epoch=highest, now=now, lost_secrets=lost)
            keep_void(connection, present, now)
            _name_importer(connection, importer, key)
            said = Import(
                id=import_id,
                state=ImportState.DONE,
                message="The dump was imported.",
                started_at=now,
                ended_at=now,
                made_at=self.made_at,
                counts=self.counts,
                missing_files=self._missing,
                kept_as=self._kept_as,
                **asdict(changes),
            )
            connection.execute("INSERT OR REPLACE INTO kept_values (name, value) VALUES (?, ?)", (LAST_IMPORT, json.dumps(_said(said))))
            _number(connection)
            return changes

        return await self._do(change)

    async def take_over(self, now: datetime) -> str:
        await self._backups.swap(self._file, self._kept_as, now)
        return self._kept_as

    async def discard(self) -> None:
        for ending in ("", "-wal", "-shm", "-journal"):
            await asyncio.to_thread(Path(f"{self._file}{ending}").unlink, missing_ok=True)

    async def _do(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """In one transaction. Raises `DiskFull`."""

        def done() -> T:
            with _scratch(self._file) as connection:
                connection.execute("BEGIN")
                result = act(connection)
                connection.execute("COMMIT")
                return result

        with full_disk_told():
            return await _in_thread(done)


# --- the scratch database ---------------------------------------------------------------------------------------------


def _known(header: Header) -> Header:
    if not is_known(header.revision):
        raise InvalidDump("The dump was made by a newer version of Magpie; bring this one up to date first.")
    return header


@contextmanager
def _scratch(file: Path) -> Iterator[sqlite3.Connection]:
    """Should the machine fail meanwhile, the dump is read again: so nothing waits for the disk."""
    with closing(connected(file)) as connection:
        for pragma in ("journal_mode=MEMORY", "synchronous=OFF", f"cache_size=-{CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        yield connection


def _load(scratch: Path, file: Path, given_up: threading.Event) -> dict[str, int]:
    """Indexes are made afterwards, which is quicker."""
    with _scratch(scratch) as connection, file.open("rb") as dump:
        tables = shapes_of(connection)
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        connection.execute("BEGIN")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for name in tables:  # migrations make rows, too
            connection.execute(f"DELETE FROM {name}")
        reader = DumpReader(dump, tables, given_up)
        reader.load(connection)
        check_values(connection, list(tables.values()))
        for name, statement in indexes:
            try:
                connection.execute(statement)
            except sqlite3.IntegrityError:
                raise InvalidDump(f"Two rows of the dump are the same where there may be one only ({name}).") from None
        connection.execute("COMMIT")
    return reader.counts


async def _upgraded(scratch: Path) -> None:
    """From its own version to the present one. Raises `InvalidDump` for rows that its version could not have."""
    try:
        await upgrade(f"sqlite:///{scratch}")
    except (RuntimeError, ValueError, TypeError, KeyError, sa.exc.SQLAlchemyError, DatabaseUnusable) as wrong:
        if isinstance(wrong, DatabaseUnusable) and NO_ROOM in str(wrong):
            raise
        raise InvalidDump(f"The dump cannot be brought to the present version ({type(wrong).__name__}).") from wrong


def _check(scratch: Path, *, brought_up_to_date: bool) -> None:
    """What the values mean was looked at when they were read, if their version is the present one."""
    with _scratch(scratch) as connection:
        if brought_up_to_date:
            check_meaning(connection)
        if connection.execute("SELECT 1 FROM accounts WHERE id = ?", (LOCAL_ACCOUNT,)).fetchone() is None:
            raise InvalidDump("The dump lacks the built-in account.")


def _name_importer(connection: sqlite3.Connection, importer: Importer, key: dict[str, Any] | None) -> None:
    """Who is not in the dump is no number in its audit trail, and would be nobody there."""
    said = [f"with the key {key['start']}…"] if key is not None else []
    if importer.account is not None and not _knows(connection, importer.account.username):
        said = [f"by {importer.account.username}, whom the dump does not know", *said]
    if said:
        latest = "(SELECT max(id) FROM audit_entries)"
        longer = f"substr(details || ', ' || ?, 1, {MOST_DETAILS})"
        connection.execute(f"UPDATE audit_entries SET details = {longer} WHERE id = {latest}", (", ".join(said),))


def _knows(connection: sqlite3.Connection, username: str) -> bool:
    return connection.execute("SELECT 1 FROM accounts WHERE username_key = ?", (username.casefold(),)).fetchone() is not None


def _number(connection: sqlite3.Connection) -> None:
    """Numbers go on behind the highest that was ever given, as far as the dump knows."""
    for table, others in NUMBERED.items():
        places = [f"SELECT max(id) FROM {table}"] + [f"SELECT max({o.partition('.')[2]}) FROM {o.partition('.')[0]}" for o in others]
        highest = max(connection.execute(place).fetchone()[0] or 0 for place in places)
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, highest))


async def _in_thread(act: Callable[..., T], *given: Any, on_cancel: Callable[[], None] = lambda: None) -> T:
    """To its end, even when whoever waits is cancelled: a thread cannot be stopped, and holds files."""
    work = asyncio.ensure_future(asyncio.to_thread(act, *given))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        on_cancel()
        await asyncio.wait({work})
        raise


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Larger pieces: each is a visit to a thread."""
    some: list[bytes] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(some)
            some, size = [], 0
    yield b"".join(some)


# --- the last import --------------------------------------------------------------------------------------------------


def _said(one: Import) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, UUID | datetime) else value for name, value in asdict(one).items()}


def _import_of(said: dict[str, Any]) -> Import:
    """Raises `ValueError`, `TypeError`, `KeyError`."""
    times = {name: datetime.fromisoformat(said[name]) for name in ("started_at", "ended_at", "made_at")}
    return Import(**{**said, **times, "id": UUID(said["id"]), "state": ImportState(said["state"])})
