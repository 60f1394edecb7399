"""`magpie db`: upgrade, export and import, by hand."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import asyncpg
import sqlalchemy as sa

from magpie.cli import FAILED, OK, USAGE, say, show_json
from magpie.config import Config, ConfigError
from magpie.logs import set_up_logs
from magpie.parts import RandomIds, SystemClock, lock_file, make_data_dir, make_media, make_secrets
from service.audit import NOBODY
from service.backup import Backups, Import, Importer, ImportState
from service.errors import EngineBusy, InvalidDump, MagpieError
from storage.backup import BACKUPS, SqlBackups
from storage.database import SqlDatabase
from storage.engine_lock import EngineLock
from storage.migrate import DatabaseUnusable, head, is_current, upgrade
from storage.queue import forget_work
from storage.worker_lock import engine_runs

BESIDE = "A service runs on this database: send the file to it instead, with POST /api/v1/database/import, or stop it first."


class _NobodyWorks:
    """Without a service there is nothing that would have to stand still; only the queue keeps what it had."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def begin(self) -> None:
        """Nothing to do."""

    async def empty_queue(self) -> None:
        await forget_work(self._url)

    async def end(self) -> None:
        """Nothing to do."""


async def upgrade_database(config: Config, *, as_json: bool) -> int:
    """Returns the exit status."""

    async def act() -> int:
        was_current = await is_current(config.database)
        make_data_dir(config)
        await upgrade(config.database)
        if as_json:
            show_json({"revision": head(), "changed": not was_current})
        else:
            say("The database is up to date already." if was_current else "The database is up to date now.")
        return OK

    return await _safely(act)


async def export_database(config: Config, file: Path | None, *, as_json: bool) -> int:
    """Returns the exit status."""
    target = file if file is not None else Path(f"media_auto_saver_backup_{SystemClock().now():%Y%m%d_%H%M%S}.sql")
    is_output = str(target) == "-"

    async def act() -> int:
        if not is_output and await asyncio.to_thread(target.exists):
            say(f"{target} is there already.")
            return USAGE
        async with _backups(config) as backups:
            size = await _written(await backups.export(NOBODY), None if is_output else target)
        if as_json and not is_output:
            show_json({"file": str(target.absolute()), "size": size})
        elif not is_output:
            say(f"{target}: {size} bytes. It holds everything, log-ins and encrypted secrets too: keep it as safe as the key itself.")
        return OK

    return await _safely(act)


async def _written(pieces: AsyncIterator[bytes], target: Path | None) -> int:
    """To standard output without a target. A file that could not be finished goes."""
    size = 0
    file: BinaryIO = sys.stdout.buffer if target is None else await asyncio.to_thread(_new, target)
    try:
        async for piece in pieces:
            await asyncio.to_thread(file.write, piece)
            size += len(piece)
        await asyncio.to_thread(file.flush)
    except BaseException:
        if target is not None:
            await asyncio.to_thread(target.unlink, missing_ok=True)
        raise
    finally:
        if target is not None:
            file.close()
    return size


def _new(target: Path) -> BinaryIO:
    return os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


async def import_database(config: Config, file: Path, *, as_json: bool) -> int:
    """Returns the exit status."""

    async def act() -> int:
        if not await asyncio.to_thread(file.is_file):
            say(f"There is no file {file}.")
            return USAGE
        make_data_dir(config)
        lock = EngineLock(place) if (place := lock_file(config)) else None
        if lock is not None:
            lock.take()
        elif await engine_runs(config.database):
            raise EngineBusy
        try:
            async with _backups(config) as backups:
                _show(await _imported(backups, file, as_json=as_json), as_json=as_json)
        finally:
            if lock is not None:
                lock.release()
        return OK

    return await _safely(act)


async def _imported(backups: Backups, file: Path, *, as_json: bool) -> Import:
    """Whoever breaks it off hears what became of it."""
    try:
        return await backups.run(file, Importer())
    except asyncio.CancelledError:
        last = await backups.last()
        if last.state is ImportState.DONE:
            say("It was too late to break it off.")
            _show(last, as_json=as_json)
        else:
            say(last.message)
        raise


def _show(done: Import, *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(done))
        return
    say(f"{done.message} (The file is {done.kept_as} in the data directory.)")
    for count, what in (
        (done.failed_jobs, "downloads were under way in the dump: they have failed and can be asked for again."),
        (done.missing_files, "files are not in the store: they are fetched again when they are asked for."),
        (done.lost_secrets, "secrets were encrypted with another key: they need to be given again."),
    ):
        if count:
            say(f"{count} {what}")


@asynccontextmanager
async def _backups(config: Config) -> AsyncIterator[Backups]:
    make_data_dir(config)
    kept = make_secrets(config)
    set_up_logs(config.log_format, secrets=kept.texts, level=logging.ERROR)
    await upgrade(config.database)
    database = SqlDatabase(config.database, vault=kept.vault)
    try:
        yield Backups(
            dumps=SqlBackups(database, kept.vault, config.data_dir.absolute() / BACKUPS, version("magpie-bot")),
            standstill=_NobodyWorks(config.database),
            database=database,
            downloads=None,
            media=make_media(config),
            clock=SystemClock(),
            ids=RandomIds(),
        )
    finally:
        await database.close()


async def _safely(act: Callable[[], Awaitable[int]]) -> int:
    """What goes wrong is one line."""
    try:
        return await act()
    except EngineBusy:
        say(BESIDE)
    except InvalidDump as wrong:
        say(f"{wrong.message} Nothing was changed.")
    except (sa.exc.SQLAlchemyError, sqlite3.Error, asyncpg.PostgresError) as wrong:
        say(f"The database cannot be used: {' '.join(str(getattr(wrong, 'orig', wrong)).split())}")
    except (MagpieError, ConfigError, DatabaseUnusable, OSError) as wrong:
        say(" ".join(str(wrong).split()))
    return FAILED
