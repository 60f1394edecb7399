"""Updates that Telegram brings by itself."""

from __future__ import annotations

import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, BotApiProcess, MediaSiteProcess, eventually, free_port

ALICE = 1001
SECRET = "X-Telegram-Bot-Api-Secret-Token"
UPDATE = {"update_id": 1, "message": {"message_id": 1, "date": 0, "chat": {"id": ALICE, "type": "private"}, "text": "hello"}}


def test_a_link_is_answered_and_nobody_polls(start: StartService, site: MediaSiteProcess, telegram: BotApiProcess) -> None:
    port = free_port()
    service = start(**telegram.settings, port=str(port), webhook_url=f"http://127.0.0.1:{port}")
    eventually(lambda: telegram.api.calls("setWebhook"), "Telegram is told where to")
    telegram.api.user(ALICE).says(site.url("n/webhook.mp4"))
    assert telegram.api.until(lambda: [message for message in telegram.api.sent(ALICE) if "video" in message], timeout=40)
    assert not telegram.api.calls("getUpdates")
    done = "select count(*) as n from telegram_updates where body is not null"
    eventually(lambda: service.rows(done)[0]["n"] == 0, "the update is done")


def test_without_the_secret_nothing_is_taken(start: StartService, telegram: BotApiProcess) -> None:
    port = free_port()
    service = start(**telegram.settings, port=str(port), webhook_url=f"http://127.0.0.1:{port}")
    for headers in ({}, {SECRET: "wrong"}, {SECRET: ""}):
        answer = requests.post(f"{service.url}/telegram/webhook", json=UPDATE, headers=headers, timeout=HANG)
        assert answer.status_code == 401
    assert service.rows("select * from telegram_updates") == []


def test_where_the_bot_polls_there_is_no_webhook(start: StartService, telegram: BotApiProcess) -> None:
    service = start(**telegram.settings)
    for headers in ({}, {SECRET: ""}):
        assert requests.post(f"{service.url}/telegram/webhook", json=UPDATE, headers=headers, timeout=HANG).status_code == 404
