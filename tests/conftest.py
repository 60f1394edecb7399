"""Fixtures that every suite may use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.database import SqlDatabase
from storage.migrate import upgrade
from tests.support.database import postgres_database, postgres_server
from tests.support.fakes import CountingIds, FakeClock


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    yield from postgres_server()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/magpie.db"
    else:
        yield from postgres_database(request.getfixturevalue("postgres"))


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
