"""Files: uploaded, resent, fetched, and what of them is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from telegram import Bot, InputMediaAudio, InputMediaDocument, InputMediaPhoto, InputMediaVideo

from sandbox.bot_api import BotApi, Item, User
from tests.integration.bot_api.conftest import bot_for, jpeg, png, refusal, until

KINDS = ["photo", "audio", "video", "document", "animation", "voice", "video_note", "sticker"]


def content(kind: str) -> bytes:
    return jpeg() if kind == "photo" else f"content of a {kind}".encode()


async def send(bot: Bot, chat_id: int, kind: str, medium: Any, **more: Any) -> Any:
    return await getattr(bot, f"send_{kind}")(chat_id, medium, **more)


@pytest.mark.parametrize("kind", KINDS)
async def test_uploaded_file_comes_back_as_it_was(bot: Bot, alice: User, kind: str) -> None:
    message = await send(bot, alice.id, kind, content(kind))
    medium = message.photo[-1] if kind == "photo" else getattr(message, kind)
    file = await bot.get_file(medium.file_id)
    assert bytes(await file.download_as_bytearray()) == content(kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_file_is_sent_again_by_its_id(bot: Bot, alice: User, kind: str, api: BotApi) -> None:
    first = await send(bot, alice.id, kind, content(kind))
    medium = first.photo[-1] if kind == "photo" else getattr(first, kind)
    again = await send(bot, alice.id, kind, medium.file_id)
    assert (again.photo[-1] if kind == "photo" else getattr(again, kind)) == medium


async def test_album_of_photos_and_videos_is_one_group(bot: Bot, alice: User) -> None:
    sent = await bot.send_media_group(alice.id, [InputMediaPhoto(jpeg(), caption="both"), InputMediaVideo(b"v", width=4, height=3)])
    assert len({message.media_group_id for message in sent}) == 1
    assert (sent[0].caption, sent[1].video and sent[1].video.width) == ("both", 4)


@pytest.mark.parametrize("other", [InputMediaDocument, InputMediaAudio])
async def test_album_of_kinds_that_do_not_fit_is_refused(bot: Bot, alice: User, other: Any) -> None:
    said = await refusal(bot.send_media_group(alice.id, [InputMediaPhoto(jpeg()), other(b"x")]))
    assert said.endswith("can't be mixed with other media types")


@pytest.mark.parametrize("count", [1, 11])
async def test_album_of_too_few_or_too_many_is_refused(bot: Bot, alice: User, count: int) -> None:
    assert "album" in await refusal(bot.send_media_group(alice.id, [InputMediaDocument(b"x") for _ in range(count)]))


async def test_video_is_described_as_its_sender_said(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_video(
        alice.id, b"v", width=1920, height=1080, duration=90, supports_streaming=True, thumbnail=jpeg(), cover=png(), filename="a.mp4"
    )
    video = message.video
    assert video is not None
    assert (video.width, video.height, video.file_name, video.mime_type) == (1920, 1080, "a.mp4", "video/mp4")
    assert (video.thumbnail and video.thumbnail.width, len(video.cover or ())) == (320, 1)
    assert api.file(video.file_id).said["supports_streaming"] is True


async def test_video_without_description_is_unknown(bot: Bot, alice: User, api: BotApi) -> None:
    await bot.send_video(alice.id, b"v")
    video = api.sent(alice.id)[-1]["video"]
    assert (video["width"], video["height"], video["duration"]) == (320, 320, 0)


@pytest.mark.parametrize(
    ("thumbnail", "reason"),
    [(png(), "it is no JPEG"), (jpeg(padding=210_000), "more than 204800"), (jpeg(640, 360), "larger than 320 pixels")],
)
async def test_wrong_thumbnail_is_left_out_without_a_word(bot: Bot, alice: User, api: BotApi, thumbnail: bytes, reason: str) -> None:
    message = await bot.send_video(alice.id, b"v", thumbnail=thumbnail)
    assert message.video is not None
    assert message.video.thumbnail is None
    assert reason in api.ignored_thumbnails[0].reason


async def test_thumbnail_of_a_file_that_is_sent_again_is_left_out(bot: Bot, alice: User, api: BotApi) -> None:
    first = await bot.send_video(alice.id, b"v")
    assert first.video is not None
    await bot.send_video(alice.id, first.video.file_id, thumbnail=jpeg())
    assert "thumbnail" not in api.sent(alice.id)[-1]["video"]
    assert api.ignored_thumbnails


@pytest.mark.parametrize(("kind", "as_kind"), [("audio", "video"), ("document", "photo"), ("video", "audio")])
async def test_kind_of_a_known_file_cannot_change(bot: Bot, alice: User, kind: str, as_kind: str) -> None:
    message = await send(bot, alice.id, kind, b"x")
    said = await refusal(send(bot, alice.id, as_kind, getattr(message, kind).file_id))
    assert said.lower() == f"can't use file of type {kind} as {as_kind}"


async def test_file_id_of_another_bot_is_refused(bot: Bot, alice: User, tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path / "other", token="2000000002:other") as other, bot_for(other) as other_bot:
        bob = other.user(1001)
        await bob.says("/start")
        message = await other_bot.send_document(bob.id, b"x")
    assert message.document is not None
    assert await refusal(bot.send_document(alice.id, message.document.file_id)) == "Wrong file identifier/http url specified"


async def test_upload_over_the_limit_is_refused_and_not_kept(bot: Bot, alice: User, api: BotApi) -> None:
    said = await refusal(bot.send_document(alice.id, bytes(3_000_001)))
    assert said == "Request Entity Too Large"
    assert list(api.scene.files.directory.iterdir()) == []


async def test_upload_at_the_limit_is_taken(bot: Bot, alice: User) -> None:
    message = await bot.send_document(alice.id, bytes(3_000_000))
    assert message.document is not None
    assert message.document.file_size == 3_000_000


async def test_photo_over_ten_megabytes_is_refused(alice: User, tmp_path: Path) -> None:
    async with BotApi(directory=tmp_path / "big") as api, bot_for(api) as bot:
        bob = api.user(1)
        await bob.says("/start")
        assert "too big for a photo" in await refusal(bot.send_photo(bob.id, jpeg(padding=10 * 1024 * 1024)))


@pytest.mark.parametrize(("photo", "words"), [(b"no picture", "Image_process_failed"), (jpeg(3000, 100), "Photo_invalid_dimensions")])
async def test_what_is_no_photo_is_refused(bot: Bot, alice: User, photo: bytes, words: str) -> None:
    assert (await refusal(bot.send_photo(alice.id, photo))).lower() == words.lower()


async def test_empty_file_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.send_document(alice.id, b"")) == "File must be non-empty"


async def test_caption_of_1025_units_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.send_document(alice.id, b"x", caption="x" * 1025)) == "Message caption is too long"


async def test_refused_upload_leaves_nothing_on_disk(bot: Bot, api: BotApi) -> None:
    await refusal(bot.send_document(4242, b"x"))
    assert list(api.scene.files.directory.iterdir()) == []


async def test_large_file_cannot_be_fetched(bot: Bot, alice: User) -> None:
    message = await bot.send_document(alice.id, bytes(2_000_001))
    assert message.document is not None
    assert await refusal(bot.get_file(message.document.file_id)) == "File is too big"


async def test_unknown_file_cannot_be_fetched(bot: Bot, alice: User) -> None:
    assert await refusal(bot.get_file("nonsense")) == "Invalid file_id"


@pytest.mark.parametrize(("token", "status"), [("1000000001:sandbox-token", 200), ("1000000001%3Asandbox-token", 200), ("1:wrong", 404)])
async def test_file_is_fetched_with_the_token_however_it_is_spelled(api: BotApi, alice: User, token: str, status: int) -> None:
    sent = await alice.sends("document", b"hello", name="a.txt")
    path = api.scene.files.renewed(sent["document"]).shown_path
    async with aiohttp.ClientSession() as client, client.get(f"{api.base}/file/bot{token}/{path}") as answer:
        assert answer.status == status


async def test_text_becomes_a_video_by_editing_its_media(bot: Bot, alice: User, api: BotApi) -> None:
    message = await bot.send_message(alice.id, "working …")
    await bot.edit_message_media(InputMediaVideo(b"v", caption="done", width=4, height=3), alice.id, message.id)
    shown = api.sent(alice.id)[-1]
    assert ("text" in shown, shown["caption"], shown["video"]["width"]) == (False, "done", 4)


async def test_same_media_again_is_refused(bot: Bot, alice: User) -> None:
    message = await bot.send_video(alice.id, b"v")
    assert message.video is not None
    again = bot.edit_message_media(InputMediaVideo(message.video.file_id), alice.id, message.id)
    assert (await refusal(again)).startswith("Message is not modified")


async def test_file_of_a_user_is_fetched_and_sent_back(bot: Bot, api: BotApi, alice: User, tmp_path: Path) -> None:
    path = tmp_path / "cookies.txt"
    path.write_bytes(b"cookies")
    sent = await alice.sends("document", path, caption="here")
    file = await bot.get_file(sent["document"]["file_id"])
    assert bytes(await file.download_as_bytearray()) == b"cookies"
    assert (await bot.send_document(alice.id, sent["document"]["file_id"])).document is not None


async def test_album_of_a_user_arrives_as_one_group(bot: Bot, alice: User) -> None:
    await alice.sends_album([Item(kind="photo", content=jpeg()), Item(kind="photo", content=jpeg(), caption="both")])
    updates = await bot.get_updates(offset=2)
    assert len({update.message.media_group_id for update in updates if update.message is not None}) == 1


async def test_upload_that_breaks_off_leaves_nothing_on_disk(api: BotApi, alice: User) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="document"; filename="a.bin"\r\n\r\n'
    address = api.base.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(address[0], int(address[1]))
    request = f"POST /bot{api.token}/sendDocument HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    writer.write(f"{request}Content-Length: 1000000\r\n\r\n".encode() + head + bytes(500_000))
    await writer.drain()
    await until(lambda: any(api.scene.files.directory.iterdir()))
    writer.close()
    await until(lambda: not any(api.scene.files.directory.iterdir()))
    assert api.sent(alice.id) == []


async def test_a_call_that_breaks_off_is_no_error_of_the_server(api: BotApi, bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    address = api.base.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(address[0], int(address[1]))
    kind = "Content-Type: application/x-www-form-urlencoded"
    writer.write(f"POST /bot{api.token}/sendMessage HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: 1000\r\n\r\nchat_id=".encode())
    await writer.drain()
    await bot.get_me()  # by now the call has begun
    writer.close()
    await writer.wait_closed()
    await bot.get_me()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_large_file_is_not_handed_out_by_its_path_either(api: BotApi, alice: User) -> None:
    sent = await alice.sends("document", bytes(2_000_001), name="a.bin")
    path = api.scene.files.renewed(sent["document"]).shown_path
    async with aiohttp.ClientSession() as client, client.get(f"{api.base}/file/bot{api.token}/{path}") as answer:
        assert answer.status == 404


async def test_endless_text_field_beside_an_upload_is_refused(bot: Bot, alice: User) -> None:
    assert await refusal(bot.send_document(alice.id, b"x", caption="x" * 1_100_000)) == "Request Entity Too Large"


async def test_photo_of_an_album_cannot_become_a_document(bot: Bot, alice: User) -> None:
    album = await bot.send_media_group(alice.id, [InputMediaPhoto(jpeg()), InputMediaPhoto(jpeg())])
    said = await refusal(bot.edit_message_media(InputMediaDocument(b"x"), alice.id, album[0].id))
    assert said == "Can't use the media of the specified type in the album"
