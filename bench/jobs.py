"""How fast jobs are accepted: `python -m bench.jobs SITE ANSWER`, with the settings in the environment, writes JSON.

All places are taken by jobs whose site is very slow, as in a service that is asked for more than it can do: what is measured is
the asking, not the downloads that it sets off. The bare insert is one row of a job's size in a transaction of its own, through
the service's own writer connection.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from magpie.app import Service
from magpie.config import read_config
from service.allowances import Allowance
from service.downloads import Order
from service.media_url import MediaUrl
from service.model import JobStatus, Origin
from service.selection import Selection

ROUNDS, AT_ONCE = 9, 100
ROW = 500
"""Bytes: a little more than a job's row has."""
bare_rows = sa.Table("bare_rows", sa.MetaData(), sa.Column("id", sa.Uuid, primary_key=True), sa.Column("body", sa.Text, nullable=False))


class Asking:
    """One caller: this machine's user, or an account whose limits are counted and not reached.

    `addresses` has braces where a number makes one of it.
    """

    def __init__(self, service: Service, addresses: str, account_id: int | None = None) -> None:
        self._service, self._addresses, self._account_id, self._asked = service, addresses, account_id, 0

    async def once(self) -> None:
        await self._service.downloads.submit(self._order())

    async def batch(self) -> None:
        accepted = await self._service.downloads.submit_all([self._order() for _ in range(AT_ONCE)])
        assert all(new for _, new in accepted)

    def _order(self) -> Order:
        self._asked += 1
        return Order(
            url=MediaUrl.parse(self._addresses.format(self._asked)),
            selection=Selection.of("video"),
            origin=Origin.API,
            account_id=self._account_id,
            payer_id=self._account_id,
            address="127.0.0.1",
            is_local=self._account_id is None,
        )


async def account(service: Service) -> int:
    async with service._database.write() as transaction:  # noqa: SLF001 - there is no use case that sets limits which nobody reaches
        added = await transaction.accounts.add("bench", service._clock.now())  # noqa: SLF001 - as above
        await transaction.accounts.save(replace(added, own_allowance=Allowance(jobs_a_day=10**6)))
    return added.id


async def take_all_places(service: Service, site: str) -> None:
    silent = Asking(service, f"{site}/throttled/1/blob/9{{}}000000.mp4")
    for _ in range(service.config.workers):
        await silent.once()
    while await running(service) < service.config.workers:
        await asyncio.sleep(0.05)


async def running(service: Service) -> int:
    async with service._database.read() as transaction:  # noqa: SLF001 - nobody else counts them
        return sum(job.status is JobStatus.PROCESSING for job in await transaction.jobs.live())


async def seconds(action: Callable[[], Awaitable[None]], times: int) -> float:
    """Of each."""
    start = time.perf_counter()
    for _ in range(times):
        await action()
    return (time.perf_counter() - start) / times


async def in_turn(actions: Sequence[tuple[Callable[[], Awaitable[None]], int]]) -> list[float]:
    """Median seconds of each, after one round that does not count."""
    rounds = [[await seconds(action, times) for action, times in actions] for _ in range(ROUNDS + 1)]
    return [statistics.median(one) for one in zip(*rounds[1:], strict=True)]


async def measure(site: str) -> dict[str, float]:
    service = Service(read_config())
    await service.start()
    try:
        writer = service._database.writer  # noqa: SLF001 - the connection that jobs are written through is the point
        async with writer.begin() as connection:
            await connection.run_sync(bare_rows.create)

        async def bare() -> None:
            async with writer.begin() as connection:
                await connection.execute(sa.insert(bare_rows).values(id=uuid4(), body="x" * ROW))

        await service._fetcher.ready()  # noqa: SLF001 - heating must be over
        await take_all_places(service, site)
        local = Asking(service, f"{site}/n/local{{}}.mp4")
        known = Asking(service, f"{site}/n/known{{}}.mp4", await account(service))
        names = "bare", "local", "account", "batch"
        found = await in_turn([(bare, AT_ONCE), (local.once, AT_ONCE), (known.once, AT_ONCE), (local.batch, 2)])
    finally:
        await service.stop()
    return {**dict(zip(names, found, strict=True)), "batch": found[-1] / AT_ONCE}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(measure(sys.argv[1]))))
