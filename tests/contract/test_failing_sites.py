"""A burst of failures that looks like changed pages, on SQLite and PostgreSQL: told of once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from service.downloads import Order
from service.errors import FetchFailed, VideoPrivate
from service.failing_sites import ENOUGH, MOST, WITHIN, FailingSite, FailingSites
from service.media_url import MediaUrl
from service.model import Job, JobStatus, Origin
from service.selection import Selection
from storage.job_pages import SqlJobPages
from storage.migrate import upgrade
from tests.support.house import House, living


@dataclass
class Watch:
    """Downloads that go well or wrong, and who is told."""

    house: House
    version: str | None = "2026.10.26"
    told: list[tuple[str, str | None]] = field(default_factory=list)

    def sites(self) -> FailingSites:
        """Of a process that has just started."""
        house = self.house
        return FailingSites(
            rows=SqlJobPages(house.database, None), database=house.database, clock=house.clock, version=self._version, tell=self._tell
        )

    async def _version(self) -> str | None:
        return self.version

    async def _tell(self, site: FailingSite, version: str | None) -> None:
        self.told.append((site.host, version))

    async def fails(self, address: str, failure: FetchFailed | None = None) -> Job:
        """Without a failure that is named, as when a page cannot be read."""
        url = f"https://{address}"
        self.house.web.failures[url] = [failure or FetchFailed()]
        return await self._ended(url, JobStatus.FAILED)

    async def succeeds(self, address: str) -> Job:
        url = f"https://{address}"
        self.house.web.pages[url] = b"body"
        return await self._ended(url, JobStatus.COMPLETED)

    async def _ended(self, url: str, status: JobStatus) -> Job:
        order = Order(url=MediaUrl.parse(url), selection=Selection.of("audio"), origin=Origin.API)
        job = await self.house.ended((await self.house.downloads.submit(order))[0])
        assert job.status is status
        return job

    async def burst(self, host: str = "www.tube.example", number: int = ENOUGH, *, is_usual: bool = True) -> None:
        if is_usual:
            await self.succeeds(f"{host}/usual-{self.house.clock.now().timestamp()}")
        for each in range(number):
            await self.fails(f"{host}/{self.house.clock.now().timestamp()}-{each}")


@pytest.fixture
async def watch(database_url: str, tmp_path: Path) -> AsyncIterator[Watch]:
    await upgrade(database_url)
    house = House(url=database_url, root=tmp_path)
    async with living(house):
        yield Watch(house)


async def test_a_burst_of_failures_is_told_of_once_also_by_a_service_that_starts_anew(watch: Watch) -> None:
    await watch.burst()
    first = watch.sites()
    assert await first.look() == [FailingSite(host="tube.example", failed=ENOUGH, ended=ENOUGH + 1)]
    await watch.burst()
    assert [await first.look(), await watch.sites().look()] == [[], []]
    assert watch.told == [("tube.example", "2026.10.26")]


async def test_a_site_from_which_nothing_ever_came_is_no_news(watch: Watch) -> None:
    await watch.burst(is_usual=False)
    assert await watch.sites().look() == []


async def test_processes_with_different_versions_tell_once_each(watch: Watch) -> None:
    await watch.burst()
    for watch.version in ("2026.10.26", "2026.11.20") * 2:
        await watch.sites().look()
    assert [version for _, version in watch.told] == ["2026.10.26", "2026.11.20"]


async def test_of_very_many_sites_a_few_are_told_at_a_look(watch: Watch) -> None:
    for number in range(MOST + 2):
        await watch.burst(f"site{number}.example")
    assert [len(await watch.sites().look()) for _ in range(3)] == [MOST, 2, 0]


async def test_another_site_is_told_of_by_itself(watch: Watch) -> None:
    await watch.burst("one.example")
    await watch.sites().look()
    await watch.burst("two.example")
    await watch.sites().look()
    assert [host for host, _ in watch.told] == ["one.example", "two.example"]


async def test_what_still_fails_with_a_newer_version_is_told_of_again(watch: Watch) -> None:
    await watch.burst()
    await watch.sites().look()
    watch.version = "2026.11.20"
    await watch.sites().look()
    assert [version for _, version in watch.told] == ["2026.10.26", "2026.11.20"]


async def test_a_few_failures_are_no_burst(watch: Watch) -> None:
    await watch.burst(number=ENOUGH - 1)
    assert await watch.sites().look() == []


async def test_one_address_that_fails_again_and_again_is_no_burst(watch: Watch) -> None:
    for _ in range(ENOUGH + 1):
        await watch.fails("tube.example/the-same")
    assert await watch.sites().look() == []


async def test_where_as_many_go_well_it_is_no_burst(watch: Watch) -> None:
    await watch.burst()
    for number in range(ENOUGH):
        await watch.succeeds(f"tube.example/{number}")
    assert await watch.sites().look() == []


async def test_failures_that_say_nothing_of_the_pages_are_no_burst(watch: Watch) -> None:
    for number in range(ENOUGH):
        await watch.fails(f"tube.example/{number}", VideoPrivate())
    assert await watch.sites().look() == []


async def test_failures_of_long_ago_are_no_burst(watch: Watch) -> None:
    await watch.burst()
    watch.house.clock.move(WITHIN + timedelta(minutes=1))
    assert await watch.sites().look() == []
