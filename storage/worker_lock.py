"""Which workers live, on PostgreSQL: each holds a lock of its own, and one that all share."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg
import sqlalchemy as sa

ANY_WORKER = "any"
"""Names the lock that all workers share: where it is free, none runs."""
log = logging.getLogger("magpie.queue")


class WorkerLock:
    """PostgreSQL: an advisory lock that says "this worker lives", on a connection of its own."""

    def __init__(self, url: str, executor_id: str) -> None:
        self._url, self._executor_id = url, executor_id
        self._connection: Any = None

    async def take(self) -> None:
        """Raises `OSError` or asyncpg's errors when the database cannot be reached."""
        self._connection = await asyncpg.connect(self._url)
        await self._connection.fetchval("select pg_advisory_lock_shared($1)", _lock_key(ANY_WORKER))
        await self._connection.fetchval("select pg_advisory_lock($1)", _lock_key(self._executor_id))

    async def keep(self, each_round: Callable[[WorkerLock], Awaitable[None]]) -> None:
        """Look every second; connect and lock again whenever the connection was lost."""
        try:
            while True:
                try:
                    if self._connection.is_closed():
                        await self.take()
                    await each_round(self)
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, sa.exc.SQLAlchemyError) as lost:
                    log.warning("the database is not reachable for the worker lock", extra={"cause": type(lost).__name__})
                await asyncio.sleep(1)
        finally:
            await self.close()

    async def close(self) -> None:
        """Lets go of the lock. May be called again."""
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._connection.close(timeout=2)

    def of(self, executor_id: str) -> _OtherLock:
        """Take another worker's lock for a moment, if it is free."""
        return _OtherLock(self._connection, _lock_key(executor_id))


class _OtherLock:
    def __init__(self, connection: Any, key: int) -> None:
        self._connection, self._key, self._taken = connection, key, False

    async def __aenter__(self) -> bool:
        self._taken = bool(await self._connection.fetchval("select pg_try_advisory_lock($1)", self._key))
        return self._taken

    async def __aexit__(self, *_: object) -> None:
        if self._taken:
            await self._connection.fetchval("select pg_advisory_unlock($1)", self._key)


async def engine_runs(url: str) -> bool:
    """PostgreSQL: whether any process works on this database's queue."""
    connection = await asyncpg.connect(url)
    try:
        return not await connection.fetchval("select pg_try_advisory_lock($1)", _lock_key(ANY_WORKER))
    finally:
        await connection.close()  # and with it the lock


def _lock_key(executor_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"magpie.{executor_id}".encode()).digest()[:8], "big", signed=True)
