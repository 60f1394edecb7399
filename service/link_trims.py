"""Of some links only the last few files are kept. The archive knows the others still: they are not downloaded again."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from service.downloads import Downloads
from service.forgetting import EmptiesVaults, Leavings
from service.job_pages import JobRows
from service.model import Job
from service.ports import Clock, Database, Media

AGAIN = timedelta(minutes=10)
"""After so long it looks anyway: `keep_last` may have changed, or patience be over."""
PATIENCE = timedelta(days=1)
"""So long a file is kept beyond the last few when it has not reached its owner's chat yet."""
log = logging.getLogger("magpie.links")


class LinkTrims:
    """`heard` is told of jobs; what they brought may make older files go at the next `trim`."""

    def __init__(
        self,
        *,
        rows: JobRows,
        database: Database,
        downloads: Downloads,
        media: Media,
        clock: Clock,
        vaults: EmptiesVaults | None = None,
    ) -> None:
        self._rows, self._database, self._clock = rows, database, clock
        self._leavings = Leavings(database=database, downloads=downloads, media=media, vaults=vaults)
        self._may_have_more, self._at = True, self._clock.now()

    def heard(self, job: Job) -> None:
        if job.link_id is not None and not job.status.is_live:
            self._may_have_more = True

    async def trim(self) -> int:
        """Cut short, it goes on at the next one. Returns how many items went."""
        now, removed = self._clock.now(), 0
        if not self._may_have_more and now < self._at + AGAIN:
            return 0
        async with self._database.read() as transaction:
            links = await transaction.links.trimmed()
        for link in links:
            assert link.keep_last is not None
            async with self._database.read() as transaction:
                old = await transaction.jobs.items_had(link.id, link.keep_last, self._clock.now() - PATIENCE)
            for job in old:
                await self._leavings.drop([job], partial(self._rows.remove, job.id))
            if old:
                log.info("older files of a link are gone", extra={"link": link.id, "items": len(old)})
            removed += len(old)
        self._may_have_more, self._at = False, now
        return removed
