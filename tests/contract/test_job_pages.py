"""Jobs as people see and change them: pages, viewers, deletion, batches, and lists that turn up; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from service.allowances import Allowance
from service.audit import NOBODY, Actor
from service.descriptions import Description
from service.download_sessions import DownloadSessions
from service.downloads import Order, Promise
from service.errors import (
    AddressNotAllowed,
    Conflict,
    IdempotencyConflict,
    JobNotFound,
    JobNotLive,
    JobNotRetryable,
    LimitReached,
    SessionJobsReached,
    TooManyItems,
    VideoPrivate,
)
from service.fetching import Fetched, FetchRequest, FetchWatcher
from service.job_pages import JobFilter, SeenJobs
from service.limits import NoQuota, Quotas
from service.media_url import MediaUrl
from service.model import Account, DownloadSession, Job, JobStatus, Origin
from service.opened_sessions import Viewer
from service.paging import Window
from service.ports import Transaction
from service.selection import Selection
from service.sweeping import Sweeper
from storage.job_pages import SqlJobPages
from storage.migrate import upgrade
from storage.sweeping import SqlSweeping
from tests.support.fakes import FakeWeb
from tests.support.house import House, living

SUPERUSER = Viewer(actor=Actor(account_id=0, is_superuser=True))
LIST = "https://example.com/list"


@dataclass
class WebWithLists(FakeWeb):
    """What is a list is told to be one, however often somebody tries to fetch it. A look waits at `may_tell`, when there is one."""

    looked: asyncio.Event = field(default_factory=asyncio.Event)
    may_tell: asyncio.Event | None = None

    async def fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        if request.url.text in self.lists:
            raise TooManyItems
        return await super().fetch(request, watcher)

    async def describe(self, url: MediaUrl, trust_class: str = "public", cookies: str | None = None) -> Description:
        self.looked.set()
        if self.may_tell:
            await self.may_tell.wait()
        return await super().describe(url, trust_class, cookies)


@dataclass
class AtMost(NoQuota):
    """So many jobs, and no more."""

    left: int

    async def admit(self, transaction: Transaction, jobs: Sequence[Job]) -> None:
        del transaction
        if len(jobs) > self.left:
            raise LimitReached
        self.left -= len(jobs)


class Post:
    """A house, and those who look at its jobs."""

    def __init__(self, house: House, web: WebWithLists) -> None:
        self.house, self.web, self.clock = house, web, house.clock
        rows = SqlJobPages(house.database, None)
        self.jobs = SeenJobs(rows=rows, database=house.database, downloads=house.downloads, media=house.media)

    async def account(self, name: str, **allowance: int) -> Account:
        async with self.house.database.write() as transaction:
            account = replace(await transaction.accounts.add(name, self.clock.now()), own_allowance=Allowance(**allowance))
            await transaction.accounts.save(account)
        return account

    async def session(self, owner: Account | None = None) -> DownloadSession:
        """As `POST /api/sessions/` opens it."""
        now = self.clock.now()
        session = DownloadSession(
            id=uuid4(),
            folder=uuid4(),
            owner_id=owner.id if owner else None,
            created_by=Origin.API,
            address=None if owner else "192.0.2.1",
            created_at=now,
            last_activity=now,
        )
        async with self.house.database.write() as transaction:
            await transaction.download_sessions.add(session)
        return session

    def order(self, session: DownloadSession, path: str, media_type: str = "audio", *, max_items: int | None = 50) -> Order:
        return Order(
            url=MediaUrl.parse(f"https://example.com/{path}"),
            selection=Selection.of(media_type),
            origin=Origin.API,
            account_id=session.owner_id,
            address="192.0.2.1",
            download_session_id=session.id,
            session_is_unowned=session.owner_id is None,
            max_items=max_items,
        )

    async def asks(self, session: DownloadSession, path: str, media_type: str = "audio", *, max_items: int | None = 50) -> Job:
        return (await self.house.downloads.submit(self.order(session, path, media_type, max_items=max_items)))[0]

    async def had(self, session: DownloadSession, path: str, media_type: str = "audio") -> Job:
        return (await self.house.completed(await self.asks(session, path, media_type)))[0]

    async def failed(self, session: DownloadSession, path: str) -> Job:
        self.web.failures[f"https://example.com/{path}"] = [VideoPrivate()]
        return await self.house.ended(await self.asks(session, path))

    async def at_work(self, session: DownloadSession, path: str) -> Job:
        """One whose download goes on until `gate` is opened."""
        self.web.gate = self.web.gate or asyncio.Event()
        job = await self.asks(session, path)
        return await self.house.reached(job, lambda job: bool(job.progress.downloaded))

    async def listed(self, session: DownloadSession, numbers: Sequence[int], *, max_items: int | None = 50) -> Job:
        """A list that has turned out to be one."""
        self.web.lists[LIST] = [f"https://example.com/{number}" for number in numbers]
        return await self.house.reached(await self.asks(session, "list", max_items=max_items), lambda job: job.is_list)

    async def items_of(self, job: Job) -> list[Job]:
        return await self.house.downloads.items_of(job)

    async def page(self, viewer: Viewer = SUPERUSER, wanted: JobFilter | None = None, window: Window | None = None) -> list[UUID]:
        found = await self.jobs.page(viewer, wanted or JobFilter(), window or Window())
        return [state.job.id for state in found.entries]

    async def walk(self, limit: int, viewer: Viewer = SUPERUSER) -> list[list[UUID]]:
        """The pages one after the other, each from the mark of the one before."""
        pages: list[list[UUID]] = []
        window = Window(limit=limit)
        while True:
            page = await self.jobs.page(viewer, JobFilter(), window)
            pages.append([state.job.id for state in page.entries])
            if page.next is None:
                return pages
            window = Window(limit=limit, after=page.next)


def user(account: Account) -> Viewer:
    return Viewer(actor=Actor(account_id=account.id, is_superuser=False))


def showing(session_id: UUID | None) -> Viewer:
    """Somebody unknown, who shows the id of a session."""
    return Viewer(actor=NOBODY, shown=session_id)


@pytest.fixture
async def post(database_url: str, tmp_path: Path) -> AsyncIterator[Post]:
    await upgrade(database_url)
    web = WebWithLists(pages={f"https://example.com/{n}": f"body {n}".encode() for n in range(40)})
    async with living(House(database_url, tmp_path, web=web)) as house:
        yield Post(house, web)


# --- pages ------------------------------------------------------------------------------------------------------------


async def some_jobs(post: Post, number: int, *, apart: timedelta = timedelta(seconds=1)) -> list[UUID]:
    """Their ids, newest first; of those of one moment, the greatest first."""
    session = await post.session(await post.account("ann"))
    jobs = []
    for path in range(number):
        jobs.append(await post.had(session, str(path)))
        post.clock.move(apart)
    return [job.id for job in sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)]


async def test_jobs_come_newest_first_by_skip_and_limit(post: Post) -> None:
    ids = await some_jobs(post, 5)
    assert await post.page() == ids
    assert await post.page(window=Window(skip=1, limit=2)) == ids[1:3]
    assert await post.page(window=Window(skip=4, limit=2)) == ids[4:]
    assert await post.page(window=Window(skip=9)) == []


@pytest.mark.parametrize("apart", [timedelta(seconds=1), timedelta(0)], ids=["one by one", "all in one moment"])
async def test_from_mark_to_mark_each_job_comes_once(post: Post, apart: timedelta) -> None:
    ids = await some_jobs(post, 5, apart=apart)
    assert await post.walk(2) == [ids[:2], ids[2:4], ids[4:]]
    assert await post.walk(5) == [ids], "a full last page has no mark"


async def test_what_is_new_meanwhile_moves_no_page_that_is_reached_by_a_mark(post: Post) -> None:
    ids = await some_jobs(post, 4)
    first = await post.jobs.page(SUPERUSER, JobFilter(), Window(limit=2))
    await post.had(await post.session(), "30")
    assert await post.page(window=Window(limit=2, after=first.next)) == ids[2:]


async def test_what_is_counted_is_what_the_pages_hold_together(post: Post) -> None:
    ids = await some_jobs(post, 3)
    for window in (Window(), Window(limit=1), Window(limit=1, skip=2)):
        assert (await post.jobs.page(SUPERUSER, JobFilter(), window)).count == len(ids)
    assert (await post.jobs.page(SUPERUSER, JobFilter(status=JobStatus.FAILED), Window())).count == 0


async def test_more_than_a_bound_are_counted_only_when_somebody_asks_for_it(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    await some_jobs(post, 4)
    monkeypatch.setattr("storage.paging.EXACT_UP_TO", 3)
    assert (await post.jobs.page(SUPERUSER, JobFilter(), Window(limit=1))).count is None
    assert (await post.jobs.page(SUPERUSER, JobFilter(), Window(limit=1, count_all=True))).count == 4
    monkeypatch.setattr("storage.paging.EXACT_UP_TO", 4)
    assert (await post.jobs.page(SUPERUSER, JobFilter(), Window(limit=1))).count == 4


async def test_jobs_are_found_by_their_status(post: Post) -> None:
    session = await post.session()
    completed, failed, live = await post.had(session, "1"), await post.failed(session, "2"), await post.at_work(session, "3")
    found = {status: await post.page(wanted=JobFilter(status=status)) for status in JobStatus}
    assert found == {
        JobStatus.PENDING: [],
        JobStatus.PROCESSING: [live.id],
        JobStatus.COMPLETED: [completed.id],
        JobStatus.FAILED: [failed.id],
        JobStatus.CANCELLED: [],
    }


async def test_jobs_are_found_by_their_media_type(post: Post) -> None:
    session = await post.session()
    audio, video = await post.had(session, "1"), await post.had(session, "2", "video")
    found = [await post.page(wanted=JobFilter(media_type=media_type)) for media_type in ("audio", "video", "transcript")]
    assert found == [[audio.id], [video.id], []]


async def test_jobs_are_found_by_their_session_whether_it_is_named_by_id_or_by_folder(post: Post) -> None:
    session, other = await post.session(), await post.session()
    job = await post.had(session, "1")
    await post.had(other, "2")
    for known in (session.id, session.folder):
        assert await post.page(wanted=JobFilter(session=known)) == [job.id]
    assert await post.page(wanted=JobFilter(session=uuid4())) == []
    assert await post.page(wanted=JobFilter(session=session.id, also_session=other.folder)) == []
    assert await post.page(wanted=JobFilter(session=session.id, also_session=session.folder)) == [job.id]


async def test_the_items_of_a_list_are_found_by_their_parent(post: Post) -> None:
    session = await post.session()
    parent = await post.listed(session, [1, 2])
    await post.had(session, "3")
    await post.house.completed(parent)
    assert set(await post.page(wanted=JobFilter(parent_id=parent.id))) == {item.id for item in await post.items_of(parent)}


async def test_a_page_shows_the_files_of_each_job_and_its_session(post: Post) -> None:
    session = await post.session()
    jobs = [await post.had(session, str(number)) for number in (1, 2)]
    page = await post.jobs.page(SUPERUSER, JobFilter(), Window())
    assert {state.job.id: [file.name for file in state.files] for state in page.entries} == {
        jobs[0].id: ["Title 1.mp3"],
        jobs[1].id: ["Title 2.mp3"],
    }
    assert [state.session for state in page.entries] == [session] * 2
    assert list(page.entries) == [await post.jobs.get(SUPERUSER, state.job.id) for state in page.entries]


async def test_a_job_that_waits_in_the_queue_tells_how_many_wait_before_it(post: Post) -> None:
    session = await post.session()
    for number in range(post.house.width):
        await post.at_work(session, str(number))
    waiting = []
    for number in range(3):
        post.clock.move(timedelta(seconds=1))
        waiting.append(await post.asks(session, str(20 + number)))
    assert [(await post.jobs.get(SUPERUSER, job.id)).ahead for job in waiting] == [0, 1, 2]
    page = await post.jobs.page(SUPERUSER, JobFilter(), Window())
    assert [state.ahead for state in page.entries if state.job.status is JobStatus.PROCESSING] == [None] * post.house.width


async def test_the_usual_time_is_the_mean_of_the_downloads_that_ended_well(post: Post) -> None:
    session = await post.session(await post.account("ann"))
    assert await post.jobs.usual_time() is None
    for number, seconds in enumerate((10, 20)):
        post.web.gate = None
        job = await post.at_work(session, str(number))
        post.clock.move(timedelta(seconds=seconds))
        assert post.web.gate is not None
        post.web.gate.set()
        await post.house.completed(job)
    await post.had(session, "1")  # from the store
    await post.failed(session, "3")
    assert await post.jobs.usual_time() == timedelta(seconds=15)


async def test_a_list_is_no_download_that_tells_how_long_one_takes(post: Post) -> None:
    session = await post.session()
    post.web.lists[LIST] = ["https://example.com/1"]
    post.web.may_tell, post.web.gate = asyncio.Event(), asyncio.Event()
    parent = await post.asks(session, "list")
    await post.web.looked.wait()
    post.clock.move(timedelta(seconds=30))
    post.web.may_tell.set()
    await post.web.reached.wait()
    post.clock.move(timedelta(seconds=10))
    post.web.gate.set()
    await post.house.completed(parent)
    assert await post.jobs.usual_time() == timedelta(seconds=10)


# --- who sees what ----------------------------------------------------------------------------------------------------


@dataclass
class Crowd:
    """A job in somebody unknown's session, one in another's, and one of each of two users."""

    session: DownloadSession
    shown: Job
    others: Job
    ann: Account
    anns: Job
    bens: Job


async def a_crowd(post: Post) -> Crowd:
    session, other = await post.session(), await post.session()
    ann, ben = await post.account("ann"), await post.account("ben")
    return Crowd(
        session=session,
        shown=await post.had(session, "1"),
        others=await post.had(other, "2"),
        ann=ann,
        anns=await post.had(await post.session(ann), "3"),
        bens=await post.had(await post.session(ben), "4"),
    )


async def test_everybody_sees_their_own_jobs_and_a_superuser_all(post: Post) -> None:
    crowd = await a_crowd(post)
    unknown, ann = showing(crowd.session.id), user(crowd.ann)
    assert await post.page(unknown) == [crowd.shown.id]
    assert await post.page(ann) == [crowd.anns.id]
    assert set(await post.page(replace(ann, shown=crowd.session.id))) == {crowd.shown.id, crowd.anns.id}
    assert set(await post.page(SUPERUSER)) == {crowd.shown.id, crowd.others.id, crowd.anns.id, crowd.bens.id}
    for nobody in (showing(None), showing(uuid4()), showing(crowd.session.folder)):
        assert await post.page(nobody) == []


async def test_no_filter_shows_what_one_may_not_see(post: Post) -> None:
    crowd = await a_crowd(post)
    for wanted in (JobFilter(session=crowd.others.download_session_id), JobFilter(session=crowd.bens.download_session_id)):
        for viewer in (showing(crowd.session.id), user(crowd.ann)):
            page = await post.jobs.page(viewer, wanted, Window(count_all=True))
            assert (page.entries, page.count) == ([], 0)


async def test_what_one_sees_in_the_list_is_what_one_may_look_at(post: Post) -> None:
    crowd = await a_crowd(post)
    jobs = (crowd.shown, crowd.others, crowd.anns, crowd.bens)
    viewers = (showing(None), showing(crowd.session.id), showing(crowd.session.folder), user(crowd.ann), SUPERUSER)
    for viewer in viewers:
        may_look = []
        for job in jobs:
            try:
                may_look.append((await post.jobs.get(viewer, job.id)).job.id)
            except JobNotFound:
                continue
        assert set(may_look) == set(await post.page(viewer))


async def test_to_others_a_job_does_not_exist_whatever_they_try(post: Post) -> None:
    session, ann = await post.session(), await post.account("ann")
    done, failed, live = await post.had(session, "1"), await post.failed(session, "2"), await post.at_work(session, "3")
    acts: list[tuple[Callable[[Viewer, UUID], Awaitable[object]], Job]] = [
        (post.jobs.get, done),
        (post.jobs.cancel, live),
        (post.jobs.retry, failed),
        (post.jobs.delete, done),
        (post.jobs.delete, live),
    ]
    for viewer in (showing(None), showing((await post.session()).id), showing(session.folder), user(ann)):
        for act, job in acts:
            with pytest.raises(JobNotFound):
                await act(viewer, job.id)
    assert [(await post.house.downloads.get(job.id)).status for job in (done, failed, live)] == [done.status, failed.status, live.status]
    assert len(post.house.stored()) == 1


async def test_the_jobs_of_a_claimed_session_are_its_owners_alone(post: Post) -> None:
    session, ann = await post.session(), await post.account("ann")
    job = await post.had(session, "1")
    claims = DownloadSessions(database=post.house.database, quota=NoQuota(), events=post.house.events, clock=post.clock)
    await claims.claim(user(ann).actor, ann, session.id, shown=session.id)
    assert await post.page(showing(session.id)) == []
    for act in (post.jobs.get, post.jobs.delete):
        with pytest.raises(JobNotFound):
            await act(showing(session.id), job.id)
    assert await post.page(user(ann)) == [job.id]


async def test_the_job_of_a_session_that_nobody_opened_is_not_shown_to_who_knows_the_folder(post: Post) -> None:
    """Where a single download made the session, its id stands in every link."""
    job = await post.house.submit("1", address="192.0.2.1")
    await post.house.completed(job)
    with pytest.raises(JobNotFound):
        await post.jobs.get(showing(job.download_session_id), job.id)


# --- changing ---------------------------------------------------------------------------------------------------------


async def test_a_job_that_has_ended_is_not_cancelled_and_one_that_did_not_fail_is_not_retried(post: Post) -> None:
    session = await post.session()
    viewer = showing(session.id)
    done, failed, live = await post.had(session, "1"), await post.failed(session, "2"), await post.at_work(session, "3")
    for job in (done, failed):
        with pytest.raises(JobNotLive):
            await post.jobs.cancel(viewer, job.id)
    for job in (done, live):
        with pytest.raises(JobNotRetryable):
            await post.jobs.retry(viewer, job.id)


async def test_a_cancelled_job_may_be_retried(post: Post) -> None:
    session = await post.session()
    viewer = showing(session.id)
    live = await post.at_work(session, "1")
    assert (await post.jobs.cancel(viewer, live.id)).job.status is JobStatus.CANCELLED
    assert post.web.gate is not None
    post.web.gate.set()
    again = await post.jobs.retry(viewer, live.id)
    assert (again.job.id, again.job.status.is_live, again.job.attempt) == (live.id, True, 2)
    await post.house.completed(live)


# --- deleting ---------------------------------------------------------------------------------------------------------


async def test_a_deleted_job_is_gone_with_its_files(post: Post) -> None:
    session = await post.session()
    job, other = await post.had(session, "1"), await post.had(session, "2")
    was = await post.jobs.delete(showing(session.id), job.id)
    assert (was.job.id, [file.name for file in was.files]) == (job.id, ["Title 1.mp3"])
    assert (await post.page(), [path.name for path in post.house.stored()]) == ([other.id], ["Title 2.mp3"])
    with pytest.raises(JobNotFound):
        await post.jobs.delete(showing(session.id), job.id)


async def test_what_was_deleted_is_fetched_anew(post: Post) -> None:
    session = await post.session()
    job = await post.had(session, "1")
    await post.jobs.delete(showing(session.id), job.id)
    await post.had(session, "1")
    assert post.web.fetched == ["https://example.com/1"] * 2


async def test_a_live_job_is_ended_before_it_is_deleted(post: Post) -> None:
    session = await post.session()
    job = await post.at_work(session, "1")
    was = await post.jobs.delete(showing(session.id), job.id)
    assert was.job.status is JobStatus.PROCESSING
    assert (post.web.cancelled, await post.page(), post.house.leftovers()) == (1, [], [])


async def test_a_queued_job_that_is_deleted_never_runs(post: Post) -> None:
    session = await post.session()
    for number in range(post.house.width):
        await post.at_work(session, str(number))
    queued = await post.asks(session, "9")
    await post.jobs.delete(showing(session.id), queued.id)
    assert post.web.gate is not None
    post.web.gate.set()
    await post.had(session, "8")
    assert "https://example.com/9" not in post.web.fetched


async def test_a_list_is_deleted_with_its_items_whether_they_have_ended_or_not(post: Post) -> None:
    session = await post.session()
    await post.had(session, "20")
    stays = post.house.stored()
    post.web.gate = asyncio.Event()
    parent = await post.listed(session, [1, 2])
    ended, _ = await post.items_of(parent)
    await post.house.downloads.cancel(ended.id)
    await post.jobs.delete(showing(session.id), parent.id)
    assert len(await post.page()) == 1
    assert (post.house.stored(), post.house.leftovers()) == (stays, [])


async def test_the_files_of_a_list_go_with_it(post: Post) -> None:
    session = await post.session()
    parent = await post.listed(session, [1, 2, 3])
    await post.house.completed(parent)
    assert len(post.house.stored()) == 3
    await post.jobs.delete(showing(session.id), parent.id)
    assert (await post.page(), post.house.stored()) == ([], [])


async def test_of_a_list_one_item_may_be_deleted(post: Post) -> None:
    session = await post.session()
    parent = await post.listed(session, [1, 2])
    await post.house.completed(parent)
    first, second = await post.items_of(parent)
    await post.jobs.delete(showing(session.id), first.id)
    assert set(await post.page()) == {parent.id, second.id}
    assert [path.name for path in post.house.stored()] == ["Title 2.mp3"]


async def test_a_list_of_which_a_live_item_is_deleted_still_ends(post: Post) -> None:
    session = await post.session()
    post.web.gate = asyncio.Event()
    parent = await post.listed(session, [1, 2])
    first, _ = await post.items_of(parent)
    await post.jobs.delete(showing(session.id), first.id)
    post.web.gate.set()
    await post.house.completed(parent)


@pytest.mark.parametrize("which", ["first", "second"])
async def test_what_another_job_shows_is_kept_for_it(post: Post, which: str) -> None:
    session, other = await post.session(), await post.session()
    jobs = []
    for one in (session, other):
        jobs.append(await post.had(one, "1"))
        post.clock.move(timedelta(minutes=1))
    gone, kept = jobs if which == "first" else reversed(jobs)
    await post.jobs.delete(SUPERUSER, gone.id)
    (file,) = (await post.jobs.get(SUPERUSER, kept.id)).files
    assert post.house.stored() == [post.house.root / "media" / file.path]
    assert post.house.stored()[0].read_bytes() == b"body 1"
    await post.had(session, "1")
    assert post.web.fetched == ["https://example.com/1"], "it is in the store still"


async def test_what_two_items_of_a_deleted_list_share_with_another_job_is_kept_for_that_one(post: Post) -> None:
    session, other = await post.session(), await post.session()
    parent = await post.listed(session, [1, 2])
    await post.house.completed(parent)
    post.clock.move(timedelta(minutes=1))
    kept = await post.had(other, "2")
    await post.jobs.delete(showing(session.id), parent.id)
    (file,) = (await post.jobs.get(SUPERUSER, kept.id)).files
    assert [path.read_bytes() for path in post.house.stored()] == [b"body 2"]
    assert (post.house.root / "media" / file.path).exists()


async def test_what_is_deleted_just_when_another_job_finds_it_in_the_store_is_fetched_anew(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, other = await post.session(), await post.session()
    gone, show = await post.had(session, "1"), post.house.media.show

    async def shown_and_deleted(location: str, path: str) -> None:
        await show(location, path)
        monkeypatch.undo()
        await post.jobs.delete(SUPERUSER, gone.id)

    monkeypatch.setattr(post.house.media, "show", shown_and_deleted)
    kept = await post.had(other, "1")
    (file,) = (await post.jobs.get(SUPERUSER, kept.id)).files
    assert post.house.stored() == [post.house.root / "media" / file.path]
    assert post.web.fetched == ["https://example.com/1"] * 2


async def test_what_another_job_begins_to_show_while_it_is_deleted_is_kept(post: Post) -> None:
    session, other = await post.session(), await post.session()
    gone, busy = await post.had(session, "1"), await post.at_work(other, "2")
    (file,) = (await post.jobs.get(SUPERUSER, gone.id)).files
    path = file.path.replace(str(gone.id), str(busy.id))
    await post.house.media.show(file.path, path)
    async with post.house.database.write() as transaction:
        await transaction.media_files.attach([replace(file, job_id=busy.id, path=path)])
        deletion = asyncio.create_task(post.jobs.delete(SUPERUSER, gone.id))
        await asyncio.sleep(0.3)  # it is at the rows by now
    await deletion
    async with post.house.database.read() as transaction:
        (kept,) = await transaction.media_files.of_job(busy.id)
    assert (post.house.root / "media" / kept.media.location).read_bytes() == b"body 1"


async def test_a_deletion_that_was_cut_short_leaves_only_files_and_the_sweeper_finds_them(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await post.session()
    job = await post.had(session, "1")

    async def die(_: str) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(post.house.media, "delete", die)
        with pytest.raises(OSError, match="power cut"):
            await post.jobs.delete(SUPERUSER, job.id)
    assert (await post.page(), len(post.house.stored())) == ([], 1)
    await sweep(post.house)
    assert post.house.stored() == []


async def sweep(house: House) -> None:
    """As of a time at which whatever is on the disk is old."""
    house.clock.move(timedelta(days=36500))
    sweeper = Sweeper(
        rows=SqlSweeping(house.database, None), files=house.media, engine=None,
        database=house.database, downloads=house.downloads, media=house.media, clock=house.clock,
    )  # fmt: skip
    await sweeper.sweep()


async def test_a_deleted_jobs_place_in_its_session_is_free_again(post: Post) -> None:
    session = await post.session()
    jobs = [await post.had(session, str(number)) for number in range(10)]
    with pytest.raises(SessionJobsReached):
        await post.asks(session, "20")
    await post.jobs.delete(showing(session.id), jobs[0].id)
    await post.had(session, "20")


# --- several at once --------------------------------------------------------------------------------------------------


async def test_a_batch_is_a_job_for_each_address_in_their_order(post: Post) -> None:
    session = await post.session()
    accepted = await post.house.downloads.submit_all([post.order(session, path) for path in ("3", "1", "2")])
    assert [(job.url.text[-1], is_new) for job, is_new in accepted] == [("3", True), ("1", True), ("2", True)]
    await post.house.completed(*(job for job, _ in accepted))


async def test_an_address_that_occurs_twice_in_a_batch_is_one_job(post: Post) -> None:
    session = await post.session()
    accepted = await post.house.downloads.submit_all([post.order(session, path) for path in ("1", "2", "1")])
    assert [job.id for job, _ in accepted] == [accepted[0][0].id, accepted[1][0].id, accepted[0][0].id]
    assert len(await post.page()) == 2


async def test_an_address_that_occurs_twice_in_a_batch_is_charged_once(database_url: str, tmp_path: Path) -> None:
    await upgrade(database_url)
    web = WebWithLists(pages={f"https://example.com/{n}": b"x" for n in range(9)})
    async with living(House(database_url, tmp_path, web=web, quota=AtMost(left=2))) as house:
        post = Post(house, web)
        session = await post.session()
        accepted = await house.downloads.submit_all([post.order(session, path) for path in ("1", "2", "1")])
        await house.completed(*(job for job, _ in accepted))


async def test_what_is_in_the_store_comes_back_completed_within_a_batch(post: Post) -> None:
    await post.had(await post.session(), "1")
    session = await post.session()
    accepted = await post.house.downloads.submit_all([post.order(session, path) for path in ("1", "2")])
    assert accepted[0][0].status is JobStatus.COMPLETED
    await post.house.completed(accepted[1][0])


async def test_what_is_in_the_store_and_occurs_twice_in_a_batch_is_completed_both_times(post: Post) -> None:
    await post.had(await post.session(), "1")
    session = await post.session()
    accepted = await post.house.downloads.submit_all([post.order(session, path) for path in ("1", "1")])
    assert [job.status for job, _ in accepted] == [JobStatus.COMPLETED] * 2


@pytest.mark.parametrize("number", [1, 3])
async def test_of_a_batch_that_the_quota_refuses_nothing_is_accepted(database_url: str, tmp_path: Path, number: int) -> None:
    await upgrade(database_url)
    web = WebWithLists(pages={f"https://example.com/{n}": b"x" for n in range(9)})
    async with living(House(database_url, tmp_path, web=web, quota=AtMost(left=number - 1))) as house:
        post = Post(house, web)
        session = await post.session()
        with pytest.raises(LimitReached):
            await house.downloads.submit_all([post.order(session, str(path)) for path in range(number)])
        assert (await post.page(), web.fetched) == ([], [])


async def test_a_batch_with_an_address_that_may_not_be_reached_is_refused_before_anything_is_written(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(url: MediaUrl) -> None:
        if url.host == "inside.example":
            raise AddressNotAllowed

    monkeypatch.setattr(post.web, "check_address", check)
    session = await post.session()
    bad = replace(post.order(session, "2"), url=MediaUrl.parse("https://inside.example/2"))
    with pytest.raises(AddressNotAllowed):
        await post.house.downloads.submit_all([post.order(session, "1"), bad])
    assert await post.page() == []


async def test_what_the_caller_writes_with_a_batch_undoes_it_when_it_fails(post: Post) -> None:
    session = await post.session()

    async def refuse(*_: object) -> None:
        raise LimitReached

    with pytest.raises(LimitReached):
        await post.house.downloads.submit_all([post.order(session, path) for path in ("1", "2")], also=refuse)
    await post.had(session, "3")
    assert (len(await post.page()), post.web.fetched) == (1, ["https://example.com/3"])


def promise(body: str = "a") -> Promise:
    return Promise(caller="c", key="k", body_hash=body)


async def test_the_same_key_gives_the_same_batch_in_its_order(post: Post) -> None:
    session = await post.session()
    orders = [post.order(session, path) for path in ("3", "1", "2")]
    first = await post.house.downloads.submit_all(orders, promise())
    await post.house.completed(*(job for job, _ in first))
    again = await post.house.downloads.submit_all(orders, promise())
    assert [job.id for job, _ in again] == [job.id for job, _ in first]
    assert [is_new for _, is_new in again] == [False] * 3
    assert len(await post.page()) == 3


async def test_the_same_key_for_another_batch_is_refused(post: Post) -> None:
    session = await post.session()
    await post.house.downloads.submit_all([post.order(session, path) for path in ("1", "2")], promise())
    with pytest.raises(IdempotencyConflict):
        await post.house.downloads.submit_all([post.order(session, path) for path in ("1", "3")], promise("b"))
    assert len(await post.page()) == 2


async def test_the_same_batch_with_the_same_key_at_once_is_one(post: Post) -> None:
    orders = [post.house.order(path, address="192.0.2.1") for path in ("1", "2", "3")]  # each in a session of its own: there are no twins
    ends = await asyncio.gather(*(post.house.downloads.submit_all(orders, promise()) for _ in range(4)))
    assert {tuple(job.id for job, _ in end) for end in ends} == {tuple(job.id for job, _ in ends[0])}
    assert len(await post.page()) == 3


async def test_a_batch_of_a_full_session_is_known_by_its_key(post: Post) -> None:
    session = await post.session()
    orders = [post.order(session, str(path)) for path in range(10)]
    first = await post.house.downloads.submit_all(orders, promise())
    again = await post.house.downloads.submit_all(orders, promise())
    assert [job.id for job, _ in again] == [job.id for job, _ in first]


async def test_a_key_of_a_refused_batch_is_not_used_up(post: Post) -> None:
    session = await post.session()
    with pytest.raises(SessionJobsReached):
        await post.house.downloads.submit_all([post.order(session, str(path)) for path in range(11)], promise())
    assert len(await post.house.downloads.submit_all([post.order(session, "1")], promise("b"))) == 1


@pytest.mark.parametrize("which", [0, 1])
async def test_a_key_whose_batch_lost_a_job_gives_no_error(post: Post, which: int) -> None:
    session = await post.session()
    post.web.gate = asyncio.Event()
    orders = [post.order(session, path) for path in ("1", "2")]
    accepted = [job for job, _ in await post.house.downloads.submit_all(orders, promise())]
    await post.jobs.delete(showing(session.id), accepted[which].id)
    again = await post.house.downloads.submit_all(orders, promise())
    assert accepted[1 - which].id in {job.id for job, _ in again}
    assert {job.id for job, _ in again} == set(await post.page())


# --- lists that turn up -----------------------------------------------------------------------------------------------


async def test_an_address_that_is_a_list_becomes_its_parent(post: Post) -> None:
    session = await post.session()
    parent = await post.listed(session, [3, 1, 2])
    (ended,) = await post.house.completed(parent)
    items = await post.items_of(parent)
    assert [item.url.text[-1] for item in items] == ["3", "1", "2"]
    assert {(item.status, item.parent_id, item.download_session_id) for item in items} == {(JobStatus.COMPLETED, parent.id, session.id)}
    assert (ended.title, ended.progress.downloaded, ended.progress.total) == ("List list", 3, 3)


async def test_a_list_takes_as_many_items_as_were_asked_for(post: Post) -> None:
    parent = await post.listed(await post.session(), range(9), max_items=2)
    await post.house.completed(parent)
    assert [item.url.text[-1] for item in await post.items_of(parent)] == ["0", "1"]


async def test_an_item_that_occurs_twice_is_one(post: Post) -> None:
    post.web.gate = asyncio.Event()
    parent = await post.listed(await post.session(), [1, 2, 1])
    assert (len(await post.items_of(parent)), parent.progress.total) == (2, 2)


async def test_where_lists_are_refused_one_fails_and_says_so(post: Post) -> None:
    session = await post.session()
    post.web.lists[LIST] = ["https://example.com/1"]
    ended = await post.house.ended(await post.asks(session, "list", max_items=None))
    assert (ended.status, ended.error_code, await post.items_of(ended)) == (JobStatus.FAILED, "is_playlist", [])


async def test_a_list_without_items_fails(post: Post) -> None:
    post.web.lists[LIST] = []
    ended = await post.house.ended(await post.asks(await post.session(), "list"))
    assert (ended.status, await post.items_of(ended)) == (JobStatus.FAILED, [])


async def test_a_list_for_which_its_session_has_no_place_fails_and_says_so(post: Post) -> None:
    session = await post.session()
    post.web.lists[LIST] = ["https://example.com/1"]
    post.web.may_tell = asyncio.Event()
    job = await post.asks(session, "list")
    await post.web.looked.wait()
    for number in range(20, 29):
        await post.had(session, str(number))
    post.web.may_tell.set()
    ended = await post.house.ended(job)
    assert (ended.status, ended.error_code, await post.items_of(ended)) == (JobStatus.FAILED, "no_room_for_list", [])
    assert len(await post.page()) == 10


@pytest.fixture
async def counted(database_url: str, tmp_path: Path) -> AsyncIterator[Post]:
    """A house that counts what accounts have."""
    await upgrade(database_url)
    web = WebWithLists(pages={f"https://example.com/{n}": f"body {n}".encode() for n in range(40)})
    house = House(database_url, tmp_path, web=web)
    house.quota = Quotas(house.clock)
    async with living(house):
        yield Post(house, web)


async def test_of_a_list_its_items_are_counted_and_not_itself(counted: Post) -> None:
    ann = await counted.account("ann", jobs_a_day=3)
    session = await counted.session(ann)
    await counted.house.completed(await counted.listed(session, [1, 2, 3]))
    with pytest.raises(LimitReached):
        await counted.asks(session, "20")


async def test_a_list_that_its_payers_limit_does_not_allow_fails_as_a_whole_and_is_charged_as_one(counted: Post) -> None:
    ann = await counted.account("ann", jobs_a_day=3)
    session = await counted.session(ann)
    counted.web.lists[LIST] = [f"https://example.com/{number}" for number in range(4)]
    ended = await counted.house.ended(await counted.asks(session, "list"))
    assert (ended.status, ended.error_code, await counted.items_of(ended)) == (JobStatus.FAILED, "no_room_for_list", [])
    for number in (20, 21):
        await counted.had(session, str(number))
    with pytest.raises(LimitReached):
        await counted.asks(session, "22")


async def test_a_list_that_is_cancelled_while_it_is_looked_at_has_no_items(post: Post) -> None:
    session = await post.session()
    post.web.lists[LIST] = ["https://example.com/1"]
    post.web.may_tell = asyncio.Event()
    job = await post.asks(session, "list")
    await post.web.looked.wait()
    await post.jobs.cancel(showing(session.id), job.id)
    post.web.may_tell.set()
    ended = await post.house.ended(job)
    assert (ended.status, await post.page(), post.web.fetched) == (JobStatus.CANCELLED, [job.id], [])


async def test_a_list_that_was_cancelled_elsewhere_while_it_was_looked_at_has_no_items(post: Post) -> None:
    """By another process, which cannot end the work of this one: the expansion itself looks."""
    session = await post.session()
    post.web.lists[LIST] = ["https://example.com/1"]
    post.web.may_tell = asyncio.Event()
    job = await post.asks(session, "list")
    await post.web.looked.wait()
    async with post.house.database.write() as transaction:
        present = await transaction.jobs.locked(job.id)
        assert present is not None
        await transaction.jobs.save(present.cancelled(post.clock.now()), if_seq=present.seq)
    post.web.may_tell.set()
    await post.had(session, "20")
    ended = await post.house.ended(job)
    assert (ended.status, await post.items_of(ended)) == (JobStatus.CANCELLED, [])


async def test_a_service_that_stops_before_a_list_is_written_writes_it_after_the_next_start(post: Post) -> None:
    session = await post.session()
    post.web.lists[LIST] = [f"https://example.com/{number}" for number in range(3)]
    post.web.may_tell = asyncio.Event()
    job = await post.asks(session, "list")
    await post.web.looked.wait()
    await post.house.stop()
    post.web.may_tell.set()
    await post.house.start()
    await post.house.completed(job)
    assert len(await post.items_of(job)) == 3


async def test_a_service_that_stops_after_a_list_was_written_writes_it_once(post: Post) -> None:
    post.web.gate = asyncio.Event()
    parent = await post.listed(await post.session(), range(6))
    await post.house.stop()
    post.web.gate.set()
    await post.house.start()
    (ended,) = await post.house.completed(parent)
    assert (len(await post.items_of(parent)), ended.progress.downloaded) == (6, 6)


@pytest.mark.parametrize("when", ["its items wait", "some items have ended"])
async def test_a_run_that_comes_again_after_the_list_was_written_changes_nothing(post: Post, when: str) -> None:
    """The service died before the engine wrote down that the run had ended."""
    if when == "some items have ended":
        await post.had(await post.session(), "0")
    post.web.gate = asyncio.Event()
    parent = await post.listed(await post.session(), range(3))
    parent = await post.house.reached(parent, lambda job: job.progress.downloaded == (1 if when == "some items have ended" else 0))
    before = await post.items_of(parent)
    await post.house.downloads.run(parent.id)
    assert await post.house.downloads.get(parent.id) == parent
    assert [item.id for item in await post.items_of(parent)] == [item.id for item in before]
    post.web.gate.set()
    (ended,) = await post.house.completed(parent)
    assert (ended.progress.downloaded, ended.progress.total) == (3, 3)


async def test_a_list_whose_address_is_under_way_again_is_not_retried(post: Post) -> None:
    session = await post.session()
    post.web.failures["https://example.com/1"] = [VideoPrivate()]
    parent = await post.listed(session, [1, 2])
    await post.house.completed(parent)
    post.web.gate = asyncio.Event()
    again = await post.listed(session, [1, 2])
    assert again.id != parent.id
    with pytest.raises(Conflict):
        await post.jobs.retry(showing(session.id), parent.id)


async def test_the_same_list_while_it_is_under_way_is_one(post: Post) -> None:
    session = await post.session()
    post.web.gate = asyncio.Event()
    parent = await post.listed(session, [1, 2])
    again, is_new = await post.house.downloads.submit(post.order(session, "list"))
    assert (again.id, is_new) == (parent.id, False)


async def test_of_a_list_that_turned_up_what_is_missing_is_retried(post: Post) -> None:
    session = await post.session()
    post.web.failures["https://example.com/1"] = [VideoPrivate()]
    parent = await post.listed(session, [1, 2])
    await post.house.completed(parent)
    post.web.fetched.clear()
    await post.jobs.retry(showing(session.id), parent.id)
    await post.house.completed(parent)
    assert post.web.fetched == ["https://example.com/1"]
