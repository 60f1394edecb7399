"""Forwarding and copying."""

from __future__ import annotations

from pathlib import Path

from telegram import Bot, MessageOriginChannel, MessageOriginHiddenUser, MessageOriginUser

from sandbox.bot_api import BotApi, User
from tests.integration.bot_api.conftest import bot_for, jpeg, refusal

VAULT = -100200


async def test_forward_tells_where_it_came_from(bot: Bot, alice: User) -> None:
    said = await alice.says("mine")
    message = await bot.forward_message(alice.id, alice.id, said["message_id"])
    assert isinstance(message.forward_origin, MessageOriginUser)
    assert (message.text, message.forward_origin.sender_user.id) == ("mine", alice.id)


async def test_copy_keeps_the_media_and_takes_another_caption(bot: Bot, alice: User, api: BotApi) -> None:
    first = await bot.send_video(alice.id, b"v", width=4, height=3, caption="old")
    copied = await bot.copy_message(alice.id, alice.id, first.id, caption="new")
    shown = api.message(alice.id, copied.message_id)
    assert shown is not None
    assert first.video is not None
    assert (shown["caption"], shown["video"]["file_id"], "forward_origin" in shown) == ("new", first.video.file_id, False)


async def test_copies_of_several_keep_their_order_and_album(bot: Bot, alice: User, api: BotApi) -> None:
    from telegram import InputMediaPhoto

    album = await bot.send_media_group(alice.id, [InputMediaPhoto(jpeg()), InputMediaPhoto(jpeg())])
    copied = await bot.copy_messages(alice.id, alice.id, [message.id for message in album] + [900])
    shown = [api.message(alice.id, message.message_id) for message in copied]
    assert len(shown) == 2
    assert len({message["media_group_id"] for message in shown if message is not None}) == 1


async def test_missing_message_cannot_be_copied(bot: Bot, alice: User) -> None:
    assert await refusal(bot.copy_message(alice.id, alice.id, 900)) == "Message to copy not found"


async def test_missing_message_cannot_be_forwarded(bot: Bot, alice: User) -> None:
    assert await refusal(bot.forward_message(alice.id, alice.id, 900)) == "Message to forward not found"


async def test_protected_message_cannot_be_copied(bot: Bot, alice: User) -> None:
    message = await bot.send_message(alice.id, "x", protect_content=True)
    assert await refusal(bot.copy_message(alice.id, alice.id, message.id)) == "Message can't be copied"


async def test_forwarded_message_cannot_be_edited(bot: Bot, alice: User) -> None:
    said = await alice.says("mine")
    message = await bot.forward_message(alice.id, alice.id, said["message_id"])
    assert await refusal(bot.edit_message_text("x", alice.id, message.id)) == "Message can't be edited"


async def test_user_forwards_a_post_of_a_channel(bot: Bot, api: BotApi, alice: User) -> None:
    channel = api.channel(-100300, "News", "news")
    await alice.forwards_post(channel, kind="video", content=b"v", caption="https://e.org")
    update = (await bot.get_updates(offset=2))[-1]
    assert update.message is not None
    origin = update.message.forward_origin
    assert isinstance(origin, MessageOriginChannel)
    assert (origin.chat.username, update.message.caption, update.message.video is not None) == ("news", "https://e.org", True)


async def test_user_forwards_from_somebody_hidden(bot: Bot, api: BotApi, alice: User) -> None:
    said = await api.user(1002, first_name="Bob").says("secret")
    await alice.forwards(said, hidden=True)
    update = (await bot.get_updates(offset=3))[-1]
    assert update.message is not None
    assert isinstance(update.message.forward_origin, MessageOriginHiddenUser)


async def test_copy_from_a_vault_survives_another_token(tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path, keep=True) as api, bot_for(api) as bot:
        api.channel(VAULT, "Vault", bot="administrator")
        kept = await bot.send_document(VAULT, b"kept", filename="a.bin")
    async with BotApi(directory=tmp_path, keep=True, token="2000000002:other") as api, bot_for(api) as bot:
        alice = api.user(1001)
        await alice.says("/start")
        copied = await bot.copy_message(alice.id, VAULT, kept.id)
        shown = api.message(alice.id, copied.message_id)
        assert shown is not None
        file = await bot.get_file(shown["document"]["file_id"])
        assert bytes(await file.download_as_bytearray()) == b"kept"


async def test_forward_from_an_anonymous_administrator_names_the_group(bot: Bot, api: BotApi, alice: User) -> None:
    said = await api.group(-1001, "Friends").says_as_anonymous("x")
    forwarded = await alice.forwards(said)
    assert (forwarded["forward_origin"]["type"], forwarded["forward_origin"]["sender_chat"]["title"]) == ("chat", "Friends")


async def test_file_id_of_the_token_before_means_nothing(tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path, keep=True) as api:
        kept = await api.channel(VAULT, "Vault", bot="administrator").posts(kind="document", content=b"kept")
    async with BotApi(directory=tmp_path, keep=True, token="2000000002:other") as api, bot_for(api) as bot:
        sending = bot.send_document(VAULT, kept["document"]["file_id"])
        assert await refusal(sending) == "Wrong file identifier/http url specified"


async def test_messages_out_of_order_cannot_be_copied(bot: Bot, alice: User) -> None:
    said = [(await alice.says(text))["message_id"] for text in "ab"]
    words = "Message identifiers must be in a strictly increasing order"
    assert await refusal(bot.copy_messages(alice.id, alice.id, said[::-1])) == words
