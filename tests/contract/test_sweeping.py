"""Keeping house, on SQLite and PostgreSQL: what has expired goes, what is alive stays, and everything may be cut short."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from service import sweeping
from service.accounts import AccountChange
from service.allowances import Allowance
from service.chat import TelegramCopy
from service.descriptions import ListItem
from service.downloads import Order
from service.errors import ChatUnreachable, VideoPrivate
from service.media_url import MediaUrl
from service.model import Account, Job, JobStatus, Origin
from service.opened_sessions import OpenedSessions, Viewer
from service.selection import Selection
from service.sweeping import Sweeper, Swept
from storage import tables
from storage.migrate import upgrade
from storage.opened_sessions import SqlOpenedSessions
from storage.sweeping import SqlSweeping
from tests.support.house import House, RealIds, living
from tests.support.people import OPERATOR, Town, actor

HERE = "198.51.100.1"


class Street:
    """A house, the people around it, and whoever sweeps."""

    def __init__(self, house: House) -> None:
        self.house, self.town = house, Town(house.database, house.clock)
        rows = SqlOpenedSessions(house.database)
        self.sessions = OpenedSessions(
            rows=rows, database=house.database, downloads=house.downloads, media=house.media, clock=house.clock, ids=RealIds()
        )
        self.rows = SqlSweeping(house.database, None)
        self.sweeper = Sweeper(
            rows=self.rows,
            files=house.media,
            engine=house.engine,
            database=house.database,
            downloads=house.downloads,
            media=house.media,
            clock=house.clock,
        )

    def order(self, path: str, **more: Any) -> Order:
        self.house.web.pages.setdefault(f"https://example.com/{path}", path.encode() * 10)
        url = MediaUrl.parse(f"https://example.com/{path}")
        return replace(Order(url=url, selection=Selection.of("audio"), origin=Origin.API), **more)

    async def had(self, path: str, **more: Any) -> Job:
        return await self.house.ended((await self.house.downloads.submit(self.order(path, **more)))[0])

    async def in_session(self, path: str, session_id: UUID) -> Job:
        return await self.had(path, download_session_id=session_id, session_is_unowned=True, address=HERE)

    async def rows_of(self, table: sa.Table) -> int:
        async with self.house.database.reader.connect() as connection:
            return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())

    async def keeper(self, days: int = 7) -> Account:
        """Who may keep things for so long."""
        await self.town.account("root")
        account = await self.town.account("ann")
        return await self.town.accounts.change(OPERATOR, account.id, AccountChange(allowance=Allowance(retention_days=days)))


@pytest.fixture
async def street(database_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    await upgrade(database_url)
    house = House(url=database_url, root=tmp_path)
    async with living(house):
        yield Street(house)


async def test_an_anonymous_session_goes_with_its_files_a_day_after_it_was_used(street: Street) -> None:
    opened = await street.sessions.open(owner_id=None, address=HERE)
    await street.in_session("a", opened.session.id)
    street.house.clock.move(timedelta(hours=23))
    assert (await street.sweeper.sweep()).sessions == 0
    street.house.clock.move(timedelta(hours=3))
    swept = await street.sweeper.sweep()
    assert (swept.sessions, swept.jobs, street.house.stored()) == (1, 1, [])
    assert (await street.sweeper.sweep()).is_nothing


async def test_a_session_without_an_address_is_local_and_stays(street: Street) -> None:
    opened = await street.sessions.open(owner_id=None, address=None)
    await street.in_session("a", opened.session.id)
    street.house.clock.move(timedelta(days=400))
    assert (await street.sweeper.sweep()).sessions == 0
    assert len(street.house.stored()) == 1


async def test_what_lies_in_a_vault_chat_that_cannot_be_emptied_just_now_stays_and_is_not_counted(street: Street) -> None:
    opened = await street.sessions.open(owner_id=None, address=HERE)
    job = await street.in_session("a", opened.session.id)
    (file,) = await street.house.downloads.files(job)
    assert file.media.id is not None
    copy = TelegramCopy(bot_id=7, media_file_id=file.media.id, kind="audio", file_id="A", vault_chat_id=-5, vault_message_id=1)
    async with street.house.database.write() as transaction:
        await transaction.telegram_copies.put(copy)

    async def refuse(copies: Sequence[TelegramCopy]) -> None:
        assert copies == [copy]
        raise ChatUnreachable

    sweeper = Sweeper(
        rows=street.rows, files=street.house.media, engine=None, database=street.house.database,
        downloads=street.house.downloads, media=street.house.media, clock=street.house.clock, vaults=refuse,
    )  # fmt: skip
    street.house.clock.move(timedelta(days=2))
    assert (await sweeper.sweep()).is_nothing
    assert len(street.house.stored()) == 1


async def test_a_dry_run_tells_what_would_go_and_changes_nothing(street: Street) -> None:
    opened = await street.sessions.open(owner_id=None, address=HERE)
    await street.in_session("a", opened.session.id)
    street.house.clock.move(timedelta(days=2))
    told = await street.sweeper.sweep(dry_run=True)
    assert (told.sessions, told.jobs, len(street.house.stored())) == (1, 1, 1)
    assert await street.sweeper.sweep() == told


async def test_a_session_that_was_used_a_moment_ago_stays(street: Street) -> None:
    opened = await street.sessions.open(owner_id=None, address=HERE)
    await street.in_session("a", opened.session.id)
    street.house.clock.move(timedelta(hours=24, minutes=30))
    assert await street.sessions.shown(opened.session.id) is None
    street.house.clock.move(timedelta(minutes=-60))
    assert await street.sessions.shown(opened.session.id) is not None
    street.house.clock.move(timedelta(minutes=60))
    await street.sweeper.sweep()
    assert len(street.house.stored()) == 1


async def test_a_session_that_is_claimed_while_it_is_swept_stays(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    await street.town.account("root")
    ann = await street.town.account("ann")
    opened = await street.sessions.open(owner_id=None, address=HERE)
    await street.in_session("a", opened.session.id)
    street.house.clock.move(timedelta(days=2))
    find = street.rows.expired_sessions

    async def claim_meanwhile(used_before: Any) -> list[UUID]:
        found = await find(used_before)
        async with street.house.database.write() as transaction:
            await transaction.download_sessions.give(opened.session.id, ann.id)
        return found

    monkeypatch.setattr(street.rows, "expired_sessions", claim_meanwhile)
    await street.sweeper.sweep()
    assert (len(street.house.stored()), await street.rows_of(tables.jobs)) == (1, 1)


async def test_what_is_older_than_its_owner_may_keep_it_goes_and_its_history_stays(street: Street) -> None:
    ann = await street.keeper()
    await street.had("old", account_id=ann.id)
    street.house.clock.move(timedelta(days=5))
    young = await street.had("young", account_id=ann.id)
    street.house.clock.move(timedelta(days=3))
    assert (await street.sweeper.sweep()).jobs == 1
    assert [job.id for job in await street.rows.jobs_of(ann.id, street.house.clock.now())] == [young.id]
    assert (len(street.house.stored()), await street.rows_of(tables.history_entries)) == (1, 2)


async def test_what_another_shows_too_stays_readable(street: Street) -> None:
    ann = await street.keeper()
    await street.had("a", account_id=ann.id)
    street.house.clock.move(timedelta(days=6))
    ben = await street.town.account("ben")
    job = await street.had("a", account_id=ben.id)
    street.house.clock.move(timedelta(days=2))
    await street.sweeper.sweep()
    (file,) = await street.house.downloads.files(job)
    assert (street.house.root / "media" / file.path).read_bytes() == b"a" * 10
    assert len(street.house.stored()) == 1


async def a_list(street: Street, ann: Account) -> tuple[Job, list[Job]]:
    """Of three items of which one failed."""
    items = [ListItem(url=street.order(str(n)).url) for n in range(3)]
    street.house.web.failures[items[1].url.text] = [VideoPrivate()]
    parent = await street.house.downloads.submit_list(street.order("list", account_id=ann.id), "A list", items)
    parent = await street.house.ended(parent)
    return parent, await street.house.downloads.items_of(parent)


async def test_an_old_list_of_which_an_item_is_tried_again_stays(street: Street) -> None:
    ann = await street.keeper()
    parent, items = await a_list(street, ann)
    street.house.clock.move(timedelta(days=8))
    street.house.web.gate = asyncio.Event()
    failed = next(job for job in items if job.status is JobStatus.FAILED)
    await street.house.downloads.retry(failed.id)
    await street.house.reached(failed, lambda job: job.status is JobStatus.PROCESSING)
    assert (await street.sweeper.sweep()).jobs == 0
    street.house.web.gate.set()
    assert (await street.house.ended(failed)).status is JobStatus.COMPLETED
    assert (await street.house.downloads.get(parent.id)).id == parent.id


async def test_a_list_that_is_tried_again_while_it_is_swept_loses_no_file(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await street.keeper()
    parent, items = await a_list(street, ann)
    street.house.clock.move(timedelta(days=8))
    street.house.web.gate = asyncio.Event()
    remove = street.rows.remove_job

    async def retry_meanwhile(job_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        await street.house.downloads.retry(parent.id)
        return await remove(job_id, media_file_ids)

    monkeypatch.setattr(street.rows, "remove_job", retry_meanwhile)
    await street.sweeper.sweep()
    street.house.web.gate.set()
    await street.house.ended(parent)
    for job in await street.house.downloads.items_of(parent):
        for file in await street.house.downloads.files(job):
            assert (street.house.root / "media" / file.path).is_file()
    assert len(street.house.stored()) == len(items)


async def test_a_file_that_belongs_to_nothing_goes_once_it_is_not_young(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    await street.had("known")
    orphan = street.house.root / "media" / "downloads" / str(uuid4()) / str(uuid4()) / "audio" / "lost.mp3"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"lost")
    monkeypatch.setattr(street.house.clock, "now", lambda: _as_of(orphan))
    assert (await street.sweeper.sweep()).orphaned_files == 0
    monkeypatch.setattr(street.house.clock, "now", lambda: _as_of(orphan) + timedelta(hours=2))
    swept = await street.sweeper.sweep()
    assert (swept.orphaned_files, swept.stored_bytes, orphan.exists(), len(street.house.stored())) == (1, 4, False, 1)


async def test_while_what_an_import_replaced_is_kept_its_files_are_too(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = street.house.root / "media" / "downloads" / str(uuid4()) / str(uuid4()) / "audio" / "lost.mp3"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"lost")
    monkeypatch.setattr(street.house.clock, "now", lambda: _as_of(orphan) + timedelta(hours=2))
    monkeypatch.setattr(street.sweeper, "_keeps_files", lambda: True)
    assert (await street.sweeper.sweep()).orphaned_files == 0
    assert orphan.exists()


def _as_of(file: Path) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(file.parent.parent.stat().st_ctime, UTC)


async def test_a_work_directory_goes_when_nobody_works_in_it(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    street.house.web.gate = asyncio.Event()
    job, _ = await street.house.downloads.submit(street.order("a"))
    await street.house.web.reached.wait()
    stale = street.house.media.work_directory(uuid4())
    for directory in stale.parent.iterdir():
        os.utime(directory, (0, 0))
    assert (await street.sweeper.sweep()).work_directories == 1
    assert [directory.name for directory in stale.parent.iterdir()] == [str(job.id)]
    street.house.web.gate.set()
    await street.house.completed(job)


async def test_one_thing_that_cannot_be_deleted_does_not_keep_the_rest(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a", "b"):
        opened = await street.sessions.open(owner_id=None, address=HERE)
        await street.in_session(path, opened.session.id)
    street.house.clock.move(timedelta(days=2))
    delete = street.house.media.delete
    broken: list[str] = []

    async def break_once(path: str) -> None:
        if not broken:
            broken.append(path)
            raise OSError("cannot be deleted")
        await delete(path)

    monkeypatch.setattr(street.house.media, "delete", break_once)
    monkeypatch.setattr(sweeping, "YOUNG", timedelta(days=36500))  # else it goes as a file that belongs to nothing
    assert (await street.sweeper.sweep()).sessions == 2
    assert len(street.house.stored()) == 1


async def test_what_the_engine_keeps_of_old_work_goes(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    await street.had("a")
    monkeypatch.setattr(sweeping, "ENGINE_ROWS", timedelta(days=-4000))
    async with asyncio.timeout(20):
        while not (swept := await street.sweeper.sweep()).engine_rows:
            await asyncio.sleep(0.05)
    assert (await street.sweeper.sweep()).engine_rows == 0
    assert isinstance(swept, Swept)


async def test_a_claimed_session_is_its_owners_and_not_swept_as_anonymous(street: Street) -> None:
    await street.town.account("root")
    ann = await street.town.account("ann")
    opened = await street.sessions.open(owner_id=None, address=HERE)
    await street.in_session("a", opened.session.id)
    await street.town.sessions.claim(actor(ann), ann, opened.session.id, shown=opened.session.id)
    street.house.clock.move(timedelta(days=2))
    assert (await street.sweeper.sweep()).sessions == 0
    viewer = Viewer(actor=actor(ann))
    assert (await street.sessions.get(viewer, opened.session.id)).tally.completed == 1
