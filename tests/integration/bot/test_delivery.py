"""A stored file goes into the chat as what it is, and is uploaded once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from sandbox.bot_api import User
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, Picture, jpeg

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_DELAY = timedelta(seconds=60)


async def ordered(house: ChatHouse, person: User, name: str, selection: str, kind: str) -> dict[str, Any]:
    """The file after this selection was chosen."""
    await person.says(house.add(name))
    card = await house.until_sent(person.id, f"Title {name}")
    data = card["reply_markup"]["inline_keyboard"][0][0]["callback_data"].split("|")
    await person.presses(card, data="|".join([*data[:2], "q", selection]))
    return await house.until_sent(person.id, kind=kind)


async def test_an_mp4_is_playable_video(house: ChatHouse, someone: Someone) -> None:
    house.web.sides, house.web.thumbnails = (1920, 1080), jpeg()
    file = await ordered(house, someone(), "film", "video:mp4:best", "video")
    house.web.sides, house.web.thumbnails = None, None
    video = file["video"]
    assert (video["width"], video["height"], video["duration"]) == (1920, 1080, 206)
    assert (video["file_name"], video["thumbnail"]["width"]) == ("Title film.mp4", 320)
    assert house.api.file(video["file_id"]).said["supports_streaming"]


async def test_an_mp3_is_playable_audio_with_title_and_performer(house: ChatHouse, someone: Someone) -> None:
    file = await ordered(house, someone(), "song", "audio:mp3:best", "audio")
    audio = file["audio"]
    assert (audio["title"], audio["performer"], audio["duration"]) == ("Title song", "Artist", 206)


@pytest.mark.parametrize("selection", ["video:webm:best", "video:mkv:best", "audio:flac:best", "audio:opus:best", "audio:wav:best"])
async def test_what_telegram_does_not_play_is_a_document(house: ChatHouse, someone: Someone, selection: str) -> None:
    extension = selection.split(":")[1]
    file = await ordered(house, someone(), f"odd-{extension}", selection, "document")
    assert file["document"]["file_name"] == f"Title odd-{extension}.{extension}"


async def test_the_caption_holds_title_source_and_duration(house: ChatHouse, someone: Someone) -> None:
    file = await ordered(house, someone(), "captioned", "video:mp4:best", "video")
    assert file["caption"] == "Title captioned\nArtist · 3:26\nexample.com"
    assert {"text_link", "bold"} == {entity["type"] for entity in file["caption_entities"]}


async def test_a_second_person_gets_the_same_file_without_an_upload(house: ChatHouse, someone: Someone) -> None:
    first, second = someone(), someone()
    await ordered(house, first, "shared", "video:mp4:1080", "video")
    await second.says("https://example.com/shared")
    file = await house.until_sent(second.id, kind="video")
    assert file["video"]["file_id"] == house.files(first.id)[0]["video"]["file_id"]
    assert house.uploads().count("Title shared.mp4") == 1


async def test_two_who_ask_at_once_share_one_upload(house: ChatHouse, someone: Someone) -> None:
    house.web.gate = asyncio.Event()
    first, second = someone(), someone()
    for person in (first, second):
        await person.says(house.add("at-once"))
        await person.presses(await house.until_sent(person.id, "Title at-once"), "1080p")
        await house.until_sent(person.id, "Title at-once\nArtist · 3:26\n\n⬇️" if person is first else "The same file is being fetched")
    house.api.hold("editMessageMedia")
    house.web.gate.set()
    await house.api.until(lambda: house.api.held("editMessageMedia"))
    await house.until(lambda: _one_stands_in_line(house), "one is taken and not answered, the other waits for it")
    house.api.release()
    for person in (first, second):
        await house.until_sent(person.id, kind="video")
    assert house.uploads().count("Title at-once.mp4") == 1


async def _one_stands_in_line(house: ChatHouse) -> bool:
    return any(lock._waiters for lock in house.chat._attendant._courier._attachments._being_uploaded.values())


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures(count: int, **more: Any) -> list[Picture]:
    return [Picture(content=jpeg(320 + number, 200), **more) for number in range(count)]


async def albums(house: ChatHouse, person: User, name: str, post: Sequence[Picture]) -> list[list[dict[str, Any]]]:
    """The messages with files, those of one album together."""
    await person.says(house.add_post(name, post))
    await person.presses(await house.until_sent(person.id, f"Post {name}"), "Album")
    await house.until_sent(person.id, "✅ Done") if len(post) > 1 else await house.until_sent(person.id, kind="photo")
    await house.settled()
    found: dict[str, list[dict[str, Any]]] = {}
    for message in house.files(person.id):
        found.setdefault(message.get("media_group_id", str(message["message_id"])), []).append(message)
    return list(found.values())


@pytest.mark.parametrize(("count", "sizes"), [(2, [2]), (10, [10]), (11, [9, 2]), (21, [10, 9, 2])])
async def test_a_post_of_pictures_comes_as_albums(house: ChatHouse, someone: Someone, count: int, sizes: list[int]) -> None:
    person = someone()
    found = await albums(house, person, f"album-{count}", pictures(count))
    assert [len(album) for album in found] == sizes
    widths = [message["photo"][-1]["width"] for album in found for message in album]
    assert widths == [320 + number for number in range(count)], "all of them, in order"
    captions = [message.get("caption") for album in found for message in album]
    assert captions == [f"Post album-{count}\nArtist\nexample.com", *[None] * (count - 1)]


async def test_a_post_of_one_picture_is_a_photo_on_the_card(house: ChatHouse, someone: Someone) -> None:
    ((photo,),) = await albums(house, someone(), "single", pictures(1))
    assert photo["caption"].startswith("Post single")


async def test_pictures_that_telegram_does_not_show_come_as_documents_beside_the_album(house: ChatHouse, someone: Someone) -> None:
    odd = Picture(content=b"GIF89a" + bytes(50), extension="gif")
    film = Picture(content=bytes(100), extension="mp4")
    found = await albums(house, someone(), "mixed", [*pictures(2), film, odd, *pictures(1)])
    assert [[kind for message in album for kind in ("photo", "video", "document") if kind in message] for album in found] == [
        ["photo", "photo", "video"],
        ["document"],
        ["photo"],
    ]


async def test_an_album_is_sent_to_the_next_person_by_its_file_ids(house: ChatHouse, someone: Someone) -> None:
    first = await albums(house, someone(), "again", pictures(3))
    before = len(house.uploads())
    second = await albums(house, someone(), "again", pictures(3))
    assert [m["photo"][-1]["file_id"] for m in second[0]] == [m["photo"][-1]["file_id"] for m in first[0]]
    assert len(house.uploads()) == before


async def test_an_album_from_the_history_leaves_no_card_that_is_never_done(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await albums(house, person, "from-history", pictures(2))
    async with house.database.writer.begin() as connection:
        from storage import tables

        await connection.execute(tables.telegram_copies.delete())
    await person.says("/history")
    page = await house.until_sent(person.id, "What you had")
    await person.presses(page, "📨 1")
    await house.api.until(lambda: len(house.files(person.id)) == 4)
    await house.settled()
    assert await house.api.until(lambda: not [m for m in house.api.sent(person.id) if "Uploading" in m.get("text", "")])
