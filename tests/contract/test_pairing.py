"""A Telegram identity joins an account; download sessions are claimed: on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from service.accounts import AccountChange
from service.chat import Place, TelegramUser
from service.errors import AlreadyPaired, Blocked, CodeInvalid, DownloadSessionNotFound, LastSuperuser, NotPaired, TooManyTries
from service.limits import payer_of
from service.media_url import MediaUrl
from service.members import Admission, Members, Person
from service.model import DownloadSession, HistoryEntry, Job, JobFile, MediaFile, MediaKey, Origin, Outcome
from service.pairing import masked
from service.selection import MediaType, Selection
from storage import merges, tables
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock
from tests.support.house import RealIds
from tests.support.people import OPERATOR, Town, actor

ELENA = 4711


@pytest.fixture
def town(database: SqlDatabase, clock: FakeClock) -> Town:
    return Town(database, clock)


async def met(town: Town, telegram_id: int = ELENA) -> TelegramUser:
    """Somebody who has written to the bot."""
    members = Members(database=town.database, clock=town.clock, ids=RealIds(), admission=Admission(open_to_all=True))
    return (await members.welcome(Person(id=telegram_id, first_name="Elena"), Place(chat_id=telegram_id))).user


async def had(town: Town, account_id: int, session_id: UUID, name: str, scope: str = "public") -> Job:
    """Something that the account has downloaded."""
    now = town.clock.now()
    job = Job(
        id=uuid4(),
        download_session_id=session_id,
        account_id=account_id,
        payer=payer_of(account_id, None),
        origin=Origin.CHAT,
        url=MediaUrl.parse(f"https://example.com/{name}"),
        selection=Selection.of(MediaType.AUDIO),
        scope=scope,
        created_at=now,
    ).completed(now, 10)
    key = MediaKey(scope=scope, extractor="site", id=name, selection="audio:mp3:best")
    media = MediaFile(
        key=key, kind=MediaType.AUDIO, extension="mp3", size=10, sha256="0" * 64, location=f"x/{job.id}", title=name, created_at=now
    )
    entry = HistoryEntry(
        job_id=job.id,
        attempt=1,
        account_id=account_id,
        download_session_id=session_id,
        origin=Origin.CHAT,
        outcome=Outcome.SUCCESS,
        title=name,
        url=job.url.text,
        message="Downloaded 1 file.",
        code=None,
        files=(f"{name}.mp3",),
        started_at=now,
        ended_at=now,
    )
    async with town.database.write() as transaction:
        await transaction.jobs.add(job)
        (stored,) = await transaction.media_files.replace(key, [media])
        await transaction.media_files.attach([JobFile(job_id=job.id, media=stored, name=f"{name}.mp3", path=f"x/{job.id}/{name}.mp3")])
        await transaction.history.add(entry)
    return job


async def titles(town: Town, account_id: int) -> list[str]:
    async with town.database.read() as transaction:
        entries, _ = await transaction.history.page(account_id)
    return sorted(str(entry.title) for entry in entries)


async def test_joining_moves_all_that_both_sides_had_and_nothing_is_lost(town: Town) -> None:
    ann = await town.account("ann")
    user = await met(town)
    own = DownloadSession(
        id=uuid4(), folder=uuid4(), owner_id=ann.id, created_by=Origin.API, created_at=town.clock.now(), last_activity=town.clock.now()
    )
    async with town.database.write() as transaction:
        await transaction.download_sessions.add(own)
    await had(town, user.account_id, user.download_session_id, "theirs", f"account:{user.account_id}")
    await had(town, user.account_id, user.download_session_id, "both", f"account:{user.account_id}")
    await had(town, ann.id, own.id, "both", f"account:{ann.id}")
    code = await town.pairing.code_for(ann)
    offer = await town.pairing.offer(user, code.code)
    assert (offer.account.id, offer.number, offer.moves.history, offer.moves.files) == (ann.id, code.number, 2, 2)
    await town.pairing.join(user, code.code)
    assert await titles(town, ann.id) == ["both", "both", "theirs"]
    async with town.database.read() as transaction:
        assert await transaction.accounts.get(user.account_id) is None
        assert [one.id for one in await transaction.telegram_users.of_account(ann.id)] == [ELENA]
        jobs = await transaction.jobs.of_account(ann.id)
        assert {(job.payer, job.scope) for job in jobs} == {(f"account:{ann.id}", f"account:{ann.id}")}
        assert len([file for job in jobs for file in await transaction.media_files.of_job(job.id)]) == 3


async def test_nothing_moves_before_join(town: Town) -> None:
    ann = await town.account("ann")
    user = await met(town)
    await town.pairing.offer(user, (await town.pairing.code_for(ann)).code)
    async with town.database.read() as transaction:
        assert await transaction.telegram_users.get(ELENA) == user


@pytest.mark.parametrize("spoil", ["used", "expired", "newer", "unknown"])
async def test_a_code_works_once_for_ten_minutes(town: Town, spoil: str) -> None:
    ann = await town.account("ann")
    user, other = await met(town), await met(town, 4712)
    code = (await town.pairing.code_for(ann)).code
    match spoil:
        case "used":
            await town.pairing.join(other, code)
        case "expired":
            town.clock.move(timedelta(minutes=10))
        case "newer":
            await town.pairing.code_for(ann)
        case _:
            code = "NOSUCHCODE"
    for use in (town.pairing.offer, town.pairing.join):
        with pytest.raises(CodeInvalid):
            await use(user, code)


async def test_of_two_who_join_at_once_one_does(town: Town) -> None:
    ann = await town.account("ann")
    users = [await met(town, number) for number in (1, 2)]
    code = (await town.pairing.code_for(ann)).code
    tries = await asyncio.gather(*(town.pairing.join(user, code) for user in users), return_exceptions=True)
    assert sorted(type(one).__name__ for one in tries) == ["Account", "CodeInvalid"]


async def test_codes_cannot_be_guessed_without_end(town: Town) -> None:
    user = await met(town)
    for _ in range(20):
        with pytest.raises(CodeInvalid):
            await town.pairing.offer(user, "GUESSGUESS")
    with pytest.raises(TooManyTries):
        await town.pairing.offer(user, "GUESSGUESS")


async def test_the_joined_account_keeps_its_rights(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    user = await met(town)
    async with town.database.write() as transaction:
        await transaction.accounts.make_superuser(user.account_id)
    await town.pairing.join(user, (await town.pairing.code_for(ann)).code)
    assert not (await town.accounts.get(ann.id)).is_superuser


async def test_the_last_superuser_does_not_vanish_into_a_user(town: Town) -> None:
    first = await town.first()
    user = await met(town)
    async with town.database.write() as transaction:
        await transaction.accounts.make_superuser(user.account_id)
    plain = await town.accounts.change(OPERATOR, first.id, AccountChange(is_superuser=False))
    code = (await town.pairing.code_for(plain)).code
    with pytest.raises(LastSuperuser):
        await town.pairing.join(user, code)


@pytest.mark.parametrize("side", ["account", "identity"])
async def test_a_block_holds_for_both_sides(town: Town, side: str) -> None:
    await town.first()
    ann = await town.account("ann")
    user = await met(town)
    code = (await town.pairing.code_for(ann)).code
    await town.accounts.change(OPERATOR, ann.id if side == "account" else user.account_id, AccountChange(is_active=False))
    with pytest.raises((Blocked, CodeInvalid)):  # a blocked account's codes are void
        await town.pairing.join(user, code)


async def test_one_telegram_user_has_one_account(town: Town) -> None:
    await town.first()
    ann, ben = await town.account("ann"), await town.account("ben")
    user = await met(town)
    await town.pairing.join(user, (await town.pairing.code_for(ann)).code)
    with pytest.raises(AlreadyPaired):
        await town.pairing.join(user, (await town.pairing.code_for(ben)).code)


async def test_an_unpaired_identity_starts_anew_and_the_account_keeps_what_it_has(town: Town) -> None:
    ann = await town.account("ann")
    user = await met(town)
    await had(town, user.account_id, user.download_session_id, "film")
    await town.pairing.join(user, (await town.pairing.code_for(ann)).code)
    await town.pairing.unpair(actor(ann), ann.id, ELENA)
    assert (await met(town)).account_id != ann.id
    assert await titles(town, ann.id) == ["film"]


async def test_what_is_not_paired_cannot_be_unpaired(town: Town) -> None:
    ann = await town.account("ann")
    user = await met(town)
    for account_id in (ann.id, user.account_id):
        with pytest.raises(NotPaired):
            await town.pairing.unpair(OPERATOR, account_id, ELENA)


def test_an_address_is_shown_so_that_only_its_owner_knows_it() -> None:
    assert [masked(one) for one in ("annabel@example.org", "ab@example.org", None)] == ["a…l@example.org", "a…@example.org", None]


def test_a_merge_handles_every_table_that_names_an_account() -> None:
    names = {"account_id", "owner_id", "subject_id"}
    assert {table.name for table in tables.metadata.sorted_tables if names & {column.name for column in table.columns}} == merges.HANDLED


# --- claiming ---------------------------------------------------------------------------------------------------------


async def unowned(town: Town, *, names: str | None = None, hours_ago: float = 0) -> DownloadSession:
    at = town.clock.now() - timedelta(hours=hours_ago)
    session = DownloadSession(
        id=uuid4(), folder=uuid4(), owner_id=None, created_by=Origin.API, requested_username=names, created_at=at, last_activity=at
    )
    async with town.database.write() as transaction:
        await transaction.download_sessions.add(session)
    return session


async def test_one_sees_and_claims_what_names_one(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    mine, other = await unowned(town, names="Ann"), await unowned(town, names="ben")
    found, count = await town.sessions.unowned(actor(ann))
    assert ([one.session.id for one in found], count) == ([mine.id], 1)
    await town.sessions.claim(actor(ann), ann, mine.id)
    for gone in (mine.id, other.id, uuid4()):
        with pytest.raises(DownloadSessionNotFound):
            await town.sessions.claim(actor(ann), ann, gone)


async def test_who_shows_a_session_sees_and_claims_it(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    session = await unowned(town)
    assert (await town.sessions.unowned(actor(ann)))[1] == 0
    assert (await town.sessions.unowned(actor(ann), shown=session.id))[1] == 1
    await town.sessions.claim(actor(ann), ann, session.id, shown=session.id)


async def test_an_id_that_stands_in_every_link_claims_nothing(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    session_id = uuid4()
    session = DownloadSession(
        id=session_id,
        folder=session_id,
        owner_id=None,
        created_by=Origin.API,
        created_at=town.clock.now(),
        last_activity=town.clock.now(),
    )
    async with town.database.write() as transaction:
        await transaction.download_sessions.add(session)
    assert (await town.sessions.unowned(actor(ann), shown=session_id))[1] == 0
    with pytest.raises(DownloadSessionNotFound):
        await town.sessions.claim(actor(ann), ann, session_id, shown=session_id)


async def test_a_claimed_sessions_jobs_and_history_are_the_claimers(town: Town) -> None:
    first = await town.first()
    session = await unowned(town)
    job = await had(town, 0, session.id, "film")
    async with town.database.writer.begin() as connection:
        await connection.execute(sa.update(tables.jobs).values(account_id=None, payer=None))
    await town.sessions.claim(actor(first), first, session.folder)
    async with town.database.read() as transaction:
        claimed = await transaction.jobs.get(job.id)
    assert claimed is not None
    assert (claimed.account_id, claimed.payer) == (first.id, f"account:{first.id}")
    assert await titles(town, first.id) == ["film"]


async def test_of_two_who_claim_at_once_one_gets_it(town: Town) -> None:
    first, second = await town.first(), await town.account("second", is_superuser=True)
    session = await unowned(town)
    tries = [town.sessions.claim(actor(one), one, session.id) for one in (first, second)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["DownloadSession", "DownloadSessionNotFound"]


async def test_the_operator_links_the_sessions_of_the_last_hours(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    new, _ = await unowned(town, hours_ago=1), await unowned(town, hours_ago=25)
    _, would = await town.sessions.claim_for("ann", hours=24, dry_run=True)
    _, did = await town.sessions.claim_for("ann", hours=24)
    assert [one.session.id for one in would] == [one.session.id for one in did] == [new.id]
    async with town.database.read() as transaction:
        session = await transaction.download_sessions.get(new.id)
    assert session is not None
    assert session.owner_id == ann.id
