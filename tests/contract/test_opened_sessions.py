"""Download sessions that people open: their limits, their life, who sees them, and their end; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.audit import NOBODY, Actor
from service.download_sessions import DownloadSessions
from service.downloads import Order
from service.errors import (
    Clash,
    DownloadSessionNotFound,
    SessionJobsReached,
    SessionsFull,
    TooManyItems,
    TooManySessions,
    VideoPrivate,
)
from service.fetching import Fetched, FetchRequest, FetchWatcher
from service.limits import NoQuota
from service.model import Account, DownloadSession, Job
from service.opened_sessions import IDLE, LIFE, MOST_AN_ADDRESS, MOST_OPEN, OpenedSessions, Overview, Tally, Viewer
from service.paging import Window
from service.sweeping import Sweeper
from storage.download_sessions import SqlDownloadSessions
from storage.jobs import SqlJobs
from storage.migrate import upgrade
from storage.opened_sessions import SqlOpenedSessions
from storage.sweeping import SqlSweeping
from tests.support.fakes import FakeWeb
from tests.support.house import House, RealIds, living

SUPERUSER = Viewer(actor=Actor(account_id=0, is_superuser=True))
HERE, THERE = "192.0.2.1", "192.0.2.2"
A_MOMENT = timedelta(seconds=1)
MOST_JOBS = 10
"""In an unowned session, as the contract has it."""


class WebWithLists(FakeWeb):
    """What is a list is told to be one, however often somebody tries to fetch it."""

    async def fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        if request.url.text in self.lists:
            raise TooManyItems
        return await super().fetch(request, watcher)


class Yard:
    """A house, and the sessions that people open in it."""

    def __init__(self, house: House) -> None:
        self.house, self.clock = house, house.clock
        self.sessions = self.as_after_a_restart()
        self.claims = DownloadSessions(database=house.database, quota=NoQuota(), events=house.events, clock=house.clock)

    def as_after_a_restart(self) -> OpenedSessions:
        """What knows only what was written down."""
        house = self.house
        rows = SqlOpenedSessions(house.database)
        return OpenedSessions(
            rows=rows, database=house.database, downloads=house.downloads, media=house.media, clock=house.clock, ids=RealIds()
        )

    async def account(self, name: str) -> Account:
        async with self.house.database.write() as transaction:
            return await transaction.accounts.add(name, self.clock.now())

    async def opens(self, address: str | None = HERE, owner: Account | None = None) -> DownloadSession:
        return (await self.sessions.open(owner_id=owner.id if owner else None, address=None if owner else address)).session

    async def fill(self, number: int = MOST_OPEN) -> list[DownloadSession]:
        """So many, as few of one address as can be, a second apart: the first is the oldest."""
        opened = []
        for place in range(number):
            opened.append(await self.opens(f"198.51.100.{place % 50}"))
            self.clock.move(A_MOMENT)
        return opened

    def order(self, session: DownloadSession, path: str, *, address: str = HERE, max_items: int | None = None) -> Order:
        """As the HTTP edge makes it."""
        return self.house.order(
            path,
            account_id=session.owner_id,
            address=address,
            download_session_id=session.id,
            session_is_unowned=session.owner_id is None,
            max_items=max_items,
        )

    async def asks(self, session: DownloadSession, path: str) -> Job:
        return (await self.house.downloads.submit(self.order(session, path)))[0]

    async def had(self, session: DownloadSession, path: str) -> Job:
        return (await self.house.completed(await self.asks(session, path)))[0]

    async def failed(self, session: DownloadSession, path: str) -> Job:
        self.house.web.failures[f"https://example.com/{path}"] = [VideoPrivate()]
        return await self.house.ended(await self.asks(session, path))

    async def claimed(self, session: DownloadSession, account: Account) -> None:
        await self.claims.claim(_actor(account), account, session.id, shown=session.id)

    async def now(self, session: DownloadSession) -> DownloadSession | None:
        async with self.house.database.read() as transaction:
            return await transaction.download_sessions.get(session.id)

    async def jobs_in(self, session: DownloadSession) -> list[Job]:
        async with self.house.database.read() as transaction:
            return await transaction.jobs.in_session(session.id)

    async def are_open(self, *sessions: DownloadSession) -> list[bool]:
        """Without a look that would count as a use."""
        found = [await self.now(session) for session in sessions]
        return [session is not None and self.sessions.is_open(session) for session in found]

    async def seen_by(self, viewer: Viewer, *, is_open: bool | None = None) -> set[UUID]:
        page = await self.sessions.page(viewer, is_open=is_open, window=Window())
        return {one.session.id for one in page.entries}


def _actor(account: Account) -> Actor:
    return Actor(account_id=account.id, is_superuser=False)


def user(account: Account) -> Viewer:
    return Viewer(actor=_actor(account))


def showing(session_id: UUID | None) -> Viewer:
    """Somebody unknown, who shows the id of a session."""
    return Viewer(actor=NOBODY, shown=session_id)


@pytest.fixture
async def yard(database_url: str, tmp_path: Path) -> AsyncIterator[Yard]:
    await upgrade(database_url)
    house = House(database_url, tmp_path, web=WebWithLists())
    house.web.pages = {f"https://example.com/{n}": f"body {n}".encode() for n in range(40)}
    async with living(house):
        yield Yard(house)


def slowly(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """A moment passes after each call, in which others come in between."""
    real = getattr(owner, name)

    async def wrapped(self: Any, *arguments: Any, **more: Any) -> Any:
        found = await real(self, *arguments, **more)
        await asyncio.sleep(0.1)
        return found

    monkeypatch.setattr(owner, name, wrapped)


# --- how many ---------------------------------------------------------------------------------------------------------


async def test_the_twenty_sixth_session_of_an_address_is_refused(yard: Yard) -> None:
    for _ in range(25):
        await yard.opens(HERE)
    with pytest.raises(TooManySessions):
        await yard.opens(HERE)
    await yard.opens(THERE)


@pytest.mark.parametrize("end", ["deleted", "claimed", "expired"])
async def test_an_addresses_place_is_free_again_when_a_session_is_gone(yard: Yard, end: str) -> None:
    first = await yard.opens(HERE)
    yard.clock.move(timedelta(hours=1))
    for _ in range(MOST_AN_ADDRESS - 1):
        await yard.opens(HERE)
    if end == "deleted":
        await yard.sessions.delete(showing(first.id), first.id)
    elif end == "claimed":
        await yard.claimed(first, await yard.account("ann"))
    else:
        yard.clock.move(LIFE - timedelta(hours=1))
    await yard.opens(HERE)
    with pytest.raises(TooManySessions):
        await yard.opens(HERE)


async def test_sessions_of_accounts_and_of_this_machine_count_against_no_limit(yard: Yard) -> None:
    ann = await yard.account("ann")
    for _ in range(MOST_OPEN // 2):
        await yard.opens(owner=ann)
        await yard.opens(address=None)
    await yard.opens(HERE)
    assert (await yard.sessions.overview(SUPERUSER)).open == MOST_OPEN + 1


async def test_when_all_places_are_taken_the_oldest_idle_session_without_a_job_closes(yard: Yard) -> None:
    with_a_job, in_use, idle, younger, *_ = await yard.fill(MOST_OPEN)
    await yard.had(with_a_job, "1")
    yard.clock.move(IDLE)
    assert await yard.sessions.shown(in_use.id), "it is used now, and that is only known in memory"
    yard.clock.move(A_MOMENT)
    await yard.opens(HERE)
    assert await yard.are_open(with_a_job, in_use, idle, younger) == [True, True, False, True]
    assert await yard.sessions.shown(idle.id) is None
    assert (await yard.sessions.overview(SUPERUSER)).open == MOST_OPEN


async def test_the_hundred_and_first_session_is_refused_while_all_are_in_use(yard: Yard) -> None:
    opened = await yard.fill(MOST_OPEN)
    yard.clock.move(IDLE)
    for session in opened:
        await yard.sessions.shown(session.id)
    with pytest.raises(SessionsFull) as refused:
        await yard.opens(HERE)
    assert refused.value.retry_after
    assert await yard.are_open(*opened) == [True] * MOST_OPEN


async def test_a_session_that_is_idle_for_less_than_ten_minutes_is_not_closed(yard: Yard) -> None:
    opened = await yard.fill(MOST_OPEN)
    yard.clock.move(opened[0].last_activity + IDLE - A_MOMENT - yard.clock.now())
    with pytest.raises(SessionsFull):
        await yard.opens(HERE)
    assert await yard.are_open(opened[0]) == [True]


async def test_a_session_that_is_idle_for_ten_minutes_makes_room(yard: Yard) -> None:
    opened = await yard.fill(MOST_OPEN)
    yard.clock.move(opened[0].last_activity + IDLE - yard.clock.now())
    await yard.opens(HERE)
    assert await yard.are_open(*opened[:2]) == [False, True]


async def test_a_session_with_a_job_is_not_closed_however_long_it_is_idle(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.opened_sessions.MOST_OPEN", 1)
    session = await yard.opens(THERE)
    await yard.had(session, "1")
    yard.clock.move(LIFE - A_MOMENT)
    with pytest.raises(SessionsFull):
        await yard.opens(HERE)
    assert await yard.are_open(session) == [True]


async def test_expired_sessions_take_no_place(yard: Yard) -> None:
    opened = await yard.fill(MOST_OPEN)
    yard.clock.move(LIFE)
    fresh = await yard.opens(HERE)
    assert await yard.are_open(*opened, fresh) == [False] * MOST_OPEN + [True]
    assert [session.closed_at for session in [await yard.now(one) for one in opened] if session] == [None] * MOST_OPEN


async def test_of_several_who_open_the_last_place_of_an_address_at_once_one_gets_it(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly(monkeypatch, SqlDownloadSessions, "open_count")
    monkeypatch.setattr("service.opened_sessions.MOST_AN_ADDRESS", 3)
    for _ in range(2):
        await yard.opens(HERE)
    ends = await asyncio.gather(*(yard.opens(HERE) for _ in range(4)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["DownloadSession", "TooManySessions", "TooManySessions", "TooManySessions"]


async def test_of_several_who_open_the_last_place_of_all_at_once_one_gets_it(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly(monkeypatch, SqlDownloadSessions, "open_count")
    monkeypatch.setattr("service.opened_sessions.MOST_OPEN", 5)
    await yard.fill(4)
    ends = await asyncio.gather(*(yard.opens(f"203.0.113.{place}") for place in range(4)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["DownloadSession", "SessionsFull", "SessionsFull", "SessionsFull"]


async def test_a_refused_opening_forgets_no_use(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.opened_sessions.MOST_AN_ADDRESS", 1)
    session = await yard.opens(HERE)
    yard.clock.move(LIFE - A_MOMENT)
    assert await yard.sessions.shown(session.id)
    with pytest.raises(TooManySessions):
        await yard.opens(HERE)
    yard.clock.move(timedelta(hours=1))
    assert await yard.sessions.shown(session.id)


async def test_uses_that_could_not_be_written_down_are_written_down_later(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await yard.opens()
    yard.clock.move(timedelta(hours=3))
    await yard.sessions.shown(session.id)

    async def clash(*_: object) -> None:
        raise Clash

    with monkeypatch.context() as patch:
        patch.setattr(SqlDownloadSessions, "used", clash)
        with pytest.raises(Clash):
            await yard.sessions.flush()
    await yard.sessions.flush()
    found = await yard.now(session)
    assert found is not None
    assert found.last_activity == session.created_at + timedelta(hours=3)


# --- how long ---------------------------------------------------------------------------------------------------------


async def test_a_session_opens_for_24_hours_after_it_was_last_used(yard: Yard) -> None:
    session = await yard.opens()
    for _ in range(3):
        yard.clock.move(LIFE - A_MOMENT)
        assert await yard.sessions.shown(session.id)
    yard.clock.move(LIFE)
    assert await yard.sessions.shown(session.id) is None
    with pytest.raises(DownloadSessionNotFound):
        await yard.sessions.get(showing(session.id), session.id)
    assert await yard.sessions.for_jobs(NOBODY, session.id) is None


async def test_a_look_at_a_session_writes_nothing_until_it_is_written_down(yard: Yard) -> None:
    session = await yard.opens()
    yard.clock.move(timedelta(hours=3))
    await yard.sessions.shown(session.id)
    before = await yard.now(session)
    await yard.sessions.flush()
    after = await yard.now(session)
    assert before is not None
    assert after is not None
    assert (before.last_activity, after.last_activity) == (session.created_at, session.created_at + timedelta(hours=3))


async def test_what_was_written_down_counts_after_a_restart(yard: Yard) -> None:
    used, unused = await yard.opens(), await yard.opens()
    yard.clock.move(LIFE - A_MOMENT)
    await yard.sessions.shown(used.id)
    await yard.sessions.flush()
    yard.clock.move(LIFE - A_MOMENT)
    afterwards = yard.as_after_a_restart()
    assert await afterwards.shown(used.id)
    assert await afterwards.shown(unused.id) is None


async def test_writing_down_what_was_written_down_changes_nothing(yard: Yard) -> None:
    session = await yard.opens()
    yard.clock.move(timedelta(hours=1))
    await yard.sessions.shown(session.id)
    await yard.sessions.flush()
    yard.clock.move(timedelta(hours=1))
    await yard.sessions.flush()
    found = await yard.now(session)
    assert found is not None
    assert found.last_activity == session.created_at + timedelta(hours=1)


async def test_only_anonymous_sessions_expire(yard: Yard) -> None:
    ann = await yard.account("ann")
    local, owned, anonymous = await yard.opens(address=None), await yard.opens(owner=ann), await yard.opens(HERE)
    claimed = await yard.opens(HERE)
    await yard.claimed(claimed, ann)
    yard.clock.move(timedelta(days=400))
    assert await yard.are_open(local, owned, claimed, anonymous) == [True, True, True, False]
    assert await yard.seen_by(SUPERUSER, is_open=True) == {local.id, owned.id, claimed.id}
    assert await yard.seen_by(SUPERUSER, is_open=False) == {anonymous.id}
    assert await yard.sessions.shown(local.id)


# --- who sees what ----------------------------------------------------------------------------------------------------


async def test_somebody_unknown_sees_the_session_that_they_show_and_no_other(yard: Yard) -> None:
    mine, others = await yard.opens(), await yard.opens()
    await yard.opens(owner=await yard.account("ann"))
    viewer = showing(mine.id)
    assert await yard.seen_by(viewer) == {mine.id}
    assert (await yard.sessions.get(viewer, mine.id)).session.id == mine.id
    assert (await yard.sessions.overview(viewer)).sessions == 1
    for known in (others.id, others.folder):
        with pytest.raises(DownloadSessionNotFound):
            await yard.sessions.get(viewer, known)


async def test_a_superuser_may_name_a_session_as_lists_show_it_if_nobody_owns_it(yard: Yard) -> None:
    ann = await yard.account("ann")
    nobodys, anns = await yard.opens(), await yard.opens(owner=ann)
    found = await yard.sessions.for_jobs(SUPERUSER.actor, nobodys.folder)
    assert found is not None
    assert found.id == nobodys.id
    assert await yard.sessions.for_jobs(SUPERUSER.actor, anns.folder) is None


async def test_somebody_unknown_who_shows_nothing_sees_nothing(yard: Yard) -> None:
    session = await yard.opens()
    local = await yard.opens(address=None)
    assert await yard.seen_by(showing(None)) == set()
    assert await yard.sessions.overview(showing(None)) == Overview(sessions=0, open=0, tally=Tally())
    for known in (session.id, session.folder, local.id, uuid4()):
        with pytest.raises(DownloadSessionNotFound):
            await yard.sessions.get(showing(None), known)


async def test_the_folder_that_stands_in_links_opens_nothing(yard: Yard) -> None:
    session = await yard.opens()
    viewer = showing(session.folder)
    assert await yard.sessions.shown(session.folder) is None
    assert await yard.sessions.for_jobs(NOBODY, session.folder) is None
    assert await yard.seen_by(viewer) == set()
    with pytest.raises(DownloadSessionNotFound):
        await yard.sessions.get(viewer, session.folder)


async def test_the_id_of_a_session_that_nobody_opened_opens_nothing(yard: Yard) -> None:
    """Where a single download made it, its id is its folder, and stands in every link."""
    job = await yard.house.submit("1", address=HERE)
    known = job.download_session_id
    assert await yard.sessions.shown(known) is None
    assert await yard.seen_by(showing(known)) == set()
    with pytest.raises(DownloadSessionNotFound):
        await yard.sessions.get(showing(known), known)
    await yard.house.completed(job)


@pytest.mark.parametrize("by", ["id", "folder"])
async def test_a_user_sees_their_own_sessions_by_their_id_and_by_their_folder(yard: Yard, by: str) -> None:
    ann, ben = await yard.account("ann"), await yard.account("ben")
    mine, others, unowned = await yard.opens(owner=ann), await yard.opens(owner=ben), await yard.opens()
    assert await yard.seen_by(user(ann)) == {mine.id}
    assert (await yard.sessions.get(user(ann), getattr(mine, by))).session.id == mine.id
    for session in (others, unowned):
        with pytest.raises(DownloadSessionNotFound):
            await yard.sessions.get(user(ann), getattr(session, by))


async def test_a_user_who_shows_a_session_sees_it_beside_their_own(yard: Yard) -> None:
    ann = await yard.account("ann")
    mine, shown = await yard.opens(owner=ann), await yard.opens()
    assert await yard.seen_by(replace(user(ann), shown=shown.id)) == {mine.id, shown.id}


async def test_showing_the_id_of_somebody_elses_session_opens_nothing(yard: Yard) -> None:
    ann, ben = await yard.account("ann"), await yard.account("ben")
    session = await yard.opens(owner=ann)
    assert await yard.sessions.shown(session.id) is None
    assert await yard.sessions.for_jobs(_actor(ben), session.id) is None
    assert await yard.sessions.for_jobs(NOBODY, session.id) is None
    assert await yard.seen_by(showing(session.id)) == set()


async def test_a_superuser_sees_all(yard: Yard) -> None:
    sessions = [await yard.opens(), await yard.opens(address=None), await yard.opens(owner=await yard.account("ann"))]
    assert await yard.seen_by(SUPERUSER) == {session.id for session in sessions}
    for session in sessions:
        assert (await yard.sessions.get(SUPERUSER, session.folder)).session == session


async def test_once_claimed_a_session_opens_no_more_by_its_id_alone(yard: Yard) -> None:
    ann, session = await yard.account("ann"), await yard.opens()
    await yard.claimed(session, ann)
    assert await yard.sessions.shown(session.id) is None
    assert await yard.sessions.for_jobs(NOBODY, session.id) is None
    assert await yard.seen_by(showing(session.id)) == set()
    for act in (yard.sessions.get, yard.sessions.delete):
        with pytest.raises(DownloadSessionNotFound):
            await act(showing(session.id), session.id)
    assert await yard.sessions.for_jobs(_actor(ann), session.id)
    assert await yard.seen_by(user(ann)) == {session.id}


# --- what is in it ----------------------------------------------------------------------------------------------------


async def test_a_session_tells_how_many_jobs_it_has_in_each_state(yard: Yard) -> None:
    session = await yard.opens()
    assert (await yard.sessions.get(showing(session.id), session.id)).tally == Tally()
    await yard.had(session, "1")
    await yard.failed(session, "2")
    yard.house.web.gate = asyncio.Event()
    live = await yard.asks(session, "3")
    cancelled = await yard.asks(session, "4")
    await yard.house.downloads.cancel(cancelled.id)
    tally = (await yard.sessions.get(showing(session.id), session.id)).tally
    assert tally == Tally(jobs=4, live=1, completed=1, failed=1, stored_bytes=len(b"body 1"))
    yard.house.web.gate.set()
    await yard.house.completed(live)


async def test_a_file_that_two_jobs_of_a_session_show_is_counted_once(yard: Yard) -> None:
    session = await yard.opens()
    for _ in range(2):
        await yard.had(session, "1")
    tally = (await yard.sessions.get(showing(session.id), session.id)).tally
    assert (tally.jobs, tally.stored_bytes) == (2, len(b"body 1"))


async def test_the_list_tells_of_each_session_what_the_session_tells(yard: Yard) -> None:
    sessions = [await yard.opens() for _ in range(3)]
    for number, session in enumerate(sessions[:2], start=1):
        for path in range(number):
            await yard.had(session, str(path))
    page = await yard.sessions.page(SUPERUSER, is_open=True, window=Window())
    assert len(page.entries) == 3
    for one in page.entries:
        assert one == await yard.sessions.get(SUPERUSER, one.session.id)


async def test_the_overview_is_the_sum_of_the_sessions_that_one_may_see(yard: Yard) -> None:
    ann = await yard.account("ann")
    own, other, anonymous = await yard.opens(owner=ann), await yard.opens(owner=ann), await yard.opens()
    for session in (own, other, anonymous):
        await yard.had(session, "1")  # shared bytes, which each of them counts
    await yard.had(own, "2")
    await yard.failed(other, "3")
    size = len(b"body 1")
    assert await yard.sessions.overview(user(ann)) == Overview(
        sessions=2, open=2, tally=Tally(jobs=4, live=0, completed=3, failed=1, stored_bytes=3 * size)
    )
    assert await yard.sessions.overview(showing(anonymous.id)) == Overview(
        sessions=1, open=1, tally=Tally(jobs=1, live=0, completed=1, failed=0, stored_bytes=size)
    )
    assert (await yard.sessions.overview(SUPERUSER)).tally.stored_bytes == 4 * size


async def test_sessions_come_in_pages_newest_first(yard: Yard) -> None:
    opened = await yard.fill(5)
    found: list[UUID] = []
    window = Window(limit=2)
    while True:
        page = await yard.sessions.page(SUPERUSER, is_open=True, window=window)
        assert page.count == 5
        found += [one.session.id for one in page.entries]
        if page.next is None:
            break
        window = Window(limit=2, after=page.next)
    assert found == [session.id for session in reversed(opened)]


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_deleting_a_session_ends_its_jobs_and_removes_its_files(yard: Yard) -> None:
    session = await yard.opens()
    await yard.had(session, "1")
    yard.house.web.gate = asyncio.Event()
    yard.house.web.reached.clear()
    live = await yard.asks(session, "2")
    await yard.house.web.reached.wait()
    was = await yard.sessions.delete(showing(session.id), session.id)
    assert (was.tally.jobs, was.tally.live) == (2, 1)
    assert yard.house.web.cancelled == 1, f"job {live.id} was ended"
    assert (yard.house.stored(), yard.house.leftovers()) == ([], [])
    assert (await yard.now(session), await yard.jobs_in(session)) == (None, [])
    with pytest.raises(DownloadSessionNotFound):
        await yard.sessions.get(SUPERUSER, session.id)


async def test_deleting_a_session_keeps_what_another_job_shows(yard: Yard) -> None:
    session, other = await yard.opens(), await yard.opens(THERE)
    await yard.had(session, "1")
    yard.clock.move(timedelta(minutes=1))
    kept = await yard.had(other, "1")
    await yard.sessions.delete(showing(session.id), session.id)
    (file,) = await yard.house.downloads.files(kept)
    assert [path.read_bytes() for path in yard.house.stored()] == [b"body 1"]
    assert (yard.house.root / "media" / file.path).read_bytes() == b"body 1"
    yard.clock.move(timedelta(minutes=1))
    await yard.had(other, "1")
    assert yard.house.web.fetched == ["https://example.com/1"], "it is in the store still"


async def test_who_waited_for_a_download_of_a_deleted_session_goes_on(yard: Yard) -> None:
    session, other = await yard.opens(), await yard.opens(THERE)
    yard.house.web.gate = asyncio.Event()
    await yard.asks(session, "1")
    await yard.house.web.reached.wait()
    waiting = await yard.asks(other, "1")
    await yard.house.reached(waiting, lambda job: job.waits_for is not None)
    await yard.sessions.delete(showing(session.id), session.id)
    yard.house.web.gate.set()
    await yard.house.completed(waiting)


async def test_a_session_is_deleted_only_by_those_who_see_it(yard: Yard) -> None:
    ann, session, other = await yard.account("ann"), await yard.opens(), await yard.opens(THERE)
    await yard.had(session, "1")
    for viewer in (showing(None), showing(other.id), showing(session.folder), user(ann)):
        with pytest.raises(DownloadSessionNotFound):
            await yard.sessions.delete(viewer, session.id)
    assert (len(await yard.jobs_in(session)), len(yard.house.stored())) == (1, 1)


async def test_a_deletion_that_was_cut_short_leaves_only_files_and_the_sweeper_finds_them(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await yard.opens()
    await yard.had(session, "1")

    async def die(_: str) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(yard.house.media, "delete", die)
        with pytest.raises(OSError, match="power cut"):
            await yard.sessions.delete(showing(session.id), session.id)
    assert (await yard.now(session), len(yard.house.stored())) == (None, 1)
    await sweep(yard.house)
    assert yard.house.stored() == []


async def sweep(house: House) -> None:
    """As of a time at which whatever is on the disk is old."""
    house.clock.move(timedelta(days=36500))
    sweeper = Sweeper(
        rows=SqlSweeping(house.database, None), files=house.media, engine=None,
        database=house.database, downloads=house.downloads, media=house.media, clock=house.clock,
    )  # fmt: skip
    await sweeper.sweep()


# --- how many jobs ----------------------------------------------------------------------------------------------------


async def test_the_eleventh_job_in_a_session_that_nobody_owns_is_refused(yard: Yard) -> None:
    session = await yard.opens()
    for number in range(MOST_JOBS):
        await yard.had(session, str(number))  # those that have ended count, too
    with pytest.raises(SessionJobsReached):
        await yard.asks(session, "20")
    assert len(await yard.jobs_in(session)) == MOST_JOBS


@pytest.mark.parametrize("how", ["owned", "claimed"])
async def test_a_session_that_somebody_owns_takes_more(yard: Yard, how: str) -> None:
    ann = await yard.account("ann")
    session = await yard.opens(owner=ann if how == "owned" else None)
    if how == "claimed":
        await yard.claimed(session, ann)
        session = replace(session, owner_id=ann.id)
    jobs = [await yard.asks(session, str(number)) for number in range(MOST_JOBS + 2)]
    await yard.house.completed(*jobs)


async def test_a_batch_that_crosses_the_limit_is_refused_as_a_whole(yard: Yard) -> None:
    session = await yard.opens()
    for number in range(8):
        await yard.had(session, str(number))
    yard.house.web.fetched.clear()
    with pytest.raises(SessionJobsReached):
        await yard.house.downloads.submit_all([yard.order(session, str(number)) for number in (20, 21, 22)])
    assert len(await yard.jobs_in(session)) == 8
    await yard.had(session, "23")
    assert yard.house.web.fetched == ["https://example.com/23"], "nothing of what was refused is in the queue"


async def test_a_batch_that_fills_a_session_is_accepted(yard: Yard) -> None:
    session = await yard.opens()
    accepted = await yard.house.downloads.submit_all([yard.order(session, str(number)) for number in range(MOST_JOBS)])
    await yard.house.completed(*(job for job, _ in accepted))
    with pytest.raises(SessionJobsReached):
        await yard.asks(session, "20")


async def test_what_is_under_way_already_is_no_further_job(yard: Yard) -> None:
    session = await yard.opens()
    yard.house.web.gate = asyncio.Event()
    jobs = [await yard.asks(session, str(number)) for number in range(MOST_JOBS)]
    assert (await yard.asks(session, "9")).id == jobs[9].id
    yard.house.web.gate.set()
    await yard.house.completed(*jobs)


async def test_of_several_last_jobs_at_once_one_is_accepted(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly(monkeypatch, SqlJobs, "count_in")
    session = await yard.opens()
    jobs = [await yard.asks(session, str(number)) for number in range(MOST_JOBS - 1)]
    orders = [yard.order(session, str(20 + number), address=f"203.0.113.{number}") for number in range(4)]  # no payer puts them in order
    ends = await asyncio.gather(*(yard.house.downloads.submit(order) for order in orders), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["SessionJobsReached"] * 3 + ["tuple"]
    await yard.house.completed(*jobs, *await yard.jobs_in(session))
    assert len(await yard.jobs_in(session)) == MOST_JOBS


async def test_the_items_of_a_list_count(yard: Yard) -> None:
    session = await yard.opens()
    yard.house.web.lists["https://example.com/list"] = [f"https://example.com/{number}" for number in range(5)]
    job, _ = await yard.house.downloads.submit(yard.order(session, "list", max_items=50))
    await yard.house.completed(job)
    assert len(await yard.jobs_in(session)) == 1 + 5
    for number in range(20, 24):
        await yard.had(session, str(number))
    with pytest.raises(SessionJobsReached):
        await yard.asks(session, "25")


async def test_a_list_takes_no_more_items_than_there_are_places(yard: Yard) -> None:
    session = await yard.opens()
    await yard.had(session, "30")
    yard.house.web.lists["https://example.com/list"] = [f"https://example.com/{number}" for number in range(20)]
    job, _ = await yard.house.downloads.submit(yard.order(session, "list", max_items=50))
    await yard.house.completed(job)
    jobs = await yard.jobs_in(session)
    assert len(jobs) == MOST_JOBS
    assert [one.url.text for one in await yard.house.downloads.items_of(job)] == [f"https://example.com/{number}" for number in range(8)]


@pytest.mark.parametrize("end", ["claimed", "deleted", "closed"])
async def test_a_job_for_a_session_that_ended_in_this_moment_is_refused(yard: Yard, end: str) -> None:
    session = await yard.opens()
    order = yard.order(session, "1")  # it was there when the order was made
    if end == "claimed":
        await yard.claimed(session, await yard.account("ann"))
    elif end == "deleted":
        await yard.sessions.delete(showing(session.id), session.id)
    else:
        async with yard.house.database.write() as transaction:
            await transaction.download_sessions.close(session.id, yard.clock.now())
    with pytest.raises(DownloadSessionNotFound):
        await yard.house.downloads.submit(order)
    assert await yard.jobs_in(session) == []


async def test_a_session_stays_open_when_its_jobs_have_ended(yard: Yard) -> None:
    session = await yard.opens()
    await yard.had(session, "1")
    assert await yard.are_open(session) == [True]
