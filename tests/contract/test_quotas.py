"""What an account may do, counted in the database: through the real queue, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from service.allowances import Allowance
from service.descriptions import ListItem
from service.downloads import Order
from service.errors import DailyBytesReached, DailyJobsReached, FetchFailed, LimitReached, NoSpace, StorageFull, VideoPrivate
from service.limits import Quotas
from service.media_url import MediaUrl
from service.model import Account, Job, JobStatus, Origin
from service.selection import Selection
from storage.migrate import upgrade
from tests.support.house import House, living


class Quarter:
    """A house where Ann has an account with an allowance."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def ann(self, **allowance: int) -> Account:
        async with self.house.database.write() as transaction:
            account = await transaction.accounts.add("ann", self.house.clock.now())
            account = replace(account, own_allowance=Allowance(**allowance))
            await transaction.accounts.save(account)
        return account

    def order(self, path: str, account: Account | None = None, *, address: str | None = None, is_local: bool = False) -> Order:
        self.house.web.pages.setdefault(f"https://example.com/{path}", bytes(100))
        return Order(
            url=MediaUrl.parse(f"https://example.com/{path}"),
            selection=Selection.of("audio"),
            origin=Origin.API,
            account_id=account.id if account else None,
            address=address,
            is_local=is_local,
        )

    async def had(self, path: str, account: Account | None = None, **more: object) -> Job:
        job, _ = await self.house.downloads.submit(self.order(path, account, **more))  # type: ignore[arg-type]
        return await self.house.ended(job)


@pytest.fixture
async def quarter(database_url: str, tmp_path: Path) -> AsyncIterator[Quarter]:
    await upgrade(database_url)
    house = House(url=database_url, root=tmp_path)
    house.quota = Quotas(house.clock)
    async with living(house):
        yield Quarter(house)


async def test_the_job_after_the_last_of_a_day_is_refused_until_the_oldest_is_a_day_old(quarter: Quarter) -> None:
    ann = await quarter.ann(jobs_a_day=2)
    await quarter.had("a", ann)
    quarter.house.clock.move(timedelta(hours=5))
    await quarter.had("b", ann)
    with pytest.raises(DailyJobsReached) as refused:
        await quarter.had("c", ann)
    assert refused.value.retry_after == timedelta(hours=19)
    quarter.house.clock.move(timedelta(hours=19))
    assert (await quarter.had("c", ann)).status is JobStatus.COMPLETED


async def test_what_is_in_the_store_is_had_beyond_the_limit(quarter: Quarter) -> None:
    ann = await quarter.ann(jobs_a_day=1)
    await quarter.had("a", ann)
    assert (await quarter.had("a", ann)).status is JobStatus.COMPLETED
    with pytest.raises(DailyJobsReached):
        await quarter.had("b", ann)


async def test_a_store_hit_costs_nothing(quarter: Quarter) -> None:
    await quarter.had("a")
    ann = await quarter.ann(jobs_a_day=1)
    await quarter.had("a", ann)
    assert (await quarter.had("b", ann)).status is JobStatus.COMPLETED


@pytest.mark.parametrize(("failure", "is_ours"), [(NoSpace(), True), (VideoPrivate(), False)])
async def test_only_our_own_failures_are_given_back(quarter: Quarter, failure: FetchFailed, *, is_ours: bool) -> None:
    ann = await quarter.ann(jobs_a_day=1)
    quarter.house.web.failures["https://example.com/a"] = [failure]
    assert (await quarter.had("a", ann)).status is JobStatus.FAILED
    if is_ours:
        await quarter.had("b", ann)
        return
    with pytest.raises(DailyJobsReached):
        await quarter.had("b", ann)


async def test_a_retry_counts_again(quarter: Quarter) -> None:
    ann = await quarter.ann(jobs_a_day=2)
    quarter.house.web.failures["https://example.com/a"] = [VideoPrivate(), VideoPrivate()]
    job = await quarter.had("a", ann)
    await quarter.house.ended(await quarter.house.downloads.retry(job.id))
    with pytest.raises(DailyJobsReached):
        await quarter.house.downloads.retry(job.id)


async def test_each_item_of_a_list_counts_and_a_list_beyond_the_limit_is_refused_whole(quarter: Quarter) -> None:
    ann = await quarter.ann(jobs_a_day=3)
    items = [ListItem(url=quarter.order(str(number)).url) for number in range(4)]
    with pytest.raises(DailyJobsReached):
        await quarter.house.downloads.submit_list(quarter.order("list", ann), "A list", items)
    async with quarter.house.database.read() as transaction:
        assert await transaction.jobs.of_account(ann.id) == []
    await quarter.house.downloads.submit_list(quarter.order("list", ann), "A list", items[:3])


async def test_bytes_of_a_day_are_counted(quarter: Quarter) -> None:
    ann = await quarter.ann(bytes_a_day=150)
    for path in ("a", "b"):
        await quarter.had(path, ann)
    with pytest.raises(DailyBytesReached):
        await quarter.had("c", ann)


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_bytes_of_a_download_that_did_not_end_well_are_counted(quarter: Quarter, end: str) -> None:
    ann = await quarter.ann(bytes_a_day=50)
    house = quarter.house
    house.web.gate = asyncio.Event()
    job, _ = await house.downloads.submit(quarter.order("a", ann))
    await house.reached(job, lambda job: job.progress.downloaded == 50)
    if end == "cancelled":
        await house.downloads.cancel(job.id)
    else:
        house.web.breaks = [VideoPrivate()]
        house.web.gate.set()
        assert (await house.ended(job)).status is JobStatus.FAILED
    with pytest.raises(DailyBytesReached):
        await quarter.had("b", ann)


async def test_stored_bytes_are_counted_once_a_file(quarter: Quarter) -> None:
    ann = await quarter.ann(stored_bytes=150)
    for path in ("a", "a", "b"):
        await quarter.had(path, ann)
    with pytest.raises(StorageFull):
        await quarter.had("c", ann)


async def test_more_than_may_run_at_once_wait_their_turn(quarter: Quarter) -> None:
    ann = await quarter.ann(at_once=2)
    house = quarter.house
    house.web.gate = asyncio.Event()
    jobs = [(await house.downloads.submit(quarter.order(str(number), ann)))[0] for number in range(4)]
    async with asyncio.timeout(30):
        while len([job for job in jobs if (await house.downloads.get(job.id)).waits_for == f"account:{ann.id}"]) < 2:
            await asyncio.sleep(0.02)
    async with house.database.read() as transaction:
        assert await transaction.charges.running(f"account:{ann.id}") == 2
    house.web.gate.set()
    await house.completed(*jobs)


async def test_callers_without_an_account_are_counted_by_address(quarter: Quarter) -> None:
    for number in range(100):
        quarter.house.web.failures[f"https://example.com/{number}"] = [VideoPrivate()]
        await quarter.house.downloads.submit(quarter.order(str(number), address="192.0.2.1"))
    with pytest.raises(LimitReached):
        await quarter.house.downloads.submit(quarter.order("x", address="192.0.2.1"))
    await quarter.house.downloads.submit(quarter.order("x", address="192.0.2.2"))


async def test_this_machines_own_user_has_no_limits(quarter: Quarter) -> None:
    for number in range(110):
        await quarter.house.downloads.submit(quarter.order(str(number), is_local=True))


async def test_many_at_once_are_counted_one_by_one(quarter: Quarter) -> None:
    ann = await quarter.ann(jobs_a_day=3)
    orders = [quarter.order(str(number), ann) for number in range(9)]
    done = await asyncio.gather(*(quarter.house.downloads.submit(order) for order in orders), return_exceptions=True)
    assert sorted(isinstance(one, DailyJobsReached) for one in done) == [False] * 3 + [True] * 6
