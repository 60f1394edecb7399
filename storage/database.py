"""Engines, pragmas and transactions. SQLite: one writer connection with `BEGIN IMMEDIATE`, a pool of read-only readers."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.errors import Clash, MagpieError, Vanished
from service.model import Job
from service.ports import Vault
from storage.accounts import SqlAccounts
from storage.api_keys import SqlApiKeys
from storage.audit import SqlAudit
from storage.cards import SqlCards
from storage.charges import SqlCharges
from storage.deliveries import SqlDeliveries, SqlTelegramCopies
from storage.download_sessions import SqlDownloadSessions
from storage.ended_logins import SqlEndedLogins
from storage.fetches import SqlFetches
from storage.history import SqlHistory
from storage.idempotency import SqlIdempotencyKeys
from storage.inbox import SqlUpdates
from storage.jobs import SqlJobs
from storage.kept_values import SqlKeptValues
from storage.links import SqlLinks
from storage.media_files import SqlMediaFiles
from storage.merges import SqlMerges
from storage.one_time_codes import SqlOneTimeCodes
from storage.one_visit import SCHEME
from storage.site_cookies import SqlSiteCookies
from storage.telegram_users import SqlPreferences, SqlTelegramUsers
from storage.webhooks import SqlWebhooks

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=15000", "foreign_keys=ON")


class QueueWriter(Protocol):
    """What enters jobs into the queue."""

    async def enter(self, connection: AsyncConnection, jobs: Sequence[Job]) -> None: ...
    async def enter_message(self, connection: AsyncConnection, message_id: UUID, number: int, delay: timedelta) -> None:
        """A webhook's try, not before the delay is over."""
        ...

    def wake(self) -> None: ...


class NoQueue:
    """For a process that runs its one job itself."""

    async def enter(self, connection: AsyncConnection, jobs: Sequence[Job]) -> None:
        """Nothing to do."""

    async def enter_message(self, connection: AsyncConnection, message_id: UUID, number: int, delay: timedelta) -> None:
        """Nothing to do."""

    def wake(self) -> None:
        """Nothing to do."""


def give_subseconds(connection: Any) -> None:
    """DBOS writes `unixepoch('subsec')`, which is NULL before SQLite 3.42 (Debian 12 has 3.40)."""
    if sqlite3.sqlite_version_info < (3, 42):
        connection.create_function("unixepoch", 1, lambda _modifier: time.time())


def prepare_sqlite(engine: sa.Engine, *, read_only: bool) -> None:
    """Set the pragmas on each new connection, and let a write transaction take the lock when it begins."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        give_subseconds(connection)
        cursor = connection.cursor()
        for pragma in (*PRAGMAS, *(("query_only=ON",) if read_only else ())):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if not read_only:

        @event.listens_for(engine, "begin")
        def begun(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")


class SqlTransaction:
    """The repositories on one connection."""

    def __init__(self, connection: AsyncConnection, queue: QueueWriter, vault: Vault | None) -> None:
        self.accounts = SqlAccounts(connection)
        self.api_keys = SqlApiKeys(connection)
        self.one_time_codes = SqlOneTimeCodes(connection)
        self.ended_logins = SqlEndedLogins(connection)
        self.webhooks = SqlWebhooks(connection, vault)
        self.site_cookies = SqlSiteCookies(connection, vault)
        self.charges = SqlCharges(connection)
        self.audit = SqlAudit(connection)
        self.merges = SqlMerges(connection)
        self.download_sessions = SqlDownloadSessions(connection)
        self.links = SqlLinks(connection, vault)
        self.jobs = SqlJobs(connection, vault)
        self.fetches = SqlFetches(connection)
        self.media_files = SqlMediaFiles(connection)
        self.history = SqlHistory(connection)
        self.idempotency_keys = SqlIdempotencyKeys(connection)
        self.queue = SqlQueueEntries(connection, queue)
        self.telegram_users = SqlTelegramUsers(connection)
        self.preferences = SqlPreferences(connection)
        self.updates = SqlUpdates(connection, vault)
        self.cards = SqlCards(connection, vault)
        self.deliveries = SqlDeliveries(connection)
        self.telegram_copies = SqlTelegramCopies(connection)
        self.kept_values = SqlKeptValues(connection)


class SqlQueueEntries:
    """Enters jobs into the queue within the transaction."""

    def __init__(self, connection: AsyncConnection, queue: QueueWriter) -> None:
        self._connection, self._queue = connection, queue
        self.entered = 0

    async def enqueue(self, job: Job) -> None:
        await self.enqueue_all([job])

    async def enqueue_message(self, message_id: UUID, number: int, delay: timedelta) -> None:
        await self._queue.enter_message(self._connection, message_id, number, delay)
        self.entered += 1

    async def enqueue_all(self, jobs: Sequence[Job]) -> None:
        if jobs:
            await self._queue.enter(self._connection, jobs)
            self.entered += len(jobs)


QUIETLY: dict[str, Any] = {"hide_parameters": True}
"""What is written never shows up in an error: it may be an address or a name."""
FOR_READING: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}


def leave_out_values(context: sa.engine.ExceptionContext) -> None:
    """PostgreSQL names the values of a row that a constraint refuses, in the detail of its error."""
    error: BaseException | None = context.sqlalchemy_exception
    while error is not None:
        if getattr(error, "detail", None):
            error.detail = None  # type: ignore[attr-defined]
        error.args = tuple(one.partition("\nDETAIL:")[0] if isinstance(one, str) else one for one in error.args)
        error = getattr(error, "orig", None) or error.__cause__


def _known(error: sa.exc.DBAPIError) -> MagpieError | None:
    """What others did in the same moment, as one of our own errors."""
    state = getattr(error.orig, "sqlstate", None)
    if state in {"40P01", "40001"}:
        return Clash(retry_after=timedelta(seconds=1))
    if state == "23503" or "FOREIGN KEY constraint failed" in str(error.orig):
        return Vanished()
    return None


class SqlDatabase:
    """`url` is `sqlite:///path` or `postgresql://…`. Without a vault, secrets are kept as they are. Close it when done."""

    def __init__(self, url: str, queue: QueueWriter | None = None, vault: Vault | None = None) -> None:
        self._vault = vault
        self.url, self.is_sqlite = url, url.startswith("sqlite:")
        self.queue: QueueWriter = queue or NoQueue()
        self.writer, self.reader = self._engines()

    def _engines(self) -> tuple[AsyncEngine, AsyncEngine]:
        if self.is_sqlite:
            address = self.url.replace("sqlite:", SCHEME, 1)
            writer = create_async_engine(address, **QUIETLY, pool_size=1, max_overflow=0, pool_timeout=60)
            reader = create_async_engine(address, **QUIETLY, **FOR_READING, pool_size=4, max_overflow=4)
            prepare_sqlite(writer.sync_engine, read_only=False)
            prepare_sqlite(reader.sync_engine, read_only=True)
            return writer, reader
        address = self.url.replace("postgresql:", "postgresql+asyncpg:", 1)
        writer = create_async_engine(address, **QUIETLY, pool_size=10, pool_pre_ping=True)
        reader = create_async_engine(address, **QUIETLY, **FOR_READING, pool_size=10, pool_pre_ping=True)
        for engine in (writer, reader):
            event.listen(engine.sync_engine, "handle_error", leave_out_values)
        return writer, reader

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlTransaction]:
        """One transaction; wakes the queue after the commit when something was entered."""
        try:
            async with self.writer.begin() as connection:
                transaction = SqlTransaction(connection, self.queue, self._vault)
                yield transaction
        except sa.exc.DBAPIError as error:
            if known := _known(error):
                raise known from None
            raise
        if transaction.queue.entered:
            self.queue.wake()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqlTransaction]:
        """For reading: on SQLite any write fails. Each statement sees the newest commit."""
        async with self.reader.connect() as connection:
            yield SqlTransaction(connection, self.queue, self._vault)

    async def close(self) -> None:
        await self.reader.dispose()
        await self.writer.dispose()
