"""A press is always answered, and changes only what is the presser's own and still there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sandbox.bot_api import User
from service.model import JobStatus
from storage import tables
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, labels

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_DELAY = timedelta(seconds=60)
GONE = "This button no longer leads anywhere. Send me the link again."


async def answer(house: ChatHouse, query: str) -> str:
    await house.api.until(lambda: query in house.api.answers)
    return str(house.api.answers[query].get("text", ""))


def data_of(card: dict[str, Any], number: int = 0) -> str:
    buttons = [button for row in card["reply_markup"]["inline_keyboard"] for button in row]
    return str(buttons[number]["callback_data"])


async def a_waiting_card(house: ChatHouse, person: User, name: str, **where: Any) -> dict[str, Any]:
    """A card that waits for a choice."""
    await person.says(f"{'@magpie_bot ' if where else ''}{house.add(name)}", **where)
    chat = where["chat"].id if "chat" in where else person.id
    card = await house.until_sent(chat, f"Title {name}")
    await person.presses(card, "Let me choose")
    return await house.until_sent(chat, "What would you like?")


async def test_another_users_card_is_told_to_be_theirs_and_stays(house: ChatHouse, someone: Someone) -> None:
    group, asker, other = house.api.group(-100_200), someone(), someone()
    card = await a_waiting_card(house, asker, "theirs", chat=group)
    query = await other.presses(card, "1080p")
    assert await answer(house, query) == "This belongs to somebody else."
    assert house.api.message(group.id, card["message_id"]) == card
    assert await house.count(tables.jobs, tables.jobs.c.url.contains("theirs")) == 0


async def test_another_users_stop_all_stops_nothing_and_leaves_the_list(house: ChatHouse, someone: Someone) -> None:
    house.web.gate = asyncio.Event()
    group, asker, other = house.api.group(-100_201), someone(), someone()
    for name in ("stop-1", "stop-2"):
        await asker.says(f"@magpie_bot {house.add(name)}", chat=group)
        await asker.presses(await house.until_sent(group.id, f"Title {name}"), "720p")
        await house.until_sent(group.id, f"Title {name}\nArtist · 3:26\n\n⬇️")
    await asker.says("/cancel@magpie_bot", chat=group)
    listed = await house.until_sent(group.id, "Under way")
    query = await other.presses(listed, "Stop all")
    assert await answer(house, query) == "This belongs to somebody else."
    assert house.api.message(group.id, listed["message_id"]) == listed
    assert JobStatus.CANCELLED not in {job.status for job in house.seen if "stop-" in job.url.text}


async def test_a_button_of_a_deleted_message_is_answered(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    card = await a_waiting_card(house, person, "deleted")
    await person.deletes(card)
    query = await person.presses(card["message_id"], data=data_of(card), chat=person.id)
    assert await answer(house, query) == "Here we go."
    assert await house.until_sent(person.id, kind="video")


@pytest.mark.parametrize(
    "data",
    [
        "card|nothing-like-it|p|0",
        "card",
        "nonsense",
        "x" * 64,
        "|||",
        "history|" + "9" * 40 + "||",
        "history|" + "9" * 40 + "|send",
        "history|-1||",
        "history|²||",
        "settings|choice||video:mp4:8000",
        "settings|language||tlh",
        "settings|what",
        "forget|1|yes",
        "forget||",
    ],
)
async def test_forged_data_leads_nowhere(house: ChatHouse, someone: Someone, data: str) -> None:
    person = someone()
    told = await person.says("/help")
    query = await person.presses(told, data=data)
    assert await answer(house, query) == GONE


@pytest.mark.parametrize("verb", ["p|9", "p|-1", "p|²", "p|", "t|7", "q|video:mp4", "r|2-1", "r|x", "?|1", "d|"])
async def test_a_forged_choice_on_an_own_card_leads_nowhere(house: ChatHouse, someone: Someone, verb: str) -> None:
    person = someone()
    card = await a_waiting_card(house, person, f"forged-{abs(hash(verb))}")
    query = await person.presses(card, data="|".join([*data_of(card).split("|")[:2], verb]))
    assert await answer(house, query) == GONE
    assert house.api.message(person.id, card["message_id"]) == card


async def test_an_old_button_of_a_delivered_file_starts_nothing_twice(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    card = await a_waiting_card(house, person, "old")
    await person.presses(card, "720p")
    await house.until_sent(person.id, kind="video")
    await house.settled()
    query = await person.presses(card["message_id"], data=data_of(card).replace("|p|", "|x|"), chat=person.id)
    assert await answer(house, query) == "There is nothing left to stop."


async def test_other_formats_makes_another_card_and_leaves_the_file(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    card = await a_waiting_card(house, person, "other")
    await person.presses(card, "720p")
    file = await house.until_sent(person.id, kind="video")
    await house.settled()
    await person.presses(file, "Other formats")
    second = await house.until_sent(person.id, "What would you like?")
    assert "✓ 720p · 2 KB" in labels(second), "what the asker has already is marked"
    await person.presses(second, "MP3")
    await house.until_sent(person.id, kind="audio")
    assert len(house.files(person.id)) == 2


async def test_subtitles_are_asked_for_by_language_and_come_as_a_document(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    card = await a_waiting_card(house, person, "subtitled")
    await person.presses(card, "Subtitles")
    menu = await house.until_sent(person.id, "In which language?")
    assert labels(menu) == ["en", "de", "\u2039 Back"]
    await person.presses(menu, "de")
    file = await house.until_sent(person.id, kind="document")
    assert file["document"]["file_name"] == "Title subtitled.srt"


async def test_back_leaves_the_menu(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    card = await a_waiting_card(house, person, "back")
    await person.presses(card, "Subtitles")
    await person.presses(await house.until_sent(person.id, "In which language?"), "Back")
    assert "1080p · 4 KB" in labels(await house.until_sent(person.id, "What would you like?"))


async def test_a_lower_quality_is_one_press_after_a_file_that_was_too_large(house: ChatHouse, someone: Someone) -> None:
    from service.errors import TooLarge

    person = someone()
    card = await a_waiting_card(house, person, "large")
    house.web.failures["https://example.com/large"] = [TooLarge()]
    await person.presses(card, "1080p")
    failed = await house.until_sent(person.id, "larger than")
    await person.presses(failed, "Lower quality")
    await house.until_sent(person.id, kind="video")
    assert [job.selection.quality for job in house.seen if job.url.text.endswith("/large")][-1] == "720"


async def test_a_file_that_is_no_longer_stored_is_fetched_anew_when_asked_for(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    card = await a_waiting_card(house, person, "vanished")
    house.api.hold("sendChatAction")  # between the end of the job and the upload
    await person.presses(card, "720p")
    await house.api.until(lambda: house.api.held("sendChatAction"))
    for path in house.stored():
        if "vanished" in path.name:
            path.unlink()
    house.api.release()
    failed = await house.until_sent(person.id, "no longer stored")
    await person.presses(failed, "Try again")
    await house.until_sent(person.id, kind="video")
    await house.settled()
    assert house.web.fetched.count("https://example.com/vanished") == 2
    assert len(house.api.sent(person.id)) == 1
