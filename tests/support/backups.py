"""Databases with something in every table, and backups of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.audit import NOBODY
from service.backup import Backups
from service.descriptions import Description, DescriptionKind
from service.downloads import Downloads
from service.ports import Media
from storage.backup import BACKUPS, SqlBackups
from storage.cards import written
from storage.database import SqlDatabase
from storage.media import DiskMedia
from storage.tables import UtcDateTime, metadata
from storage.vault import MultiFernetVault
from tests.support.database import postgres_database
from tests.support.fakes import FakeClock
from tests.support.house import RealIds

NOW = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
QUIRKS = "it's a\nline, a \\ and 'quotes' ünï 🙂 -- end 3 0"
VAULT = MultiFernetVault(["a secret key of the tests"])
OTHER_VAULT = MultiFernetVault(["another secret key of theirs"])
DESCRIPTION = Description(kind=DescriptionKind.MEDIUM, extractor="site", id="1", title=QUIRKS)
Row = dict[str, Any]


@dataclass
class Standstill:
    """Notes what it was asked for."""

    asked: list[str] = field(default_factory=list)

    async def begin(self) -> None:
        self.asked.append("begin")

    async def empty_queue(self) -> None:
        self.asked.append("empty_queue")

    async def end(self) -> None:
        self.asked.append("end")


@contextmanager
def prepared_database(kind: str, directory: Path, migrated_file: Path, postgres: Any) -> Iterator[str]:
    """The address of one with all tables and no rows."""
    directory.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        shutil.copy(migrated_file, directory / "magpie.db")
        yield f"sqlite:///{directory}/magpie.db"
        return
    yield from postgres_database(postgres, "template_migrated")


class Place:
    """One database with its data directory, and what makes and takes backups there. Close it when done."""

    def __init__(
        self,
        url: str,
        directory: Path,
        *,
        vault: MultiFernetVault = VAULT,
        database: SqlDatabase | None = None,
        downloads: Downloads | None = None,
        media: Media | None = None,
    ) -> None:
        self.url, self.directory, self.clock, self.standstill = url, directory, FakeClock(), Standstill()
        self._is_own, self.database = database is None, database or SqlDatabase(url, vault=vault)
        self.dumps = SqlBackups(self.database, vault, directory / BACKUPS, "0.1")
        self.media = media or DiskMedia(directory / "media")
        self.backups = Backups(
            dumps=self.dumps,
            standstill=self.standstill,
            database=self.database,
            downloads=downloads,
            media=self.media,
            clock=self.clock,
            ids=RealIds(),
        )

    async def exported(self, name: str = "dump.sql") -> Path:
        file = self.directory / name
        with file.open("wb") as dump:
            async for piece in await self.backups.export(NOBODY):
                dump.write(piece)
        return file

    async def rows(self) -> dict[str, list[Row]]:
        """Everything, by table, in the order of the keys."""
        async with self.database.reader.connect() as connection:
            return {
                table.name: [dict(row._mapping) for row in await connection.execute(sa.select(table).order_by(*table.primary_key.columns))]
                for table in metadata.sorted_tables
            }

    async def fill(self, **own: list[Row]) -> None:
        """Two rows in every table, and what is given of them otherwise."""
        async with self.database.writer.begin() as connection:
            for table in metadata.sorted_tables:
                for number in (1, 2):
                    given = own.get(table.name, [{}, {}])[number - 1]
                    row = a_row(table, number) | given
                    if "username" in given:
                        row["username_key"] = given["username"].casefold()
                    await connection.execute(sa.insert(table).values(row))
            if not self.database.is_sqlite:  # numbers that are given by hand do not count there
                for name in ("accounts", "links", "api_keys", "audit_entries", "charges", "deliveries", "history_entries", "media_files"):
                    await connection.execute(sa.text(f"select setval(pg_get_serial_sequence('{name}', 'id'), 2)"))

    async def close(self) -> None:
        if self._is_own:
            await self.database.close()


def _address(number: int) -> str:
    return f"https://example.com/watch?v={number}&it's='quoted'"


def a_row(table: sa.Table, number: int) -> Row:
    """The second row of a table names the first where rows of it name each other."""
    return {column.name: _value(table, column, number) for column in table.columns}


_VALUES: dict[type[sa.types.TypeEngine[Any]], Callable[[int], Any]] = {
    UtcDateTime: lambda number: NOW + timedelta(seconds=number),
    sa.Boolean: lambda number: number == 1,
    sa.JSON: lambda number: [QUIRKS, str(number)],
    sa.LargeBinary: lambda number: bytes(range(256)) * number,
    sa.Double: lambda number: 0.1 * number,
    sa.Text: lambda number: f"{QUIRKS} {number}",
}
_MEANING: dict[str, Callable[[int], Any]] = {
    "url": _address,
    "callback_url": _address,
    "selection": lambda _: "audio:mp3:best",
    "origin": lambda _: "api",
    "accounts.username_key": lambda number: f"username{number}",
    "accounts.email_key": lambda number: f"email{number}",
    "accounts.role": lambda _: "user",
    "accounts.allowance": lambda number: {"at_once": number},
    "download_sessions.created_by": lambda _: "api",
    "links.type": lambda _: "youtube_channel",
    "links.schedule": lambda number: f"{number} 6 * * *",
    "links.timezone": lambda _: "Europe/Berlin",
    "links.filters": lambda number: {"title": QUIRKS, "newest": number},
    "links.telling": lambda _: "send",
    "links.state": lambda _: "ok",
    "link_items.state": lambda _: "known",
    "jobs.status": lambda _: "completed",
    "jobs.phase": lambda _: "storing",
    "media_files.kind": lambda _: "audio",
    "media_files.sha256": lambda number: f"{number:064x}",
    "history_entries.outcome": lambda _: "success",
    "idempotency_keys.more_job_ids": lambda number: [str(UUID(int=number))],
    "api_keys.scope": lambda _: "all",
    "webhooks.secret": lambda _: "whsec_c2VjcmV0",
    "webhook_messages.state": lambda _: "delivered",
    "audit_entries.action": lambda _: "paired",
    "cards.clip": lambda number: f"0-{number}",
    "cards.state": lambda _: "delivered",
    "cards.description": lambda _: written(DESCRIPTION),
    "deliveries.state": lambda _: "delivered",
    "telegram_copies.kind": lambda _: "audio",
}
"""By column, or by its name in whatever table: values that say something to those who read them."""


def _value(table: sa.Table, column: sa.Column[Any], number: int) -> Any:
    for key in column.foreign_keys:
        if key.column.table is not table:
            return _value(key.column.table, key.column, number)
        return None if number == 1 else _value(table, key.column, 1)
    if isinstance(column.type, sa.Uuid):
        return UUID(int=number + (1 << 64) * (1 + list(metadata.tables).index(table.name)))
    made = _MEANING.get(f"{table.name}.{column.name}") or _MEANING.get(column.name) or _VALUES.get(type(column.type))
    if made is not None:
        return made(number)
    return f"{column.name}{number}"[: column.type.length] if isinstance(column.type, sa.String) else number
