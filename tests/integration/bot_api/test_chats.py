"""Groups, topics, channels, and who may write where."""

from __future__ import annotations

from pathlib import Path

import pytest
from telegram import Bot, BotCommand, BotCommandScopeChat, MenuButtonCommands, Update
from telegram.constants import ChatAction, ChatMemberStatus
from telegram.error import BadRequest, Forbidden, InvalidToken

from sandbox.bot_api import BotApi, User
from tests.integration.bot_api.conftest import bot_for, refusal


async def heard(bot: Bot) -> list[Update]:
    """All updates that wait for the bot, the first greeting apart."""
    return [update for update in await bot.get_updates(allowed_updates=Update.ALL_TYPES) if update.update_id > 1]


async def test_bot_knows_itself(bot: Bot, api: BotApi) -> None:
    assert (await bot.get_me()).username == "magpie_bot"


async def test_wrong_token_is_refused(api: BotApi) -> None:
    with pytest.raises(InvalidToken, match="rejected by the server"):
        async with bot_for(api, token="1000000001:wrong"):
            pass


async def test_unknown_method_is_not_found(bot: Bot) -> None:
    with pytest.raises(Exception, match="not found"):
        await bot.do_api_request("getNonsense")


async def test_who_never_started_the_bot_cannot_be_written_to(bot: Bot, api: BotApi) -> None:
    bob = api.user(1002)
    with pytest.raises(Forbidden, match="bot can't initiate conversation with a user"):
        await bot.send_message(bob.id, "hi")


async def test_who_blocked_the_bot_cannot_be_written_to(bot: Bot, alice: User) -> None:
    await alice.blocks_bot()
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(alice.id, "hi")


async def test_bot_hears_of_being_blocked_and_unblocked(bot: Bot, alice: User) -> None:
    await alice.blocks_bot()
    await alice.unblocks_bot()
    changes = [update.my_chat_member.new_chat_member.status for update in await heard(bot) if update.my_chat_member]
    assert changes == [ChatMemberStatus.BANNED, ChatMemberStatus.MEMBER]


@pytest.mark.parametrize(
    ("standing", "words"),
    [("left", "bot is not a member of the supergroup chat"), ("kicked", "bot was kicked from the supergroup chat")],
)
async def test_group_without_the_bot_cannot_be_written_to(bot: Bot, api: BotApi, standing: str, words: str) -> None:
    group = api.group(-1001, bot=standing)
    with pytest.raises(Forbidden, match=words):
        await bot.send_message(group.id, "hi")


async def test_bot_leaves_a_group(bot: Bot, api: BotApi) -> None:
    group = api.group(-1001)
    await bot.leave_chat(group.id)
    with pytest.raises(Forbidden):
        await bot.send_message(group.id, "hi")


async def test_group_message_arrives_with_its_sender(bot: Bot, api: BotApi, alice: User) -> None:
    await alice.says("hello", chat=api.group(-1001, "Friends"))
    message = (await heard(bot))[-1].message
    assert message is not None
    assert (message.chat.title, message.from_user and message.from_user.id) == ("Friends", alice.id)


async def test_topic_is_kept_by_an_answer(bot: Bot, api: BotApi, alice: User) -> None:
    group = api.group(-1001, topics=True)
    thread = await group.topic("Clips")
    await alice.says("hello", chat=group, thread=thread)
    message = (await heard(bot))[-1].message
    assert message is not None
    assert (message.is_topic_message, message.message_thread_id) == (True, thread)
    answer = await bot.send_message(group.id, "hi", message_thread_id=thread)
    assert (answer.is_topic_message, answer.message_thread_id) == (True, thread)


async def test_unknown_topic_is_refused(bot: Bot, api: BotApi) -> None:
    group = api.group(-1001, topics=True)
    assert await refusal(bot.send_message(group.id, "hi", message_thread_id=77)) == "Message thread not found"


async def test_thread_of_replies_is_no_topic(bot: Bot, api: BotApi, alice: User) -> None:
    group = api.group(-1001)
    first = await alice.says("one", chat=group)
    await alice.says("two", chat=group, reply_to=first)
    message = (await heard(bot))[-1].message
    assert message is not None
    assert message.message_thread_id == first["message_id"]
    assert not message.is_topic_message
    assert await refusal(bot.send_message(group.id, "hi", message_thread_id=message.message_thread_id)) == "Message thread not found"


async def test_channel_posts_arrive_where_the_bot_is(bot: Bot, api: BotApi) -> None:
    await api.channel(-100300, "News", bot="administrator").posts("news")
    await api.channel(-100400, "Others").posts("not heard")
    assert [update.channel_post.text for update in await bot.get_updates() if update.channel_post] == ["news"]


async def test_bot_writes_into_a_channel_by_name(bot: Bot, api: BotApi) -> None:
    channel = api.channel(-100300, "News", "news_here", bot="administrator")
    message = await bot.send_message("@News_here", "hi")
    assert (message.chat.id, message.from_user) == (channel.id, None)
    edited = await bot.edit_message_text("ho", channel.id, message.id)
    assert getattr(edited, "text", None) == "ho"


async def test_plain_member_cannot_post_into_a_channel(bot: Bot, api: BotApi) -> None:
    channel = api.channel(-100300, bot="member")
    with pytest.raises(BadRequest, match=r"[Nn]eed administrator rights in the channel chat"):
        await bot.send_message(channel.id, "hi")


async def test_pseudo_users_are_told_apart_by_their_ids(bot: Bot, api: BotApi) -> None:
    group, channel = api.group(-1001), api.channel(-100300, "News")
    await group.says_as_anonymous("a")
    await group.says_as_channel(channel, "b")
    await group.auto_forwards(channel, await channel.posts("c"))
    messages = [update.message for update in await bot.get_updates() if update.message]
    assert [message.from_user and message.from_user.id for message in messages] == [1087968824, 136817688, 777000]
    assert [message.sender_chat and message.sender_chat.id for message in messages] == [group.id, channel.id, channel.id]
    assert messages[2].is_automatic_forward


async def test_with_privacy_a_group_is_heard_only_when_the_bot_is_meant(tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path, privacy=True) as api, bot_for(api) as bot:
        group, alice = api.group(-1001), api.user(1001)
        own = await bot.send_message(group.id, "hello")
        await alice.says("nothing for you", chat=group)
        await alice.says("/other@other_bot", chat=group)
        await alice.says("/get x", chat=group)
        await alice.says("look @Magpie_bot", chat=group)
        await alice.says("yes", chat=group, reply_to=own.id)
        assert [update.message.text for update in await bot.get_updates() if update.message] == ["/get x", "look @Magpie_bot", "yes"]


async def test_chat_and_members_are_known(bot: Bot, api: BotApi, alice: User) -> None:
    group = api.group(-1001, "Friends", bot="administrator")
    await group.appoints(alice.id, "creator")
    assert (await bot.get_chat(group.id)).title == "Friends"
    assert (await bot.get_chat_member(group.id, alice.id)).status == ChatMemberStatus.OWNER
    assert {member.user.id for member in await bot.get_chat_administrators(group.id)} == {alice.id, bot.id}
    assert await bot.get_chat_member_count(group.id) == 2


async def test_stranger_is_no_member(bot: Bot, api: BotApi, alice: User) -> None:
    group = api.group(-1001)
    assert (await bot.get_chat_member(group.id, alice.id)).status == ChatMemberStatus.LEFT
    assert await refusal(bot.get_chat_member(group.id, 4242)) == "Invalid user_id specified"


async def test_commands_are_kept_for_their_scope(bot: Bot, alice: User) -> None:
    await bot.set_my_commands([BotCommand("help", "Help")])
    await bot.set_my_commands([BotCommand("users", "Users")], scope=BotCommandScopeChat(alice.id))
    assert [command.command for command in await bot.get_my_commands()] == ["help"]
    assert [command.command for command in await bot.get_my_commands(scope=BotCommandScopeChat(alice.id))] == ["users"]
    await bot.delete_my_commands()
    assert await bot.get_my_commands() == ()


async def test_wrong_command_is_refused(bot: Bot) -> None:
    assert (await refusal(bot.set_my_commands([("No-Good", "x")]))).lower() == "bot_command_invalid"


async def test_what_has_no_visible_effect_is_accepted(bot: Bot, alice: User) -> None:
    assert await bot.set_my_description("What I do")
    assert (await bot.get_my_description()).description == "What I do"
    assert await bot.set_chat_menu_button(alice.id, MenuButtonCommands())
    assert (await bot.get_user_profile_photos(alice.id)).total_count == 0
    assert await bot.log_out()
    assert await bot.close()


async def test_action_is_shown_and_a_wrong_one_refused(bot: Bot, alice: User, api: BotApi) -> None:
    await bot.send_chat_action(alice.id, ChatAction.UPLOAD_VIDEO)
    assert api.actions[-1] == {"chat_id": alice.id, "action": "upload_video"}
    assert await refusal(bot.send_chat_action(alice.id, "dancing")) == "Wrong parameter action in request"


async def test_more_than_a_hundred_commands_are_refused(bot: Bot) -> None:
    commands = [(f"c{number}", "x") for number in range(101)]
    assert (await refusal(bot.set_my_commands(commands))).lower() == "bot_commands_too_much"
