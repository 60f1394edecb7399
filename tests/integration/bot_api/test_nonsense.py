"""Whatever is asked, the answer is one of Telegram's: never a failure of the server itself."""

from __future__ import annotations

import aiohttp
import pytest

from sandbox.bot_api import BotApi, User
from tests.integration.bot_api.conftest import jpeg

METHODS = [
    "getUpdates", "setWebhook", "setMyCommands", "getMyCommands", "getFile", "setMyName", "getChat", "getChatMember",
    "createForumTopic", "sendMessage", "sendPhoto", "sendVideo", "sendMediaGroup", "editMessageText", "editMessageCaption",
    "editMessageMedia", "editMessageReplyMarkup", "deleteMessage", "deleteMessages", "forwardMessage", "forwardMessages",
    "copyMessage", "copyMessages", "answerCallbackQuery", "setMessageReaction", "sendChatAction",
]  # fmt: skip
ARGUMENTS = [
    "chat_id", "from_chat_id", "user_id", "message_id", "message_ids", "text", "caption", "entities", "caption_entities",
    "parse_mode", "reply_markup", "reply_parameters", "reply_to_message_id", "link_preview_options", "message_thread_id", "photo",
    "video", "document", "sticker", "video_note", "media", "thumbnail", "cover", "width", "height", "duration", "length", "file_id",
    "reaction", "action", "callback_query_id", "commands", "scope", "language_code", "name", "url", "secret_token",
    "allowed_updates", "offset", "limit",
]  # fmt: skip
NONSENSE = [
    "", "x", "-5", "[]", "{}", "[1]", "[[]]", '["x"]', "[{}]", '[{"offset":"x","length":[]}]', '{"a":1}',
    '{"message_id":"x"}',
    '{"inline_keyboard":[[1]]}', '{"inline_keyboard":[[{"text":1,"url":"http://["}]]}', '{"type":"photo","media":{}}', "null", "1e400",
    "99999999999999999999", '[{"type":"photo","media":1},{"type":[],"media":"attach://no"}]', "attach://nothing", "true", "\ud83d",
]  # fmt: skip


async def ask(client: aiohttp.ClientSession, api: BotApi, method: str, fields: dict[str, str]) -> int:
    body = {name: value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for name, value in fields.items()}
    async with client.post(f"{api.base}/bot{api.token}/{method}", data=body) as answer:
        assert isinstance((await answer.json())["ok"], bool)
        return answer.status


@pytest.mark.parametrize("method", METHODS)
async def test_nonsense_is_answered_as_telegram_would(api: BotApi, alice: User, method: str) -> None:
    sensible = {"chat_id": str(alice.id), "from_chat_id": str(alice.id), "message_id": "1", "user_id": str(alice.id), "text": "x"}
    async with aiohttp.ClientSession() as client:
        statuses = {await ask(client, api, method, dict.fromkeys(ARGUMENTS, value)) for value in NONSENSE}
        for name in ARGUMENTS:
            statuses |= {await ask(client, api, method, {**sensible, name: value}) for value in NONSENSE}
        own = api.scene.world.add(
            api.scene.world.chats[alice.id], {"text": "own", "from": api.scene.world.me}, author=api.scene.world.my_id
        )
        for name in ("media", "reply_markup", "text", "entities"):
            fields = {**sensible, "message_id": str(own["message_id"])}
            statuses |= {await ask(client, api, method, {**fields, name: value}) for value in NONSENSE}
    assert statuses <= {200, 400, 403, 404, 409}


@pytest.mark.parametrize("value", ["x", "[]", "{}", "1e400", "null"])
async def test_nonsense_about_an_upload_is_answered_as_telegram_would(api: BotApi, alice: User, value: str) -> None:
    form = aiohttp.FormData({"chat_id": str(alice.id), "width": value, "height": value, "duration": value, "cover": value})
    form.add_field("video", jpeg(), filename="a.mp4")
    async with aiohttp.ClientSession() as client, client.post(f"{api.base}/bot{api.token}/sendVideo", data=form) as answer:
        assert answer.status in {200, 400}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"chat_id": {"a": 1}, "text": ["x"]}'),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"nothing of it"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken header\r\n\r\n1\r\n--x--\r\n"),
        ("application/x-www-form-urlencoded", b"%ff=%ff&chat_id=%zz"),
    ],
)
async def test_broken_request_is_refused(api: BotApi, content_type: str, body: bytes) -> None:
    address = f"{api.base}/bot{api.token}/sendMessage"
    headers = {"Content-Type": content_type}
    async with aiohttp.ClientSession() as client, client.post(address, data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["ok"]) == (400, False)
