"""Fixtures that every suite may use."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.database import SqlDatabase
from storage.migrate import upgrade
from tests.support.database import postgres_database, postgres_server, prepare
from tests.support.fakes import CountingIds, FakeClock


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    yield from postgres_server()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/magpie.db"
    else:
        yield from postgres_database(request.getfixturevalue("postgres"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "magpie.db"
    prepare(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind with all tables and no rows: to migrate it does nothing."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "magpie.db")
        yield f"sqlite:///{tmp_path}/magpie.db"
    else:
        yield from postgres_database(request.getfixturevalue("postgres"), "template_migrated")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[SqlDatabase]:
    """A migrated database of each kind."""
    await upgrade(database_url)
    database = SqlDatabase(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids() -> CountingIds:
    return CountingIds()
