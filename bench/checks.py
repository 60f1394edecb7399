"""What a look at a link costs: `python -m bench.checks SITE PLUGINS ANSWER`, with the settings in the environment, writes JSON.

Of one channel of 5,000 items that has nothing new: from the moment that a look is due until it is over, in turn with a bare flat listing of
the first thirty in a warm process. Of a thousand channels that are due at once: the processor's time of every process of the service.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.bare_listing import bare_listing
from magpie.app import Service
from magpie.config import read_config
from service.audit import Actor
from service.media_url import MediaUrl
from service.model import LOCAL_ACCOUNT
from service.watched import Link, Telling

ROUNDS, MANY = 41, 1000
CHANNEL = "https://www.youtube.com/@grows5000/videos"
LOCAL = Actor(account_id=LOCAL_ACCOUNT, is_superuser=True)


class Watched:
    """A service with links that are only looked at: what is there is held, and nobody is told."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def add(self, address: str) -> Link:
        fields = {"download_automatically": False, "telling": Telling.NOTHING, "schedule": "*/15 * * * *"}
        return (await self._service.watched.add(LOCAL, LOCAL_ACCOUNT, MediaUrl.parse(address), fields)).link

    async def look(self, link: Link) -> None:
        """As its schedule would have it, until it is over."""
        since = await self._due([link])
        if await self._service.watched.due.tick():
            return
        while await self._last(link) < since:  # the service's own beat has taken it
            await asyncio.sleep(0.001)

    async def _last(self, link: Link) -> datetime:
        found = (await self._service.watched.get(LOCAL, link.id)).link.last_checked_at
        assert found is not None, "it was looked at before"
        return found

    async def look_at_all(self, links: list[Link]) -> None:
        since = await self._due(links)
        await self._service.watched.due.tick()
        await self._looked({link.id for link in links}, since)
        await self.quiet()

    async def _looked(self, wanted: set[int], since: datetime) -> None:
        """All of these, by whomever."""
        database = self._service._database  # noqa: SLF001 - as below
        while True:
            async with database.read() as transaction:
                links = [link for link in await transaction.links.all() if link.id in wanted]
            if all(link.last_checked_at is not None and link.last_checked_at >= since for link in links):
                return
            await asyncio.sleep(0.5)

    async def first(self, links: list[Link]) -> None:
        """The look that is due when a link is made."""
        await self._service.watched.due.tick()
        await self._looked({link.id for link in links}, datetime.min.replace(tzinfo=UTC))
        await self.quiet()

    async def quiet(self) -> None:
        database = self._service._database  # noqa: SLF001 - nobody else counts them
        while True:
            async with database.read() as transaction:
                if not await transaction.jobs.live():
                    return
            await asyncio.sleep(0.2)

    async def _due(self, links: list[Link]) -> datetime:
        now = self._service._clock.now()  # noqa: SLF001 - nobody waits for a quarter of an hour
        async with self._service._database.write() as transaction:  # noqa: SLF001 - as above
            await transaction.links.put_off([(link.id, now) for link in links])
        return now


def cpu() -> float:
    """Seconds of this process and of all that it has started, whether they are still there or not."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + (times.children_user + times.children_system if process.pid != psutil.Process().pid else 0)
    return total


async def measure(plugins: Path) -> dict[str, float]:
    service = Service(read_config())
    await service.start()
    try:
        watched = Watched(service)
        link = await watched.add(CHANNEL)
        await watched.first([link])
        ours, bares, bare_cpu = [], [], []
        with bare_listing(plugins, CHANNEL) as bare:
            for _ in range(ROUNDS):
                start = time.perf_counter()
                await watched.look(link)
                ours.append(time.perf_counter() - start)
                cost = await asyncio.to_thread(bare.list)
                bares.append(cost.seconds)
                bare_cpu.append(cost.cpu)
            many = [await watched.add(f"https://www.youtube.com/@growm{number:04}n30/videos") for number in range(MANY)]
            await watched.first(many)
            before, start = cpu(), time.perf_counter()
            await watched.look_at_all(many)
            took, spent = time.perf_counter() - start, cpu() - before
            bare_cpu += [(await asyncio.to_thread(bare.list)).cpu for _ in range(ROUNDS)]
    finally:
        await service.stop()
    return {
        "look": statistics.median(ours[1:]),
        "bare": statistics.median(bares[1:]),
        "cpu": spent / MANY,
        "bare_cpu": statistics.mean(bare_cpu[1:]),
        "all": took,
    }


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(asyncio.run(measure(Path(sys.argv[2])))))
