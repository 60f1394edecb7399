"""What our bot is compared with: python-telegram-bot, and a handler that only reacts. `python -m bench.bare_bot TOKEN BASE`."""

from __future__ import annotations

import sys
from typing import Any

from telegram import Update
from telegram.ext import ApplicationBuilder, MessageHandler, filters


async def react(update: Update, _: Any) -> None:
    assert update.message is not None
    await update.message.set_reaction("👀")


def main(token: str, base: str) -> None:
    builder = ApplicationBuilder().token(token).base_url(f"{base}/bot").base_file_url(f"{base}/file/bot")
    application = builder.concurrent_updates(256).connection_pool_size(64).pool_timeout(120).build()
    application.add_handler(MessageHandler(filters.TEXT, react))
    application.run_polling()


if __name__ == "__main__":
    main(*sys.argv[1:])
