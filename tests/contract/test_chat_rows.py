"""Who comes first, and who wins, among the chat's rows: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service.chat import Card, CardState, Delivery, DeliveryState, Place, Preferences, ReceivedUpdate, TelegramUser
from service.descriptions import Choice, Description, DescriptionKind, ListItem
from service.media_url import MediaUrl
from service.model import DownloadSession, Job, Origin
from service.selection import Selection
from storage import tables
from storage.cards import read, written
from storage.database import SqlDatabase
from storage.inbox import KEPT
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock

BOT, CHAT = 7, 2_000_000_001
PLAIN = MediaUrl.parse("https://example.com/1")
SECRET = MediaUrl.parse("https://example.com/1?token=s3cr3t")


@pytest.fixture
async def chat(database: SqlDatabase, clock: FakeClock) -> AsyncIterator[SqlDatabase]:
    """A database with a vault, in which account 1 has download session 1."""
    sealed = SqlDatabase(database.url, vault=MultiFernetVault(["a key of enough letters"]))
    async with sealed.write() as transaction:
        account = await transaction.accounts.add("tg-1", clock.now())
        assert account.id == 1
        await transaction.download_sessions.add(
            DownloadSession(
                id=UUID(int=1),
                folder=UUID(int=1),
                owner_id=1,
                created_by=Origin.CHAT,
                created_at=clock.now(),
                last_activity=clock.now(),
            )
        )
    yield sealed
    await sealed.close()


def a_card(clock: FakeClock) -> Card:
    return Card(id="a", bot_id=BOT, account_id=1, place=Place(chat_id=CHAT), request_id=10, url=PLAIN, created_at=clock.now())


def an_update(clock: FakeClock, number: int) -> ReceivedUpdate:
    return ReceivedUpdate(bot_id=BOT, update_id=number, body=f"hello {number}", received_at=clock.now())


def a_job(clock: FakeClock, number: int, position: int = 0) -> Job:
    return Job(
        id=UUID(int=number),
        download_session_id=UUID(int=1),
        account_id=1,
        origin=Origin.CHAT,
        url=MediaUrl.parse(f"https://example.com/{number}"),
        selection=Selection.of("audio"),
        position=position,
        created_at=clock.now() + timedelta(seconds=number),
    )


async def column(database: SqlDatabase, wanted: sa.Column[object]) -> list[object]:
    """As it lies in the table."""
    async with database.reader.connect() as connection:
        return list((await connection.execute(sa.select(wanted))).scalars())


async def test_of_three_who_change_a_card_one_succeeds(chat: SqlDatabase, clock: FakeClock) -> None:
    card = a_card(clock)
    async with chat.write() as transaction:
        await transaction.cards.add(card)

    async def change() -> bool:
        async with chat.write() as transaction:
            return await transaction.cards.save(card.failed("network"), if_state=card.state)

    assert sorted(await asyncio.gather(change(), change(), change())) == [False, False, True]


async def test_a_cards_message_is_kept_whatever_its_state(chat: SqlDatabase, clock: FakeClock) -> None:
    card = a_card(clock)
    async with chat.write() as transaction:
        await transaction.cards.add(card)
        await transaction.cards.save(card.ended(CardState.DISMISSED), if_state=card.state)
        await transaction.cards.shown("a", 99, has_media=True)
        found = await transaction.cards.shown_as(BOT, CHAT, 99)
        assert await transaction.cards.shown_as(BOT + 1, CHAT, 99) is None
    assert found is not None
    assert (found.has_media, found.state) == (True, CardState.DISMISSED)


async def test_an_address_lies_sealed_only_where_it_may_be_a_secret(chat: SqlDatabase, clock: FakeClock) -> None:
    async with chat.write() as transaction:
        await transaction.jobs.add(replace(a_job(clock, 1), url=SECRET))
        await transaction.jobs.add(a_job(clock, 2))
        job = await transaction.jobs.get(UUID(int=1))
    sealed, plain = sorted(map(str, await column(chat, tables.jobs.c.url)), reverse=True)
    assert (sealed.startswith("sealed:"), "s3cr3t" in sealed, plain) == (True, False, "https://example.com/2")
    assert job is not None
    assert job.url == SECRET


LENGTHS = st.none() | st.integers(0, 10**9).map(lambda ms: timedelta(milliseconds=ms))
URLS = st.integers(0).map(lambda number: MediaUrl.parse(f"https://example.com/{number}"))
CHOICES = st.builds(
    Choice,
    selection=st.builds(Selection.of, st.just("video"), st.sampled_from(["mp4", "webm"]), st.sampled_from(["best", "720"])),
    size=st.none() | st.integers(0, 2**50),
    is_estimate=st.booleans(),
    height=st.none() | st.integers(1, 9000),
)
DESCRIPTIONS = st.builds(
    Description,
    kind=st.sampled_from(DescriptionKind),
    extractor=st.text(),
    id=st.text(),
    is_generic=st.booleans(),
    title=st.text(),
    artist=st.none() | st.text(),
    duration=LENGTHS,
    choices=st.lists(CHOICES, max_size=4).map(tuple),
    languages=st.lists(st.text(), max_size=4).map(tuple),
    items=st.lists(st.builds(ListItem, url=URLS, title=st.none() | st.text(), duration=LENGTHS), max_size=4).map(tuple),
    count=st.none() | st.integers(0, 10**6),
)


@given(DESCRIPTIONS)
def test_descriptions_survive_writing_and_reading(told: Description) -> None:
    assert read(written(told)) == told


async def on_their_way(chat: SqlDatabase, clock: FakeClock) -> None:
    """Card `a` with jobs 1 to 4, in the list's order 3, 2, 1, 4; job 4 is still under way."""
    async with chat.write() as transaction:
        await transaction.cards.add(a_card(clock))
        for number, position in ((1, 3), (2, 2), (3, 1), (4, 4)):
            job = a_job(clock, number, position)
            await transaction.jobs.add(job if number == 4 else job.completed(clock.now(), 1))
            await transaction.deliveries.add(Delivery(card_id="a", job_id=job.id, created_at=clock.now()))


async def test_ready_are_those_whose_job_is_complete_in_the_lists_order(chat: SqlDatabase, clock: FakeClock) -> None:
    await on_their_way(chat, clock)
    async with chat.read() as transaction:
        assert [one.job_id.int for one in await transaction.deliveries.ready("a")] == [3, 2, 1]


@pytest.mark.parametrize("state", [state for state in DeliveryState if not state.is_open])
async def test_what_has_arrived_or_was_given_up_is_not_ready(chat: SqlDatabase, clock: FakeClock, state: DeliveryState) -> None:
    await on_their_way(chat, clock)
    async with chat.write() as transaction:
        first = (await transaction.deliveries.ready("a"))[0]
        assert await transaction.deliveries.save(replace(first, state=state), if_state=first.state)
        assert [one.job_id.int for one in await transaction.deliveries.ready("a")] == [2, 1]


async def test_adding_a_delivery_that_has_begun_changes_nothing(chat: SqlDatabase, clock: FakeClock) -> None:
    await on_their_way(chat, clock)
    async with chat.write() as transaction:
        known = (await transaction.deliveries.of_card("a"))[0]
        await transaction.deliveries.save(known.begun(), if_state=known.state)
        await transaction.deliveries.add(replace(known, id=None))
        assert (await transaction.deliveries.of_card("a"))[0] == known.begun()
        assert len(await transaction.deliveries.of_card("a")) == 4


async def test_old_numbers_go_but_never_what_is_still_to_be_dealt_with(chat: SqlDatabase, clock: FakeClock) -> None:
    last = KEPT + 10
    async with chat.write() as transaction:
        assert await transaction.updates.add([]) == set()
        await transaction.updates.add([an_update(clock, 1), an_update(clock, 2), an_update(clock, last)])
        await transaction.updates.done(BOT, [1, last])
        assert await transaction.updates.open(BOT) == [an_update(clock, 2)]
    assert sorted(map(str, await column(chat, tables.telegram_updates.c.update_id))) == [str(last), "2"]


async def test_an_account_takes_all_that_is_its_own_with_it(chat: SqlDatabase, clock: FakeClock) -> None:
    await on_their_way(chat, clock)
    user = TelegramUser(id=CHAT, account_id=1, first_name="A", download_session_id=UUID(int=1), created_at=clock.now())
    async with chat.write() as transaction:
        await transaction.telegram_users.add(user)
        await transaction.preferences.put(1, Preferences())
        await transaction.accounts.remove(1)
    own = [table for table in tables.metadata.sorted_tables if {"account_id", "owner_id", "card_id"} & set(table.c.keys())]
    assert [table.name for table in own if await column(chat, next(iter(table.c)))] == []
