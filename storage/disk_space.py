"""Room on the disk, and how it shows that there is none: each library has its own way to say so."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from service.backup import is_full
from service.errors import DiskFull

NO_ROOM = "database or disk is full"
"""SQLite's words, which some wrap without the error that says so by its number."""


def check_room(directory: Path, size: int) -> None:
    """Whether so many bytes more fit there. Raises `DiskFull`, `OSError`."""
    if shutil.disk_usage(directory).free < size:
        raise DiskFull


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Whatever says that there is no room left is raised as `DiskFull`."""
    try:
        yield
    except Exception as wrong:
        if _says_full(wrong):
            raise DiskFull from wrong
        raise


def _says_full(wrong: BaseException | None) -> bool:
    while wrong is not None:
        if isinstance(wrong, OSError) and is_full(wrong):
            return True
        if isinstance(wrong, asyncpg.DiskFullError) or (isinstance(wrong, sqlite3.Error) and NO_ROOM in str(wrong)):
            return True
        wrong = getattr(wrong, "orig", None) or wrong.__cause__
    return False
