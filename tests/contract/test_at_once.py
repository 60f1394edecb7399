"""Several who change the same things at the same moment, on SQLite and PostgreSQL: nothing is lost, left over or stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.accounts import AccountChange
from service.allowances import Allowance
from service.chat import Member, Place
from service.credentials import ApiKey
from service.downloads import Order
from service.errors import CodeInvalid, DailyBytesReached, DownloadSessionNotFound, Forbidden, MagpieError, Vanished
from service.forgetting import Forgetting
from service.limits import Quotas
from service.logins import Audience
from service.media_url import MediaUrl
from service.members import Admission, Members, Person
from service.model import Account, Job, JobStatus, Origin
from service.selection import Selection
from storage import tables
from storage.charges import SqlCharges
from storage.download_sessions import SqlDownloadSessions
from storage.history import SqlHistory
from storage.migrate import upgrade
from tests.support.house import House, RealIds, living
from tests.support.people import OPERATOR, OTHER_PASSWORD, Town, actor, somewhere

ELENA = 4711


class Street:
    """A house and the town around it."""

    def __init__(self, house: House) -> None:
        self.house, self.town = house, Town(house.database, house.clock)
        self.forgetting = Forgetting(database=house.database, downloads=house.downloads, media=house.media, clock=house.clock)

    async def account(self, name: str, **allowance: int) -> Account:
        account = await self.town.account(name)
        if allowance:
            account = await self.town.accounts.change(OPERATOR, account.id, AccountChange(allowance=Allowance(**allowance)))
        return account

    async def elena(self) -> Member:
        members = Members(database=self.house.database, clock=self.house.clock, ids=RealIds(), admission=Admission(open_to_all=True))
        return await members.welcome(Person(id=ELENA, first_name="Elena"), Place(chat_id=ELENA))

    def order(self, path: str, account: Account | None = None, **more: Any) -> Order:
        self.house.web.pages.setdefault(f"https://example.com/{path}", bytes(100))
        url = MediaUrl.parse(f"https://example.com/{path}")
        order = Order(url=url, selection=Selection.of("audio"), origin=Origin.API, account_id=account.id if account else None)
        return replace(order, **more)

    async def asks(self, path: str, account: Account | None = None, **more: Any) -> Job:
        return (await self.house.downloads.submit(self.order(path, account, **more)))[0]

    async def now(self, jobs: list[Job]) -> list[Job]:
        return [await self.house.downloads.get(job.id) for job in jobs]

    async def until(self, jobs: list[Job], condition: Callable[[list[Job]], bool]) -> list[Job]:
        async with asyncio.timeout(20):
            while not condition(found := await self.now(jobs)):
                await asyncio.sleep(0.02)
        return found

    async def rows(self, table: sa.Table) -> int:
        async with self.house.database.reader.connect() as connection:
            return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


@pytest.fixture
async def street(database_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    await upgrade(database_url)
    house = House(url=database_url, root=tmp_path)
    house.quota = Quotas(house.clock)
    async with living(house):
        street = Street(house)
        await street.account("root")  # the first one has no limits
        yield street


def slow(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, seconds: float) -> None:
    """So much time passes after each call, that others come in between."""
    real = getattr(owner, name)

    async def wrapped(self: Any, *arguments: Any, **more: Any) -> Any:
        found = await real(self, *arguments, **more)
        await asyncio.sleep(seconds)
        return found

    monkeypatch.setattr(owner, name, wrapped)


def two_run_and_two_wait(jobs: list[Job]) -> bool:
    return sorted(str(job.status) for job in jobs if job.waits_for is None) == ["processing", "processing"]


# --- claiming ---------------------------------------------------------------------------------------------------------


async def test_a_session_is_claimed_while_its_download_ends(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await street.account("ann")
    street.house.web.gate = asyncio.Event()
    job = await street.asks("a", address="198.51.100.1", requested_username="ann", requested_id=ann.id)
    await street.house.web.reached.wait()
    slow(monkeypatch, SqlDownloadSessions, "by_id_or_folder", 0.3)
    slow(monkeypatch, SqlHistory, "add", 0.3)
    claiming = asyncio.create_task(street.town.sessions.claim(actor(ann), ann, job.download_session_id))
    await asyncio.sleep(0.1)
    street.house.web.gate.set()
    await claiming
    ended = await street.house.ended(job)
    assert (ended.status, ended.account_id) == (JobStatus.COMPLETED, ann.id)


async def test_who_waited_for_a_place_goes_on_when_the_running_ones_are_claimed(street: Street) -> None:
    bob = await street.account("bob")
    street.house.web.gate = asyncio.Event()
    jobs = [await street.asks(f"x{n}", address="198.51.100.1", requested_username="bob", requested_id=bob.id) for n in range(4)]
    for job in await street.until(jobs, two_run_and_two_wait):
        if job.status is JobStatus.PROCESSING:
            await street.town.sessions.claim(actor(bob), bob, job.download_session_id)
    running = await street.until(jobs, all_run)  # none has ended: the gate is still closed
    assert [job.waits_for for job in running] == [None] * 4
    street.house.web.gate.set()
    await street.house.completed(*jobs)


def all_run(jobs: list[Job]) -> bool:
    return all(job.status is JobStatus.PROCESSING for job in jobs)


async def test_a_claimed_job_that_waited_waits_for_its_new_owners_places(street: Street) -> None:
    alice, bob = await street.account("alice", at_once=1), await street.account("bob", at_once=1)
    street.house.web.gate = asyncio.Event()
    named: dict[str, Any] = {"payer_id": alice.id, "requested_username": "bob", "requested_id": bob.id}
    jobs = [await street.asks(f"y{n}", **named) for n in range(3)]
    found = await street.until(jobs, lambda jobs: sum(job.waits_for is not None for job in jobs) == 2)
    waiting = next(job for job in found if job.waits_for)
    await street.town.sessions.claim(actor(bob), bob, waiting.download_session_id)
    # Bob's one place is free, so it runs beside Alice's; her other one still waits for her place.
    now = await street.until(jobs, lambda jobs: sum(job.status is JobStatus.PROCESSING for job in jobs) == 2)
    assert next(job for job in now if job.id == waiting.id).status is JobStatus.PROCESSING
    assert [job.waits_for for job in now if job.status is JobStatus.PENDING] == [f"account:{alice.id}"]
    street.house.web.gate.set()
    await street.house.completed(*jobs)


async def test_more_places_are_filled_without_waiting_for_an_end(street: Street) -> None:
    ann = await street.account("ann", at_once=1)
    street.house.web.gate = asyncio.Event()
    jobs = [await street.asks(f"z{n}", ann) for n in range(2)]
    await street.until(jobs, lambda jobs: any(job.waits_for for job in jobs))
    await street.town.accounts.change(OPERATOR, ann.id, AccountChange(allowance=Allowance(at_once=2)))
    assert await street.house.downloads.fill_places() == 1
    await street.until(jobs, lambda jobs: all(job.status is JobStatus.PROCESSING for job in jobs))
    street.house.web.gate.set()
    await street.house.completed(*jobs)


async def test_a_renamed_accounts_downloads_do_not_go_to_who_takes_its_name(street: Street) -> None:
    carol, mallory = await street.account("carol"), await street.account("mallory")
    job = await street.asks("a", address="198.51.100.1", requested_username="carol", requested_id=carol.id)
    await street.town.accounts.change(OPERATOR, carol.id, AccountChange(username="caroline"))
    mallory = await street.town.accounts.change(OPERATOR, mallory.id, AccountChange(username="carol"))
    with pytest.raises(DownloadSessionNotFound):
        await street.town.sessions.claim(actor(mallory), mallory, job.download_session_id)
    assert (await street.town.sessions.unowned(actor(mallory)))[1] == 0
    await street.town.sessions.claim(actor(carol), carol, job.download_session_id)


# --- joining ----------------------------------------------------------------------------------------------------------


async def test_an_order_in_the_moment_of_joining_is_not_lost_in_silence(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    bob, elena = await street.account("bob"), await street.elena()
    code = await street.town.pairing.code_for(bob)
    slow(monkeypatch, SqlCharges, "lock", 0.2)
    order = street.order("a", elena.account, download_session_id=elena.user.download_session_id)
    ends = await asyncio.gather(
        street.house.downloads.submit(order), street.town.pairing.join(elena.user, code.code), return_exceptions=True
    )
    assert not [end for end in ends if isinstance(end, Exception) and not isinstance(end, MagpieError)]
    if not isinstance(ends[0], BaseException):
        assert (await street.house.ended(ends[0][0])).account_id == bob.id


@pytest.mark.parametrize("shown", ["cookie", "link"])
async def test_who_was_parted_from_an_account_is_not_inside_it_any_more(street: Street, shown: str) -> None:
    bob, elena = await street.account("bob"), await street.elena()
    await street.town.pairing.join(elena.user, (await street.town.pairing.code_for(bob)).code)
    link = await street.town.logins.sign_in_code(bob, ELENA)
    if shown == "link":
        await street.town.pairing.unpair(actor(bob), bob.id, ELENA)
        with pytest.raises(CodeInvalid):
            await street.town.logins.sign_in(link, somewhere())
        return
    token = (await street.town.logins.sign_in(link, somewhere())).token
    await street.town.pairing.unpair(actor(bob), bob.id, ELENA)
    assert await street.town.logins.of_token(token, Audience.WEB) is None


async def test_who_is_parted_from_an_account_leaves_their_number_nowhere(street: Street) -> None:
    bob, elena = await street.account("bob"), await street.elena()
    await street.town.pairing.join(elena.user, (await street.town.pairing.code_for(bob)).code)
    await street.town.pairing.unpair(actor(bob), bob.id, ELENA)
    async with street.house.database.read() as transaction:
        entries, _ = await transaction.audit.page()
    assert not [entry for entry in entries if str(ELENA) in (entry.details or "")]


# --- forgetting -------------------------------------------------------------------------------------------------------


async def test_orders_in_the_moment_of_forgetting_leave_nothing(street: Street) -> None:
    bob = await street.account("bob")

    async def keep_asking() -> None:
        for number in range(20):
            try:
                await street.asks(f"p{number}", bob)
            except Vanished:
                return

    asking = asyncio.create_task(keep_asking())
    await asyncio.sleep(0.1)
    await street.forgetting.forget(bob)
    await asking
    await asyncio.sleep(0.5)  # whatever still ran has ended
    assert street.house.stored() == []
    assert [await street.rows(table) for table in (tables.jobs, tables.media_files, tables.download_sessions)] == [0, 0, 0]


async def test_nothing_is_accepted_for_an_account_that_is_being_deleted(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = await street.account("bob")
    late: list[BaseException] = []
    delete = street.house.media.delete

    async def ask_meanwhile(path: str) -> None:
        try:
            await street.asks("late", bob)
        except MagpieError as refused:
            late.append(refused)
        await delete(path)

    await street.house.completed(await street.asks("a", bob))
    monkeypatch.setattr(street.house.media, "delete", ask_meanwhile)
    await street.forgetting.forget(bob)
    assert [type(one) for one in late] == [Vanished] * len(late)
    assert late
    assert street.house.stored() == []


async def test_a_deletion_that_was_cut_short_is_finished_at_the_next_start(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = await street.account("bob")
    await street.house.completed(await street.asks("a", bob))

    async def die(_: str) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(street.house.media, "delete", die)
    with pytest.raises(OSError, match="power cut"):
        await street.forgetting.forget(bob)
    monkeypatch.undo()
    assert await street.forgetting.finish() == 1
    assert (street.house.stored(), await street.forgetting.is_gone(bob.id)) == ([], True)


@pytest.mark.parametrize("what", ["key", "cookies", "code", "link", "order"])
async def test_what_is_done_by_an_account_that_is_gone_is_refused(street: Street, what: str) -> None:
    bob, town = await street.account("bob"), street.town
    await street.forgetting.forget(bob)
    acts: dict[str, Callable[[], Any]] = {
        "key": lambda: town.keys.create(actor(bob), bob, "a key"),
        "cookies": lambda: town.jars.put(actor(bob), bob.id, "example.com", '{"a": "b"}'),
        "code": lambda: town.pairing.code_for(bob),
        "link": lambda: town.logins.sign_in_code(bob),
        "order": lambda: street.asks("late", bob),
    }
    with pytest.raises(Vanished):
        await acts[what]()


# --- codes, keys and passwords ----------------------------------------------------------------------------------------


async def test_a_reset_and_a_change_at_once_end_both(street: Street) -> None:
    bob, town = await street.account("bob"), street.town
    await town.logins.request_reset("bob@example.com", somewhere())
    async with asyncio.timeout(20):
        while not town.letters.sent:
            await asyncio.sleep(0.01)
    token = town.letters.sent[0][1]
    ends = await asyncio.gather(
        town.logins.reset(token, OTHER_PASSWORD, somewhere()),
        town.accounts.change(OPERATOR, bob.id, AccountChange(password=OTHER_PASSWORD)),
        return_exceptions=True,
    )
    assert not [end for end in ends if isinstance(end, BaseException) and not isinstance(end, CodeInvalid)]


async def test_of_several_sign_in_links_made_at_once_one_is_good(street: Street) -> None:
    bob, town = await street.account("bob"), street.town
    links = await asyncio.gather(*(town.logins.sign_in_code(bob) for _ in range(6)))
    ends = await asyncio.gather(*(town.logins.sign_in(link, somewhere()) for link in links), return_exceptions=True)
    assert sum(not isinstance(end, BaseException) for end in ends) == 1


async def test_no_more_keys_are_made_at_once_than_there_may_be(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.credentials.MAX_KEYS", 3)
    bob, town = await street.account("bob"), street.town
    await asyncio.gather(*(town.keys.create(actor(bob), bob, f"key {n}") for n in range(8)), return_exceptions=True)
    kept: list[ApiKey] = await town.keys.of_account(bob.id)
    assert len(kept) == 3


async def test_a_chats_own_account_does_not_take_the_first_password(street: Street) -> None:
    elena, town = await street.elena(), street.town
    change = AccountChange(password=OTHER_PASSWORD)
    async with street.house.database.writer.begin() as connection:
        await connection.execute(sa.update(tables.accounts).values(password_hash=None))
    with pytest.raises(Forbidden):
        await town.accounts.change(actor(elena.account), elena.account.id, change)
    await street.account("ann")
    assert (await street.town.accounts.change(actor(elena.account), elena.account.id, change)).has_password


async def test_tries_by_name_and_by_address_are_counted_together(street: Street) -> None:
    await street.account("bob")
    ends: list[Any] = []
    for number in range(12):
        name = "bob" if number % 2 else "bob@example.com"
        ends += await asyncio.gather(street.town.logins.log_in(name, "a wrong one", somewhere()), return_exceptions=True)
    assert [type(end).__name__ for end in ends] == ["WrongPassword"] * 10 + ["TooManyTries"] * 2


# --- bytes of a day -----------------------------------------------------------------------------------------------------


async def test_when_bytes_of_a_day_are_used_up_the_wait_is_until_there_are_some(street: Street) -> None:
    ann = await street.account("ann", bytes_a_day=150)
    street.house.web.pages |= {"https://example.com/tiny": b"1", "https://example.com/big": bytes(1000)}
    await street.house.completed(await street.asks("tiny", ann))
    street.house.clock.move(timedelta(hours=10))
    await street.house.completed(await street.asks("big", ann))
    street.house.clock.move(timedelta(hours=10))
    with pytest.raises(DailyBytesReached) as refused:
        await street.asks("c", ann)
    assert refused.value.retry_after == timedelta(hours=14)
    street.house.clock.move(timedelta(hours=14))
    await street.house.completed(await street.asks("c", ann))


async def test_what_was_accepted_while_little_had_come_stops_at_the_limit_of_the_day(street: Street) -> None:
    ann = await street.account("ann", bytes_a_day=150, at_once=1)
    street.house.web.gate = asyncio.Event()
    jobs = [await street.asks(f"m{number}", ann) for number in range(6)]
    street.house.web.gate.set()
    ended = [await street.house.ended(job) for job in jobs]
    assert sorted(job.error_code or "" for job in ended) == ["", "", *["daily_bytes_reached"] * 4]
    async with street.house.database.read() as transaction:
        spent = await transaction.charges.since(f"account:{ann.id}", street.house.clock.now() - timedelta(days=1))
    assert (spent.jobs, spent.bytes) == (2, 200)
