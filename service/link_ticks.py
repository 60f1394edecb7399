"""The beat that finds links which are due."""

from __future__ import annotations

import asyncio
import logging

from service.due_links import DueLinks
from service.link_trims import LinkTrims
from service.settings import Settings

log = logging.getLogger("magpie.links")
SECONDS = 15.0
"""Between two looks at what is due: a cron's minute is kept to within this."""


class LinkTicks:
    """One loop a process. Several processes share the work: each link is entered once."""

    def __init__(self, due: DueLinks, trims: LinkTrims, *, seconds: float = SECONDS) -> None:
        self._due, self._trims, self._seconds = due, trims, seconds
        self._interval = Settings().link_monitor_interval_minutes
        self._is_changed = False
        self._trimming = asyncio.Lock()

    def set_interval(self, minutes: int) -> None:
        """Of links without a schedule of their own, as the settings now say: it counts from the next beat on."""
        self._is_changed = self._is_changed or minutes != self._interval
        self._interval = minutes

    async def keep(self) -> None:
        """Until cancelled. A beat does not wait for the looks of the one before."""
        async with asyncio.TaskGroup() as beats:
            while True:
                beats.create_task(self._beat())
                await asyncio.sleep(self._seconds)

    async def _beat(self) -> None:
        try:
            if self._is_changed:
                self._is_changed = False
                await self._due.reschedule()
            if not self._trimming.locked():
                async with self._trimming:
                    await self._trims.trim()
            await self._due.tick()
        except Exception:
            # The outermost frame of a beat: what cannot be done now is due still.
            log.exception("links that are due could not be looked at")
