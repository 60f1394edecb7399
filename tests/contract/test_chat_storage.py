"""What the chat relies on in a database: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from service.chat import Card, CardState, Delivery, DeliveryState, Place, Preferences, TelegramCopy, TelegramUser
from service.descriptions import Choice, Description, DescriptionKind, ListItem
from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobFile, MediaFile, MediaKey, Origin
from service.selection import Clip, MediaType, Selection
from storage import tables
from storage.database import SqlDatabase
from storage.migrate import upgrade
from storage.vault import MultiFernetVault

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
URL = MediaUrl.parse("https://example.com/1")
SECRET = MediaUrl.parse("https://example.com/1?token=s3cr3t")
BIG_CHAT, BIG_ID = -1_001_234_567_890, 7_000_000_001


def a_description(**more: object) -> Description:
    told = Description(
        kind=DescriptionKind.MEDIUM,
        extractor="site",
        id="42",
        title="Ünï \U0001f4a5",
        artist="A",
        duration=timedelta(milliseconds=1500),
        picture=b"\xff\xd8jpeg",
        choices=(
            Choice(selection=Selection.of("video", quality="720"), size=10**11, is_estimate=True, height=720),
            Choice(selection=Selection.of("audio", "mp3", clip=Clip(start=0, end=5))),
        ),
        languages=("en", "zh-Hans"),
        items=(ListItem(url=URL, title="T", duration=timedelta(seconds=2)), ListItem(url=SECRET)),
        count=7,
    )
    return replace(told, **more)  # type: ignore[arg-type]


class Room:
    """An account with a download session, a job and a file."""

    def __init__(self, database: SqlDatabase) -> None:
        self.database = database
        self.account_id = 0

    async def furnish(self) -> None:
        async with self.database.write() as transaction:
            account = await transaction.accounts.add("tg-1", NOW)
            self.account_id = account.id
            session = DownloadSession(
                id=UUID(int=1), folder=UUID(int=1), owner_id=account.id, created_by=Origin.CHAT, created_at=NOW, last_activity=NOW
            )
            await transaction.download_sessions.add(session)
            for number in (1, 2):
                await transaction.jobs.add(self.job(number))

    def job(self, number: int = 1) -> Job:
        return Job(
            id=UUID(int=number),
            download_session_id=UUID(int=1),
            account_id=self.account_id,
            origin=Origin.CHAT,
            url=MediaUrl.parse(f"https://example.com/{number}"),
            selection=Selection.of("video"),
            created_at=NOW,
        )

    def card(self, number: int = 1, **more: object) -> Card:
        card = Card(
            id=f"card-{number:07}",
            bot_id=BIG_ID,
            account_id=self.account_id,
            place=Place(chat_id=BIG_CHAT, thread_id=3),
            request_id=number,
            url=URL,
            created_at=NOW + timedelta(seconds=number),
        )
        return replace(card, **more)  # type: ignore[arg-type]

    async def add(self, *cards: Card) -> None:
        async with self.database.write() as transaction:
            for card in cards:
                await transaction.cards.add(card)

    async def complete(self, number: int = 1) -> None:
        async with self.database.write() as transaction:
            job = await transaction.jobs.get(UUID(int=number))
            assert job is not None
            await transaction.jobs.save(job.completed(NOW, 1), if_seq=job.seq)

    async def file(self) -> int:
        """A stored file of the first job; its id."""
        key = MediaKey(scope="public", extractor="site", id="42", selection="video:mp4:best")
        media = MediaFile(
            key=key, kind=MediaType.VIDEO, extension="mp4", size=5, sha256="0" * 64, location="a/b.mp4", title="T", created_at=NOW
        )
        async with self.database.write() as transaction:
            (stored,) = await transaction.media_files.replace(key, [media])
            await transaction.media_files.attach([JobFile(job_id=UUID(int=1), media=stored, name="b.mp4", path="a/b.mp4")])
        assert stored.id is not None
        return stored.id


@pytest.fixture
async def room(database: SqlDatabase) -> Room:
    room = Room(database)
    await room.furnish()
    return room


@pytest.fixture
async def sealed(database_url: str) -> AsyncIterator[SqlDatabase]:
    """A database with a vault."""
    await upgrade(database_url)
    database = SqlDatabase(database_url, vault=MultiFernetVault(["a key that is long enough"]))
    yield database
    await database.close()


async def raw(database: SqlDatabase, table: sa.Table) -> str:
    async with database.reader.connect() as connection:
        return str((await connection.execute(sa.select(table))).all())


# --- people -----------------------------------------------------------------------------------------------------------


def a_user(room: Room, number: int = BIG_ID) -> TelegramUser:
    return TelegramUser(
        id=number,
        account_id=room.account_id,
        first_name="Ünï",
        username="u",
        language_code="pt-br",
        download_session_id=UUID(int=1),
        created_at=NOW,
    )


async def test_a_telegram_user_comes_back_as_written_and_is_added_once(room: Room) -> None:
    user = a_user(room)
    async with room.database.write() as transaction:
        assert await transaction.telegram_users.add(user)
        assert not await transaction.telegram_users.add(replace(user, first_name="Other"))
    async with room.database.read() as transaction:
        assert await transaction.telegram_users.get(user.id) == user
        assert await transaction.telegram_users.of_account(room.account_id) == [user]


async def test_a_name_can_change_and_an_account_cannot(room: Room) -> None:
    user = a_user(room)
    async with room.database.write() as transaction:
        await transaction.telegram_users.add(user)
        await transaction.telegram_users.save(replace(user, first_name="New", username=None, account_id=0))
    async with room.database.read() as transaction:
        assert await transaction.telegram_users.get(user.id) == replace(user, first_name="New", username=None)


async def test_preferences_are_the_defaults_until_they_are_changed(room: Room) -> None:
    changed = Preferences(selection=Selection.of("audio", "mp3", "320k"), starts_by_itself=False, language="de")
    async with room.database.write() as transaction:
        assert await transaction.preferences.get(room.account_id) == Preferences()
        await transaction.preferences.put(room.account_id, Preferences(language="en"))
        await transaction.preferences.put(room.account_id, changed)
    async with room.database.read() as transaction:
        assert await transaction.preferences.get(room.account_id) == changed


# --- cards ------------------------------------------------------------------------------------------------------------


async def test_a_card_comes_back_as_it_was_written(room: Room) -> None:
    card = room.card(
        clip=Clip(start=1, end=2), message_id=9, asks=True, has_media=True, state=CardState.OFFERED, description=a_description(),
        starts_at=NOW, range_from=2, range_to=5, position=3,
    )  # fmt: skip
    await room.add(card)
    async with room.database.read() as transaction:
        assert await transaction.cards.get(card.id) == card


async def test_a_second_card_for_the_same_address_of_a_message_is_not_added(room: Room) -> None:
    await room.add(room.card(1))
    async with room.database.write() as transaction:
        assert not await transaction.cards.add(replace(room.card(2), request_id=1))
        assert await transaction.cards.add(replace(room.card(2), request_id=1, position=1))
        assert [card.position for card in await transaction.cards.of_message(BIG_ID, BIG_CHAT, 1)] == [0, 1]


async def test_cards_made_by_a_button_are_as_many_as_are_made(room: Room) -> None:
    async with room.database.write() as transaction:
        assert await transaction.cards.add(room.card(1, request_id=None))
        assert await transaction.cards.add(room.card(2, request_id=None))


async def test_a_card_is_saved_from_the_state_that_it_was_read_in_alone(room: Room) -> None:
    await room.add(room.card())

    async def become(state: CardState) -> bool:
        async with room.database.write() as transaction:
            return await transaction.cards.save(room.card(state=state), if_state=CardState.LOOKING)

    states = (CardState.OFFERED, CardState.FAILED, CardState.DISMISSED)
    assert sorted(await asyncio.gather(*map(become, states))) == [False, False, True]


async def test_saving_a_state_leaves_its_message_alone(room: Room) -> None:
    await room.add(room.card())
    async with room.database.write() as transaction:
        await transaction.cards.shown("card-0000001", 77, has_media=True)
        await transaction.cards.save(room.card(state=CardState.OFFERED), if_state=CardState.LOOKING)
        card = await transaction.cards.shown_as(BIG_ID, BIG_CHAT, 77)
    assert card is not None
    assert (card.message_id, card.has_media, card.state) == (77, True, CardState.OFFERED)


async def test_open_cards_are_those_that_something_is_to_happen_to(room: Room) -> None:
    await room.add(*(room.card(number, state=state) for number, state in enumerate(CardState)))
    await room.add(room.card(90, bot_id=2), room.card(91, place=Place(chat_id=5)))
    async with room.database.read() as transaction:
        mine = await transaction.cards.open(BIG_ID)
        here = await transaction.cards.open_of(room.account_id, BIG_CHAT)
        anywhere = await transaction.cards.open_of(room.account_id)
        of_nobody = await transaction.cards.open_of(0)
    assert [card.state for card in mine] == [CardState.LOOKING, CardState.OFFERED, CardState.ORDERED, CardState.LOOKING]
    assert (len(here), len(anywhere), of_nobody) == (4, 5, [])


async def test_the_newest_tells_what_an_address_leads_to(room: Room) -> None:
    await room.add(room.card(1, description=a_description(title="old")), room.card(2, description=a_description(title="new")), room.card(3))
    async with room.database.read() as transaction:
        told = await transaction.cards.told_of(URL)
        assert told is not None
        assert told.title == "new"
        assert await transaction.cards.told_of(MediaUrl.parse("https://example.com/other")) is None


async def test_a_cards_secret_address_and_description_stand_encrypted(sealed: SqlDatabase) -> None:
    room = Room(sealed)
    await room.furnish()
    card = room.card(url=SECRET, description=a_description(), state=CardState.OFFERED)
    await room.add(card)
    async with sealed.read() as transaction:
        assert await transaction.cards.get(card.id) == card
    shown = await raw(sealed, tables.cards)
    assert "s3cr3t" not in shown
    assert "Ün" not in shown


async def test_a_card_outlives_its_job_and_goes_with_its_account(room: Room) -> None:
    await room.add(room.card(job_id=UUID(int=1), state=CardState.ORDERED))
    async with room.database.writer.begin() as connection:
        await connection.execute(sa.delete(tables.jobs))
    async with room.database.read() as transaction:
        card = await transaction.cards.get("card-0000001")
    assert card is not None
    assert card.job_id is None
    async with room.database.write() as transaction:
        await transaction.accounts.remove(room.account_id)
        assert await transaction.cards.get("card-0000001") is None


# --- deliveries -------------------------------------------------------------------------------------------------------


async def with_deliveries(room: Room) -> list[Delivery]:
    await room.add(room.card(1, job_id=UUID(int=1)), room.card(2, bot_id=2))
    async with room.database.write() as transaction:
        for card, job in (("card-0000001", 1), ("card-0000001", 2), ("card-0000002", 1)):
            await transaction.deliveries.add(Delivery(card_id=card, job_id=UUID(int=job), created_at=NOW))
        return [*await transaction.deliveries.of_card("card-0000001"), *await transaction.deliveries.of_card("card-0000002")]


async def test_a_job_is_on_its_way_to_a_card_once(room: Room) -> None:
    before = await with_deliveries(room)
    async with room.database.write() as transaction:
        await transaction.deliveries.add(Delivery(card_id="card-0000001", job_id=UUID(int=1), created_at=NOW))
        assert await transaction.deliveries.of_card("card-0000001") == before[:2]


async def test_a_delivery_is_due_when_its_job_has_ended_well(room: Room) -> None:
    first, _, of_other_bot = await with_deliveries(room)
    async with room.database.read() as transaction:
        assert await transaction.deliveries.ready("card-0000001") == []
    await room.complete(1)
    async with room.database.read() as transaction:
        assert await transaction.deliveries.ready("card-0000001") == [first]
        assert await transaction.deliveries.ready("card-0000002") == [of_other_bot]


@pytest.mark.parametrize("state", DeliveryState)
async def test_what_is_over_is_due_no_more(room: Room, state: DeliveryState) -> None:
    first, *_ = await with_deliveries(room)
    await room.complete(1)
    async with room.database.write() as transaction:
        await transaction.deliveries.save(replace(first, state=state), if_state=first.state)
        assert bool(await transaction.deliveries.ready("card-0000001")) is state.is_open


async def test_a_delivery_is_begun_by_one_alone(room: Room) -> None:
    first, *_ = await with_deliveries(room)

    async def begin() -> bool:
        async with room.database.write() as transaction:
            return await transaction.deliveries.save(first.begun(), if_state=first.state)

    assert sorted(await asyncio.gather(begin(), begin(), begin())) == [False, False, True]
    async with room.database.read() as transaction:
        assert await transaction.deliveries.get(first.id or 0) == first.begun()


# --- what Telegram has ------------------------------------------------------------------------------------------------


async def test_a_copy_is_of_one_bot_and_the_newest_stands(room: Room) -> None:
    media_id = await room.file()
    copy = TelegramCopy(media_file_id=media_id, bot_id=BIG_ID, kind="video", file_id="a")
    async with room.database.write() as transaction:
        await transaction.telegram_copies.put(copy)
        await transaction.telegram_copies.put(replace(copy, kind="animation", file_id="b"))
        await transaction.telegram_copies.put(replace(copy, bot_id=2, file_id="c"))
        assert await transaction.telegram_copies.get(media_id, BIG_ID) == replace(copy, kind="animation", file_id="b")
        await transaction.telegram_copies.forget(media_id, BIG_ID)
        assert await transaction.telegram_copies.get(media_id, BIG_ID) is None
        assert await transaction.telegram_copies.get(media_id, 2) == replace(copy, bot_id=2, file_id="c")


async def test_a_copy_in_the_vault_is_found_for_any_bot(room: Room) -> None:
    media_id = await room.file()
    kept = TelegramCopy(media_file_id=media_id, bot_id=2, kind="video", file_id="a", vault_chat_id=BIG_CHAT, vault_message_id=4)
    async with room.database.write() as transaction:
        await transaction.telegram_copies.put(kept)
        assert await transaction.telegram_copies.of_any_bot(media_id, BIG_CHAT) == kept
        assert await transaction.telegram_copies.of_any_bot(media_id, -5) is None


async def test_a_copy_goes_with_its_file(room: Room) -> None:
    media_id = await room.file()
    async with room.database.write() as transaction:
        await transaction.telegram_copies.put(TelegramCopy(media_file_id=media_id, bot_id=1, kind="video", file_id="a"))
        await transaction.accounts.remove(room.account_id)
        assert await transaction.media_files.drop_unused([media_id]) == ["a/b.mp4"]
        assert await transaction.telegram_copies.get(media_id, 1) is None


async def test_what_an_account_had_of_a_medium_is_known(room: Room) -> None:
    await room.file()
    async with room.database.read() as transaction:
        assert await transaction.media_files.had_by(room.account_id, "site", "42") == {"video:mp4:best"}
        assert await transaction.media_files.had_by(0, "site", "42") == set()
        assert await transaction.media_files.had_by(room.account_id, "site", "43") == set()
