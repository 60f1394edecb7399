"""The pages: history, settings, what is under way, help."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sandbox.bot_api import User
from service.model import JobStatus
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, labels

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_DELAY = timedelta(seconds=60)


async def had(house: ChatHouse, person: User, *names: str) -> None:
    """All these have come."""
    for name in names:
        await person.says(house.add(name))
        await person.presses(await house.until_sent(person.id, f"Title {name}"), "720p")
    await house.api.until(lambda: len(house.files(person.id)) >= len(names))
    await house.settled()


async def pressed(house: ChatHouse, person: User, page: dict[str, Any], button: str) -> dict[str, Any]:
    """The page after the press."""
    before = page.get("edit_date"), page["text"]
    await person.presses(page["message_id"], button, chat=person.id)

    def changed() -> dict[str, Any] | None:
        now = house.api.message(person.id, page["message_id"])
        return now if now is not None and (now.get("edit_date"), now["text"]) != before else None

    found = await house.api.until(changed)
    assert found is not None
    return found


# --- history ----------------------------------------------------------------------------------------------------------


async def test_history_is_paged_newest_first(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, *[f"paged-{number}" for number in range(10)])
    await person.says("/history")
    first = await house.until_sent(person.id, "What you had")
    assert "1. ✅ Title paged-9" in first["text"]
    assert first["text"].endswith("1\u20138 of 10")
    second = await pressed(house, person, first, "Older")
    assert [line for line in second["text"].split("\n") if "Title" in line] == [
        line for line in second["text"].split("\n") if line.startswith(("9. ✅ Title paged-1", "10. ✅ Title paged-0"))
    ]
    again = await pressed(house, person, second, "Newer")
    assert again["text"] == first["text"]


async def test_history_is_searched_by_all_its_words(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "cats-red", "cats-blue", "dogs-red")
    await person.says("/history CATS red")
    found = await house.until_sent(person.id, "Found for “CATS red”")
    assert "1. ✅ Title cats-red" in found["text"]
    assert found["text"].endswith("1\u20131 of 1")


@pytest.mark.parametrize("words", ["100%", "a_b|c", "<b>", "x" * 400, "💥" * 60])
async def test_a_search_for_anything_is_a_search(house: ChatHouse, someone: Someone, words: str) -> None:
    person = someone()
    await had(house, person, "anything")
    await person.says(f"/history {words}")
    assert (await house.until_sent(person.id, "Nothing found"))["text"].startswith("Nothing found for “")


async def test_an_entry_is_sent_again_without_an_upload(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await had(house, person, "again")
    before = house.uploads()
    await person.says("/history")
    await person.presses(await house.until_sent(person.id, "What you had"), "📨 1")
    await house.api.until(lambda: len(house.files(person.id)) == 2)
    assert house.uploads() == before


async def test_a_list_is_sent_again_whole(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    house.web.lists["https://example.com/three"] = [house.add(f"three-{number}") for number in range(3)]
    await person.says("https://example.com/three")
    await person.presses(await house.until_sent(person.id, "3 items"), "Best video")
    await house.until_sent(person.id, "✅ 3 of 3")
    await person.says("/history")
    await person.presses(await house.until_sent(person.id, "What you had"), "📨 1")
    await house.api.until(lambda: len(house.files(person.id)) == 6)
    await house.settled()
    assert len(house.files(person.id)) == 6


async def test_what_failed_is_looked_at_anew(house: ChatHouse, someone: Someone) -> None:
    from service.errors import VideoPrivate

    person = someone()
    await person.says(house.add("failed"))
    card = await house.until_sent(person.id, "Title failed")
    house.web.failures["https://example.com/failed"] = [VideoPrivate()]
    await person.presses(card, "720p")
    await house.until_sent(person.id, "is private")
    await person.says("/history")
    page = await house.until_sent(person.id, "What you had")
    assert "1. ⚠️" in page["text"]
    await person.presses(page, "📨 1")
    again = await house.until_sent(person.id, "What would you like?")
    assert again["message_id"] > page["message_id"]


# --- settings ---------------------------------------------------------------------------------------------------------


async def settings(house: ChatHouse, person: User) -> dict[str, Any]:
    await person.says("/settings")
    return await house.until_sent(person.id, "Settings")


@pytest.mark.parametrize(
    ("button", "line"),
    [
        ("1080p", "Usual choice: 1080p"),
        ("720p", "Usual choice: 720p"),
        ("480p", "Usual choice: 480p"),
        ("🎧 MP3", "Usual choice: 🎧 MP3"),
        ("🎧 M4A", "Usual choice: 🎧 M4A"),
        ("Starts by itself", "Starts by itself: no"),
        ("English", "Language: English"),
    ],
)
async def test_each_button_changes_its_line(house: ChatHouse, someone: Someone, button: str, line: str) -> None:
    person = someone()
    page = await pressed(house, person, await settings(house, person), button)
    assert line in page["text"]
    assert line in (await settings(house, person))["text"]


async def test_the_best_video_is_the_default_and_can_be_had_back(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    page = await settings(house, person)
    assert "✓ 🎬 Best video" in labels(page)
    page = await pressed(house, person, page, "720p")
    page = await pressed(house, person, page, "Best video")
    assert "✓ 🎬 Best video" in labels(page)


async def test_another_language_speaks_at_once(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    page = await pressed(house, person, await settings(house, person), "Deutsch")
    assert page["text"].startswith("Einstellungen")
    await person.says("/help")
    assert await house.until_sent(person.id, "Was ich kann")
    back = await pressed(house, person, page, "wie in Telegram")
    assert back["text"].startswith("Settings")


async def test_telegrams_language_is_used_until_another_is_chosen(house: ChatHouse, someone: Someone) -> None:
    person = someone(language_code="de-AT")
    await person.says("/help")
    assert await house.until_sent(person.id, "Was ich kann")


async def test_a_usual_choice_is_what_a_card_would_start(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await pressed(house, person, await settings(house, person), "🎧 M4A")
    await person.says(house.add("usual"))
    assert "in a moment: 🎧 M4A" in (await house.until_sent(person.id, "Title usual"))["text"]


async def test_who_wants_to_choose_is_never_started_for(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await pressed(house, person, await settings(house, person), "Starts by itself")
    await person.says(house.add("by-hand"))
    assert "What would you like?" in (await house.until_sent(person.id, "Title by-hand"))["text"]


# --- what is under way ------------------------------------------------------------------------------------------------


async def under_way(house: ChatHouse, person: User, *names: str) -> None:
    house.web.gate = house.web.gate or asyncio.Event()
    for name in names:
        await person.says(house.add(name))
        await person.presses(await house.until_sent(person.id, f"Title {name}"), "720p")
        await house.until_sent(person.id, f"Title {name}\nArtist · 3:26\n\n⬇️")


async def test_status_tells_what_is_under_way_and_stops_one(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await under_way(house, person, "one-a", "one-b")
    await person.says("/status")
    page = await house.until_sent(person.id, "Under way")
    assert "1. Title one-a · ⬇️ Downloading" in page["text"]
    assert labels(page) == ["✖ 1", "✖ 2", "✖ Stop all"]
    await person.presses(page, "✖ 1")
    await house.until_sent(person.id, "Title one-a\nArtist · 3:26\n\nStopped.")
    last = {job.url.text: job.status for job in house.seen}
    assert last["https://example.com/one-b"] is JobStatus.PROCESSING


async def test_stop_all_stops_all_of_the_asker_and_nobody_elses(house: ChatHouse, someone: Someone) -> None:
    person, other = someone(), someone()
    await under_way(house, other, "other-running")
    await under_way(house, person, "all-a", "all-b")
    await person.says("/cancel")
    page = await house.until_sent(person.id, "Under way")
    assert (await pressed(house, person, page, "Stop all"))["text"] == "Stopped: 2."
    last = {job.url.text.rpartition("/")[2]: job.status for job in house.seen}
    assert last["all-a"] is last["all-b"] is JobStatus.CANCELLED
    assert last["other-running"] is JobStatus.PROCESSING


async def test_cancel_stops_the_only_one_that_runs(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says(house.add("waits"))
    await person.presses(await house.until_sent(person.id, "Title waits"), "Let me choose")
    await house.until_sent(person.id, "What would you like?")
    await under_way(house, person, "only")
    await person.says("/cancel")
    await house.until_sent(person.id, "Title only\nArtist · 3:26\n\nStopped.")
    assert await house.until_sent(person.id, "Title waits\nArtist · 3:26\n\nWhat would you like?")


async def test_cancel_in_answer_to_a_card_stops_that_one(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await under_way(house, person, "first", "second")
    card = await house.until_sent(person.id, "Title first")
    await person.says("/cancel", reply_to=card)
    await house.until_sent(person.id, "Title first\nArtist · 3:26\n\nStopped.")
    assert {job.url.text: job.status for job in house.seen}["https://example.com/second"] is JobStatus.PROCESSING


async def test_an_upload_can_be_stopped(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.says(house.add("stopped-upload"))
    card = await house.until_sent(person.id, "Title stopped-upload")
    house.api.hold("sendChatAction")  # between what says "Uploading" and the upload
    await person.presses(card, "720p")
    uploading = await house.until_sent(person.id, "Uploading")
    await person.presses(uploading, "Cancel")
    stopped = await house.until_sent(person.id, "Stopped.")
    house.api.release()
    await house.settled()
    assert house.files(person.id) == []
    await person.presses(stopped, "Start again")
    assert await house.until_sent(person.id, kind="video")


async def test_start_again_takes_a_stopped_download_up(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await under_way(house, person, "restarted")
    await person.says("/cancel")
    stopped = await house.until_sent(person.id, "\n\nStopped.")
    assert house.web.gate is not None
    house.web.gate.set()
    await person.presses(stopped, "Start again")
    assert (await house.until_sent(person.id, kind="video"))["message_id"] == stopped["message_id"]


@pytest.mark.parametrize("command", ["/status", "/cancel"])
async def test_nothing_under_way_is_said(house: ChatHouse, someone: Someone, command: str) -> None:
    person = someone()
    await person.says(command)
    assert (await house.until_sent(person.id))["text"] == "Nothing is under way. Send me a link."


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/start", "Hi Somebody, I am Magpie."),
        ("/start own_", "has been used"),
        ("/start=what", "Hi Somebody"),
        ("/help", "What I can do"),
        ("/privacy", "What I keep"),
        ("/HELP@Magpie_Bot", "What I can do"),
        ("/dl", "Send me a link"),
        ("/unheard_of", "do not know this command"),
        ("/help@other_bot", "do not know this command"),
    ],
)
async def test_each_command_is_answered(house: ChatHouse, someone: Someone, command: str, words: str) -> None:
    person = someone()
    await person.says(command)
    assert words in (await house.until_sent(person.id))["text"]


async def test_the_menu_is_told_in_each_language(house: ChatHouse) -> None:
    told = {call.args.get("language_code", ""): call.args["commands"] for call in house.api.calls if call.method == "setMyCommands"}
    assert set(told) == {"", "de"}
    assert [one["command"] for one in told[""]] == [one["command"] for one in told["de"]]
