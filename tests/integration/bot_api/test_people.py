"""What people do, and what can be seen of it."""

from __future__ import annotations

import pytest
from telegram import Bot

from sandbox.bot_api import BotApi, Json, User


async def test_edited_message_comes_as_an_edit(bot: Bot, alice: User) -> None:
    said = await alice.says("one")
    await alice.edits(said, "two")
    update = (await bot.get_updates())[-1]
    assert update.edited_message is not None
    assert (update.edited_message.text, update.edited_message.message_id) == ("two", said["message_id"])


async def test_deleted_message_is_gone_without_a_word(bot: Bot, alice: User, api: BotApi) -> None:
    said = await alice.says("one")
    before = len(api.pending_updates)
    await alice.deletes(said)
    assert (api.message(alice.id, said["message_id"]), len(api.pending_updates)) == (None, before)


async def test_link_is_opened_with_start(bot: Bot, alice: User, api: BotApi) -> None:
    await alice.opens_link("own_123")
    assert api.messages(alice.id)[-1]["text"] == "/start own_123"


async def test_commands_and_addresses_of_a_message_are_found(alice: User) -> None:
    said = await alice.says("/get https://e.org/a?b=1, now 🎬 @magpie_bot")
    assert [(entity["type"], entity["offset"], entity["length"]) for entity in said["entities"]] == [
        ("bot_command", 0, 4),
        ("url", 5, 19),
        ("mention", 33, 11),
    ]


@pytest.mark.parametrize(
    ("text", "codes"),
    [("12345", {"12345"}), ("my code: 1 2-3 4 5 6!", {"123456"}), ("1234", set()), ("1234567", set()), ("call 12-34-56-78", set())],
)
async def test_login_code_in_a_message_is_spent(alice: User, api: BotApi, text: str, codes: set[str]) -> None:
    await alice.says(text)
    assert api.spent_codes == codes


async def test_who_blocked_the_bot_cannot_write_to_it(alice: User) -> None:
    await alice.blocks_bot()
    with pytest.raises(ValueError, match="blocked"):
        await alice.says("x")


async def test_supergroups_count_their_own_messages(alice: User, api: BotApi) -> None:
    said = await alice.says("x", chat=api.group(-1001))
    other = await alice.says("y", chat=api.group(-1002))
    assert said["message_id"] == other["message_id"] == 1


async def test_message_that_was_seen_does_not_change(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_message(alice.id, "one")
    seen = api.sent(alice.id)[-1]
    await bot.edit_message_text("two", alice.id, message.id)
    assert (seen["text"], api.sent(alice.id)[-1]["text"]) == ("one", "two")


async def test_listener_hears_of_everything_until_it_stops(bot: Bot, alice: User, api: BotApi) -> None:
    heard: list[tuple[str, Json]] = []
    stop = api.subscribe(lambda kind, about: heard.append((kind, about)))
    message = await bot.send_message(alice.id, "one")
    await bot.edit_message_text("two", alice.id, message.id)
    await bot.set_message_reaction(alice.id, message.id, "👀")
    await bot.send_chat_action(alice.id, "typing")
    await bot.answer_callback_query(await alice.presses(message.id, data="x"))
    await bot.delete_message(alice.id, message.id)
    stop()
    await alice.says("not heard")
    assert [kind for kind, _ in heard] == ["message", "edit", "reaction", "action", "answer", "delete"]


async def test_waiting_ends_with_an_error_when_nothing_comes(api: BotApi) -> None:
    with pytest.raises(TimeoutError):
        await api.until(lambda: False, timeout=0.01)


async def test_message_in_a_topic_replies_to_the_topic(alice: User, api: BotApi) -> None:
    group = api.group(-1001, topics=True)
    thread = await group.topic("Clips")
    said = await alice.says("x", chat=group, thread=thread)
    assert said["reply_to_message"]["message_id"] == thread
