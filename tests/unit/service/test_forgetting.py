"""Somebody forgotten: their rows, files and jobs go; what others have stays theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.chat import Member, Place
from service.downloads import Order
from service.errors import Forbidden, JobNotFound
from service.forgetting import Forgetting
from service.media_url import MediaUrl
from service.members import Admission, Members, Person
from service.model import LOCAL_ACCOUNT, Job, Origin, Phase
from service.selection import Selection
from storage.migrate import upgrade
from tests.support.house import House, RealIds, living


@dataclass
class Room:
    house: House
    members: Members
    forgetting: Forgetting
    ann: Member
    ben: Member

    async def asks(self, member: Member, path: str) -> Job:
        order = Order(
            url=MediaUrl.parse(f"https://example.com/{path}"),
            selection=Selection.of("audio"),
            origin=Origin.CHAT,
            account_id=member.account.id,
            download_session_id=member.user.download_session_id,
        )
        return (await self.house.downloads.submit(order))[0]

    async def had(self, member: Member, path: str) -> Job:
        return (await self.house.completed(await self.asks(member, path)))[0]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    url = f"sqlite:///{tmp_path}/magpie.db"
    await upgrade(url)
    house = House(url, tmp_path)
    house.web.pages = {f"https://example.com/{n}": f"body {n}".encode() for n in range(9)}
    async with living(house):
        members = Members(database=house.database, clock=house.clock, ids=RealIds(), admission=Admission(open_to_all=True, local_user=1))
        ann, ben = [await members.welcome(Person(id=n, first_name="P"), Place(chat_id=n)) for n in (11, 12)]
        forgetting = Forgetting(database=house.database, downloads=house.downloads, media=house.media)
        yield Room(house=house, members=members, forgetting=forgetting, ann=ann, ben=ben)


async def test_files_and_rows_of_the_forgotten_go(room: Room) -> None:
    job = await room.had(room.ann, "1")
    await room.forgetting.forget(room.ann.account)
    assert room.house.stored() == []
    with pytest.raises(JobNotFound):
        await room.house.downloads.get(job.id)
    assert await room.members.of_account(room.ann.account.id) is None


async def test_what_the_other_fetched_first_stays_where_it_is(room: Room) -> None:
    await room.had(room.ben, "1")
    await room.had(room.ann, "1")
    await room.forgetting.forget(room.ann.account)
    (left,) = room.house.stored()
    assert left.read_bytes() == b"body 1"


async def test_what_the_forgotten_fetched_first_goes_on_under_the_others_name(room: Room) -> None:
    await room.had(room.ann, "1")
    job = await room.had(room.ben, "1")
    await room.forgetting.forget(room.ann.account)
    (file,) = await room.house.downloads.files(job)
    assert file.media.location == file.path
    assert (room.house.root / "media" / file.path).read_bytes() == b"body 1"
    assert len(room.house.stored()) == 1


async def test_what_is_handed_on_is_still_found_in_the_store(room: Room) -> None:
    await room.had(room.ann, "1")
    await room.had(room.ben, "1")
    await room.forgetting.forget(room.ann.account)
    anew = await room.members.welcome(Person(id=13, first_name="P"), Place(chat_id=13))
    await room.had(anew, "1")
    assert room.house.web.fetched == ["https://example.com/1"]


async def test_jobs_of_the_forgotten_are_ended_and_others_go_on(room: Room) -> None:
    room.house.web.gate = asyncio.Event()
    mine, theirs = await room.asks(room.ann, "1"), await room.asks(room.ben, "2")
    await room.house.reached(mine, lambda job: job.progress.phase is Phase.DOWNLOADING)
    await room.forgetting.forget(room.ann.account)
    room.house.web.gate.set()
    await room.house.completed(theirs)
    assert room.house.web.cancelled == 1
    assert len(room.house.stored()) == 1


async def test_who_waited_for_the_forgottens_download_gets_it_all_the_same(room: Room) -> None:
    room.house.web.gate = asyncio.Event()
    mine = await room.asks(room.ann, "1")
    await room.house.reached(mine, lambda job: job.title is not None)
    theirs = await room.asks(room.ben, "1")
    await room.house.reached(theirs, lambda job: job.waits_for is not None)
    await room.forgetting.forget(room.ann.account)
    room.house.web.gate.set()
    await room.house.completed(theirs)
    assert len(room.house.stored()) == 1


async def test_forgetting_twice_is_no_error(room: Room) -> None:
    await room.had(room.ann, "1")
    await room.forgetting.forget(room.ann.account)
    await room.forgetting.forget(room.ann.account)
    assert room.house.stored() == []


async def test_the_built_in_account_cannot_be_forgotten(room: Room) -> None:
    local = await room.members.welcome(Person(id=1, first_name="P"), Place(chat_id=1))
    assert local.account.id == LOCAL_ACCOUNT
    with pytest.raises(Forbidden):
        await room.forgetting.forget(local.account)
