"""`/forget`: everything of one person goes; what others have stays theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import sqlalchemy as sa

from sandbox.bot_api import User
from storage import tables
from storage.tables import metadata
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, Picture, chatting, jpeg


async def forgets(house: ChatHouse, person: User) -> None:
    await person.says("/forget")
    await person.presses(await house.until_sent(person.id, "Delete everything?"), "Delete everything")
    await house.until_sent(person.id, "I have forgotten you")
    await house.settled()


async def all_rows(house: ChatHouse) -> str:
    """Every value of every table of ours, as text."""
    async with house.database.reader.connect() as connection:
        found = [str((await connection.execute(sa.select(table))).all()) for table in metadata.sorted_tables]
    return "\n".join(found)


async def test_nothing_of_them_is_left_in_rows_and_files(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = house.api.user(BOB, first_name="Bobbert", username="bobs_own_name")
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, kind="video")
        await bob.says(house.add_post("pictures", [Picture(content=jpeg(320)), Picture(content=jpeg(321))]))
        await house.until_sent(BOB, "✅ Done")
        channel = house.api.channel(-100_500, "News", username="news")
        await bob.forwards_post(channel, kind="document", content=b"kept", name="kept.bin")
        await house.until_sent(BOB, "Saved")
        assert "Bobbert" in await all_rows(house)
        assert len(house.stored()) == 4
        await forgets(house, bob)
        rows = await all_rows(house)
        assert [word for word in ("Bobbert", "bobs_own_name", str(BOB), "example.com", "Title", "kept.bin") if word in rows] == []
        assert house.stored() == []


async def test_not_even_where_a_secret_address_led_is_remembered(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = house.api.user(BOB)
        await bob.says(house.add("hidden?token=s3cr3t"))
        await house.until_sent(BOB, kind="video")
        await house.settled()
        await forgets(house, bob)
        assert await house.count(tables.media_urls) == 0


async def test_what_another_also_has_stays_readable(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, kind="video")
        await alice.says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await forgets(house, bob)
        (left,) = house.stored()
        assert left.read_bytes() == house.web.pages["https://example.com/1"]
        async with house.database.writer.begin() as connection:  # so that it has to be uploaded from there
            await connection.execute(tables.telegram_copies.delete())
        await alice.says("/history")
        await alice.presses(await house.until_sent(ALICE, "What you had"), "📨 1")
        await house.api.until(lambda: len(house.files(ALICE)) == 2)
        assert house.web.fetched == ["https://example.com/1"]


async def test_what_is_under_way_is_stopped(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.web.gate = asyncio.Event()
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, "Downloading")
        await forgets(house, bob)
        assert house.web.cancelled == 1
        assert house.leftovers() == []
        assert house.files(BOB) == []


async def test_keeping_it_deletes_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, kind="video")
        await bob.says("/forget")
        await bob.presses(await house.until_sent(BOB, "Delete everything?"), "Keep it")
        await house.until_sent(BOB, "Nothing was deleted")
        assert len(house.stored()) == 1
        assert await house.count(tables.history_entries) == 1


async def test_the_question_is_bound_to_who_asked(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice, bob = house.api.user(ALICE), house.api.user(BOB)
        await alice.says("/help")
        told = await house.until_sent(ALICE)
        query = await alice.presses(told, data=f"forget|{BOB}|yes")
        await bob.says("/help")
        await house.api.until(lambda: query in house.api.answers)
        await house.settled()
        assert await house.count(tables.telegram_users) == 2


async def test_whoever_writes_again_begins_anew(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, kind="video")
        await forgets(house, bob)
        await bob.says("/history")
        assert await house.until_sent(BOB, "Nothing yet")
        await bob.says("https://example.com/1")
        await house.api.until(lambda: len(house.files(BOB)) == 2)
        assert house.web.fetched == ["https://example.com/1"] * 2


async def test_a_card_of_before_leads_nowhere(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bob = house.api.user(BOB)
        await bob.says("https://example.com/1")
        file = await house.until_sent(BOB, kind="video")
        await forgets(house, bob)
        query = await bob.presses(file, "Other formats")
        await house.api.until(lambda: query in house.api.answers)
        assert "no longer leads anywhere" in house.api.answers[query]["text"]
