"""Sites whose pages have changed: so many of their downloads fail at once that the administrators are told, once."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from service.errors import Clash
from service.model import Job, JobStatus
from service.ports import Clock, Database

log = logging.getLogger("magpie.failing_sites")
NAME = "failing_sites"
EVERY = 300.0
"""Seconds."""
WITHIN = timedelta(hours=1)
MOST, REMEMBERED, VERSIONS = 5, 200, 10
"""Sites that are told of at one look, and what is kept of whom was told about what."""
ENOUGH = 5
"""So many different addresses of one site fail, and more often than not."""
CODES = frozenset({"download_failed", "unsupported", "format_unavailable"})
"""What it looks like when a page is not what the extractor expects. A private video or a broken network says nothing about that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingSite:
    """Of the last hour's downloads from this host, `failed` of `ended` failed since its pages could not be read."""

    host: str
    failed: int
    ended: int


class EndedJobs(Protocol):
    async def downloads_ended_since(self, moment: datetime) -> list[Job]:
        """Downloads, no lists; only the newest when there are very many."""
        ...

    async def latest_completed(self) -> list[Job]:
        """The newest, so many that they tell from which hosts downloads usually come."""
        ...


Tells = Callable[[FailingSite, str | None], Awaitable[None]]
Version = Callable[[], Awaitable[str | None]]


class FailingSites:
    """`tell` is given a site that is new, and yt-dlp's version; it should not raise. A site is told of again only under another version."""

    def __init__(self, *, rows: EndedJobs, database: Database, clock: Clock, version: Version, tell: Tells) -> None:
        self._rows, self._database, self._clock, self._version, self._tell = rows, database, clock, version, tell

    async def look(self) -> list[FailingSite]:
        """Returns those that were told of now."""
        failing = failing_of(await self._rows.downloads_ended_since(self._clock.now() - WITHIN))
        if failing:  # a page without any media fails alike: only where downloads went well before has something changed
            usual = {host_of(job) for job in await self._rows.latest_completed()}
            failing = [site for site in failing if site.host in usual]
        if not failing:
            return []
        version = await self._version()
        news = await self._note(failing, version)
        for site in news:
            about = {"host": site.host, "failed": site.failed, "ended": site.ended, "ytdlp": version}
            log.warning("many downloads from one site fail: magpie update-extractors may help", extra=about)
            await self._tell(site, version)
        return news

    async def keep(self, is_heard: Callable[[], bool]) -> None:
        """Look now and then, for as long as this runs; not while nobody can be told."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                if is_heard():
                    await self.look()
            except Exception:
                # The task's outermost loop: a database that does not answer for a moment must not end it.
                log.exception("failing sites could not be looked for")

    async def _note(self, failing: Sequence[FailingSite], version: str | None) -> list[FailingSite]:
        """Written down before anybody is told: of several processes one tells."""
        try:
            async with self._database.write() as transaction:
                await transaction.charges.lock(NAME)
                known = json.loads(await transaction.kept_values.get(NAME) or "{}")
                told: list[str] = known.get(version or "", [])
                news = [site for site in failing if site.host not in told][:MOST]
                if news:
                    # Several processes may have different versions, each with its own list.
                    known[version or ""] = [*told, *(site.host for site in news)][-REMEMBERED:]
                    await transaction.kept_values.put(NAME, json.dumps(dict(list(known.items())[-VERSIONS:])))
        except Clash:
            return []  # the next look finds them again
        return news


def host_of(job: Job) -> str:
    return (urlsplit(job.url.text).hostname or "").removeprefix("www.")


def failing_of(jobs: Iterable[Job]) -> list[FailingSite]:
    """Cancelled ones say nothing."""
    ended: dict[str, int] = defaultdict(int)
    failed: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for job in jobs:
        host = host_of(job)
        if job.status is JobStatus.CANCELLED:
            continue
        ended[host] += 1
        if job.status is JobStatus.FAILED and job.error_code in CODES:
            failed[host].add(job.url.digest)
            counts[host] += 1
    return [
        FailingSite(host=host, failed=counts[host], ended=ended[host])
        for host, addresses in sorted(failed.items())
        if len(addresses) >= ENOUGH and 2 * counts[host] > ended[host]
    ]
