"""The row of a job that is under way: its news go out at once, the row follows a little later with the newest state."""

from __future__ import annotations

import asyncio

from service.model import Job, Progress
from service.ports import Clock, Database, JobEvents


class Superseded(Exception):
    """The job's row was changed by somebody else, who ended the job: there is nothing left to do."""


class LiveRow:
    """Written by one run at a time: whoever changes it otherwise holds `lock`. `interval` in seconds."""

    def __init__(self, job: Job, *, database: Database, events: JobEvents, clock: Clock, interval: float) -> None:
        self.job = job
        """As last heard of."""
        self.saved_seq = job.seq
        self.lock = asyncio.Lock()
        self._database, self._events, self._clock, self._interval = database, events, clock, interval
        self._last_progress = float("-inf")
        self._writer: asyncio.Task[None] | None = None
        self._is_writing = False
        self._is_superseded = False

    def saved(self, job: Job) -> None:
        """It was written by whoever holds the lock."""
        self.job, self.saved_seq = job, job.seq
        self._events.publish(job)

    async def move(self, progress: Progress, *, at_once: bool) -> None:
        """Most phases of a small job never reach the row. Raises `Superseded`."""
        if self._is_superseded:
            raise Superseded
        now = self._clock.monotonic()
        if not at_once and now - self._last_progress < self._interval:
            return
        self._last_progress = now
        self.job = self.job.moved(progress)
        self._events.publish(self.job)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        await asyncio.sleep(self._interval)
        self._is_writing = True
        async with self.lock, self._database.write() as transaction:
            newest = self.job
            if await transaction.jobs.save(newest, if_seq=self.saved_seq):
                self.saved_seq = newest.seq
            else:
                self._is_superseded = True
        self._is_writing = False

    def stop_writing(self) -> None:
        """A write that is under way is let finish: `lock` is what others wait for."""
        if self._writer is not None and not self._is_writing:
            self._writer.cancel()
