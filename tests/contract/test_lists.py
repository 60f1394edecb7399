"""Lists: a parent with a child for each item, on real storage and a real engine, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from service.descriptions import ListItem
from service.errors import InvalidInput, JobNotLive, JobNotRetryable, LimitReached, NoSuchVideo, VideoPrivate
from service.limits import NoQuota
from service.media_url import MediaUrl
from service.model import DownloadSession, HistoryEntry, Job, JobStatus, Origin, Outcome
from service.ports import Transaction
from storage.migrate import upgrade
from tests.support.fakes import FakeWeb
from tests.support.house import House, living


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    await upgrade(database_url)
    house = House(database_url, tmp_path)
    house.web.pages = {f"https://example.com/{n}": f"body {n}".encode() for n in range(30)}
    async with living(house):
        yield house


def items(numbers: Sequence[int]) -> list[ListItem]:
    return [ListItem(url=MediaUrl.parse(f"https://example.com/{number}"), title=f"Item {number}") for number in numbers]


async def submitted(house: House, *numbers: int) -> Job:
    return await house.downloads.submit_list(house.order("list"), "The list", items(numbers))


async def children_of(house: House, parent: Job) -> list[Job]:
    async with house.database.read() as transaction:
        return await transaction.jobs.children_of(parent.id)


async def history_of(house: House, *jobs: Job) -> list[HistoryEntry]:
    async with house.database.read() as transaction:
        return [entry for job in jobs for entry in await transaction.history.of_job(job.id)]


async def test_a_list_is_complete_when_all_its_items_are(house: House) -> None:
    parent = await submitted(house, 3, 1, 2)
    (ended,) = await house.completed(parent)
    children = await children_of(house, parent)
    assert [child.url.text[-1] for child in children] == ["3", "1", "2"]
    assert {child.status for child in children} == {JobStatus.COMPLETED}
    assert (ended.title, ended.progress.downloaded, ended.progress.total) == ("The list", 3, 3)
    assert (await house.downloads.session_of(parent)).closed_at is not None


async def test_a_list_leaves_one_history_entry(house: House) -> None:
    parent = await submitted(house, 1, 2, 3)
    await house.completed(parent)
    (entry,) = await history_of(house, parent, *await children_of(house, parent))
    assert (entry.job_id, entry.outcome) == (parent.id, Outcome.SUCCESS)
    assert entry.files == ("Title 1.mp3", "Title 2.mp3", "Title 3.mp3")
    assert entry.message == "Downloaded 3 of 3 items."


async def test_a_list_of_which_some_items_fail_is_partial(house: House) -> None:
    house.web.failures["https://example.com/2"] = [NoSuchVideo()]
    parent = await submitted(house, 1, 2, 3)
    (ended,) = await house.completed(parent)
    (entry,) = await history_of(house, parent)
    assert ended.error_code is None
    assert (entry.outcome, entry.message) == (Outcome.PARTIAL, "Downloaded 2 of 3 items.")


async def test_a_list_of_which_all_items_fail_fails_as_its_first(house: House) -> None:
    house.web.failures = {"https://example.com/1": [VideoPrivate()], "https://example.com/2": [NoSuchVideo()]}
    parent = await submitted(house, 1, 2)
    ended = await house.ended(parent)
    (entry,) = await history_of(house, parent)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "private")
    assert (entry.outcome, entry.code) == (Outcome.FAILURE, "private")


async def test_a_cancelled_list_ends_with_all_its_items(house: House) -> None:
    house.web.gate = asyncio.Event()
    parent = await submitted(house, *range(8))
    await house.web.reached.wait()
    await house.downloads.cancel(parent.id)
    children = await children_of(house, parent)
    (entry,) = await history_of(house, parent, *children)
    assert {child.status for child in children} == {JobStatus.CANCELLED}
    assert (entry.job_id, entry.outcome) == (parent.id, Outcome.CANCELLED)
    assert house.leftovers() == []
    with pytest.raises(JobNotLive):
        await house.downloads.cancel(parent.id)


async def test_what_had_come_before_a_list_was_cancelled_stays(house: House) -> None:
    await house.completed(await house.submit("1"))
    house.web.gate = asyncio.Event()
    parent = await submitted(house, 1, 2)
    await house.reached(parent, lambda job: job.progress.downloaded == 1)
    await house.downloads.cancel(parent.id)
    (entry,) = await history_of(house, parent)
    assert [child.status for child in await children_of(house, parent)] == [JobStatus.COMPLETED, JobStatus.CANCELLED]
    assert (entry.outcome, entry.files) == (Outcome.PARTIAL, ("Title 1.mp3",))


async def test_items_that_are_cancelled_one_by_one_end_the_list_with_the_last(house: House) -> None:
    house.web.gate = asyncio.Event()
    parent = await submitted(house, 1, 2)
    first, second = await children_of(house, parent)
    await house.downloads.cancel(first.id)
    assert (await house.downloads.get(parent.id)).status.is_live
    await house.downloads.cancel(second.id)
    assert (await house.downloads.get(parent.id)).status is JobStatus.CANCELLED


async def test_a_retry_fetches_only_what_is_missing(house: House) -> None:
    house.web.failures["https://example.com/2"] = [NoSuchVideo()]
    parent = await submitted(house, 1, 2, 3)
    await house.completed(parent)
    house.web.fetched.clear()
    again = await house.downloads.retry(parent.id)
    assert again.status is JobStatus.PROCESSING
    await house.completed(parent)
    assert house.web.fetched == ["https://example.com/2"]
    assert [entry.outcome for entry in await history_of(house, parent)] == [Outcome.PARTIAL, Outcome.SUCCESS]


async def test_a_list_that_lacks_nothing_or_is_under_way_is_not_retried(house: House) -> None:
    whole = await submitted(house, 1)
    await house.completed(whole)
    with pytest.raises(JobNotRetryable):
        await house.downloads.retry(whole.id)
    house.web.gate = asyncio.Event()
    live = await submitted(house, 2)
    with pytest.raises(JobNotRetryable):
        await house.downloads.retry(live.id)
    assert await children_of(house, whole)


async def test_an_address_that_occurs_twice_is_one_item(house: House) -> None:
    parent = await submitted(house, 1, 2, 1)
    await house.completed(parent)
    assert [child.url.text[-1] for child in await children_of(house, parent)] == ["1", "2"]


async def test_an_empty_list_is_refused(house: House) -> None:
    with pytest.raises(InvalidInput):
        await submitted(house)
    async with house.database.read() as transaction:
        assert await transaction.jobs.live() == []


async def test_an_item_that_is_under_way_by_itself_is_the_lists_too(house: House) -> None:
    house.web.gate = asyncio.Event()
    single = await house.submit("1")
    order = house.order("list", download_session_id=single.download_session_id)
    parent = await house.downloads.submit_list(order, "The list", items([1]))
    house.web.gate.set()
    await house.completed(single, parent)
    assert house.web.fetched == ["https://example.com/1"]


async def test_the_same_list_in_one_session_while_it_is_under_way_is_one(house: House) -> None:
    house.web.gate = asyncio.Event()
    parent = await submitted(house, 1, 2)
    order = house.order("list", download_session_id=parent.download_session_id)
    assert (await house.downloads.submit_list(order, "The list", items([1, 2]))).id == parent.id


async def test_a_list_survives_a_restart_in_the_middle(house: House) -> None:
    house.web.gate = asyncio.Event()
    parent = await submitted(house, *range(6))
    await house.web.reached.wait()
    house.web.gate.set()
    await house.stop()
    await house.start()
    await house.completed(parent)
    (entry,) = await history_of(house, parent)
    assert len(entry.files) == 6


async def test_recovering_leaves_parents_alone(house: House) -> None:
    house.web.gate = asyncio.Event()
    parent = await submitted(house, 1)
    assert await house.downloads.recover() == 0
    now = await house.downloads.get(parent.id)
    assert (now.status, now.attempt) == (JobStatus.PROCESSING, 1)


async def test_two_items_that_end_at_the_same_time_end_the_list(database_url: str, tmp_path: Path) -> None:
    """On PostgreSQL the two transactions overlap: the parent's row puts them in order. SQLite has one writer anyway."""
    await upgrade(database_url)
    house = House(database_url, tmp_path, web=FakeWeb(gate=asyncio.Event()), width=2)
    house.web.pages = {f"https://example.com/{n}": b"x" for n in (1, 2)}
    async with living(house):
        for _ in range(5):
            assert house.web.gate is not None
            house.clock.move(timedelta(minutes=1))  # a refresh takes nothing that is older
            house.web.gate.clear()
            house.web.fetched.clear()
            parent = await house.downloads.submit_list(house.order("list", refresh=True), "The list", items([1, 2]))
            await house.reached(parent, lambda _: len(house.web.fetched) == 2)
            house.web.gate.set()
            await house.completed(parent)
            assert len(await history_of(house, parent)) == 1


async def test_a_list_can_be_cancelled_while_its_items_end(house: House) -> None:
    for _ in range(8):
        house.clock.move(timedelta(minutes=1))
        house.web.reached.clear()
        house.web.gate = asyncio.Event()
        parent = await house.downloads.submit_list(house.order("list", refresh=True), "The list", items(range(4)))
        await house.web.reached.wait()
        house.web.gate.set()
        with suppress(JobNotLive):
            await house.downloads.cancel(parent.id)
        await house.ended(parent)
        assert len(await history_of(house, parent)) == 1
    async with house.database.read() as transaction:
        assert await transaction.jobs.live() == []


@dataclass
class AtMost(NoQuota):
    """So many jobs, and no more."""

    left: int = 2
    admitted: list[Job] = field(default_factory=list)

    async def admit(self, transaction: Transaction, job: Job) -> None:
        del transaction
        self.admitted.append(job)
        if len(self.admitted) > self.left:
            raise LimitReached


async def test_a_list_over_the_limit_is_refused_as_a_whole(database_url: str, tmp_path: Path) -> None:
    await upgrade(database_url)
    house = House(database_url, tmp_path, quota=AtMost())
    async with living(house):
        with pytest.raises(LimitReached):
            await submitted(house, 1, 2, 3)
        async with house.database.read() as transaction:
            assert await transaction.jobs.live() == []


async def test_another_range_of_the_same_list_is_another_list(house: House) -> None:
    """Two cards about one playlist: what the second one takes must not be taken for the first one's."""
    house.web.pages.update({f"https://example.com/{number}": b"bytes" for number in range(1, 5)})
    items = [ListItem(url=MediaUrl.parse(f"https://example.com/{number}")) for number in range(1, 5)]
    async with house.database.write() as transaction:
        session = DownloadSession(
            id=uuid4(), folder=uuid4(), owner_id=0, created_by=Origin.CHAT, created_at=house.clock.now(), last_activity=house.clock.now()
        )
        await transaction.download_sessions.add(session)
    first = await house.downloads.submit_list(house.order("list", download_session_id=session.id), "List", items[:2])
    second = await house.downloads.submit_list(house.order("list", download_session_id=session.id), "List", items[2:])
    assert first.id != second.id
    await house.completed(first, second)
