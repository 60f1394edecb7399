"""What `/api/health` looks at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from bot.application import ChatState
from magpie.equipment import Programs, finding_of, finding_of_ytdlp
from scraper.fetcher import YtDlpFetcher
from service.health import Check, Condition, Finding
from service.metrics import FigureRows
from service.ports import Clock, Media
from storage.database import SqlDatabase

SLOW, STUCK = timedelta(minutes=2), timedelta(minutes=15)
"""How long a job may wait for a place before the queue is degraded, and before it is unhealthy."""
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


def queue_check(rows: FigureRows, clock: Clock) -> Check:
    """Whether jobs get a place in time. Those that wait for their account's limits do not count."""

    async def look_at_queue() -> Finding:
        oldest = await rows.oldest_queued()
        lag = timedelta(0) if oldest is None else clock.now() - oldest
        if lag <= SLOW:
            return Finding()
        cause = f"The oldest job in the queue has waited {lag // timedelta(minutes=1)} minutes for a place."
        return Finding(condition=Condition.UNHEALTHY if lag > STUCK else Condition.DEGRADED, cause=cause)

    return Check(name="queue", look=look_at_queue)


def program_checks(programs: Programs, clock: Clock) -> Sequence[Check]:
    """ffmpeg, yt-dlp and its age, and what solves YouTube's challenges: a JavaScript runtime and its scripts."""

    async def look_at_ffmpeg() -> Finding:
        return finding_of((await programs.all()).get("ffmpeg"))

    async def look_at_ytdlp() -> Finding:
        return finding_of_ytdlp((await programs.all()).get("yt-dlp"), clock.now())

    async def look_at_javascript() -> Finding:
        found = await programs.all()
        return finding_of(found.get("deno"), found.get("yt-dlp-ejs"))

    return [
        Check(name="ffmpeg", look=look_at_ffmpeg),
        Check(name="yt-dlp", look=look_at_ytdlp),
        Check(name="javascript", look=look_at_javascript),
    ]
