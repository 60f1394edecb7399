"""When a running service updates its extractors by itself. What an update does is tried in the integration tests."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from magpie.extractors import WeeklyUpdate
from scraper.extractors import FreshExtractors, UpdateFailed
from scraper.update import Updated
from tests.support.fakes import FakeClock

DAY = timedelta(days=1)


class Looked(FreshExtractors):
    """Counts how often somebody asks when the last try was."""

    looks = 0

    def last_try(self) -> float | None:
        self.looks += 1
        return super().last_try()


class Updates:
    """Counts the tries; each has an outcome, the last one for all that follow."""

    def __init__(self, extractors: Looked, clock: FakeClock, *outcomes: Updated | Exception) -> None:
        self.extractors, self.clock, self.outcomes, self.tries = extractors, clock, list(outcomes), 0

    async def run(self) -> Updated:
        self.tries += 1
        tried_at(self.extractors, self.clock)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def tried_at(extractors: FreshExtractors, clock: FakeClock, ago: timedelta = timedelta(0)) -> None:
    extractors.note_try()
    moment = (clock.now() - ago).timestamp()
    os.utime(extractors.root / "tried", (moment, moment))


@pytest.fixture
def extractors(tmp_path: Path) -> Looked:
    return Looked(tmp_path)


NEW = Updated(before="2026.10.26", after="2030.1.1")


@asynccontextmanager
async def keeping(updates: Updates, *, after_start: timedelta = timedelta(0)) -> AsyncIterator[None]:
    """It has looked a few times when the body begins."""
    weekly = WeeklyUpdate(updates.extractors, updates.run, updates.clock, after_start=after_start, every=timedelta(milliseconds=1))
    task = asyncio.create_task(weekly.keep())
    try:
        async with asyncio.timeout(10):
            while not after_start and updates.extractors.looks < 4:
                await asyncio.sleep(0.001)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


@pytest.mark.parametrize(("ago", "tries"), [(None, 1), (timedelta(0), 0), (7 * DAY - timedelta(seconds=1), 0), (7 * DAY, 1), (-DAY, 1)])
async def test_a_week_after_the_last_try_there_is_one_more(extractors: Looked, clock: FakeClock, ago: timedelta | None, tries: int) -> None:
    if ago is not None:
        tried_at(extractors, clock, ago)
    updates = Updates(extractors, clock, NEW)
    async with keeping(updates):
        assert updates.tries == tries


async def test_every_week_has_its_try(extractors: Looked, clock: FakeClock) -> None:
    updates = Updates(extractors, clock, NEW)
    async with keeping(updates):
        clock.move(7 * DAY)
        async with asyncio.timeout(10):
            while updates.tries < 2:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("failure", [UpdateFailed("the line is down"), RuntimeError("the line is down")])
async def test_a_failure_is_told_and_the_next_week_is_another_try(
    extractors: Looked, clock: FakeClock, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "magpie")
    updates = Updates(extractors, clock, failure, NEW)
    async with keeping(updates):
        assert updates.tries == 1
        clock.move(7 * DAY)
        async with asyncio.timeout(10):
            while updates.tries < 2:
                await asyncio.sleep(0.001)
    assert "the line is down" in caplog.text


async def test_the_moment_of_the_start_is_left_alone(extractors: Looked, clock: FakeClock) -> None:
    updates = Updates(extractors, clock, NEW)
    async with keeping(updates, after_start=timedelta(minutes=5)):
        await asyncio.sleep(0.05)
        assert extractors.looks == 0
