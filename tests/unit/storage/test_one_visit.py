"""The dialect that visits SQLite's thread once a statement: it behaves as SQLAlchemy's own does."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.database import prepare_sqlite
from storage.one_visit import SCHEME

birds = sa.Table(
    "birds", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String, unique=True, nullable=False)
)


def engine_on(file: Path) -> AsyncEngine:
    engine = create_async_engine(f"{SCHEME}///{file}", pool_size=1, max_overflow=0)

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.create_function("sleep", 1, slept)

    prepare_sqlite(engine.sync_engine, read_only=False)
    return engine


def slept(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = engine_on(tmp_path / "birds.db")
    async with engine.begin() as connection:
        await connection.run_sync(birds.create)
    yield engine
    await engine.dispose()


async def names(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.execute(sa.select(birds.c.name).order_by(birds.c.id))).scalars())


async def test_a_statement_with_its_rows_is_one_visit(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    visit: Any = aiosqlite.Connection._execute
    visits = []

    async def counted(self: aiosqlite.Connection, *what: Any) -> Any:
        visits.append(what)
        return await visit(self, *what)

    async with engine.begin() as connection:
        await connection.execute(sa.insert(birds), [{"name": "magpie"}, {"name": "jay"}])
        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        assert len((await connection.execute(sa.select(birds))).all()) == 2
        assert len(visits) == 1


async def test_rows_counts_and_ids_are_as_they_should_be(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        assert (await connection.execute(sa.insert(birds), {"name": "magpie"})).inserted_primary_key == (1,)
        made = await connection.execute(sa.insert(birds).returning(birds.c.id), [{"name": "jay"}, {"name": "crow"}])
        assert sorted(made.scalars()) == [2, 3]
        assert (await connection.execute(sa.update(birds).values(name=birds.c.name + "!"))).rowcount == 3
        found = await connection.execute(sa.select(birds.c.name).order_by(birds.c.id))
        assert list(found.keys()) == ["name"]
        some = [found.fetchone(), *found.fetchmany(1), *found.fetchall()]
        assert [row.name for row in some if row] == ["magpie!", "jay!", "crow!"]
        assert (await connection.execute(sa.select(birds.c.id).where(sa.false()))).all() == []


async def test_rows_come_piece_by_piece_where_that_is_wanted(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.insert(birds), [{"name": str(number)} for number in range(250)])
        async with connection.stream(sa.select(birds.c.id).order_by(birds.c.id)) as rows:
            assert [row.id async for row in rows] == list(range(1, 251))


async def write(engine: AsyncEngine, *statements: sa.Executable) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_what_fails_is_undone_and_the_connection_stays_of_use(engine: AsyncEngine) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        await write(engine, sa.insert(birds).values([{"name": "magpie"}]), sa.insert(birds).values([{"name": "jay"}, {"name": "jay"}]))
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        await write(engine, sa.text("select * from fish"))
    async with engine.begin() as connection:
        await connection.execute(sa.insert(birds), {"name": "crow"})
    assert await names(engine) == ["crow"]


async def test_whoever_is_cancelled_in_the_middle_writes_nothing_and_holds_up_nobody(engine: AsyncEngine) -> None:
    async def write_slowly() -> None:
        async with engine.begin() as connection:
            await connection.execute(sa.insert(birds), {"name": "magpie"})
            await connection.execute(sa.text("select sleep(0.5)"))
            await connection.execute(sa.insert(birds), {"name": "jay"})

    writing = asyncio.create_task(write_slowly())
    await asyncio.sleep(0.2)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    async with asyncio.timeout(20), engine.begin() as connection:
        await connection.execute(sa.insert(birds), {"name": "crow"})
    assert await names(engine) == ["crow"]


async def test_whoever_is_cancelled_while_a_connection_is_opened_leaves_none(tmp_path: Path) -> None:
    """Warnings are errors: one that is left to the garbage collector fails this test."""
    for step in range(80):
        engine = engine_on(tmp_path / "birds.db")
        opening = asyncio.create_task(_look(engine))
        await asyncio.sleep(step * 0.0001)  # any moment of the opening may be hit
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await engine.dispose()
        del engine
        gc.collect()


async def _look(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.text("select 1"))
