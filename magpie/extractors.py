"""`magpie update-extractors`, and what a running service does of it by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from magpie.cli import FAILED, OK, say, show_json
from magpie.config import Config
from magpie.parts import extractors_of, is_running, make_data_dir, plugin_dirs_of
from scraper.extractors import FreshExtractors, UpdateFailed
from scraper.update import Update, Updated
from service.ports import Clock

log = logging.getLogger("magpie")
WEEK = timedelta(days=7)
AFTER_START, EVERY = timedelta(minutes=5), timedelta(hours=1)


async def update_extractors(config: Config, *, as_json: bool) -> int:
    """Get the newest, beside a running service or without one. Returns the exit status."""
    say("Looking for a newer yt-dlp …")
    try:
        make_data_dir(config)
        updated = await Update(extractors_of(config), plugin_dirs_of(config)).run()
    except (UpdateFailed, OSError) as failure:
        say(str(failure))
        return FAILED
    say(_told(updated, is_used_elsewhere=is_running(config)))
    if as_json:
        show_json({"before": updated.before, "after": updated.after, "changed": updated.changed})
    return OK


def _told(updated: Updated, *, is_used_elsewhere: bool | None) -> str:
    if not updated.changed:
        return f"yt-dlp {updated.after} is the newest already."
    takes_over = {
        True: " The running service takes it over within seconds; downloads that are under way end with the old one.",
        False: " The next start uses it.",
        None: " A running service takes it over within seconds; downloads that are under way end with the old one.",
    }[is_used_elsewhere]
    return f"yt-dlp {updated.after} is installed, in place of {updated.before}.{takes_over}"


class WeeklyUpdate:
    """Keeps the extractors fresh: a try a week, successful or not, also across starts."""

    def __init__(
        self,
        extractors: FreshExtractors,
        update: Callable[[], Awaitable[Updated]],
        clock: Clock,
        *,
        after_start: timedelta,
        every: timedelta,
    ) -> None:
        """It looks whether it is time for one `after_start`, and `every` so often from then on."""
        self._extractors = extractors
        self._update = update
        self._clock = clock
        self._after_start, self._every = after_start, every

    async def keep(self) -> None:
        """Until it is cancelled."""
        await asyncio.sleep(self._after_start.total_seconds())
        while True:
            if await asyncio.to_thread(self._is_due):
                await self._try()
            await asyncio.sleep(self._every.total_seconds())

    def _is_due(self) -> bool:
        tried = self._extractors.last_try()
        # One from the future, of a clock that was wrong, says nothing.
        return tried is None or not timedelta(0) <= self._clock.now() - datetime.fromtimestamp(tried, UTC) < WEEK

    async def _try(self) -> None:
        try:
            updated = await self._update()
        except UpdateFailed as failure:
            log.warning("the extractors were not updated: %s", failure)
        except Exception:  # the outermost loop: the next week is another try
            log.exception("the extractors were not updated")
        else:
            if updated.changed:
                log.info("yt-dlp was updated from %s to %s", updated.before, updated.after)


def weekly_update(config: Config, clock: Clock) -> WeeklyUpdate:
    """As the settings have it."""
    extractors = extractors_of(config)
    return WeeklyUpdate(extractors, Update(extractors, plugin_dirs_of(config)).run, clock, after_start=AFTER_START, every=EVERY)
