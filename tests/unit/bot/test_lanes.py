from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import telegram

from bot.lanes import Lane, default_lane, messages_changed, messages_counted

ALBUM = [object()] * 4


@pytest.mark.parametrize("endpoint", ["getUpdates", "getMe", "getFile", "getChat", "setWebhook", "deleteWebhook", "logOut", "close"])
def test_questions_and_webhook_calls_have_no_lane(endpoint: str) -> None:
    assert default_lane(endpoint) is None


@pytest.mark.parametrize(
    ("endpoint", "lane"),
    [
        ("answerCallbackQuery", Lane.ANSWER),
        ("setMessageReaction", Lane.ANSWER),
        ("sendChatAction", Lane.ANSWER),
        ("setMyCommands", Lane.ANSWER),
        ("pinChatMessage", Lane.ANSWER),
        ("editForumTopic", Lane.ANSWER),
        ("sendVideo", Lane.DELIVERY),
        ("sendMediaGroup", Lane.DELIVERY),
        ("copyMessage", Lane.DELIVERY),
        ("forwardMessage", Lane.DELIVERY),
        ("editMessageMedia", Lane.DELIVERY),
        ("sendMessage", Lane.TEXT),
        ("editMessageText", Lane.TEXT),
        ("editMessageReplyMarkup", Lane.TEXT),
        ("deleteMessage", Lane.TEXT),
        ("deleteMessages", Lane.TEXT),
    ],
)
def test_each_endpoint_has_its_lane(endpoint: str, lane: Lane) -> None:
    assert default_lane(endpoint) is lane


@pytest.mark.parametrize(
    ("endpoint", "arguments", "counted"),
    [
        ("sendMessage", {}, 1),
        ("editMessageText", {"message_id": 7}, 1),
        ("sendVideo", {}, 1),
        ("sendMediaGroup", {"media": ALBUM}, 4),
        ("copyMessages", {"message_ids": [1, 2, 3]}, 3),
        ("deleteMessage", {"message_id": 7}, 0),
        ("setMessageReaction", {"message_id": 7}, 0),
        ("sendChatAction", {}, 0),
        ("answerCallbackQuery", {}, 0),
    ],
)
def test_messages_and_edits_count_and_an_album_counts_each_part(endpoint: str, arguments: dict[str, Any], counted: int) -> None:
    assert messages_counted(endpoint, arguments) == counted


@pytest.mark.parametrize(
    ("endpoint", "arguments", "changed"),
    [
        ("editMessageText", {"message_id": 7}, {7}),
        ("editMessageText", {"inline_message_id": "a"}, {"a"}),
        ("deleteMessages", {"message_ids": [1, 2]}, {1, 2}),
        ("copyMessage", {"message_id": 7}, set()),
        ("setMessageReaction", {"message_id": 7}, set()),
    ],
)
def test_only_edits_and_deletes_change_a_message(endpoint: str, arguments: dict[str, Any], changed: set[int | str]) -> None:
    assert messages_changed(endpoint, arguments) == changed


def test_every_method_of_python_telegram_bot_that_makes_or_edits_a_message_is_counted() -> None:
    endpoints = set(re.findall(r'"((?:send|copyMessage|forwardMessage|editMessage)[A-Za-z]*)"', inspect.getsource(telegram.Bot)))
    assert {"sendVideo", "copyMessage", "editMessageText"} < endpoints
    assert {name for name in endpoints if messages_counted(name, {}) == 0} == {"sendChatAction"}
