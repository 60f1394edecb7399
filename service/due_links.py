"""Links that are due: each is looked at by one process, and a slow site holds up none but its own."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from service.errors import Clash
from service.link_checks import CheckParts, DueCheck
from service.link_jobs import LinkJobs, link_scope
from service.model import Job
from service.ports import Clock, Database, Transaction
from service.schedule import Schedule
from service.watched import Link

log = logging.getLogger("magpie.links")
AT_ONCE = 100
PLACES = 4
"""Looks at once, of those that are due."""
LEASE = timedelta(minutes=15)


class DueLinks:
    """`parts` are what a look works with; `interval` is how often links without a schedule of their own are looked at."""

    def __init__(
        self, *, database: Database, parts: Callable[[], CheckParts], jobs: LinkJobs, clock: Clock, interval: Callable[[], timedelta]
    ) -> None:
        self._database, self._parts, self._jobs, self._clock, self._interval = database, parts, jobs, clock, interval
        self._claimed: deque[Link] = deque()
        """Due, and for nobody else to look at."""
        self._claiming = asyncio.Lock()
        self._looked_at: set[int] = set()
        """Links that are looked at just now. One that takes longer than its lease is not looked at twice."""
        self._places_taken = 0

    async def tick(self) -> int:
        """Look at what is due, until nothing is; what was missed is made up for once. Returns how many were looked at.

        Beside another call that is at it still, it takes the places that are free: one slow site holds up none but its own links.
        """
        try:
            async with asyncio.TaskGroup() as places:
                places_taken = [places.create_task(self._take_a_place()) for _ in range(PLACES - self._places_taken)]
        except asyncio.CancelledError:
            self._claimed.clear()  # they are due again when their lease is over, unless an import has given their numbers to others
            raise
        return sum(taken.result() for taken in places_taken)

    async def _take_a_place(self) -> int:
        looked = 0
        self._places_taken += 1
        try:
            while link := await self._next_due():
                await self._see_to(link)
                looked += 1
        finally:
            self._places_taken -= 1
        return looked

    async def _next_due(self) -> Link | None:
        async with self._claiming:
            if not self._claimed:
                self._claimed.extend(await self._claim())
            return self._claimed.popleft() if self._claimed else None

    async def _claim(self) -> list[Link]:
        """Those that are due, for nobody else to look at within the lease: a look that is cut short is due again after it."""
        now = self._clock.now()
        async with self._database.read() as transaction:
            if not await transaction.links.has_due(now):
                return []
        try:
            async with self._database.write() as transaction:
                due = await transaction.links.due(now, AT_ONCE)
                await transaction.links.put_off([(link.id, now + LEASE if link.is_enabled else None) for link in due])
        except Clash:
            return []  # the next tick finds them
        return [link for link in due if link.is_enabled and link.id not in self._looked_at]

    async def _see_to(self, link: Link) -> None:
        self._looked_at.add(link.id)
        try:
            await self._look_at(link)
        except Exception:
            # The outermost frame of a look: the others go on, and this one is due again when its lease is over.
            log.exception("a link could not be looked at", extra={"link": link.id})
        finally:
            self._looked_at.discard(link.id)

    async def _look_at(self, link: Link) -> None:
        async with self._database.read() as transaction:
            account = await transaction.accounts.get(link.account_id)
            scope = await link_scope(transaction, link)
        if account is None or not account.is_there:
            async with self._database.write() as transaction:
                await transaction.links.put_off([(link.id, self.next_of(link))])
            return

        async def make_job(transaction: Transaction, present: Link) -> tuple[Link, Job]:
            return await self._jobs.make(transaction, present, is_scheduled=True)

        await DueCheck(self._parts(), link, scope, make_job=make_job, next_of=self.next_of).work()

    def next_of(self, link: Link) -> datetime:
        """When it is looked at again, if it is looked at now."""
        now = self._clock.now()
        if link.schedule is None:
            return now + self._interval()
        return Schedule.parse(link.schedule, link.timezone).next_after(now)

    async def reschedule(self) -> None:
        """The interval of the settings was changed: links without a schedule of their own are due by the new one."""
        now = self._clock.now()
        async with self._database.write() as transaction:
            later = now + self._interval()
            own = [
                one
                for one in await transaction.links.all()
                if one.schedule is None and not one.failures and one.next_run_at and one.next_run_at > later
            ]
            await transaction.links.put_off([(link.id, later) for link in own])
