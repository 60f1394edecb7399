"""`magpie sweep`: keeping house by hand, beside a running service or without one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict

import sqlalchemy as sa

from magpie.cli import FAILED, OK, say, show_json
from magpie.config import Config, ConfigError
from magpie.logs import set_up_logs
from magpie.parts import RandomIds, SystemClock, make_data_dir, make_fetcher, make_media, make_policy, make_secrets
from service.chat import TelegramCopy
from service.downloads import Downloads
from service.errors import ChatUnreachable, MagpieError
from service.events import JobEventBus
from service.limits import NoQuota
from service.sweeping import Sweeper, Swept
from storage.backup import BACKUPS, keeps_any
from storage.database import SqlDatabase
from storage.migrate import DatabaseUnusable, is_current, upgrade
from storage.sweeping import SqlSweeping

_LINES = {
    "sessions": "download sessions",
    "jobs": "downloads that are older than they are kept",
    "orphaned_files": "files that belong to nothing",
    "work_directories": "stale temporary directories",
    "engine_rows": "old entries of the queue",
    "other_rows": "expired codes, charges and keys of requests",
}


async def sweep_once(config: Config, *, dry_run: bool, as_json: bool) -> int:
    """Returns the exit status."""
    try:
        swept = await _sweep(config, dry_run=dry_run)
    except (MagpieError, ConfigError, DatabaseUnusable, OSError, sa.exc.SQLAlchemyError) as wrong:
        say(" ".join(str(wrong).split()))
        return FAILED
    if as_json:
        show_json(asdict(swept))
    else:
        for line in _lines(swept, dry_run=dry_run):
            print(line)  # noqa: T201 - the command's output
    return OK


def _lines(swept: Swept, *, dry_run: bool) -> list[str]:
    found = [f"{getattr(swept, name):6} {text}" for name, text in _LINES.items() if getattr(swept, name)]
    if not found:
        return ["Nothing to sweep."]
    if swept.stored_bytes:
        found.append(f"{swept.stored_bytes / 10**6:6.1f} MB of files that belong to nothing")
    return ["Would go:" if dry_run else "Gone:", *found]


async def _left_to_the_service(copies: Sequence[TelegramCopy]) -> None:
    """Only the service talks to Telegram: what also lies in a vault chat stays for it."""
    del copies
    raise ChatUnreachable


async def _sweep(config: Config, *, dry_run: bool) -> Swept:
    """The queue's own entries are left to the service, which alone holds the engine."""
    if dry_run and not await is_current(config.database):
        raise DatabaseUnusable("there is no database of this version of Magpie yet: `magpie run` makes one, or brings it up to date")
    make_data_dir(config)
    kept = make_secrets(config)
    set_up_logs(config.log_format, secrets=kept.texts, level=logging.ERROR)
    if not dry_run:
        await upgrade(config.database)
    async with AsyncExitStack() as closing:
        database, media, clock = SqlDatabase(config.database, vault=kept.vault), make_media(config), SystemClock()
        closing.push_async_callback(database.close)
        downloads = Downloads(
            database=database,
            engine=None,
            fetcher=await asyncio.to_thread(make_fetcher, config),
            media=media,
            events=JobEventBus(),
            quota=NoQuota(),
            clock=clock,
            ids=RandomIds(),
            policy=make_policy(config),
        )
        sweeper = Sweeper(
            rows=SqlSweeping(database, kept.vault),
            files=media,
            engine=None,
            database=database,
            downloads=downloads,
            media=media,
            clock=clock,
            vaults=_left_to_the_service,
            keeps_files=lambda: keeps_any(config.data_dir.absolute() / BACKUPS),
        )
        return await sweeper.sweep(dry_run=dry_run)
