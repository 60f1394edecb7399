"""`/cookies`: a file whose message goes at once; what is in it is never seen again."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from sandbox.bot_api import User
from service.cookies import MAX_SIZE, SiteCookies
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, labels

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_DELAY = timedelta(seconds=60)
SECRET = "S3CR3T-C00K1E"


def a_file(site: str = "youtube.com", value: str = SECRET) -> bytes:
    return f"# Netscape HTTP Cookie File\n.{site}\tTRUE\t/\tTRUE\t2147483647\tSID\t{value}\n".encode()


async def account_id_of(house: ChatHouse, person: User) -> int:
    async with house.database.read() as transaction:
        user = await transaction.telegram_users.get(person.id)
    assert user is not None
    return user.account_id


async def kept(house: ChatHouse, person: User) -> list[str]:
    found: list[SiteCookies] = await house.town.jars.of_account(await account_id_of(house, person))
    return [one.site for one in found]


async def gives(person: User, content: bytes, caption: str = "/cookies youtube.com", **more: Any) -> dict[str, Any]:
    return await person.sends("document", content, caption=caption, name=more.pop("name", "cookies.txt"), mime="text/plain", **more)


def is_gone(house: ChatHouse, message: dict[str, Any]) -> bool:
    return house.api.message(message["chat"]["id"], message["message_id"]) is None


# --- giving -----------------------------------------------------------------------------------------------------------


async def test_a_file_with_the_command_is_kept_and_its_message_deleted(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    message = await gives(person, a_file())
    await house.until_sent(person.id, "I keep the cookies of youtube.com now. Your message with them is deleted.")
    assert is_gone(house, message)
    assert await kept(house, person) == ["youtube.com"]


async def test_downloads_of_that_account_use_them(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await gives(person, a_file())
    await house.until_sent(person.id, "I keep the cookies")
    async with house.database.read() as transaction:
        content = await transaction.site_cookies.content_of(await account_id_of(house, person), "youtube.com")
    assert content is not None
    assert SECRET in content


async def test_a_file_in_answer_to_the_help_is_kept(house: ChatHouse, someone: Someone) -> None:
    person = someone(language_code="de")
    await person.says("/cookies")
    shown = await house.until_sent(person.id, "Cookies von Seiten")
    message = await gives(person, a_file(), caption="youtube.com", reply_to=shown)
    await house.until_sent(person.id, "Die Cookies von youtube.com sind aufgehoben.")
    assert is_gone(house, message)


async def test_the_name_of_an_exported_file_tells_the_site(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await gives(person, a_file(), caption="/cookies", name="www.youtube.com_cookies.txt")
    assert await house.until_sent(person.id, "I keep the cookies of youtube.com now.")


@pytest.mark.parametrize(
    ("content", "caption", "said"),
    [
        (a_file("example.org"), "/cookies youtube.com", "This is no cookies.txt with cookies of that site."),
        (b"hello", "/cookies youtube.com", "This is no cookies.txt"),
        (b"\xff\xfe\x00" + SECRET.encode(), "/cookies youtube.com", "This is no cookies.txt"),
        (a_file(), "/cookies not a site", "This is no cookies.txt"),
        (a_file(), "/cookies", "Of which site?"),
        (SECRET.encode() * MAX_SIZE, "/cookies youtube.com", "This is no cookies.txt"),
    ],
)
async def test_what_is_wrong_is_deleted_all_the_same(house: ChatHouse, someone: Someone, content: bytes, caption: str, said: str) -> None:
    person = someone()
    message = await gives(person, content, caption)
    answer = await house.until_sent(person.id, said)
    assert "Your message with them is deleted." in answer["text"]
    assert is_gone(house, message)
    assert await kept(house, person) == []


async def test_cookies_typed_into_a_message_are_deleted_and_not_taken(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    message = await person.says(f"/cookies youtube.com\n{a_file().decode()}")
    await house.until_sent(person.id, "I take cookies as a file only")
    assert is_gone(house, message)
    assert await kept(house, person) == []


async def test_a_message_that_telegram_keeps_is_told_to_be_deleted_by_hand(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    house.api.fail_next("deleteMessage", 400, "Bad Request: message can't be deleted for everyone", chat_id=person.id)
    await gives(person, a_file())
    answer = await house.until_sent(person.id, "I keep the cookies of youtube.com now.")
    assert "please delete it yourself" in answer["text"]


async def test_an_answer_that_is_lost_leaves_no_message_with_cookies(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    house.api.cut_next("deleteMessage", after_accepting=False)
    message = await gives(person, a_file())
    await house.until_sent(person.id, "I keep the cookies of youtube.com now.")
    assert is_gone(house, message)


async def test_what_they_are_is_in_no_message_and_no_log(house: ChatHouse, someone: Someone, caplog: pytest.LogCaptureFixture) -> None:
    person = someone()
    with caplog.at_level(logging.DEBUG, logger="magpie"):
        for content in (a_file(), a_file("example.org"), SECRET.encode(), f"{SECRET}\t".encode() * 7):
            await gives(person, content)
        await person.says(f"/cookies youtube.com {SECRET} x")
        await house.api.until(lambda: len(house.api.sent(person.id)) == 5)
        await person.says("/cookies")
        await house.until_sent(person.id, "Kept for you")
    assert not any(SECRET in text for text in house.api.texts())
    assert SECRET not in "".join(
        f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record.name.startswith("magpie")
    )


async def test_a_forwarded_file_is_no_gift(house: ChatHouse, someone: Someone) -> None:
    person, other = someone(), someone()
    message = await gives(other, a_file(), caption="/cookies youtube.com")
    await house.until_sent(other.id, "I keep the cookies")
    await person.forwards(message)
    await house.until_sent(person.id, "I keep media from channel posts")
    assert await kept(house, person) == []


# --- what is kept -----------------------------------------------------------------------------------------------------


async def test_sites_are_listed_and_dropped(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    for site in ("youtube.com", "example.org"):
        await gives(person, a_file(site), f"/cookies {site}")
        await house.until_sent(person.id, f"I keep the cookies of {site}")
    await person.says("/cookies")
    page = await house.until_sent(person.id, "Kept for you")
    assert sorted(labels(page)) == ["🗑 example.org", "🗑 youtube.com"]
    query = await person.presses(page, "🗑 youtube.com")
    await house.api.until(lambda: query in house.api.answers)
    assert house.api.answers[query]["text"] == "The cookies of youtube.com are deleted."
    assert await kept(house, person) == ["example.org"]


async def test_the_longest_host_fits_into_a_button(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    site = ".".join(["a" * 60] * 4) + ".org"
    await gives(person, a_file(site), f"/cookies {site}")
    await house.until_sent(person.id, "I keep the cookies")
    await person.says("/cookies")
    await person.presses(await house.until_sent(person.id, "Kept for you"), "🗑 aaa")
    await house.until(lambda: is_empty(house, person), "nothing is kept")


async def is_empty(house: ChatHouse, person: User) -> bool:
    return not await kept(house, person)


async def test_anothers_cookies_cannot_be_dropped(house: ChatHouse, someone: Someone) -> None:
    person, other = someone(), someone()
    await gives(person, a_file())
    await house.until_sent(person.id, "I keep the cookies")
    await person.says("/cookies")
    page = await house.until_sent(person.id, "Kept for you")
    data = page["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    await other.says("/cookies")
    query = await other.presses(await house.until_sent(other.id, "Cookies"), data=data)
    await house.api.until(lambda: query in house.api.answers)
    assert "no longer leads anywhere" in house.api.answers[query]["text"]
    assert await kept(house, person) == ["youtube.com"]
