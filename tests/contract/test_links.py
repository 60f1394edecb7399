"""Links on real storage and a real engine, on SQLite and PostgreSQL, with channels that are lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.archives import Had
from service.audit import Actor
from service.errors import (
    InvalidLink,
    InvalidSchedule,
    LimitReached,
    LinkNotFound,
    NoSuchVideo,
    NothingHeld,
    SameLink,
    Throttled,
)
from service.limits import NoQuota
from service.link_news import LinkNews
from service.link_trims import LinkTrims
from service.links import AT_A_TIME, Links, LinkView
from service.media_url import MediaUrl
from service.model import HistoryEntry, Job, JobStatus, Outcome
from service.paging import Window
from service.ports import Transaction
from service.selection import Selection
from service.watched import FIRST_ITEMS, ItemState, Link, LinkFilters, LinkState, LinkType, Telling
from storage import tables
from storage.job_pages import SqlJobPages
from storage.migrate import upgrade
from storage.sealed import REENTRY
from tests.support.house import House, RealIds, living

CHANNEL = "https://example.com/channel"
MINUTE = timedelta(minutes=1)


class Street:
    """A house, somebody who lives there, and the links of both."""

    def __init__(self, house: House, owner: Actor) -> None:
        self.house, self.owner = house, owner
        self.links = Links(
            database=house.database,
            downloads=house.downloads,
            fetcher=house.web,
            events=house.events,
            quota=house.quota,
            clock=house.clock,
            ids=RealIds(),
            interval=lambda: timedelta(minutes=60),
        )

    def publishes(self, *numbers: int) -> None:
        """The newest last."""
        known = self.house.web.channels.setdefault(CHANNEL, [])
        for number in numbers:
            address = f"https://example.com/{number}"
            self.house.web.pages[address] = f"body {number}".encode()
            known.insert(0, address)

    async def add(self, url: str = CHANNEL, **fields: Any) -> Link:
        assert self.owner.account_id is not None
        fields = {"selection": Selection.of("audio"), **fields}
        return (await self.links.add(self.owner, self.owner.account_id, MediaUrl.parse(url), fields)).link

    async def watched(self, **fields: Any) -> Link:
        """One that was looked at once, with all that was there."""
        link = await self.add(**fields)
        await self.looked()
        return (await self.see(link)).link

    async def looked(self, *, after: timedelta = timedelta(0)) -> list[Job]:
        """What is due is looked at, and what it found has come. Returns the looks that left something."""
        self.house.clock.move(after)
        await self.links.due.tick()
        for _ in range(3000):
            async with self.house.database.read() as transaction:
                if not await transaction.jobs.live():
                    break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError("still at it after 30 s")
        async with self.house.database.read() as transaction:
            jobs = [job for link in await transaction.links.all() for job in await transaction.jobs.of_link(link.id, live=False)]
        return [job for job in jobs if job.created_at == self.house.clock.now()]

    async def see(self, link: Link) -> LinkView:
        return await self.links.get(self.owner, link.id)

    async def states(self, link: Link) -> dict[str, ItemState]:
        return {item.item_id: item.state for item in await self.links.archive(self.owner, link.id)}

    async def history(self) -> list[HistoryEntry]:
        """Newest first."""
        assert self.owner.account_id is not None
        async with self.house.database.read() as transaction:
            return (await transaction.history.page(self.owner.account_id, limit=100))[0]

    def came(self) -> list[str]:
        """The items that were downloaded, as often as they were."""
        return [address.rpartition("/")[2] for address in self.house.web.fetched]


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    await upgrade(database_url)
    async with living(House(database_url, tmp_path)) as house:
        yield house


@pytest.fixture
async def street(house: House) -> Street:
    return await street_of(house)


async def street_of(house: House, name: str = "alice") -> Street:
    async with house.database.write() as transaction:
        account = await transaction.accounts.add(name, house.clock.now())
    return Street(house, Actor(account_id=account.id))


# --- a look ---------------------------------------------------------------------------------------------------------


async def test_what_is_there_is_downloaded_at_the_first_look_and_once(street: Street) -> None:
    street.publishes(1, 2, 3)
    link = await street.watched()
    await street.looked(after=timedelta(minutes=61))
    assert sorted(street.came()) == ["1", "2", "3"]
    view = await street.see(link)
    assert (view.link.state, view.items, view.held, view.link.title) == (LinkState.OK, 3, 0, "List channel")


async def test_what_is_new_comes_once_and_newest_first(street: Street) -> None:
    street.publishes(1, 2)
    await street.watched()
    street.publishes(3, 4)
    (look,) = await street.looked(after=timedelta(minutes=61))
    async with street.house.database.read() as transaction:
        children = await transaction.jobs.children_of(look.id)
    assert [child.url.text[-1] for child in children] == ["4", "3"]
    assert sorted(street.came()) == ["1", "2", "3", "4"]


async def test_a_look_that_finds_nothing_reads_one_page_and_leaves_nothing(street: Street) -> None:
    street.publishes(*range(1, 21))
    link = await street.watched()
    street.publishes(*range(21, 200))
    await street.looked(after=timedelta(minutes=61))
    before = await street.history()
    street.house.web.listed.clear()
    await street.looked(after=timedelta(minutes=61))
    assert street.house.web.listed == [(CHANNEL, 1)]
    assert await street.history() == before
    assert (await street.see(link)).link.last_checked_at == street.house.clock.now()
    async with street.house.database.read() as transaction:
        assert len(await transaction.jobs.of_link(link.id, live=False)) == 2, "the two looks that found something"


async def test_one_that_somebody_asks_for_leaves_an_entry_even_if_it_finds_nothing(street: Street) -> None:
    street.publishes(1)
    link = await street.watched()
    job = await street.links.trigger(street.owner, link.id)
    ended = await street.house.ended(job)
    newest = (await street.history())[0]
    assert (ended.status, newest.message, newest.outcome, newest.link_id, newest.link_name, newest.items) == (
        JobStatus.COMPLETED, "Nothing new.", Outcome.SUCCESS, link.id, link.name, 0,
    )  # fmt: skip


async def test_an_entry_counts_what_came_and_names_the_link(street: Street) -> None:
    street.publishes(1, 2, 3)
    street.house.web.failures["https://example.com/2"] = [NoSuchVideo()]
    link = await street.watched(name="My Favorite Channel")
    (entry,) = await street.history()
    assert entry.message == "Downloaded 2 of 3 new items."
    assert (entry.link_id, entry.link_name, entry.items, entry.items_done, entry.items_failed) == (link.id, "My Favorite Channel", 3, 2, 1)
    assert entry.outcome is Outcome.PARTIAL


async def test_a_list_whose_newest_are_the_last_is_read_whole_when_it_grows(street: Street) -> None:
    street.publishes(1, 2, 3)
    await street.watched()
    street.house.web.pages["https://example.com/9"] = b"at the end"
    street.house.web.channels[CHANNEL].append("https://example.com/9")
    await street.looked(after=timedelta(minutes=61))
    assert street.came().count("9") == 1


async def test_what_stands_below_newer_items_is_found_where_no_count_is_told(street: Street) -> None:
    street.house.web.says_how_many = False
    street.publishes(1, 2)
    await street.watched()
    street.house.web.pages["https://example.com/9"] = b"a stream that has ended"
    street.house.web.channels[CHANNEL].insert(1, "https://example.com/9")
    await street.looked(after=timedelta(minutes=61))
    assert sorted(street.came()) == ["1", "2", "9"]


async def test_a_link_that_nobody_named_is_called_what_the_site_calls_it(street: Street) -> None:
    link, named = await street.add(), await street.add(f"{CHANNEL}/2", name="Mine")
    street.house.web.channels |= {CHANNEL: [], f"{CHANNEL}/2": []}
    await street.looked()
    names = [(await street.see(one)).link.name for one in (link, named)]
    assert (link.name, names) == ("example.com/channel", ["List channel", "Mine"])


async def test_two_looks_at_once_download_nothing_twice(street: Street) -> None:
    street.publishes(1, 2, 3)
    link = await street.add()
    first = await street.links.trigger(street.owner, link.id)
    second = await street.links.trigger(street.owner, link.id)
    assert first.id == second.id
    await street.looked()
    assert sorted(street.came()) == ["1", "2", "3"]


async def test_what_comes_while_earlier_items_are_under_way_is_found(street: Street) -> None:
    street.publishes(1)
    link = await street.add()
    street.house.web.gate = asyncio.Event()
    await street.links.due.tick()
    await street.house.web.reached.wait()
    street.publishes(2)
    look = await street.links.trigger(street.owner, link.id)
    await street.house.reached(look, lambda job: job.is_list)
    street.house.web.gate.set()
    await street.looked()
    assert sorted(street.came()) == ["1", "2"]


async def test_what_failed_for_a_passing_cause_is_tried_again_at_the_next_looks_thrice_in_all(street: Street) -> None:
    street.publishes(1, 2)
    street.house.web.failures["https://example.com/2"] = [Throttled() for _ in range(99)]
    link = await street.watched()
    for _ in range(4):
        await street.looked(after=timedelta(minutes=61))
    async with street.house.database.read() as transaction:
        looks = await transaction.jobs.of_link(link.id, live=False)
        tried = [child for one in looks for child in await transaction.jobs.children_of(one.id) if child.url.text[-1] == "2"]
    assert (street.came(), len(tried)) == (["1"], 3)


async def test_what_failed_and_comes_at_the_next_look_comes_once(street: Street) -> None:
    street.publishes(1)
    street.house.web.failures["https://example.com/1"] = [Throttled(), Throttled(), Throttled()]
    await street.watched()
    for _ in range(3):
        await street.looked(after=timedelta(minutes=61))
    assert street.came() == ["1"]


async def test_what_is_gone_for_good_is_not_tried_again(street: Street) -> None:
    street.publishes(1)
    street.house.web.failures["https://example.com/1"] = [NoSuchVideo()]
    await street.watched()
    await street.looked(after=timedelta(minutes=61))
    assert street.came() == []


# --- too much -------------------------------------------------------------------------------------------------------


async def test_of_a_large_channel_nothing_is_downloaded_unasked(street: Street) -> None:
    street.publishes(*range(100, 100 + FIRST_ITEMS + 1))
    link = await street.watched()
    view = await street.see(link)
    assert (view.link.state, view.held, street.came()) == (LinkState.ASKS, FIRST_ITEMS + 1, [])


async def test_of_what_is_held_the_newest_few_are_taken_and_the_others_never_come(street: Street) -> None:
    street.publishes(*range(100, 140))
    link = await street.watched()
    job = await street.links.take(street.owner, link.id, 3)
    assert job is not None
    await street.house.completed(job)
    await street.looked(after=timedelta(minutes=61))
    view = await street.see(link)
    assert (sorted(street.came()), view.link.state, view.held) == (["137", "138", "139"], LinkState.OK, 0)
    with pytest.raises(NothingHeld):
        await street.links.take(street.owner, link.id, 3)


async def test_what_is_new_comes_also_while_the_owner_has_not_decided(street: Street) -> None:
    street.publishes(*range(100, 140))
    link = await street.watched()
    street.publishes(140)
    await street.looked(after=timedelta(minutes=61))
    view = await street.see(link)
    assert (street.came(), view.held, view.link.state) == (["140"], 40, LinkState.ASKS)


async def test_without_automatic_download_what_is_new_is_held_until_somebody_asks_for_it(street: Street) -> None:
    street.publishes(1, 2)
    link = await street.watched(download_automatically=False)
    assert (await street.see(link)).held == 2
    await street.looked(after=timedelta(minutes=61))
    street.publishes(3)
    await street.links.trigger(street.owner, link.id)
    await street.looked()
    assert sorted(street.came()) == ["1", "2", "3"]


async def test_of_a_large_channel_old_items_do_not_come_when_one_of_them_goes(street: Street) -> None:
    street.publishes(*range(100, 400))
    link = await street.watched()
    await street.links.take(street.owner, link.id, 0)
    street.house.web.channels[CHANNEL].pop(5)
    await street.looked(after=timedelta(minutes=61))
    assert (street.came(), (await street.see(link)).held) == ([], 0)


async def test_a_list_that_grows_at_both_ends_comes_whole(street: Street) -> None:
    street.publishes(1, 2)
    await street.watched()
    street.publishes(3)
    street.house.web.pages["https://example.com/9"] = b"at the end"
    street.house.web.channels[CHANNEL].append("https://example.com/9")
    await street.looked(after=timedelta(minutes=61))
    assert sorted(street.came()) == ["1", "2", "3", "9"]


async def test_what_was_announced_and_is_then_taken_is_to_be_sent(street: Street) -> None:
    street.publishes(1, 2, 3)
    link = await street.watched(download_automatically=False)
    news = LinkNews(database=street.house.database, clock=street.house.clock)
    for told in await news.pending():
        await news.told(told)
    assert await news.pending() == []
    street.house.clock.move(timedelta(days=8))
    job = await street.links.take(street.owner, link.id, 2)
    assert job is not None
    (told,) = await news.pending()
    assert told.runs == (job.id,)


async def test_what_is_found_while_others_are_told_of_is_told_of_next(street: Street) -> None:
    street.publishes(1)
    await street.watched()
    news = LinkNews(database=street.house.database, clock=street.house.clock)
    (first,) = await news.pending()
    street.publishes(2)
    await street.looked(after=timedelta(minutes=61))
    await news.told(first)
    (second,) = await news.pending()
    assert (len(second.runs), second.runs != first.runs) == (1, True)


async def test_a_look_by_hand_ends_when_its_link_is_deleted_meanwhile(street: Street) -> None:
    street.publishes(1)
    link = await street.add()
    job = await street.links.trigger(street.owner, link.id)
    async with street.house.database.write() as transaction:
        await transaction.links.remove(link.id)
    assert not (await street.house.ended(job)).status.is_live


# --- filters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        (LinkFilters(title="title 1"), ["1", "10"]),
        (LinkFilters(title="title -10"), ["1", "2"]),
        (LinkFilters(newest=2), ["10", "2"]),
    ],
)
async def test_only_what_passes_the_filters_is_downloaded(street: Street, filters: LinkFilters, taken: list[str]) -> None:
    street.publishes(1, 2, 10)
    link = await street.watched(filters=filters)
    assert sorted(street.came()) == taken
    states = await street.states(link)
    assert {item for item, state in states.items() if state is ItemState.ORDERED} == set(taken)
    assert len(states) == 3, "the others are known, and not looked at again"


async def test_with_newest_even_a_large_channel_asks_nothing(street: Street) -> None:
    street.publishes(*range(100, 160))
    link = await street.watched(filters=LinkFilters(newest=2))
    assert ((await street.see(link)).link.state, sorted(street.came())) == (LinkState.OK, ["158", "159"])


# --- what goes wrong ------------------------------------------------------------------------------------------------


async def test_a_throttled_link_pauses_longer_each_time_and_leaves_one_entry(street: Street) -> None:
    street.publishes(1)
    link = await street.watched()
    street.house.web.failures[CHANNEL] = [Throttled(), Throttled()]
    await street.looked(after=timedelta(minutes=61))
    once = (await street.see(link)).link
    assert (once.state, once.problem_code, once.failures) == (LinkState.PAUSED, "throttled", 1)
    await street.looked(after=timedelta(minutes=61))
    twice = (await street.see(link)).link
    assert (twice.failures, twice.state_since) == (2, once.state_since)
    assert twice.next_run_at is not None
    assert twice.next_run_at - street.house.clock.now() >= timedelta(minutes=60)
    assert [entry.code for entry in await street.history()] == ["throttled", None]


async def test_a_link_is_well_again_with_the_next_look_that_works(street: Street) -> None:
    street.publishes(1)
    link = await street.watched()
    street.house.web.failures[CHANNEL] = [Throttled()]
    await street.looked(after=timedelta(minutes=61))
    street.publishes(2)
    await street.looked(after=timedelta(minutes=61))
    now = (await street.see(link)).link
    assert (now.state, now.problem, now.problem_code, now.failures, street.came()) == (LinkState.OK, None, None, 0, ["1", "2"])


async def test_a_channel_that_vanished_is_broken_and_what_came_stays(street: Street) -> None:
    street.publishes(1)
    link = await street.watched()
    del street.house.web.channels[CHANNEL]
    await street.looked(after=timedelta(minutes=61))
    view = await street.see(link)
    assert (view.link.state, view.link.problem_code, view.items) == (LinkState.BROKEN, "no_such_video", 1)
    assert len(street.house.stored()) == 1


async def test_an_emptied_channel_is_no_problem_and_what_was_there_is_not_taken_again(street: Street) -> None:
    street.publishes(1, 2)
    link = await street.watched()
    street.house.web.channels[CHANNEL] = []
    await street.looked(after=timedelta(minutes=61))
    assert (await street.see(link)).link.state is LinkState.OK
    street.house.web.channels[CHANNEL] = ["https://example.com/2", "https://example.com/1"]
    await street.looked(after=timedelta(minutes=61))
    assert sorted(street.came()) == ["1", "2"]


async def test_a_single_video_is_no_channel(street: Street) -> None:
    street.house.web.pages[CHANNEL] = b"one video"
    link = await street.watched()
    view = await street.see(link)
    assert (view.link.state, view.link.problem_code, street.came()) == (LinkState.BROKEN, "not_a_list", [])


async def test_a_single_video_is_a_list_of_one_where_any_page_may_be_watched(street: Street) -> None:
    street.house.web.pages[CHANNEL] = b"one video"
    await street.watched(type=LinkType.GENERIC_VIDEO)
    assert street.came() == ["channel"]


class NoRoom(NoQuota):
    """Takes nothing while it is full."""

    is_full = True

    async def admit(self, transaction: Transaction, jobs: Any) -> None:
        if self.is_full and jobs:
            raise LimitReached("You have had your downloads for today.")


async def test_over_a_limit_a_link_pauses_and_what_was_new_comes_later(database_url: str, tmp_path: Path) -> None:
    await upgrade(database_url)
    quota = NoRoom()
    async with living(House(database_url, tmp_path, quota=quota)) as house:
        street = await street_of(house)
        street.publishes(1, 2)
        link = await street.watched()
        view = await street.see(link)
        assert (view.link.state, view.link.problem, view.items) == (LinkState.PAUSED, "You have had your downloads for today.", 0)
        quota.is_full = False
        await street.looked(after=timedelta(minutes=61))
        assert sorted(street.came()) == ["1", "2"]


async def test_a_look_that_is_tried_again_is_not_charged(database_url: str, tmp_path: Path) -> None:
    await upgrade(database_url)
    async with living(House(database_url, tmp_path, quota=NoRoom())) as house:
        street = await street_of(house)
        street.publishes()
        link = await street.add(is_enabled=False)
        house.web.failures[CHANNEL] = [Throttled()]
        job = await street.links.trigger(street.owner, link.id)
        assert (await house.ended(job)).status is JobStatus.FAILED
        assert (await house.ended(await house.downloads.retry(job.id))).status is JobStatus.COMPLETED


class FiveADay(NoQuota):
    """Takes five a day."""

    def __init__(self) -> None:
        self.left = 5

    async def admit(self, transaction: Transaction, jobs: Any) -> None:
        if len(jobs) > self.left:
            raise LimitReached("You have had your downloads for today.")
        self.left -= len(jobs)


async def test_of_more_than_a_days_allowance_what_fits_comes_and_the_rest_on_the_next_days(database_url: str, tmp_path: Path) -> None:
    await upgrade(database_url)
    quota = FiveADay()
    async with living(House(database_url, tmp_path, quota=quota)) as house:
        street = await street_of(house)
        street.publishes(*range(1, 13))
        link = await street.watched()
        assert (sorted(map(int, street.came())), (await street.see(link)).link.state) == ([8, 9, 10, 11, 12], LinkState.PAUSED)
        for _ in range(2):
            quota.left = 5
            await street.looked(after=timedelta(hours=25))
        assert sorted(map(int, street.came())) == list(range(1, 13))
        assert (await street.see(link)).link.state is LinkState.OK


# --- the schedule ---------------------------------------------------------------------------------------------------


async def test_a_link_is_due_by_its_own_schedule_in_its_zone(street: Street) -> None:
    street.publishes(1)
    link = await street.watched(schedule="30 6 * * *", timezone="Europe/Berlin")
    due = (await street.see(link)).link.next_run_at
    assert due is not None
    assert due > street.house.clock.now()
    assert due.strftime("%H:%M") in {"04:30", "05:30"}


async def test_missed_looks_are_made_up_for_once(street: Street) -> None:
    street.publishes(1)
    await street.watched()
    street.house.web.listed.clear()
    await street.looked(after=timedelta(days=3))
    await street.looked()
    assert len(street.house.web.listed) == 1


async def test_a_disabled_link_is_not_looked_at_until_it_is_enabled(street: Street) -> None:
    street.publishes(1)
    link = await street.add(is_enabled=False)
    await street.looked(after=timedelta(days=1))
    assert street.came() == []
    await street.links.change(street.owner, link.id, {"is_enabled": True})
    await street.looked(after=timedelta(minutes=61))
    assert street.came() == ["1"]


async def test_a_slow_site_holds_up_no_other_links(street: Street) -> None:
    street.publishes(1)
    quick, web = await street.watched(), street.house.web
    web.channels[f"{CHANNEL}/slow"], web.slow[f"{CHANNEL}/slow"] = [], asyncio.Event()
    slow = await street.add(f"{CHANNEL}/slow")
    web.reached.clear()
    first = asyncio.create_task(street.links.due.tick())
    await web.reached.wait()
    street.house.clock.move(timedelta(minutes=61))
    async with asyncio.timeout(30):
        while (await street.see(quick)).link.last_checked_at != street.house.clock.now():
            await street.links.due.tick()
    assert not first.done()
    web.slow[f"{CHANNEL}/slow"].set()
    await first
    assert (await street.see(slow)).link.state is LinkState.OK
    assert [address for address, _ in web.listed].count(f"{CHANNEL}/slow") == 1, "not again while it is looked at"


async def test_a_link_that_gets_another_owner_while_it_is_looked_at_is_looked_at_for_them(street: Street) -> None:
    street.publishes(1)
    web, other = street.house.web, await street_of(street.house, "bob")
    web.slow[CHANNEL] = asyncio.Event()
    link = await street.add()
    look = asyncio.create_task(street.links.due.tick())
    await web.reached.wait()
    async with street.house.database.writer.begin() as connection:
        await connection.execute(sa.update(tables.links).values(account_id=other.owner.account_id))
    web.slow.pop(CHANNEL).set()
    await look
    assert (await other.see(link)).link.state is LinkState.NEW
    await street.looked(after=timedelta(minutes=16))
    assert (await other.see(link)).link.state is LinkState.OK
    assert [entry.items_done for entry in await other.history()] == [1]


async def test_a_changed_interval_counts_at_once(street: Street) -> None:
    street.publishes(1)
    link = await street.watched()
    street.links.due._interval = lambda: timedelta(minutes=5)
    await street.links.due.reschedule()
    due = (await street.see(link)).link.next_run_at
    assert due == street.house.clock.now() + timedelta(minutes=5)


# --- who may, and what is refused -----------------------------------------------------------------------------------


async def test_the_same_link_twice_is_refused_and_another_account_may_have_it(street: Street) -> None:
    await street.add()
    with pytest.raises(SameLink):
        await street.add()
    other = await street_of(street.house, "bob")
    assert (await other.add()).id


async def test_a_link_cannot_be_moved_to_where_another_is_already_also_by_two_at_once(street: Street) -> None:
    assert street.owner.account_id is not None
    made = [
        (await street.links.add(street.owner, street.owner.account_id, MediaUrl.parse(f"{CHANNEL}/{number}"), {})).link for number in (1, 2)
    ]
    there = {"url": MediaUrl.parse(f"{CHANNEL}/3")}
    moved = await asyncio.gather(*(street.links.change(street.owner, link.id, there) for link in made), return_exceptions=True)
    assert sorted(type(one).__name__ for one in moved) == ["LinkView", "SameLink"]


async def test_another_accounts_link_does_not_exist(street: Street) -> None:
    link = await street.add()
    bob = (await street_of(street.house, "bob")).owner
    for act in (street.links.get, street.links.trigger, street.links.remove, street.links.archive):
        with pytest.raises(LinkNotFound):
            await act(bob, link.id)
    with pytest.raises(LinkNotFound):
        await street.links.change(bob, link.id, {"name": "mine"})
    with pytest.raises(LinkNotFound):
        await street.links.take(bob, link.id, 1)
    assert (await street.see(link)).link == link


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": "* * * * * *"},
        {"schedule": "61 * * * *"},
        {"schedule": "@reboot"},
        {"schedule": "often"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"name": " "},
        {"keep_last": 0},
        {"tags": ("x" * 101,)},
        {"type": LinkType.PIXIV_USER},
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_added(street: Street, fields: dict[str, Any]) -> None:
    with pytest.raises((InvalidLink, InvalidSchedule)):
        await street.add(**fields)
    assert (await street.links.page(None, Window())).count == 0


async def test_a_deleted_link_leaves_its_files_and_its_history(street: Street) -> None:
    street.publishes(1)
    link = await street.watched()
    await street.links.remove(street.owner, link.id)
    assert len(street.house.stored()) == 1
    (entry,) = await street.history()
    assert (entry.link_id, entry.link_name) == (link.id, link.name)
    assert (await street.links.page(street.owner.account_id, Window())).entries == []


async def test_what_is_under_way_for_a_deleted_link_ends(street: Street) -> None:
    street.publishes(1)
    link = await street.add()
    street.house.web.gate = asyncio.Event()
    await street.links.due.tick()
    await street.house.web.reached.wait()
    await street.links.remove(street.owner, link.id)
    street.house.web.gate.set()
    await street.looked()
    assert (street.house.web.cancelled, street.house.stored()) == (1, [])


# --- keep_last ------------------------------------------------------------------------------------------------------


def trims_of(street: Street) -> LinkTrims:
    house = street.house
    rows = SqlJobPages(house.database, None)
    return LinkTrims(rows=rows, database=house.database, downloads=house.downloads, media=house.media, clock=house.clock)


async def test_of_the_files_only_the_last_few_stay_and_the_older_ones_do_not_come_again(street: Street) -> None:
    street.publishes(1, 2, 3)
    link = await street.watched(keep_last=2, telling=Telling.NOTHING)
    assert await trims_of(street).trim() == 1
    assert sorted(path.name for path in street.house.stored()) == ["Title 2.mp3", "Title 3.mp3"]
    street.publishes(4)
    await street.looked(after=timedelta(minutes=61))
    assert await trims_of(street).trim() == 1
    assert sorted(path.name for path in street.house.stored()) == ["Title 3.mp3", "Title 4.mp3"]
    assert sorted(street.came()) == ["1", "2", "3", "4"]
    assert (await street.see(link)).items == 4


async def test_a_file_that_its_owner_has_still_to_get_stays_for_a_day(street: Street) -> None:
    street.publishes(1, 2)
    await street.watched(keep_last=1)
    assert await trims_of(street).trim() == 0
    street.house.clock.move(timedelta(hours=25))
    assert await trims_of(street).trim() == 1


# --- the archive ----------------------------------------------------------------------------------------------------


async def test_what_an_archive_says_was_had_is_not_downloaded(street: Street) -> None:
    street.publishes(1, 2, 3)
    link = await street.add()
    assert await street.links.remember(street.owner, link.id, [had("1"), had("2"), had("1")]) == 2
    await street.looked()
    assert street.came() == ["3"]


def had(number: str) -> Had:
    return Had(extractor="site", item_id=number)


async def test_a_long_archive_is_written_bit_by_bit_and_counted_whole(street: Street) -> None:
    link = await street.add()
    keys = [had(str(number)) for number in range(2 * AT_A_TIME + 1)]
    before = street.house.clock.now()
    assert await street.links.remember(street.owner, link.id, keys) == len(keys)
    assert await street.links.remember(street.owner, link.id, [*keys, had("more")]) == 1
    assert {item.seen_at for item in await street.links.archive(street.owner, link.id)} == {before}


async def test_a_page_of_links_tells_where_the_next_begins_and_what_is_counted(street: Street) -> None:
    street.publishes(*range(1, FIRST_ITEMS + 5))
    await street.watched()
    others = [await street.add(f"{CHANNEL}/{number}") for number in range(2)]
    first = await street.links.page(street.owner.account_id, Window(limit=1))
    rest = await street.links.page(street.owner.account_id, Window(limit=5, after=first.next))
    assert [(view.items, view.held) for view in first.entries] == [(FIRST_ITEMS + 4, FIRST_ITEMS + 4)]
    assert ([view.link.id for view in rest.entries], rest.next) == ([link.id for link in others], None)
    assert (first.count, rest.count) == (3, 3)


# --- secrets that cannot be read -----------------------------------------------------------------------------------


async def test_a_link_whose_secret_cannot_be_read_says_so_and_holds_up_no_other(street: Street) -> None:
    street.publishes(1)
    lost = await unreadable(street)
    other = await street.add(f"{CHANNEL}/other")
    street.house.web.channels[f"{CHANNEL}/other"] = []
    await street.looked()
    view = await street.see(lost)
    assert (view.link.state, view.link.problem_code, street.came()) == (LinkState.PAUSED, "needs_reentry", [])
    assert (await street.see(other)).link.state is LinkState.OK


async def test_a_secret_that_cannot_be_read_is_kept_for_its_key_and_may_be_given_again(street: Street) -> None:
    street.publishes(1)
    lost = await unreadable(street)
    await street.looked()
    await street.links.change(street.owner, lost.id, {"name": "another name"})
    assert await stored_cookies(street) == REENTRY
    await street.links.change(street.owner, lost.id, {"cookies": '{"cookie_name": "cookie_value"}'})
    await street.looked(after=timedelta(minutes=61))
    assert ((await street.see(lost)).link.state, street.came()) == (LinkState.OK, ["1"])


async def test_a_link_whose_secret_cannot_be_read_may_be_deleted(street: Street) -> None:
    lost = await unreadable(street)
    await street.links.remove(street.owner, lost.id)
    assert (await street.links.page(None, Window())).count == 0


async def unreadable(street: Street) -> Link:
    link = await street.add()
    async with street.house.database.writer.begin() as connection:
        await connection.execute(sa.update(tables.links).values(cookies=REENTRY))
    return link


async def stored_cookies(street: Street) -> str:
    async with street.house.database.reader.connect() as connection:
        return str((await connection.execute(sa.select(tables.links.c.cookies))).scalar_one())


async def test_a_crash_between_look_and_download_loses_and_doubles_nothing(street: Street) -> None:
    street.publishes(1, 2)
    await street.add()
    await street.links.due.tick()
    await street.house.stop()
    await street.house.start()
    again = Street(street.house, street.owner)
    await again.looked()
    assert sorted(again.came()) == ["1", "2"]
    (entry,) = await again.history()
    assert entry.items_done == 2


async def test_cookies_of_a_link_go_to_its_site_alone_and_never_come_back(street: Street) -> None:
    street.publishes(1)
    link = await street.watched(cookies='{"cookie_name": "cookie_value"}')
    given = [one for one in street.house.web.cookies if one]
    assert len(given) == 2, "the look and the download"
    assert all(".example.com\tTRUE\t/\tTRUE\t" in one and "cookie_value" in one for one in given)
    assert "cookie_value" not in repr(link)
    elsewhere = replace(link, url=MediaUrl.parse("https://elsewhere.example/x"))
    assert elsewhere.url.host not in given[0]
