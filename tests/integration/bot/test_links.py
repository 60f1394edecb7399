"""What people write: addresses however they are sent, and everything that is none."""

from __future__ import annotations

import pytest

from sandbox.bot_api import User
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, jpeg, labels

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def answer_to(house: ChatHouse, person: User, text: str) -> str:
    """The bot's only answer, once nothing more is to come."""
    await person.says(text)
    await house.until_sent(person.id)
    await house.settled()
    (answer,) = house.api.sent(person.id)
    said: str = answer["text"]
    return said


async def titles(house: ChatHouse, person: User) -> list[str]:
    """Of the cards or files, once nothing moves."""
    await house.until_sent(person.id, "Title")
    await house.settled()
    return sorted((message.get("caption") or message.get("text") or "").split("\n")[0] for message in house.api.sent(person.id))


async def test_every_address_of_a_message_gets_a_card_each_once(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says("https://example.com/1 and https://example.com/2, again https://example.com/1")
    assert await titles(house, person) == ["Title 1", "Title 2"]


async def test_addresses_in_captions_and_behind_words_count(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.sends("photo", jpeg(), caption="see https://example.com/3")
    hidden = {"type": "text_link", "offset": 3, "length": 4, "url": "https://example.com/4"}
    await person.says("🎬 here", entities=[hidden])
    assert await titles(house, person) == ["Title 3", "Title 4"]


async def test_a_forwarded_message_counts_like_an_own_one(house: ChatHouse, someone: Someone) -> None:
    person, friend = someone(), someone()
    group = house.api.group(-100_100)
    said = await friend.says("https://example.com/5", chat=group)
    await person.forwards(said)
    assert await titles(house, person) == ["Title 5"]


async def test_a_clip_is_cut_and_the_card_says_which(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says("https://example.com/6 1:20-2:05")
    await house.until_sent(person.id, "✂️ 1:20 \u2013 2:05")
    await house.until_sent(person.id, kind="video")
    jobs = [job for job in house.seen if job.url.text.endswith("/6")]
    assert {job.selection.clip.key for job in jobs if job.selection.clip} == {"80000-125000"}


async def test_a_message_of_4096_characters_becomes_one_list_and_nothing_is_lost(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    addresses = [f"https://example.com/many/{number:04}" for number in range(136)]
    text = " ".join(addresses)
    assert 4000 < len(text) <= 4096
    await person.says(text)
    card = await house.until_sent(person.id, "136 links")
    assert len(house.api.sent(person.id)) == 1
    for number in (134, 135, 136):
        house.add(f"many/{number - 1:04}")
    await person.says("134-136", reply_to=card)
    await house.until_sent(person.id, "Chosen: 134\u2013136")
    await person.presses(card["message_id"], "🎬 Best video", chat=person.id)
    await house.until_sent(person.id, "✅ 3 of 3")
    assert sorted(file["caption"].split("\n")[0] for file in house.files(person.id)) == ["Title 0133", "Title 0134", "Title 0135"]


async def test_links_beyond_what_one_order_may_take_are_named(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    text = " ".join(f"http://a.de/{number}" for number in range(250))
    await person.says(text)
    assert await house.until_sent(person.id, "200 of 250")


async def test_a_range_that_is_none_is_explained(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says(" ".join(f"https://example.com/{number}" for number in range(1, 8)))
    card = await house.until_sent(person.id, "7 links")
    await person.says("9-12", reply_to=card)
    assert await house.until_sent(person.id, "range from 1 to 7")


async def test_text_without_an_address_gets_one_line_of_advice(house: ChatHouse, someone: Someone) -> None:
    assert "Send me a link" in await answer_to(house, someone(), "hello, readme.md is what I want")


async def test_what_was_meant_as_an_address_and_is_none_is_named(house: ChatHouse, someone: Someone) -> None:
    assert "“http://[::bad” is no link" in await answer_to(house, someone(), "get http://[::bad please")


async def test_markup_in_what_is_named_is_harmless(house: ChatHouse, someone: Someone) -> None:
    assert "“https://<b>x</b>&amp;”" in await answer_to(house, someone(), "https://<b>x</b>&amp;")


async def test_an_address_with_nothing_behind_it_is_a_failure_with_one_action(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says("https://example.com/not-there")
    told = await house.until_sent(person.id, "no such video")
    assert labels(told) == ["🔁 Try again"]


async def test_a_forwarded_sticker_is_told_what_would_be_kept(house: ChatHouse, someone: Someone) -> None:
    person, friend = someone(), someone()
    sticker = await friend.sends("sticker", jpeg(), chat=house.api.group(-100_101))
    await person.forwards(sticker)
    assert "media from channel posts" in (await house.until_sent(person.id))["text"]


async def test_an_album_without_addresses_is_answered_once(house: ChatHouse, someone: Someone) -> None:
    from sandbox.bot_api import Item

    person = someone()
    await person.sends_album([Item(kind="photo", content=jpeg()) for _ in range(4)])
    await house.until_sent(person.id)
    await house.settled()
    assert len(house.api.sent(person.id)) == 1


async def test_the_same_message_told_again_makes_no_second_card(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    house.api.fail_next("getUpdates", 500, "Internal Server Error")
    await person.says("https://example.com/7")
    await house.until_sent(person.id, kind="video")
    await house.settled()
    assert len(house.api.sent(person.id)) == 1


async def test_a_secret_address_is_shown_by_its_host_alone(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    house.add("hidden?token=s3cr3t")
    await person.says("https://example.com/hidden?token=s3cr3t")
    await house.until_sent(person.id, "Title hidden")
    await house.until_sent(person.id, kind="video")
    links = [text for text in house.api.texts() if text.startswith("http") and "hidden" in text]
    assert links == []
