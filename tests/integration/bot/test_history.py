"""`/history`: only what failed, how much of a list came, and what started it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from sandbox.bot_api import User
from service.model import HistoryEntry, Origin, Outcome
from storage.tables import accounts
from tests.integration.bot.conftest import Someone
from tests.integration.bot.test_pages import pressed
from tests.support.chat_house import ChatHouse, labels

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def account_of(house: ChatHouse, person: User) -> int:
    """Of somebody who has talked to the bot before."""
    await person.says("/help")
    await house.until_sent(person.id, "What I can do")
    async with house.database.reader.connect() as connection:
        found = await connection.execute(sa.select(accounts.c.id).where(accounts.c.made_for == person.id))
        return int(found.scalar_one())


async def had(house: ChatHouse, person: User, *titles: str, **more: object) -> None:
    """Entries, oldest first; those that begin with `!` failed."""
    account = await account_of(house, person)
    async with house.database.write() as transaction:
        for number, title in enumerate(titles):
            entry = HistoryEntry(
                job_id=uuid4(),
                attempt=1,
                account_id=account,
                download_session_id=UUID(int=1),
                origin=Origin.CHAT,
                outcome=Outcome.FAILURE if title.startswith("!") else Outcome.SUCCESS,
                title=title,
                url="https://example.com/x",
                message="",
                code=None,
                files=(),
                started_at=None,
                ended_at=datetime(2026, 11, 21, 12, tzinfo=UTC) + timedelta(minutes=number),
            )
            await transaction.history.add(replace(entry, **more))  # type: ignore[arg-type]


def lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line[:1].isdigit() and ". " in line]


@pytest.mark.parametrize("word", ["failed", "FAILED", "fehlgeschlagen"])
async def test_only_what_failed_is_asked_for_with_a_word(house: ChatHouse, someone: Someone, word: str) -> None:
    person = someone()
    await had(house, person, "good", "!bad", "!bad cats")
    await person.says(f"/history {word}")
    page = await house.until_sent(person.id, "What did not come")
    assert lines(page["text"]) == ["1. ⚠️ !bad cats · chat · 21.11.", "2. ⚠️ !bad · chat · 21.11."]
    await person.says(f"/history {word} cats")
    found = await house.until_sent(person.id, "Found for “cats”")
    assert lines(found["text"]) == ["1. ⚠️ !bad cats · chat · 21.11."]


async def test_a_button_leads_to_what_failed_and_back_with_the_same_words(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "cats", "!cats", "!dogs")
    await person.says("/history cats")
    page = await house.until_sent(person.id, "Found for “cats”")
    failed = await pressed(house, person, page, "Only what failed")
    assert lines(failed["text"]) == ["1. ⚠️ !cats · chat · 21.11."]
    assert (await pressed(house, person, failed, "All of it"))["text"] == page["text"]


async def test_pages_of_what_failed_hold_nothing_else(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, *[f"{'!' if number % 2 else ''}{number}" for number in range(20)])
    await person.says("/history failed")
    first = await house.until_sent(person.id, "What did not come")
    second = await pressed(house, person, first, "Older")
    assert len(lines(first["text"])) == 8
    assert [line.split(" · ")[0] for line in lines(second["text"])] == ["9. ⚠️ !3", "10. ⚠️ !1"]
    assert second["text"].endswith("9\u201310 of 10")
    assert (await pressed(house, person, second, "Newer"))["text"] == first["text"]


async def test_where_nothing_failed_a_button_leads_back(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "good")
    await person.says("/history failed")
    page = await house.until_sent(person.id, "Everything came")
    assert labels(page) == ["All of it"]
    assert lines((await pressed(house, person, page, "All of it"))["text"]) == ["1. ✅ good · chat · 21.11."]


async def test_what_came_in_part_is_among_what_failed(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "list", outcome=Outcome.PARTIAL, items=5, items_done=3, items_failed=2)
    await person.says("/history failed")
    assert lines((await house.until_sent(person.id, "What did not come"))["text"]) == ["1. ☑️ list · 3/5 · chat · 21.11."]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"origin": Origin.API}, "the API"),
        ({"origin": Origin.CLI}, "the command line"),
        ({"origin": Origin.SOURCE}, "a channel"),
        ({"origin": Origin.LINK}, "a watched link"),
        ({"origin": Origin.LINK, "link_id": 1, "link_name": "Cats & <dogs>"}, "👁 Cats & <dogs>"),
    ],
)
async def test_an_entry_tells_what_started_it(house: ChatHouse, someone: Someone, more: dict[str, object], told: str) -> None:
    person = someone()
    await had(house, person, "film", **more)
    await person.says("/history")
    assert lines((await house.until_sent(person.id, "What you had"))["text"]) == [f"1. ✅ film · {told} · 21.11."]


async def test_a_link_is_found_by_its_name(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "film", link_name="My Favorite Channel")
    await had(house, person, "other")
    await person.says("/history FAVORITE")
    assert lines((await house.until_sent(person.id, "Found for"))["text"]) == ["1. ✅ film · 👁 My Favorite Channel · 21.11."]


@pytest.mark.parametrize("words", ["x" * 400, "💥" * 60, "ü" * 50])
async def test_no_button_says_more_than_telegram_takes(house: ChatHouse, someone: Someone, words: str) -> None:
    person = someone()
    await had(house, person, *[f"!{words}"] * 20)
    await person.says(f"/history failed {words}")
    page = await house.until_sent(person.id, "What did not come")
    second = await pressed(house, person, page, "Older")
    data = [one["callback_data"] for shown in (page, second) for row in shown["reply_markup"]["inline_keyboard"] for one in row]
    assert [one for one in data if len(one.encode()) > 64] == []
    assert len(lines(second["text"])) == 8
