"""Brings a database's tables to the present version. Safe to run beside a running service of the same version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

MIGRATION_LOCK = 0x6D61_6770_6965  # "magpie": one migrating process at a time on PostgreSQL


class DatabaseUnusable(Exception):
    """The database cannot be brought to the present version. The message is one line that says why."""


def alembic_config() -> Config:
    """Where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade_on(connection: sa.Connection, revision: str = "head") -> None:
    """Run what is missing, within the connection's transaction."""
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def head() -> str:
    """The present version's."""
    found = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert found is not None, "there are migrations"
    return found


def is_known(revision: str) -> bool:
    """False for one of a version that is newer than this."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


async def is_current(url: str) -> bool:
    """Whether there is a database of the present version. Changes nothing. Raises what `upgrade` raises."""
    if url.startswith("sqlite:") and not await asyncio.to_thread(Path(url.removeprefix("sqlite:///")).exists):
        return False
    async with _engine_on(url) as engine, engine.connect() as connection:
        found = await connection.run_sync(lambda plain: MigrationContext.configure(plain).get_current_revision())
    return found == head()


async def upgrade(url: str, revision: str = "head") -> None:
    """Migrate on an engine of its own, up to this revision. Raises `DatabaseUnusable`, and `OSError` when a server cannot be reached.

    SQLite does so with `foreign_keys=OFF`: altering a table there copies it, and dropping the old one would delete the
    rows of its children by cascade. What the copying left is checked before the commit.
    """
    is_sqlite = url.startswith("sqlite:")
    async with _engine_on(url) as engine:
        if is_sqlite:
            _migrate_alone(engine.sync_engine)
        async with engine.begin() as connection:
            if not is_sqlite:
                await connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.run_sync(upgrade_on, revision)
            if is_sqlite:
                broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
                if broken:
                    raise RuntimeError(f"a migration broke {len(broken)} references: nothing was changed")


@asynccontextmanager
async def _engine_on(url: str) -> AsyncIterator[AsyncEngine]:
    """Raises `DatabaseUnusable` for what goes wrong on it."""
    scheme = ("sqlite:", "sqlite+aiosqlite:") if url.startswith("sqlite:") else ("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url.replace(*scheme, 1), hide_parameters=True)
    try:
        yield engine
    except CommandError as wrong:
        raise DatabaseUnusable(f"the database is of another version of Magpie ({wrong})") from wrong
    except sa.exc.DBAPIError as wrong:
        raise DatabaseUnusable(f"the database cannot be used ({' '.join(str(wrong.orig).split())})") from wrong
    except asyncpg.PostgresError as wrong:
        raise DatabaseUnusable(f"the database refuses us ({' '.join(str(wrong).split())})") from wrong
    finally:
        await engine.dispose()


def _migrate_alone(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "busy_timeout=60000", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
