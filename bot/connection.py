"""How the bot is reached, and what it may send: python-telegram-bot set up for one Bot API server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from telegram.error import TelegramError
from telegram.ext import Application, ApplicationBuilder, Updater
from telegram.request import HTTPXRequest

from bot.inbox import Inbox, InboxProcessor, PollingBot
from bot.pacing import Pace, Pacing
from bot.posts import FETCH_LIMIT
from service.metrics import TelegramMeter, Unmetered

TELEGRAM = "https://api.telegram.org"
CALLS_AT_ONCE = 64
TELEGRAMS_PACE = Pace()
OWN_PACE = Pace(
    overall_size=10_000,
    chat_burst=1_000,
    chat_interval=0.001,
    group_size=10_000,
    group_burst=1_000,
    progress_gap=0.5,
    group_progress_gap=0.5,
)
"""For a server of our own, which has no limits: only what a person can follow."""
POLL = timedelta(seconds=50)


class Request(HTTPXRequest):
    """One that takes an answer without a result for one that cannot be read: the library falls over it."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        read = HTTPXRequest.parse_json_payload(payload)
        if not isinstance(read, dict) or not ("result" in read if read.get("ok") else "error_code" in read):
            raise TelegramError("Invalid server response")
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How the bot is reached and what it may send. Sizes in bytes."""

    token: str
    api_url: str | None = None
    """Without `/bot`; None is Telegram's own."""
    webhook_url: str | None = None
    """Where Telegram sends updates to; None polls."""
    webhook_secret: str = ""
    upload_limit: int = 50 * 10**6
    fetch_limit: int = FETCH_LIMIT
    vault_chat: int | None = None
    link_life: timedelta = timedelta(hours=24)
    is_paced: bool = True
    meter: TelegramMeter = field(default_factory=Unmetered)

    @property
    def bot_id(self) -> int:
        return int(self.token.partition(":")[0])


def make_bot(options: ChatOptions) -> PollingBot:
    base = (options.api_url or TELEGRAM).rstrip("/")
    return PollingBot(
        options.token,
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=Request(
            connection_pool_size=CALLS_AT_ONCE,
            read_timeout=30,
            write_timeout=30,
            connect_timeout=10,
            pool_timeout=120,
            media_write_timeout=120,
        ),
        get_updates_request=Request(connection_pool_size=2, read_timeout=POLL.total_seconds() + 15, connect_timeout=10),
        rate_limiter=Pacing(TELEGRAMS_PACE if options.is_paced else OWN_PACE, meter=options.meter),
    )


def make_application(bot: PollingBot, inbox: Inbox, processor: InboxProcessor) -> Application[Any, Any, Any, Any, Any, Any]:
    builder = ApplicationBuilder().updater(Updater(bot, inbox)).concurrent_updates(processor).job_queue(None)
    return builder.build()
