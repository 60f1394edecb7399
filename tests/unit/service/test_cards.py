"""The use cases behind a card: opened once, chosen once, theirs alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from service.cards import CardPolicy, ChatCards, Find, Request
from service.chat import Card, CardState, Member, Place, Preferences
from service.deliveries import Deliveries
from service.downloads import Order
from service.errors import AlreadyChosen, CardGone, InvalidInput, JobNotFound, NotYours, VideoPrivate
from service.media_url import MediaUrl
from service.members import Admission, Members, Person
from service.model import JobStatus, Origin
from service.selection import Clip, Selection
from storage.migrate import upgrade
from tests.support.house import House, RealIds, living

REQUEST = Request(bot_id=1, place=Place(chat_id=11), message_id=5)


@dataclass
class Room:
    """Cards on real storage, with a web that is a dictionary."""

    house: House
    cards: ChatCards
    deliveries: Deliveries
    members: Members
    ann: Member
    ben: Member

    async def opened(self, *paths: str, asks: bool = False, message_id: int = 5) -> list[Card]:
        request = Request(bot_id=1, place=Place(chat_id=11), message_id=message_id)
        return await self.cards.open(self.ann, request, [find(path) for path in paths], asks=asks)

    async def offered(self, path: str = "1", message_id: int = 5) -> Card:
        (card,) = await self.opened(path, message_id=message_id)
        return await self.cards.look(card, self.ann)

    async def ordered(self, path: str = "1") -> Card:
        return await self.cards.choose(await self.offered(path), self.ann, Selection.of("audio", "mp3"))


def find(path: str, clip: Clip | None = None) -> Find:
    return Find(url=MediaUrl.parse(f"https://example.com/{path}"), clip=clip)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    url = f"sqlite:///{tmp_path}/magpie.db"
    await upgrade(url)
    house = House(url, tmp_path)
    house.web.pages = {f"https://example.com/{n}": f"body {n}".encode() for n in range(30)}
    async with living(house):
        members = Members(database=house.database, clock=house.clock, ids=RealIds(), admission=Admission(open_to_all=True))
        cards = ChatCards(
            database=house.database, downloads=house.downloads, describes=house.web, clock=house.clock, policy=CardPolicy(max_items=5)
        )
        ann, ben = [await members.welcome(Person(id=n, first_name="P"), Place(chat_id=n)) for n in (11, 12)]
        yield Room(house=house, cards=cards, deliveries=Deliveries(house.database), members=members, ann=ann, ben=ben)


# --- opening ----------------------------------------------------------------------------------------------------------


async def test_the_same_message_again_gets_the_cards_it_has(room: Room) -> None:
    first = await room.opened("1", "2")
    again = await room.opened("1", "2")
    assert [card.id for card in again] == [card.id for card in first]


async def test_another_message_gets_cards_of_its_own(room: Room) -> None:
    (first,), (second,) = await room.opened("1"), await room.opened("1", message_id=6)
    assert first.id != second.id


async def test_a_batch_takes_as_many_as_one_order_may_and_tells_of_all(room: Room) -> None:
    card = await room.cards.open_batch(room.ann, REQUEST, [find(str(n)) for n in range(9)])
    assert card.description is not None
    assert (len(card.description.items), card.description.count) == (5, 9)


async def test_a_look_starts_the_clock(room: Room) -> None:
    card = await room.offered()
    assert card.state is CardState.OFFERED
    assert card.starts_at == room.house.clock.now() + timedelta(seconds=8)


async def test_a_card_that_asks_has_no_clock(room: Room) -> None:
    (card,) = await room.opened("1", asks=True)
    assert (await room.cards.look(card, room.ann)).starts_at is None


async def test_whoever_wants_to_choose_has_no_clock(room: Room) -> None:
    member = await room.members.prefer(room.ann, Preferences(starts_by_itself=False))
    (card,) = await room.opened("1")
    assert (await room.cards.look(card, member)).starts_at is None


async def test_a_look_that_fails_keeps_the_code_alone(room: Room) -> None:
    room.house.web.failures["https://example.com/1"] = [VideoPrivate("/srv/secret")]
    card = await room.offered()
    assert (card.state, card.error_code) == (CardState.FAILED, "private")


async def test_a_look_that_comes_too_late_changes_nothing(room: Room) -> None:
    (card,) = await room.opened("1")
    await room.cards.cancel(card)
    assert (await room.cards.look(card, room.ann)).state is CardState.DISMISSED


# --- choosing ---------------------------------------------------------------------------------------------------------


async def test_of_two_presses_at_once_one_orders(room: Room) -> None:
    room.house.web.gate = asyncio.Event()
    card = await room.offered()
    presses = [room.cards.choose(card, room.ann, Selection.of("audio", form)) for form in ("mp3", "m4a", "flac")]
    outcomes = await asyncio.gather(*presses, return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["AlreadyChosen", "AlreadyChosen", "Card"]
    async with room.house.database.read() as transaction:
        assert len(await transaction.jobs.live()) == 1


async def test_the_clock_is_too_late_after_a_press(room: Room) -> None:
    card = await room.offered()
    await room.cards.choose(card, room.ann, Selection.of("audio", "mp3"))
    with pytest.raises(AlreadyChosen):
        await room.cards.start_default(card, room.ann)


async def test_a_choice_is_remembered_and_the_clocks_is_not(room: Room) -> None:
    await room.cards.start_default(await room.offered("1"), room.ann)
    before = (await room.members.welcome(Person(id=11, first_name="P"), Place(chat_id=11))).preferences
    await room.cards.choose(await room.offered("2", message_id=7), room.ann, Selection.of("audio", "mp3"))
    after = (await room.members.welcome(Person(id=11, first_name="P"), Place(chat_id=11))).preferences
    assert (before.selection, after.selection) == (None, Selection.of("audio", "mp3"))


async def test_subtitles_are_no_habit(room: Room) -> None:
    await room.cards.choose(await room.offered(), room.ann, Selection.of("transcript", "srt", language="de"))
    member = await room.members.welcome(Person(id=11, first_name="P"), Place(chat_id=11))
    assert member.preferences.selection is None


async def test_a_clip_goes_with_the_order(room: Room) -> None:
    clip = Clip(start=1000, end=2000)
    (card,) = await room.cards.open(room.ann, REQUEST, [find("1", clip)])
    ordered = await room.cards.choose(await room.cards.look(card, room.ann), room.ann, Selection.of("video"))
    assert ordered.job_id is not None
    assert (await room.house.downloads.get(ordered.job_id)).selection.clip == clip


async def test_a_range_is_bounded_by_what_there_is(room: Room) -> None:
    card = await room.cards.open_batch(room.ann, REQUEST, [find(str(n)) for n in range(4)])
    assert (await room.cards.take(card, 2, 99)).range_to == 4
    for first, last in ((0, 2), (3, 2), (5, None), (-1, -1)):
        with pytest.raises(InvalidInput):
            await room.cards.take(card, first, last)


async def test_a_list_orders_its_range_with_a_delivery_for_each(room: Room) -> None:
    card = await room.cards.open_batch(room.ann, REQUEST, [find(str(n)) for n in range(5)])
    card = await room.cards.choose(await room.cards.take(card, 2, 3), room.ann, Selection.of("video"))
    deliveries = await room.deliveries.of_card(card.id)
    jobs = [await room.house.downloads.get(one.job_id) for one in deliveries]
    assert [job.url.text for job in jobs] == ["https://example.com/1", "https://example.com/2"]


async def test_what_is_stored_is_ordered_without_a_look(room: Room) -> None:
    order = Order(url=find("1").url, selection=Selection.of("video"), origin=Origin.API)
    await room.house.completed((await room.house.downloads.submit(order))[0])
    (card,) = await room.opened("1", message_id=8)
    ordered = await room.cards.order_stored(card, room.ann)
    assert ordered is not None
    assert ordered.job_id is not None
    assert (await room.house.downloads.get(ordered.job_id)).status is JobStatus.COMPLETED
    assert room.house.web.described == []


# --- theirs alone -----------------------------------------------------------------------------------------------------


async def test_a_card_is_found_by_its_asker_alone(room: Room) -> None:
    card = await room.offered()
    found = await room.cards.find(card.id, account_id=room.ann.account.id, bot_id=1)
    assert found.id == card.id
    with pytest.raises(NotYours):
        await room.cards.find(card.id, account_id=room.ben.account.id, bot_id=1)


async def test_a_card_of_another_bot_is_gone(room: Room) -> None:
    card = await room.offered()
    with pytest.raises(CardGone):
        await room.cards.find(card.id, account_id=room.ann.account.id, bot_id=2)


async def test_a_card_for_anothers_job_is_not_opened(room: Room) -> None:
    card = await room.ordered()
    assert card.job_id is not None
    with pytest.raises(JobNotFound):
        await room.cards.open_for(room.ben, REQUEST, card.url, card.job_id)


# --- afterwards -------------------------------------------------------------------------------------------------------


async def test_cancel_ends_the_job_and_the_card(room: Room) -> None:
    room.house.web.gate = asyncio.Event()
    card = await room.ordered()
    assert card.job_id is not None
    dismissed = await room.cards.cancel(card)
    assert dismissed.state is CardState.DISMISSED
    assert (await room.house.downloads.get(card.job_id)).status is JobStatus.CANCELLED


async def test_there_is_nothing_to_cancel_twice(room: Room) -> None:
    dismissed = await room.cards.cancel(await room.offered())
    with pytest.raises(AlreadyChosen):
        await room.cards.cancel(dismissed)


async def test_again_after_a_failed_look_looks_again(room: Room) -> None:
    room.house.web.failures["https://example.com/1"] = [VideoPrivate()]
    again = await room.cards.again(await room.offered())
    assert again.state is CardState.LOOKING


async def test_again_after_a_failed_job_takes_it_up(room: Room) -> None:
    room.house.web.failures["https://example.com/1"] = []
    card = await room.offered()
    room.house.web.failures["https://example.com/1"] = [VideoPrivate()]
    card = await room.cards.choose(card, room.ann, Selection.of("audio", "mp3"))
    assert card.job_id is not None
    await room.house.ended(await room.house.downloads.get(card.job_id))
    failed = await room.cards.ended(card, CardState.FAILED, "private")
    again = await room.cards.again(failed)
    job = await room.house.ended(await room.house.downloads.get(card.job_id))
    assert (again.state, job.status) == (CardState.ORDERED, JobStatus.COMPLETED)


async def test_again_is_refused_while_it_is_under_way(room: Room) -> None:
    with pytest.raises(AlreadyChosen):
        await room.cards.again(await room.ordered())


async def test_a_second_card_about_the_same_asks(room: Room) -> None:
    card = await room.ordered()
    again = await room.cards.open_again(card, "query:1")
    assert again.id != card.id
    assert await room.cards.open_again(card, "query:1") == again, "the same press once more, as after a crash"
    assert (again.state, again.asks, again.job_id, again.message_id, again.request_id) == (CardState.OFFERED, True, None, None, None)


async def test_plain_numbers_behind_a_lists_address_are_its_items(room: Room) -> None:
    room.house.web.lists["https://example.com/list"] = [f"https://example.com/{number}" for number in range(9)]
    wanted = Find(url=MediaUrl.parse("https://example.com/list"), clip=Clip(start=3000, end=99000), items=(3, 99))
    (card,) = await room.cards.open(room.ann, REQUEST, [wanted])
    card = await room.cards.look(card, room.ann)
    assert (card.clip, card.range_from, card.range_to) == (None, 3, 5)


async def test_plain_numbers_behind_anything_else_are_seconds(room: Room) -> None:
    wanted = Find(url=MediaUrl.parse("https://example.com/1"), clip=Clip(start=3000, end=7000), items=(3, 7))
    (card,) = await room.cards.open(room.ann, REQUEST, [wanted])
    card = await room.cards.look(card, room.ann)
    assert (card.clip, card.range_from, card.range_to) == (Clip(start=3000, end=7000), 1, None)
