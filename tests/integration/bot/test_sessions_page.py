"""`/sessions`: what is one's own can be deleted, what names one can be claimed; nobody else's can be touched."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from bot.texts import ENGLISH
from sandbox.bot_api import User
from service.accounts import AccountChange
from service.downloads import Order
from service.media_url import MediaUrl
from service.model import Job, Origin
from service.selection import Selection
from storage import tables
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ALICE, ChatHouse, labels
from tests.support.people import OPERATOR

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_DELAY = timedelta(seconds=60)


async def had(house: ChatHouse, person: User, name: str) -> None:
    await person.says(house.add(name))
    await person.presses(await house.until_sent(person.id, f"Title {name}"), "720p")
    await house.until_sent(person.id, f"Title {name}", kind="video")
    await house.settled()


async def fetched(house: ChatHouse, name: str, *, account_id: int | None = None, username: str | None = None) -> Job:
    """Over HTTP, in a session of its own."""
    order = Order(
        url=MediaUrl.parse(house.add(name)),
        selection=Selection.of("audio"),
        origin=Origin.API,
        account_id=account_id,
        requested_username=username,
    )
    job, _ = await house.downloads.submit(order)
    return (await house.completed(job))[0]


async def account_id_of(house: ChatHouse, person: User) -> int:
    async with house.database.read() as transaction:
        user = await transaction.telegram_users.get(person.id)
    assert user is not None
    return user.account_id


async def page_of(house: ChatHouse, person: User, words: str = "Downloads") -> dict[str, Any]:
    asked = await person.says("/sessions")

    def answered() -> list[dict[str, Any]]:
        return [one for one in house.api.sent(person.id) if one["message_id"] > asked["message_id"]]

    found = await house.api.until(answered)
    assert found
    assert words in found[0]["text"]
    return found[0]


async def pressed(house: ChatHouse, person: User, message: dict[str, Any], button: str) -> str:
    query = await person.presses(message["message_id"], button, chat=person.id)
    await house.api.until(lambda: query in house.api.answers)
    return str(house.api.answers[query].get("text", ""))


def is_there(house: ChatHouse, name: str) -> bool:
    return any(path.read_bytes() == house.web.pages[f"https://example.com/{name}"] for path in house.stored())


async def is_superuser(house: ChatHouse, person: User) -> None:
    await person.says("/help")
    await house.until_sent(person.id, "What I can do")
    await house.town.accounts.change(OPERATOR, await account_id_of(house, person), AccountChange(is_superuser=True))


async def delete(house: ChatHouse, person: User, number: int = 1) -> str:
    page = await page_of(house, person)
    await pressed(house, person, page, f"🗑 {number}")
    question = await house.until_sent(person.id, "Delete these downloads?")
    return await pressed(house, person, question, "🗑 Delete")


async def test_nothing_of_ones_own_is_said(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    assert labels(await page_of(house, person, "There are no downloads of yours.")) == []


async def test_deleting_asks_first(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "asked")
    page = await page_of(house, person, "1. Title asked · jobs: 1")
    await pressed(house, person, page, "🗑 1")
    question = await house.until_sent(person.id, "Delete these downloads?")
    assert "Jobs: 1, files: 1" in question["text"]
    await pressed(house, person, question, "Keep")
    assert await house.until_sent(person.id, "1. Title asked")
    assert is_there(house, "asked")


async def test_deleted_are_jobs_and_files_and_the_chat_goes_on(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "deleted")
    assert await delete(house, person) == "Deleted."
    assert not is_there(house, "deleted")
    assert await house.count(tables.jobs, tables.jobs.c.account_id == await account_id_of(house, person)) == 0
    await had(house, person, "deleted-later")


async def test_history_outlives_it(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "remembered")
    await delete(house, person)
    await person.says("/history")
    assert await house.until_sent(person.id, "Title remembered")


async def test_a_session_of_the_api_goes_as_a_whole(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await page_of(house, person)
    job = await fetched(house, "by-api", account_id=await account_id_of(house, person))
    assert await delete(house, person) == "Deleted."
    assert await house.count(tables.download_sessions, tables.download_sessions.c.id == job.download_session_id) == 0
    assert not is_there(house, "by-api")


async def test_what_another_also_has_stays_readable_and_in_the_store(house: ChatHouse, someone: Someone) -> None:
    person, other, third = someone(), someone(), someone()
    await had(house, person, "shared")
    await had(house, other, "shared")
    await delete(house, person)
    assert is_there(house, "shared")
    async with house.database.writer.begin() as connection:  # so that it has to come from there
        await connection.execute(tables.telegram_copies.delete())
    await had(house, third, "shared")
    assert house.web.fetched.count("https://example.com/shared") == 1


async def test_what_is_under_way_is_stopped(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    cancelled = house.web.cancelled
    house.web.gate = asyncio.Event()
    await person.says(house.add("running"))
    await person.presses(await house.until_sent(person.id, "Title running"), "720p")
    await house.until_sent(person.id, "Downloading")
    await delete(house, person)
    assert house.web.cancelled == cancelled + 1
    assert not is_there(house, "running")


async def test_what_names_one_can_be_claimed_and_is_ones_own_then(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await fetched(house, "named", username=f"tg-{person.id}")
    page = await page_of(house, person, "Unclaimed")
    assert "A. " in page["text"]
    assert await pressed(house, person, page, "Claim A") == "It is yours now."
    assert "1. by named" not in page["text"]
    assert labels(await page_of(house, person)) == ["🗑 1"]


@pytest.mark.parametrize("command", ["/sessions", "/link"])
async def test_a_superuser_sees_unclaimed_ones_that_name_somebody_else(house: ChatHouse, someone: Someone, command: str) -> None:
    person = someone()
    await is_superuser(house, person)
    await fetched(house, f"seen-by{command[1:]}", username="somebody-else")
    await person.says(command)
    page = await house.until_sent(person.id, "Unclaimed")
    assert f"Title seen-by{command[1:]}" in page["text"]
    assert not [words for words in ("name you", "name this account") if words in page["text"]]


async def test_a_superuser_claims_what_the_page_shows(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await is_superuser(house, person)
    job = await fetched(house, "claimed-by-superuser", username="somebody-else")
    page = await page_of(house, person)
    (letter,) = [line[0] for line in page["text"].splitlines() if "Title claimed-by-superuser" in line]
    assert await pressed(house, person, page, f"Claim {letter}") == "It is yours now."
    async with house.database.read() as transaction:
        session = await transaction.download_sessions.get(job.download_session_id)
    assert session is not None
    assert session.owner_id == await account_id_of(house, person)


async def test_an_administrator_by_the_settings_alone_sees_only_what_names_them(house: ChatHouse) -> None:
    alice = house.api.user(ALICE)
    await fetched(house, "not-for-alice", username="somebody-else")
    assert "Unclaimed" not in (await page_of(house, alice))["text"]


async def test_many_are_paged(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await page_of(house, person)
    account_id = await account_id_of(house, person)
    for number in range(8):
        await fetched(house, f"page-{number}", account_id=account_id)
    page = await page_of(house, person, "1\u20136 of 8")
    await pressed(house, person, page, "Older")
    assert labels(await house.until_sent(person.id, "7\u20138 of 8")) == ["🗑 7", "🗑 8", ENGLISH.newer]


@pytest.mark.parametrize("verb", ["ask", "delete", "claim"])
async def test_nobody_elses_session_can_be_touched(house: ChatHouse, someone: Someone, verb: str) -> None:
    person, other = someone(), someone()
    await had(house, person, f"theirs-{verb}")
    async with house.database.read() as transaction:
        user = await transaction.telegram_users.get(person.id)
    assert user is not None
    page = await page_of(house, other)
    query = await other.presses(page, data=f"sessions|{user.download_session_id.hex}|{verb}")
    await house.api.until(lambda: query in house.api.answers)
    assert "no such download session" in house.api.answers[query]["text"]
    assert is_there(house, f"theirs-{verb}")


@pytest.mark.parametrize(
    "data", ["sessions|x|delete", "sessions||claim", "sessions|99999999999999999999|page", f"sessions|{UUID(int=1).hex}|x"]
)
async def test_a_button_that_is_none_leads_nowhere(house: ChatHouse, someone: Someone, data: str) -> None:
    person = someone()
    query = await person.presses(await page_of(house, person), data=data)
    await house.api.until(lambda: query in house.api.answers)
    assert "no longer leads anywhere" in house.api.answers[query]["text"]
