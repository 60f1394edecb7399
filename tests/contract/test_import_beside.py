"""What happens beside an import, and in the middle of it: broken off, no room, a lost connection. Nothing that was there may be lost."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import asyncpg
import pytest
import sqlalchemy as sa
from asyncpg.transaction import Transaction

from service.audit import Act, Actor
from service.backup import Importer, ImportState
from service.due_links import PLACES
from service.errors import DiskFull, ImportUncertain, InvalidDump, Unavailable
from storage import backup, dumps, swap, tables
from storage.migrate import DatabaseUnusable, upgrade
from tests.contract.test_backup import as_dump
from tests.contract.test_links import CHANNEL, street_of
from tests.support.backups import Place, prepared_database
from tests.support.house import House, living
from tests.support.people import Town
from tests.unit.webapi.toy import Site, served
from webapi.contract import Api
from webapi.database import DatabaseEndpoints

ENDED = [{"status": "completed"}, {"status": "failed"}]
MINE = [{"username": "mine"}, {}]
MORE_THAN_AT_ONCE = PLACES + 2


async def broken_off(work: asyncio.Task[Any], begun: asyncio.Event) -> None:
    """Cancelled once it is at it."""
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


@pytest.fixture
async def source(tmp_path: Path, migrated_file: Path) -> AsyncIterator[Place]:
    with prepared_database("sqlite", tmp_path / "source", migrated_file, None) as url:
        place = Place(url, tmp_path / "source")
        await place.fill(jobs=ENDED)
        yield place
        await place.close()


@pytest.fixture
async def target(target_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(target_url, tmp_path / "target")
    await place.fill(jobs=ENDED, accounts=MINE)
    yield place
    await place.close()


@pytest.fixture
async def postgres_target(postgres: Any, tmp_path: Path, migrated_file: Path) -> AsyncIterator[Place]:
    with prepared_database("postgresql", tmp_path / "target", migrated_file, postgres) as url:
        place = Place(url, tmp_path / "target")
        await place.fill(jobs=ENDED, accounts=MINE)
        yield place
        await place.close()


def kept(place: Place) -> list[Path]:
    return list((place.directory / "backups").glob("before-import-*"))


def left(place: Place) -> list[Path]:
    return [file for file in (place.directory / "backups").rglob("*") if file.is_file()]


async def is_replaced(place: Place) -> bool:
    return "mine" not in [row["username"] for row in (await place.rows())["accounts"]]


async def failed(place: Place, dump: Path, error: type[Exception]) -> str:
    """What is said of it."""
    with pytest.raises(error):
        await place.backups.run(dump, Importer())
    last = await place.backups.last()
    assert last.state is ImportState.FAILED
    return last.message


# --- broken off -------------------------------------------------------------------------------------------------------------


async def test_an_import_that_is_broken_off_in_the_swap_is_done(source: Place, target: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    dump, real, begun = await source.exported(), target.dumps.swap, asyncio.Event()

    async def slow(*given: Any) -> None:
        begun.set()
        await asyncio.sleep(0.1)
        await real(*given)

    monkeypatch.setattr(target.dumps, "swap", slow)
    work = asyncio.create_task(target.backups.run(dump, Importer()))
    await broken_off(work, begun)
    last = await target.backups.last()
    assert (last.state, last.kept_as) == (ImportState.DONE, f"backups/{kept(target)[0].name}")
    assert await is_replaced(target)
    assert target.standstill.asked[-1] == "end"


async def test_what_was_replaced_is_kept_though_nobody_waits_for_the_swap(
    source: Place, target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, begun = await target.dumps.prepare(await source.exported()), asyncio.Event()
    await scratch.adapt(UUID(int=1), Importer(), target.clock.now())
    loop, real = asyncio.get_running_loop(), swap.moved

    def told() -> Any:
        loop.call_soon_threadsafe(begun.set)
        return real()

    monkeypatch.setattr(swap, "moved", told)
    work = asyncio.create_task(scratch.take_over(target.clock.now()))
    await broken_off(work, begun)
    await scratch.discard()
    assert bool(kept(target)) is await is_replaced(target)


async def test_an_import_that_is_broken_off_before_has_changed_nothing(
    source: Place, target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump, begun = await source.exported(), asyncio.Event()

    async def never_ends() -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(target.standstill, "begin", never_ends)
    work = asyncio.create_task(target.backups.run(dump, Importer()))
    await broken_off(work, begun)
    last = await target.backups.last()
    assert (last.state, last.message) == (ImportState.FAILED, "It was broken off. Nothing was changed.")
    assert not await is_replaced(target)
    assert left(target) == []


# --- what is kept -----------------------------------------------------------------------------------------------------------


async def test_what_is_kept_has_its_name_only_when_it_is_whole(source: Place, target: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    dump, names = await source.exported(), set[str]()
    plain, beside = dumps.sqlite_dump, dumps.postgres_dump

    def watched(*given: Any) -> Any:
        for piece in plain(*given):
            names.update(file.name for file in kept(target))
            yield piece

    async def watched_beside(*given: Any) -> Any:
        async for piece in beside(*given):
            names.update(file.name for file in kept(target))
            yield piece

    monkeypatch.setattr(swap, "sqlite_dump", watched)
    monkeypatch.setattr(swap, "postgres_dump", watched_beside)
    await target.backups.run(dump, Importer())
    assert names == set()
    assert len(left(target)) == len(kept(target)) == 1


async def test_an_import_whose_last_answer_is_lost_is_looked_up(
    source: Place, postgres_target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, dump, real = postgres_target, await source.exported(), Transaction.commit

    async def lost_afterwards(transaction: Transaction) -> None:
        await real(transaction)
        raise ConnectionResetError

    monkeypatch.setattr(Transaction, "commit", lost_afterwards)
    done = await target.backups.run(dump, Importer())
    assert (done.state, done.kept_as) == (ImportState.DONE, f"backups/{kept(target)[0].name}")


async def test_where_nobody_knows_how_the_swap_ended_what_was_there_is_kept(
    source: Place, postgres_target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(transaction: Transaction) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(Transaction, "commit", lost)
    message = await failed(postgres_target, await source.exported(), ImportUncertain)
    assert "whether" in message
    assert "was changed" not in message
    assert len(kept(postgres_target)) == 1


# --- what a database refuses ------------------------------------------------------------------------------------------------


class Planted(NamedTuple):
    table: str
    change: str


@pytest.mark.parametrize(
    "planted",
    [
        Planted("history_entries", "attempt = 4000000000"),
        Planted("jobs", "title = 'a' || char(0)"),
        Planted("jobs", "status = hex(randomblob(99))"),
    ],
    ids=["too large a number", "NUL", "too long a text"],
)
async def test_a_value_that_postgresql_refuses_is_an_unsound_dump(planted: Planted, source: Place, postgres_target: Place) -> None:
    target = postgres_target
    before, scratch = await target.rows(), await target.dumps.prepare(await source.exported())
    await scratch.adapt(UUID(int=1), Importer(), target.clock.now())
    (file,) = (target.directory / "backups" / "incoming").glob("*.db")
    with closing(sqlite3.connect(file)) as connection:  # beyond what was looked through: the last line of defence
        connection.execute(f"UPDATE {planted.table} SET {planted.change}")
        connection.commit()
    with pytest.raises(InvalidDump, match="PostgreSQL refuses"):
        await scratch.take_over(target.clock.now())
    await scratch.discard()
    assert await target.rows() == before
    assert left(target) == []


async def test_rows_that_a_migration_refuses_are_an_unsound_dump(target: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "old.db"
    await upgrade(f"sqlite:///{old}", "0005")
    with closing(sqlite3.connect(old)) as connection:
        (tmp_path / "old.sql").write_bytes(as_dump(connection, "0005"))

    async def refusing(url: str, revision: str = "head") -> None:
        if revision == "head":
            raise DatabaseUnusable("the database cannot be used (UNIQUE constraint failed)")
        await upgrade(url, revision)

    monkeypatch.setattr(backup, "upgrade", refusing)
    assert "present version" in await failed(target, tmp_path / "old.sql", InvalidDump)
    assert target.standstill.asked == []


async def test_a_busy_database_is_told_with_what_was_stopped(
    source: Place, postgres_target: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = postgres_target
    monkeypatch.setattr(swap, "LOCK_WAIT", "50ms")
    dump, reader = await source.exported(), await asyncpg.connect(target.url)
    async with living(House(target.url, tmp_path / "house")) as house:
        place = Place(target.url, target.directory, database=house.database, downloads=house.downloads, media=house.media)
        try:
            async with reader.transaction():
                await reader.execute("LOCK TABLE jobs IN ACCESS SHARE MODE")
                message = await failed(place, dump, Unavailable)
        finally:
            await reader.close()
    assert message == (
        "The database is busy: an export may be under way. Try again."
        " The downloads that were under way are cancelled; nothing else was changed."
    )


# --- no room ----------------------------------------------------------------------------------------------------------------


class Usage(NamedTuple):
    free: int


async def test_without_room_for_the_scratch_database_nothing_is_stopped(
    source: Place, target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = await source.exported()
    size = dump.stat().st_size
    monkeypatch.setattr("storage.disk_space.shutil.disk_usage", lambda _: Usage(size))
    assert await failed(target, dump, DiskFull) == f"{DiskFull().message} Nothing was changed."
    assert target.standstill.asked == []
    assert left(target) == []


async def test_without_room_for_the_upload_it_is_refused_before(target: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.disk_space.shutil.disk_usage", lambda _: Usage(100))
    target.backups.check_room(33)
    with pytest.raises(DiskFull):
        target.backups.check_room(34)


@pytest.mark.parametrize(
    "full", [sqlite3.OperationalError("database or disk is full"), OSError(errno.ENOSPC, "No space left"), OSError(errno.EDQUOT, "Quota")]
)
async def test_a_disk_that_fills_up_meanwhile_is_told_as_such(
    full: Exception, source: Place, target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = await source.exported()

    def broken(*_: Any) -> None:
        raise full

    monkeypatch.setattr(backup, "_load", broken)
    assert "disk space" in await failed(target, dump, DiskFull)
    assert target.standstill.asked == []


async def test_a_disk_that_fills_up_in_the_swap_leaves_everything_as_it_was(
    source: Place, target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, dump = await target.rows(), await source.exported()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("storage.swap.os.fsync", full)
    assert "disk space" in await failed(target, dump, DiskFull)
    assert await target.rows() == before
    assert left(target) == []


@pytest.fixture
async def site(target: Place) -> AsyncIterator[Site]:
    """Where a file is written, there is no room."""
    full = target.directory / "full.sql"
    full.symlink_to("/dev/full")
    api = Api(title="Backup", version="1")
    DatabaseEndpoints(target.backups, target.clock, lambda: full).register(api)
    async with served(api) as site:
        yield site


async def sent(site: Site, dump: Path) -> tuple[int, str]:
    """Status and code."""
    form = aiohttp.FormData()
    form.add_field("file", dump.read_bytes(), filename=dump.name)
    async with site.http.post("/api/v1/database/import", data=form) as got:
        return got.status, (await got.json(content_type=None))["code"]


async def test_an_upload_that_fills_the_disk_is_told_as_such(source: Place, site: Site) -> None:
    assert await sent(site, await source.exported()) == (503, "disk_full")


async def test_an_upload_that_has_no_room_is_refused_before_it_is_read(
    source: Place, target: Place, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.disk_space.shutil.disk_usage", lambda _: Usage(100))
    (target.directory / "full.sql").unlink()  # what is written there would fit
    assert await sent(site, await source.exported()) == (503, "disk_full")


# --- who imported -----------------------------------------------------------------------------------------------------------


async def acts(place: Place) -> list[tuple[Act, int | None, str | None]]:
    """Newest first."""
    async with place.database.read() as transaction:
        return [(one.action, one.account_id, one.details) for one in (await transaction.audit.page())[0]]


async def test_an_importer_whom_the_dump_does_not_know_is_named_in_its_audit_trail(source: Place, target: Place) -> None:
    town = Town(target.database, target.clock)
    ann = await town.account("ann", is_superuser=True)
    key, _ = await town.keys.create(Actor(account_id=ann.id), ann, "script")
    await target.backups.run(await source.exported(), Importer(account=ann, key_id=key.id))
    act, account_id, details = (await acts(target))[0]
    assert (act, account_id) == (Act.DATABASE_IMPORTED, None)
    assert f"by ann, whom the dump does not know, with the key {key.start}…" in str(details)


async def test_a_long_name_fits_into_the_audit_trail(source: Place, target: Place) -> None:
    ann = await Town(target.database, target.clock).account("ann")
    await target.backups.run(await source.exported(), Importer(account=replace(ann, username="a" * 300)))
    assert len(str((await acts(target))[0][2])) == 200


async def test_an_import_that_fails_in_the_background_is_in_the_audit_trail(source: Place, target: Place) -> None:
    ann = await Town(target.database, target.clock).account("ann", is_superuser=True)
    dump = await source.exported()
    dump.write_bytes(dump.read_bytes()[:-10])
    target.backups.start(dump, Importer(account=ann))
    while target.backups.is_importing:
        await asyncio.sleep(0.01)
    assert (await acts(target))[:2] == [(Act.IMPORT_FAILED, ann.id, "not_a_dump"), (Act.IMPORT_BEGUN, ann.id, None)]


# --- links that were due ----------------------------------------------------------------------------------------------------


async def test_links_that_were_claimed_before_are_not_looked_at_after(database_url: str, tmp_path: Path) -> None:
    await upgrade(database_url)
    async with living(House(database_url, tmp_path)) as house:
        street = await street_of(house)
        for number in range(MORE_THAN_AT_ONCE):
            url = f"{CHANNEL}/{number}"
            house.web.channels[url], house.web.slow[url] = [], asyncio.Event()
            await street.add(url)
        ticking = asyncio.create_task(street.links.due.tick())
        async with asyncio.timeout(30):
            while len(house.web.listed) < PLACES:
                await asyncio.sleep(0.01)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        house.web.slow.clear()
        async with house.database.writer.begin() as connection:  # their numbers are others' now, who are not due
            await connection.execute(sa.update(tables.links).values(next_run_at=None))
        assert await street.links.due.tick() == 0
