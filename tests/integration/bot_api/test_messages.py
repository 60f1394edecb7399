"""Texts, keyboards, edits and deletions, and what of them is refused."""

from __future__ import annotations

import pytest
from telegram import Bot, ForceReply, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, ReplyKeyboardMarkup, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest

from sandbox.bot_api import BotApi, User
from tests.integration.bot_api.conftest import jpeg, refusal

NOT_MODIFIED = "Message is not modified: specified new message content and reply markup are exactly the same as a current content"


def keyboard(*rows: list[tuple[str, str]]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(text, callback_data=data) for text, data in row] for row in rows])


async def test_html_arrives_as_text_with_entities(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, "<b>Big</b> 🎬 <a href='https://e.org'>here</a>", parse_mode=ParseMode.HTML)
    assert (message.text, [(e.type, e.offset, e.length) for e in message.entities]) == (
        "Big 🎬 here",
        [("bold", 0, 3), ("text_link", 7, 4)],
    )


async def test_markdown_is_understood(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, r"*bold* `code` [a](https://e.org) 1\.5", parse_mode=ParseMode.MARKDOWN_V2)
    assert (message.text, [e.type for e in message.entities]) == ("bold code a 1.5", ["bold", "code", "text_link"])


async def test_reserved_character_of_markdown_is_refused(bot: Bot, alice: User) -> None:
    said = await refusal(bot.send_message(alice.id, "1.5", parse_mode=ParseMode.MARKDOWN_V2))
    assert said == "Can't parse entities: character '.' is reserved and must be escaped with the preceding '\\'"


async def test_broken_html_is_refused_in_telegrams_words(bot: Bot, alice: User) -> None:
    said = await refusal(bot.send_message(alice.id, "a <x>b</x>", parse_mode=ParseMode.HTML))
    assert said == 'Can\'t parse entities: unsupported start tag "x" at byte offset 2'


async def test_text_of_4096_units_is_taken(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, f"<b>{'🎬' * 2048}</b>", parse_mode=ParseMode.HTML)
    assert message.text == "🎬" * 2048


async def test_text_of_4097_units_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.send_message(alice.id, "🎬" * 2048 + "x")) == "Message is too long"


@pytest.mark.parametrize(("text", "words"), [("", "Message text is empty"), (" \n ", "Text must be non-empty")])
async def test_empty_text_is_refused(bot: Bot, alice: User, text: str, words: str) -> None:
    assert await refusal(bot.send_message(alice.id, text)) == words


async def test_space_around_a_text_is_cut_off_and_entities_move(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, "\n <b>x</b>  ", parse_mode=ParseMode.HTML)
    assert (message.text, message.entities[0].offset, message.entities[0].length) == ("x", 0, 1)


async def test_options_of_a_message_are_kept(bot: Bot, alice: User, api: BotApi) -> None:
    options = LinkPreviewOptions(is_disabled=True)
    message = await bot.send_message(
        alice.id, "https://e.org", link_preview_options=options, protect_content=True, disable_notification=True
    )
    assert message.link_preview_options == options
    assert message.has_protected_content
    assert api.calls[-1].args["disable_notification"] is True


async def test_reply_shows_what_it_replies_to(bot: Bot, alice: User) -> None:
    said = await alice.says("hello")
    message = await bot.send_message(alice.id, "hi", reply_parameters=ReplyParameters(said["message_id"]))
    assert message.reply_to_message is not None
    assert message.reply_to_message.text == "hello"


async def test_reply_to_a_missing_message_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.send_message(alice.id, "hi", reply_to_message_id=999)) == "Message to be replied not found"


async def test_reply_to_a_missing_message_goes_through_when_allowed(bot: Bot, alice: User) -> None:
    reply = ReplyParameters(999, allow_sending_without_reply=True)
    assert (await bot.send_message(alice.id, "hi", reply_parameters=reply)).reply_to_message is None


async def test_reply_keyboards_are_taken(bot: Bot, alice: User) -> None:
    for markup in (ReplyKeyboardMarkup([["a"]]), ForceReply()):
        assert (await bot.send_message(alice.id, "x", reply_markup=markup)).reply_markup is None


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        (keyboard([("a", "x" * 65)]), "Button_data_invalid"),
        (keyboard([("a", "é" * 33)]), "Button_data_invalid"),
        (keyboard([(" ", "x")]), "Inline keyboard button text must be non-empty"),
        (keyboard([("a", "x")] * 9), "Reply markup is too long"),
        (keyboard(*[[("a", "x")]] * 101), "Reply markup is too long"),
        (
            InlineKeyboardMarkup([[InlineKeyboardButton("a", url="http://localhost:80/")]]),
            "Inline keyboard button url 'http://localhost:80/' is invalid: wrong http url",
        ),
    ],
)
async def test_wrong_keyboard_is_refused(bot: Bot, alice: User, markup: InlineKeyboardMarkup, words: str) -> None:
    assert (await refusal(bot.send_message(alice.id, "x", reply_markup=markup))).lower() == words.lower()


async def test_largest_keyboard_is_taken(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, "x", reply_markup=keyboard(*[[("a", "x" * 64)] * 8] * 12, [("b", "c")] * 4))
    assert message.reply_markup is not None


async def test_edit_changes_the_message_in_place(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_message(alice.id, "one")
    edited = await bot.edit_message_text("two", alice.id, message.id, reply_markup=keyboard([("a", "x")]))
    assert isinstance(edited, type(message))
    assert (edited.text, edited.id, api.sent(alice.id)[-1]["text"]) == ("two", message.id, "two")
    assert edited.edit_date is not None


async def test_edit_without_keyboard_takes_it_away(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_message(alice.id, "one", reply_markup=keyboard([("a", "x")]))
    await bot.edit_message_text("one", alice.id, message.id)
    assert "reply_markup" not in api.sent(alice.id)[-1]


async def test_edit_that_changes_nothing_is_refused(bot: Bot, alice: User) -> None:
    markup = keyboard([("a", "x")])
    message = await bot.send_message(alice.id, "<b>one</b>", parse_mode=ParseMode.HTML, reply_markup=markup)
    same = bot.edit_message_text("<b>one</b> ", alice.id, message.id, parse_mode=ParseMode.HTML, reply_markup=markup)
    assert (await refusal(same)).startswith(NOT_MODIFIED)


async def test_same_keyboard_again_is_refused(bot: Bot, alice: User) -> None:
    markup = keyboard([("a", "x")])
    message = await bot.send_message(alice.id, "one", reply_markup=markup)
    assert (await refusal(bot.edit_message_reply_markup(alice.id, message.id, reply_markup=markup))).startswith(NOT_MODIFIED)


async def test_edit_of_a_missing_message_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.edit_message_text("x", alice.id, 999)) == "Message to edit not found"


async def test_edit_of_anothers_message_is_refused(bot: Bot, alice: User) -> None:
    said = await alice.says("mine")
    assert await refusal(bot.edit_message_text("x", alice.id, said["message_id"])) == "Message can't be edited"


async def test_text_of_a_photo_cannot_be_edited(bot: Bot, alice: User) -> None:
    message = await bot.send_photo(alice.id, jpeg())
    assert await refusal(bot.edit_message_text("x", alice.id, message.id)) == "There is no text in the message to edit"


async def test_caption_of_a_text_cannot_be_edited(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, "x")
    assert await refusal(bot.edit_message_caption(alice.id, message.id, caption="y")) == "There is no caption in the message to edit"


async def test_caption_is_edited(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_photo(alice.id, jpeg(), caption="one")
    await bot.edit_message_caption(alice.id, message.id, caption="two")
    assert api.sent(alice.id)[-1]["caption"] == "two"


async def test_deleted_message_is_gone(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_message(alice.id, "x")
    assert await bot.delete_message(alice.id, message.id)
    assert api.message(alice.id, message.id) is None


async def test_deleting_a_missing_message_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.delete_message(alice.id, 999)) == "Message to delete not found"


async def test_messages_of_a_user_can_be_deleted_in_private(bot: Bot, alice: User, api: BotApi) -> None:
    said = await alice.says("my password")
    await bot.delete_messages(alice.id, [said["message_id"], 998])
    assert api.message(alice.id, said["message_id"]) is None


async def test_messages_of_others_cannot_be_deleted_in_a_group(bot: Bot, alice: User, api: BotApi) -> None:
    group = api.group(-1001)
    said = await alice.says("x", chat=group)
    assert await refusal(bot.delete_message(group.id, said["message_id"])) == "Message can't be deleted"


async def test_administrator_deletes_messages_of_others_in_a_group(bot: Bot, alice: User, api: BotApi) -> None:
    group = api.group(-1001, bot="administrator")
    said = await alice.says("x", chat=group)
    assert await bot.delete_message(group.id, said["message_id"])


async def test_unknown_chat_is_refused(bot: Bot, api: BotApi) -> None:
    assert await refusal(bot.send_message(4242, "x")) == "Chat not found"


async def test_unknown_parse_mode_is_refused(bot: Bot, alice: User) -> None:
    with pytest.raises(BadRequest, match="Unsupported parse_mode"):
        await bot.send_message(alice.id, "x", parse_mode="rst")


async def test_all_text_that_was_shown_is_remembered(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_message(alice.id, "first", reply_markup=keyboard([("Press me", "data:1")]))
    await bot.edit_message_text("second", alice.id, message.id)
    query = await alice.presses(message.id, data="data:1")
    await bot.answer_callback_query(query, "an alert", show_alert=True)
    await bot.send_document(alice.id, b"x", filename="name.bin", caption="a caption")
    assert {"first", "second", "Press me", "data:1", "an alert", "name.bin", "a caption"} <= set(api.texts())


async def test_more_than_a_hundred_deletions_at_once_are_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.delete_messages(alice.id, list(range(1, 102)))) == "Too many messages to delete"
