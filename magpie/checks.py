"""What `/api/health` looks at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bot.application import ChatState
from scraper.fetcher import YtDlpFetcher
from service.health import Check, Condition, Finding
from service.ports import Media
from storage.database import SqlDatabase

_CHAT_TROUBLE = {
    ChatState.STARTING: "Telegram has not been reached yet.",
    ChatState.REFUSED: "Telegram does not know the bot's token (MAGPIE_BOT_TOKEN).",
    ChatState.SHARED: "Another program uses the bot's token (MAGPIE_BOT_TOKEN).",
}


def make_checks(
    *, database: SqlDatabase, media: Media, fetcher: YtDlpFetcher, min_free_disk: int, chat: Callable[[], ChatState | None]
) -> Sequence[Check]:
    """Database, disk, download workers and the chat, where there is one."""

    async def look_at_database() -> Finding:
        async with database.read() as transaction:
            await transaction.accounts.get(0)
        return Finding()

    async def look_at_disk() -> Finding:
        free = media.free_bytes()
        if free < min_free_disk:
            return Finding(condition=Condition.UNHEALTHY, cause=f"Only {free // 10**6} MB are free: no download can start.")
        if free < 2 * min_free_disk:
            return Finding(condition=Condition.DEGRADED, cause=f"Only {free // 10**6} MB are free.")
        return Finding()

    async def look_at_workers() -> Finding:
        try:
            async with asyncio.timeout(0.05):
                await fetcher.ready()
        except TimeoutError:
            return Finding(condition=Condition.DEGRADED, cause="The download workers are warming up.")
        return Finding()

    async def look_at_chat() -> Finding:
        cause = _CHAT_TROUBLE.get(chat() or ChatState.RUNNING)
        return Finding(condition=Condition.DEGRADED, cause=cause) if cause else Finding()

    return [
        Check(name="database", look=look_at_database),
        Check(name="disk", look=look_at_disk),
        Check(name="workers", look=look_at_workers),
        Check(name="telegram", look=look_at_chat),
    ]
