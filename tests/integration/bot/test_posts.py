"""A forwarded channel post: its media is kept and recorded, its links are offered, and nothing starts by itself."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from sandbox.bot_api import Channel, Item, User
from service.model import JobStatus
from storage import tables
from tests.integration.bot.conftest import Someone
from tests.support.chat_house import ChatHouse, jpeg, labels

pytestmark = pytest.mark.asyncio(loop_scope="module")
_channels = itertools.count(1)


@pytest.fixture
def channel(house: ChatHouse) -> Channel:
    number = next(_channels)
    return house.api.channel(-100_600_000 - number, f"News {number}", username=f"news{number}")


async def kept(house: ChatHouse, person: User) -> list[Any]:
    """The jobs of this person's account."""
    async with house.database.read() as transaction:
        user = await transaction.telegram_users.get(person.id)
        assert user is not None
        return list(await transaction.jobs.of_account(user.account_id))


@pytest.mark.parametrize(
    "sent",
    [
        ("photo", None, "", "jpg"),
        ("video", "film.mp4", "", "mp4"),
        ("document", "notes.PDF", "", "pdf"),
        ("audio", "song.mp3", "", "mp3"),
        ("audio", None, "audio/mpeg", "mp3"),
        ("voice", None, "audio/x-unheard-of", "mp3"),
        ("animation", "fun.mp4", "", "mp4"),
        ("video_note", None, "", "mp4"),
        ("document", "../../etc/passwd", "", "bin"),
    ],
    ids=lambda sent: f"{sent[0]}-{sent[3]}",
)
async def test_each_kind_is_kept_and_recorded(
    house: ChatHouse, someone: Someone, channel: Channel, sent: tuple[str, str | None, str, str]
) -> None:
    person, (kind, name, mime, extension) = someone(), sent
    content = jpeg(321) if kind == "photo" else f"bytes of {kind} {name}".encode()
    caption = "" if kind == "video_note" else "The post"
    await person.forwards(await channel.posts(kind=kind, content=content, name=name, mime=mime, caption=caption))
    saved = await house.until_sent(person.id, "Saved")
    await house.settled()
    assert f"From {channel.about['title']}" in saved["text"]
    (job,) = await kept(house, person)
    (file,) = await house.downloads.files(job)
    assert job.status is JobStatus.COMPLETED
    assert (file.media.extension, (house.root / "media" / file.path).read_bytes()) == (extension, content)
    await person.says("/history")
    page = await house.until_sent(person.id, "What you had")
    assert page["text"].endswith("1\u20131 of 1")


async def test_what_was_kept_can_be_had_back(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    await person.forwards_post(
        channel, kind="video", content=b"film" * 100, caption="A film", said={"duration": 5, "width": 640, "height": 360}
    )
    await house.until_sent(person.id, "Saved")
    await person.says("/history")
    await person.presses(await house.until_sent(person.id, "What you had"), "📨 1")
    file = await house.until_sent(person.id, kind="video")
    assert (file["video"]["width"], file["video"]["duration"]) == (640, 5)
    assert house.api.file_bytes(file["video"]["file_id"]) == b"film" * 100


async def test_a_post_told_twice_is_kept_once(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    house.api.fail_next("getUpdates", 500, "Internal Server Error")
    post = await person.forwards_post(channel, kind="document", content=b"once", name="once.bin")
    await house.until_sent(person.id, "Saved")
    await house.settled()
    update = {"update_id": 900_000, "message": post}
    await house.chat.take(update)  # the same message once more, as after a crash before it was done
    await house.api.until(lambda: len([m for m in house.api.sent(person.id) if "Saved" in m["text"]]) == 2)
    await house.settled()
    assert len(await kept(house, person)) == 1
    assert await house.count(tables.history_entries, tables.history_entries.c.url.contains(channel.about["username"])) == 1


async def test_the_same_post_forwarded_by_two_is_kept_by_each(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    first, second = someone(), someone()
    post = await channel.posts(kind="document", content=b"both", name="both.bin")
    for person in (first, second):
        await person.forwards(post)
        await house.until_sent(person.id, "Saved")
    jobs = [(await kept(house, person))[0] for person in (first, second)]
    assert jobs[0].scope != jobs[1].scope


async def test_what_telegram_does_not_hand_out_is_said(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    await person.forwards_post(channel, kind="video", content=bytes(20_100_000), name="big.mp4")
    assert "Telegram lets a bot fetch at most 20 MB" in (await house.until_sent(person.id))["text"]
    assert await kept(house, person) == []


@pytest.mark.parametrize("words", ["Bad Request: file is too big", "Bad Request: wrong file_id or the file is temporarily unavailable"])
async def test_what_telegram_refuses_to_hand_out_is_said(house: ChatHouse, someone: Someone, channel: Channel, words: str) -> None:
    person = someone()
    house.api.fail_next("getFile", 400, words)
    await person.forwards_post(channel, kind="document", content=b"x", name="x.bin")
    assert "did not give me this file" in (await house.until_sent(person.id))["text"]


async def test_a_cut_on_the_way_is_tried_again(
    house: ChatHouse, someone: Someone, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05,))
    person = someone()
    house.api.cut_next("getFile", after_accepting=False)
    await person.forwards_post(channel, kind="document", content=b"x", name="cut.bin")
    assert "cut" in (await house.until_sent(person.id, "Saved"))["text"]


async def test_an_album_is_kept_whole_and_acknowledged_quietly(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    group = {"media_group_id": "00000000000000777"}
    posts = [await channel.posts(kind="photo", content=jpeg(300 + number)) for number in range(3)]
    forwarded = [await person.forwards(post | group) for post in posts]
    for message in forwarded:
        await house.api.until(lambda one=message: house.api.reactions.get((person.id, one["message_id"])) == ["👌"])  # type: ignore[misc]
    await house.settled()
    assert len(await kept(house, person)) == 3


async def test_links_of_a_post_are_offered_and_nothing_starts_by_itself(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    await person.forwards_post(channel, kind="photo", content=jpeg(), caption="see https://example.com/11")
    await house.until_sent(person.id, "Saved")
    card = await house.until_sent(person.id, "Title 11")
    await house.settled()
    assert "What would you like?" in card["text"]
    assert house.web.fetched == []
    await person.presses(card, "720p")
    assert await house.until_sent(person.id, kind="video")


async def test_a_post_of_text_with_a_link_is_offered(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    await person.forwards_post(channel, text="https://example.com/12")
    assert "🎧 MP3 · ≈ 1 KB" in labels(await house.until_sent(person.id, "Title 12"))


async def test_a_post_with_nothing_to_keep_is_told_so(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    await person.forwards_post(channel, text="just words")
    assert "nothing that I could keep" in (await house.until_sent(person.id))["text"]


async def test_a_command_in_a_forwarded_post_is_not_obeyed(house: ChatHouse, someone: Someone, channel: Channel) -> None:
    person = someone()
    await person.forwards_post(channel, text="/forget")
    assert "nothing that I could keep" in (await house.until_sent(person.id))["text"]


async def test_an_own_file_is_not_kept(house: ChatHouse, someone: Someone) -> None:
    person = someone()
    await person.sends_album([Item(kind="document", content=b"mine", name="mine.bin")])
    await house.until_sent(person.id, "media from channel posts")
    assert await kept(house, person) == []


# --- without room, without an answer ----------------------------------------------------------------------------------


async def test_a_post_for_which_there_is_no_room_is_said_and_not_fetched(
    house: ChatHouse, someone: Someone, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = someone()
    monkeypatch.setattr(house.chat._parts.posts, "_policy", replace(house.policy, min_free_disk=2**62))
    await person.forwards_post(channel, kind="document", content=b"x", name="x.bin")
    assert "disk space" in (await house.until_sent(person.id))["text"]
    assert "getFile" not in [call.method for call in house.api.calls if call.args.get("chat_id") == person.id]
    assert await kept(house, person) == []


async def test_a_post_larger_than_this_service_allows_is_said(
    house: ChatHouse, someone: Someone, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = someone()
    monkeypatch.setattr(house.chat._parts.posts, "_policy", replace(house.policy, max_file_size=3))
    await person.forwards_post(channel, kind="document", content=b"four", name="x.bin")
    assert "larger than" in (await house.until_sent(person.id))["text"]
    assert await kept(house, person) == []


async def test_a_post_that_never_comes_is_said_without_a_restart(
    house: ChatHouse, someone: Someone, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.inbox.RETRIES", (0.05,) * 6)
    person = someone()
    house.api.cut_next("getFile", after_accepting=False, times=99)
    await person.forwards_post(channel, kind="document", content=b"x", name="x.bin")
    assert "did not give me this file" in (await house.until_sent(person.id))["text"]
    await house.settled()
