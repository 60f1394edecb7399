"""Pressed buttons and reactions."""

from __future__ import annotations

from pathlib import Path

import pytest
from telegram import Bot, CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message, ReactionTypeEmoji

from sandbox.bot_api import BotApi, Limits, User
from tests.integration.bot_api.conftest import bot_for, refusal

TOO_OLD = "Query is too old and response timeout expired or query id is invalid"
MARKUP = InlineKeyboardMarkup(
    [[InlineKeyboardButton("1080p · 84 MB", callback_data="q:1080"), InlineKeyboardButton("Cancel", callback_data="x")]]
)


async def pressed(bot: Bot) -> CallbackQuery:
    query = (await bot.get_updates(offset=-1))[-1].callback_query
    assert query is not None
    return query


@pytest.mark.parametrize("button", ["1080p · 84 MB", "q:1080", "1080p"])
async def test_button_is_pressed_by_its_text_its_data_or_a_part(bot: Bot, alice: User, button: str) -> None:
    message = await bot.send_message(alice.id, "Which?", reply_markup=MARKUP)
    await alice.presses(message.id, button)
    query = await pressed(bot)
    assert isinstance(query.message, Message)
    assert (query.data, query.from_user.id, query.message.text) == ("q:1080", alice.id, "Which?")


async def test_button_that_is_not_there_cannot_be_pressed(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, "Which?", reply_markup=MARKUP)
    with pytest.raises(LookupError, match="Cancel"):
        await alice.presses(message.id, "Delete")


async def test_foreign_data_can_be_pressed_on_a_message_that_is_gone(bot: Bot, alice: User) -> None:
    await alice.presses(777, data="of another")
    query = await pressed(bot)
    assert query.message is not None
    assert (query.data, query.message.is_accessible) == ("of another", False)


async def test_answer_is_remembered(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_message(alice.id, "Which?", reply_markup=MARKUP)
    query_id = await alice.presses(message.id, "Cancel")
    await bot.answer_callback_query(query_id, "Cancelled", show_alert=True)
    answer = api.answers[query_id]
    assert (answer["text"], answer["show_alert"], answer["user_id"]) == ("Cancelled", True, alice.id)


async def test_second_answer_is_refused(bot: Bot, alice: User) -> None:
    query_id = await alice.presses(1, data="x")
    await bot.answer_callback_query(query_id)
    assert (await refusal(bot.answer_callback_query(query_id))).lower() == TOO_OLD.lower()


async def test_unknown_query_is_refused(bot: Bot) -> None:
    assert (await refusal(bot.answer_callback_query("123"))).lower() == TOO_OLD.lower()


async def test_late_answer_is_refused(tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path, limits=Limits(query_seconds=-1)) as api, bot_for(api) as bot:
        query_id = await api.user(1).presses(1, data="x")
        assert (await refusal(bot.answer_callback_query(query_id))).lower() == TOO_OLD.lower()


async def test_answer_of_201_characters_is_refused(bot: Bot, alice: User) -> None:
    query_id = await alice.presses(1, data="x")
    assert (await refusal(bot.answer_callback_query(query_id, "x" * 201))).lower() == "message_too_long"
    assert await bot.answer_callback_query(query_id, "x" * 200)


async def test_answer_opens_no_address_but_the_bots_own(bot: Bot, alice: User) -> None:
    query_id = await alice.presses(1, data="x")
    assert (await refusal(bot.answer_callback_query(query_id, url="https://e.org"))).lower() == "url_invalid"
    assert await bot.answer_callback_query(query_id, url="https://t.me/magpie_bot?start=x")


async def test_reaction_is_set_and_taken_back(bot: Bot, alice: User, api: BotApi) -> None:
    said = await alice.says("https://e.org")
    await bot.set_message_reaction(alice.id, said["message_id"], "👀")
    assert api.reactions[alice.id, said["message_id"]] == ["👀"]
    await bot.set_message_reaction(alice.id, said["message_id"])
    assert api.reactions[alice.id, said["message_id"]] == []


@pytest.mark.parametrize("emoji", ["❤", "❤️", "👨‍💻", "🤷‍♀️"])
async def test_emoji_is_known_with_and_without_its_presentation(bot: Bot, alice: User, emoji: str) -> None:
    assert await bot.set_message_reaction(alice.id, 1, ReactionTypeEmoji(emoji))


async def test_other_emoji_are_refused(bot: Bot, alice: User) -> None:
    assert (await refusal(bot.set_message_reaction(alice.id, 1, "🧀"))).lower() == "reaction_invalid"


async def test_more_than_one_reaction_is_refused(bot: Bot, alice: User) -> None:
    assert (await refusal(bot.set_message_reaction(alice.id, 1, ["👀", "👍"]))).lower() == "reactions_too_many"


async def test_reaction_to_a_missing_message_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.set_message_reaction(alice.id, 900, "👀")) == "Message to react not found"
