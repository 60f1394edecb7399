"""In groups: links when the bot is meant, the asker's own /cancel, a button to the private chat for the rest, and silence."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from sandbox.bot_api import Group, User
from storage import tables
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, labels

pytestmark = pytest.mark.asyncio(loop_scope="module")
_groups = itertools.count(1)


@pytest.fixture
def group(house: ChatHouse) -> Group:
    return house.api.group(-100_300_000 - next(_groups))


async def sure_silence(house: ChatHouse, group: Group, someone: Someone) -> bool:
    """Whether nothing was said; the bot has seen all that was, since it has answered what came after."""
    after = someone()
    await after.says("/help")
    await house.until_sent(after.id)
    await house.settled()
    return house.api.sent(group.id) == []


async def account_of(house: ChatHouse, number: int) -> int:
    return await house.count(tables.telegram_users, tables.telegram_users.c.id == number)


async def test_what_is_not_meant_for_the_bot_gets_silence_and_no_account(house: ChatHouse, group: Group, someone: Someone) -> None:
    person = someone()
    for text in ("hello", "https://example.com/1", "/nonsense", "/dl@other_bot https://example.com/1", "@somebody https://example.com/1"):
        await person.says(text, chat=group)
    assert await sure_silence(house, group, someone)
    assert house.api.calls[-1].method != "setMessageReaction"
    assert await account_of(house, person.id) == 0


async def test_a_mention_with_a_link_is_answered_to_the_message(house: ChatHouse, group: Group, someone: Someone) -> None:
    asked = await someone().says("@Magpie_Bot https://example.com/2", chat=group)
    file = await house.until_sent(group.id, kind="video")
    assert file["reply_to_message"]["message_id"] == asked["message_id"]


async def test_a_mention_in_answer_to_a_link_takes_that_link(house: ChatHouse, group: Group, someone: Someone) -> None:
    link = await someone().says("look: https://example.com/3", chat=group)
    await someone().says("@magpie_bot please", chat=group, reply_to=link)
    assert "Title 3" in (await house.until_sent(group.id, kind="video"))["caption"]


async def test_dl_takes_its_link(house: ChatHouse, group: Group, someone: Someone) -> None:
    await someone().says("/dl@magpie_bot https://example.com/4", chat=group)
    assert "Title 4" in (await house.until_sent(group.id, kind="video"))["caption"]


async def test_dl_in_answer_to_a_link_takes_that_link(house: ChatHouse, group: Group, someone: Someone) -> None:
    link = await someone().says("https://example.com/5", chat=group)
    await someone().says("/dl", chat=group, reply_to=link)
    assert "Title 5" in (await house.until_sent(group.id, kind="video"))["caption"]


async def test_an_answer_to_the_bot_with_a_link_is_meant_for_it(house: ChatHouse, group: Group, someone: Someone) -> None:
    person = someone()
    await person.says("/help@magpie_bot", chat=group)
    answer = await house.until_sent(group.id)
    await person.says("https://example.com/6", chat=group, reply_to=answer)
    assert "Title 6" in (await house.until_sent(group.id, kind="video"))["caption"]


@pytest.mark.parametrize("command", ["/start", "/help", "/history", "/settings", "/status", "/forget", "/privacy"])
async def test_the_rest_is_a_button_to_the_private_chat(house: ChatHouse, group: Group, someone: Someone, command: str) -> None:
    await someone().says(f"{command}@magpie_bot", chat=group)
    told = await house.until_sent(group.id, "private chat")
    (button,) = told["reply_markup"]["inline_keyboard"][0]
    assert button["url"] == "https://t.me/magpie_bot"


async def test_a_mention_without_a_link_is_a_button_to_the_private_chat(house: ChatHouse, group: Group, someone: Someone) -> None:
    await someone().says("@magpie_bot hello", chat=group)
    assert labels(await house.until_sent(group.id)) == ["Open the chat"]


async def test_all_answers_stay_in_the_topic(house: ChatHouse, someone: Someone) -> None:
    forum = house.api.group(-100_390, topics=True)
    topic, person = await forum.topic("films"), someone()
    await person.says("@magpie_bot https://example.com/7", chat=forum, thread=topic)
    file = await house.until_sent(forum.id, kind="video")
    await person.presses(file, "Other formats")
    second = await house.until_sent(forum.id, "What would you like?")
    await person.says("/help@magpie_bot", chat=forum, thread=topic)
    told = await house.until_sent(forum.id, "private chat")
    assert [message["message_thread_id"] for message in (file, second, told)] == [topic] * 3


async def in_progress(house: ChatHouse, person: User, group: Group, name: str) -> dict[str, Any]:
    house.web.gate = asyncio.Event()
    await person.says(f"@magpie_bot {house.add(name)}", chat=group)
    return await house.until_sent(group.id, "Downloading")


async def test_the_askers_cancel_stops_what_they_asked_for(house: ChatHouse, group: Group, someone: Someone) -> None:
    person = someone()
    card = await in_progress(house, person, group, "mine")
    await person.says("/cancel@magpie_bot", chat=group)
    await house.until_sent(group.id, "Title mine\nArtist · 3:26\n\nStopped.")
    assert "Stopped." in house.api.message(group.id, card["message_id"])["text"]  # type: ignore[index]


async def test_anothers_cancel_stops_nothing(house: ChatHouse, group: Group, someone: Someone) -> None:
    card = await in_progress(house, someone(), group, "not-mine")
    before = house.web.cancelled
    await someone().says("/cancel@magpie_bot", chat=group, reply_to=card)
    assert "Nothing is under way" in (await house.until_sent(group.id, "Nothing"))["text"]
    assert house.web.cancelled == before


async def test_a_cancel_in_one_chat_leaves_the_askers_other_chats_alone(house: ChatHouse, group: Group, someone: Someone) -> None:
    person, elsewhere = someone(), house.api.group(-100_391)
    await in_progress(house, person, elsewhere, "elsewhere")
    await person.says("/cancel@magpie_bot", chat=group)
    assert "Nothing is under way" in (await house.until_sent(group.id))["text"]


async def test_an_anonymous_administrator_gets_nothing(house: ChatHouse, group: Group, someone: Someone) -> None:
    await group.says_as_anonymous("@magpie_bot https://example.com/8")
    await group.says_as_anonymous("/help@magpie_bot")
    assert await sure_silence(house, group, someone)
    assert await account_of(house, 1087968824) == 0


async def test_who_writes_as_a_channel_gets_nothing(house: ChatHouse, group: Group, someone: Someone) -> None:
    await group.says_as_channel(house.api.channel(-100_392), "@magpie_bot https://example.com/8")
    assert await sure_silence(house, group, someone)
    assert await account_of(house, 136817688) == 0


async def test_what_telegram_itself_brings_into_a_group_gets_nothing(house: ChatHouse, group: Group, someone: Someone) -> None:
    channel = house.api.channel(-100_393)
    await group.auto_forwards(channel, await channel.posts("@magpie_bot https://example.com/8"))
    assert await sure_silence(house, group, someone)
    assert await account_of(house, 777000) == 0


async def test_a_group_that_removed_the_bot_holds_nobody_up(house: ChatHouse, group: Group, someone: Someone) -> None:
    person = someone()
    card = await in_progress(house, person, group, "removed")
    await group.removes_bot()
    assert house.web.gate is not None
    house.web.gate.set()
    await house.settled()
    await person.says("/history")
    assert "Title removed" in (await house.until_sent(person.id, "What you had"))["text"]
    assert house.api.message(group.id, card["message_id"]) is not None
