from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, InputMediaVideo

from magpie.local_chat import USER_ID, ChatNotRunning, LocalChat
from magpie.sample_post import CAPTION
from sandbox.media_files import MediaFiles
from tests.integration.bot_api.conftest import png
from tests.integration.chat.conftest import bot_for
from tests.support.running import playable
from webapi.chat_room import (
    BotActs,
    ButtonAnswered,
    ChatButtonGone,
    ChatEvent,
    ChatFileNotFound,
    ChatMessageNotFound,
    MessageGone,
    MessageShown,
    ShownButton,
    ShownEntity,
)

KEYS = InlineKeyboardMarkup(
    [[InlineKeyboardButton("720p · 4 MB", callback_data="a:1"), InlineKeyboardButton("Site", url="https://a.example/")]]
)


def heard(chat: LocalChat) -> list[ChatEvent]:
    """What a page hears from now on."""
    events: list[ChatEvent] = []
    chat.subscribe(events.append)
    return events


async def a_card(chat: LocalChat, bot: Bot) -> int:
    await chat.say("https://example.org")
    return (await bot.send_message(USER_ID, "<b>A title</b>", parse_mode="HTML", reply_markup=KEYS)).message_id


# --- at its two ends --------------------------------------------------------------------------------------------------


async def test_the_bot_hears_what_the_person_says(chat: LocalChat, bot: Bot) -> None:
    number = await chat.say("https://example.org/clip")
    (update,) = await bot.get_updates(timeout=5)
    assert update.message
    assert (update.message.text, update.message.message_id) == ("https://example.org/clip", number)
    assert update.message.from_user
    assert (update.message.from_user.id, update.message.from_user.language_code) == (USER_ID, "en")


async def test_the_person_sees_what_the_bot_says_with_entities_and_buttons(chat: LocalChat, bot: Bot) -> None:
    number = await a_card(chat, bot)
    mine, card = chat.history()
    assert (mine.mine, mine.text) == (True, "https://example.org")
    assert (card.id, card.mine, card.text) == (number, False, "A title")
    assert card.entities == [ShownEntity(type="bold", offset=0, length=7)]
    assert card.buttons == [[ShownButton(text="720p · 4 MB", data="a:1"), ShownButton(text="Site", url="https://a.example/")]]


async def test_a_page_hears_of_news_edits_reactions_actions_answers_and_deletions(chat: LocalChat, bot: Bot) -> None:
    number = await a_card(chat, bot)
    events = heard(chat)
    await bot.edit_message_text("Downloading", USER_ID, number, reply_markup=KEYS)
    await bot.set_message_reaction(USER_ID, 1, "👀")
    await bot.send_chat_action(USER_ID, "upload_video")
    await chat.press(number, "a:1")
    query = next(update.callback_query for update in await bot.get_updates() if update.callback_query)
    await bot.answer_callback_query(query.id, "Here we go.", show_alert=True)
    await bot.delete_message(USER_ID, number)
    edit, reaction, action, answer, gone = events
    assert isinstance(edit, MessageShown)
    assert (edit.message.text, edit.message.edited) == ("Downloading", True)
    assert isinstance(reaction, MessageShown)
    assert (reaction.message.id, reaction.message.reactions) == (1, ["👀"])
    assert action == BotActs(action="upload_video")
    assert answer == ButtonAnswered(message_id=number, text="Here we go.", alert=True)
    assert gone == MessageGone(message_id=number)


async def test_who_no_longer_listens_hears_nothing(chat: LocalChat) -> None:
    events: list[ChatEvent] = []
    leave = chat.subscribe(events.append)
    leave()
    await chat.say("Hello")
    assert events == []


async def test_a_press_reaches_the_bot(chat: LocalChat, bot: Bot) -> None:
    number = await a_card(chat, bot)
    await chat.press(number, "a:1")
    pressed = [update.callback_query for update in await bot.get_updates() if update.callback_query]
    assert [(query.data, query.from_user.id) for query in pressed] == [("a:1", USER_ID)]


async def test_only_buttons_that_are_there_can_be_pressed(chat: LocalChat, bot: Bot) -> None:
    number = await a_card(chat, bot)
    with pytest.raises(ChatButtonGone):
        await chat.press(number, "a:2")
    with pytest.raises(ChatMessageNotFound):
        await chat.press(number + 1, "a:1")
    assert [update for update in await bot.get_updates() if update.callback_query] == []


async def test_a_reply_is_one_and_shows_what_it_answers(chat: LocalChat, bot: Bot) -> None:
    number = await a_card(chat, bot)
    await chat.say("3-7", number)
    reply = chat.history()[-1].reply_to
    assert reply
    assert (reply.id, reply.name, reply.text) == (number, "Magpie", "A title")
    with pytest.raises(ChatMessageNotFound):
        await chat.say("3-7", 999)


# --- media ------------------------------------------------------------------------------------------------------------


async def test_a_video_has_its_picture_and_its_bytes(chat: LocalChat, bot: Bot, tmp_path: Path) -> None:
    await chat.say("/start")
    thumbnail = await MediaFiles(tmp_path, _ffmpeg()).find("picture/320x180.jpg")
    await bot.send_video(
        USER_ID, b"a video", width=640, height=360, duration=7, thumbnail=thumbnail.read_bytes(), filename="v.mp4", caption="C"
    )
    shown = chat.history()[-1]
    media = shown.media
    assert media
    assert (shown.text, media.kind, media.name, media.mime) == ("C", "video", "v.mp4", "video/mp4")
    assert (media.width, media.height, media.duration, media.size) == (640, 360, 7, 7)
    assert chat.file(media.file_id).path.read_bytes() == b"a video"
    assert media.thumbnail
    assert chat.file(media.thumbnail).path.read_bytes() == thumbnail.read_bytes()
    assert chat.file(media.thumbnail).name == "picture.jpg"


async def test_an_album_belongs_together(chat: LocalChat, bot: Bot) -> None:
    await chat.say("/start")
    await bot.send_media_group(USER_ID, [InputMediaPhoto(png(width), caption=str(width)) for width in (20, 21)])
    first, second = chat.history()[-2:]
    assert first.album
    assert (first.album, second.text) == (second.album, "21")
    assert first.media
    assert (first.media.kind, first.media.name, first.media.width) == ("photo", "photo.jpg", 20)


async def test_a_card_that_turns_into_a_file_is_still_the_same_message(chat: LocalChat, bot: Bot) -> None:
    number = await a_card(chat, bot)
    await bot.edit_message_media(InputMediaVideo(b"a video", filename="v.mp4"), USER_ID, number)
    shown = chat.history()[-1]
    assert (shown.id, shown.text) == (number, "")
    assert shown.media


async def test_a_file_that_nobody_sent_is_not_found(chat: LocalChat) -> None:
    for name in ("nothing", "Video-1-Ag12", "../../token"):
        with pytest.raises(ChatFileNotFound):
            chat.file(name)


async def test_more_than_telegrams_own_server_takes_is_taken(chat: LocalChat, bot: Bot, tmp_path: Path) -> None:
    await chat.say("/start")
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(60 * 10**6)
    with large.open("rb") as file:
        await bot.send_document(USER_ID, file)
    media = chat.history()[-1].media
    assert media
    assert media.size == 60 * 10**6


# --- the sample post --------------------------------------------------------------------------------------------------


async def test_the_sample_post_is_a_forwarded_one_whose_video_plays_and_can_be_fetched_by_the_bot(chat: LocalChat, bot: Bot) -> None:
    number = await chat.forward_sample()
    shown = chat.history()[-1]
    assert (shown.id, shown.forwarded_from, shown.text, shown.mine) == (number, "Sample channel", CAPTION, True)
    assert shown.media
    assert await asyncio.to_thread(playable, chat.file(shown.media.file_id).path)
    (update,) = await bot.get_updates()
    assert update.message
    assert update.message.video
    fetched = await (await bot.get_file(update.message.video.file_id)).download_as_bytearray()
    assert len(fetched) == update.message.video.file_size


async def test_there_is_one_sample_post_however_often_it_is_forwarded(chat: LocalChat, bot: Bot) -> None:
    await asyncio.gather(chat.forward_sample(), chat.forward_sample())
    origins = [update.message.forward_origin for update in await bot.get_updates() if update.message]
    assert len({origin.message_id for origin in origins}) == 1  # type: ignore[union-attr] # a channel's has one


# --- over a restart ---------------------------------------------------------------------------------------------------


async def test_the_conversation_its_files_and_the_token_survive_a_restart(chat: LocalChat, bot: Bot, tmp_path: Path) -> None:
    await a_card(chat, bot)
    await bot.set_message_reaction(USER_ID, 1, "👀")
    await chat.forward_sample()
    before, token = chat.history(), chat.token
    await chat.stop()
    again = LocalChat(tmp_path / "chat")
    await again.start()
    try:
        assert (again.history(), again.token) == (before, token)
        media = before[-1].media
        assert media
        assert again.file(media.file_id).path.stat().st_size == media.size
        await again.press(before[1].id, "a:1")
        async with bot_for(again) as later:
            assert [update.callback_query.data for update in await later.get_updates() if update.callback_query] == ["a:1"]
    finally:
        await again.stop()


async def test_nobody_else_may_read_the_token_or_the_conversation(chat: LocalChat, tmp_path: Path) -> None:
    token = tmp_path / "chat" / "token"
    assert token.read_text() == chat.token
    assert (stat.S_IMODE(token.stat().st_mode), stat.S_IMODE(token.parent.stat().st_mode)) == (0o600, 0o700)


async def test_two_chats_have_different_tokens(tmp_path: Path) -> None:
    first, second = LocalChat(tmp_path / "one").token, LocalChat(tmp_path / "two").token
    assert first != second
    assert min(len(first), len(second)) > 40


async def test_it_listens_on_loopback_only(chat: LocalChat) -> None:
    assert chat.api_url.startswith("http://127.0.0.1:")


async def test_before_its_start_and_after_its_stop_it_is_empty_and_says_so(tmp_path: Path) -> None:
    chat = LocalChat(tmp_path / "chat")
    assert chat.history() == []
    with pytest.raises(ChatNotRunning):
        await chat.say("Hello")
    await chat.start()
    await chat.say("Hello")
    await chat.stop()
    await chat.stop()
    with pytest.raises(ChatNotRunning):
        await chat.press(1, "a:1")


def _ffmpeg() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())
