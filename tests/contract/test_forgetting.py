"""Somebody forgotten, or joined to another account: on SQLite and PostgreSQL, on local disk and S3.

A table that names an account is handled by forgetting and by merging, or a test here fails for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from obstore.store import S3Store

from service.audit import Act, AuditEntry
from service.chat import Card, CardState, Delivery, Member, Place, Preferences, TelegramUser
from service.credentials import ApiKey, OneTimeCode, Purpose, Scope, digest_of
from service.descriptions import ListItem
from service.downloads import Order
from service.errors import LastSuperuser
from service.forgetting import Forgetting
from service.limits import Charge
from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobFile, MediaFile, MediaKey, Origin
from service.ports import Media, Transaction
from service.selection import MediaType, Selection
from service.watched import ItemState, Link, LinkItem
from service.webhooks import Webhook, WebhookMessage
from storage import tables
from storage.database import SqlDatabase
from storage.media import DiskMedia, S3Media
from storage.merges import HANDLED
from storage.migrate import upgrade
from tests.support.fakes import FakeClock
from tests.support.house import House, living

NAMES_AN_ACCOUNT = {"account_id", "owner_id", "subject_id"}
"""Columns with an account's number; a foreign key to accounts is one whatever its name."""


@dataclass
class Room:
    """A house in which Ann and Ben have accounts."""

    house: House
    forgetting: Forgetting
    ann: Member
    ben: Member

    def order(self, member: Member, path: str) -> Order:
        return Order(
            url=MediaUrl.parse(f"https://example.com/{path}"),
            selection=Selection.of("audio"),
            origin=Origin.CHAT,
            account_id=member.account.id,
            download_session_id=member.user.download_session_id,
        )

    async def had(self, member: Member, path: str) -> Job:
        self.house.clock.move(timedelta(minutes=1))
        job, _ = await self.house.downloads.submit(self.order(member, path))
        return (await self.house.completed(job))[0]

    async def shown(self, job: Job) -> bytes:
        (file,) = await self.house.downloads.files(job)
        return (self.house.root / "media" / file.path).read_bytes()


async def a_member(database: SqlDatabase, clock: FakeClock, number: int) -> Member:
    async with database.write() as transaction:
        account = await transaction.accounts.add(f"tg-{number}", clock.now())
        session = DownloadSession(
            id=UUID(int=number),
            folder=UUID(int=number),
            owner_id=account.id,
            created_by=Origin.CHAT,
            created_at=clock.now(),
            last_activity=clock.now(),
        )
        user = TelegramUser(id=number, account_id=account.id, first_name="P", download_session_id=session.id, created_at=clock.now())
        await transaction.download_sessions.add(session)
        await transaction.telegram_users.add(user)
        await transaction.preferences.put(account.id, Preferences(language="de"))
    return Member(user=user, account=account, preferences=Preferences(language="de"))


@pytest.fixture
async def room(database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    await upgrade(database_url)
    house = House(database_url, tmp_path)
    house.web.pages = {f"https://example.com/{n}": f"body {n}".encode() for n in range(9)}
    async with living(house):
        forgetting = Forgetting(database=house.database, downloads=house.downloads, media=house.media)
        ann, ben = [await a_member(house.database, house.clock, number) for number in (11, 12)]
        yield Room(house=house, forgetting=forgetting, ann=ann, ben=ben)


def naming_columns() -> list[sa.Column[Any]]:
    columns = [column for table in tables.metadata.sorted_tables for column in table.c]
    return [one for one in columns if one.name in NAMES_AN_ACCOUNT or one.references(tables.accounts.c.id)]


async def tables_that_name(database: SqlDatabase, account_id: int) -> set[str]:
    """Every table with a row that names the account, in a column for an account or in words (`account:5`)."""
    found = set()
    texts = [column for table in tables.metadata.sorted_tables for column in table.c if isinstance(column.type, sa.String)]
    async with database.reader.connect() as connection:
        for column, value in [*((one, account_id) for one in naming_columns()), *((one, f"account:{account_id}") for one in texts)]:
            if (await connection.execute(sa.select(column).where(column == value))).first():
                found.add(column.table.name)
    return found


async def fill(room: Room, member: Member) -> None:
    """A row of the member's in every table that has a column for an account."""
    job = await room.had(member, "1")
    items = [ListItem(url=MediaUrl.parse(f"https://example.com/{number}")) for number in (2, 3)]
    parent = await room.house.downloads.submit_list(room.order(member, "list"), "The list", items)
    await room.house.completed(parent)
    card = Card(
        id=str(member.user.id),
        bot_id=7,
        account_id=member.account.id,
        place=Place(chat_id=member.user.id),
        request_id=1,
        url=job.url,
        state=CardState.DELIVERED,
        job_id=job.id,
        created_at=job.created_at,
    )
    async with room.house.database.write() as transaction:
        await transaction.cards.add(card)
        await transaction.deliveries.add(Delivery(card_id=card.id, job_id=job.id, created_at=job.created_at))
        await add_what_accounts_have(transaction, member, job)


async def add_what_accounts_have(transaction: Transaction, member: Member, job: Job) -> None:
    """Keys, codes, cookies, charges, webhooks, and what was done by it and to it."""
    account_id, now = member.account.id, job.created_at
    digest = digest_of(member.account.username)
    await transaction.api_keys.add(ApiKey(account_id=account_id, name="K", start="mgp_", digest=digest, scope=Scope.ALL, created_at=now))
    await transaction.one_time_codes.put(
        OneTimeCode(digest=digest, purpose=Purpose.RESET, account_id=account_id, created_at=now, expires_at=now + timedelta(days=1))
    )
    await transaction.site_cookies.put(account_id, f"{member.user.id}.example.com", "secret", now)
    await transaction.charges.add([Charge(job_id=job.id, payer=f"account:{account_id}", account_id=account_id, charged_at=now)])
    hook = MediaUrl.parse("https://hooks.example.com/")
    await transaction.webhooks.put(Webhook(account_id=account_id, url=hook, secret="whsec_", created_at=now))
    await transaction.webhooks.add_message(
        WebhookMessage(
            id=uuid4(), account_id=account_id, job_id=job.id, event="job.completed", url=hook, body="{}", next_at=now, created_at=now
        )
    )
    watched = Link(
        id=0, account_id=account_id, url=hook, name=member.account.username, selection=Selection.of(), state_since=now, created_at=now
    )
    link = await transaction.links.add(watched)
    assert link is not None
    await transaction.links.add_items([LinkItem(link_id=link.id, extractor="x", item_id="1", state=ItemState.KNOWN, seen_at=now)])
    await transaction.audit.add(AuditEntry(at=now, account_id=account_id, action=Act.LOGGED_IN, subject_id=account_id))
    await transaction.audit.add(AuditEntry(at=now, account_id=None, action=Act.BLOCKED, subject_id=account_id))


def test_merging_handles_every_table_that_names_an_account() -> None:
    assert {column.table.name for column in naming_columns()} == HANDLED


async def test_no_row_of_theirs_is_left_in_any_table(room: Room) -> None:
    await fill(room, room.ann)
    with_an_account = {column.table.name for column in naming_columns()}
    assert with_an_account - await tables_that_name(room.house.database, room.ann.account.id) == set(), "else this test proves nothing"
    await room.forgetting.forget(room.ann.account)
    assert await tables_that_name(room.house.database, room.ann.account.id) == set()
    async with room.house.database.reader.connect() as connection:
        owned = (tables.accounts.c.id, tables.jobs.c.id, tables.job_files.c.name, tables.media_files.c.id, tables.deliveries.c.id)
        left = [list((await connection.execute(sa.select(column))).scalars()) for column in owned]
    assert left == [[0, room.ben.account.id], [], [], [], []]


async def test_only_that_an_account_was_deleted_is_told_afterwards(room: Room) -> None:
    await fill(room, room.ann)
    forgetting = Forgetting(database=room.house.database, downloads=room.house.downloads, media=room.house.media, clock=room.house.clock)
    for _ in range(2):
        await forgetting.forget(room.ann.account)
    async with room.house.database.read() as transaction:
        (told,), _ = await transaction.audit.page()
    assert (told.action, told.account_id, told.subject_id, told.details) == (Act.ACCOUNT_DELETED, None, room.ann.account.id, None)


async def test_who_alone_looks_after_things_is_not_forgotten(room: Room) -> None:
    await fill(room, room.ann)
    async with room.house.database.write() as transaction:
        await transaction.accounts.make_superuser(room.ann.account.id)
    with pytest.raises(LastSuperuser):
        await room.forgetting.forget(room.ann.account)
    assert len(room.house.stored()) == 3
    async with room.house.database.write() as transaction:
        await transaction.accounts.make_superuser(room.ben.account.id)
    await room.forgetting.forget(room.ann.account)
    assert room.house.stored() == []


async def test_nothing_names_an_account_that_was_merged_into_another(room: Room) -> None:
    for member in (room.ann, room.ben):
        await fill(room, member)
    before = await tables_that_name(room.house.database, room.ann.account.id)
    async with room.house.database.write() as transaction:
        await transaction.merges.merge(room.ann.account.id, room.ben.account.id)
        await transaction.accounts.remove(room.ann.account.id)
    assert await tables_that_name(room.house.database, room.ann.account.id) == set()
    assert before - await tables_that_name(room.house.database, room.ben.account.id) == set()


async def test_no_file_of_theirs_is_left(room: Room) -> None:
    await fill(room, room.ann)
    assert len(room.house.stored()) == 3
    await room.forgetting.forget(room.ann.account)
    assert room.house.stored() == []


async def test_another_keeps_every_row_and_file(room: Room) -> None:
    for member in (room.ann, room.ben):
        await fill(room, member)
    before = await tables_that_name(room.house.database, room.ben.account.id)
    await room.forgetting.forget(room.ann.account)
    assert await tables_that_name(room.house.database, room.ben.account.id) == before
    assert len(room.house.stored()) == 3


async def test_what_both_had_stays_readable_and_in_the_store(room: Room) -> None:
    await room.had(room.ann, "1")
    again = await room.had(room.ann, "1")
    of_ben = await room.had(room.ben, "1")
    await room.forgetting.forget(room.ann.account)
    assert await room.shown(of_ben) == b"body 1"
    assert again.account_id == room.ann.account.id
    later = await room.had(room.ben, "1")
    assert await room.shown(later) == b"body 1"
    assert room.house.web.fetched == ["https://example.com/1"], "it came from the store"


# --- both media stores ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3_media(address: str, work: Path) -> S3Media:
    import urllib.request

    bucket = f"bucket-{uuid4()}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/{bucket}", method="PUT")):
        pass
    store = S3Store(
        bucket,
        endpoint=address,
        region="us-east-1",
        access_key_id="x",
        secret_access_key="x",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    return S3Media(store, work)


@pytest.fixture(params=["disk", "s3"])
def media(request: pytest.FixtureRequest, tmp_path: Path) -> Media:
    if request.param == "disk":
        return DiskMedia(tmp_path / "other media")
    return s3_media(request.getfixturevalue("s3_address"), tmp_path / "work")


async def keep(room: Room, media: Media, name: str, *members: Member) -> MediaFile:
    """A stored file that lies with the first of them and is shown to all."""
    work = media.work_directory(uuid4()) / "file"
    work.write_bytes(name.encode())
    paths = [f"downloads/{member.user.download_session_id}/{name}.mp3" for member in members]
    location = await media.adopt(work, paths[0])
    file = MediaFile(
        key=MediaKey(scope="public", extractor="site", id=name, selection="audio:mp3:best"),
        kind=MediaType.AUDIO,
        extension="mp3",
        size=len(name),
        sha256="0" * 64,
        location=location,
        title=name,
        created_at=room.house.clock.now(),
    )
    async with room.house.database.write() as transaction:
        (stored,) = await transaction.media_files.replace(file.key, [file])
        for member, path in zip(members, paths, strict=True):
            order = room.order(member, name)
            job = Job(
                id=uuid4(),
                download_session_id=member.user.download_session_id,
                account_id=member.account.id,
                origin=Origin.CHAT,
                url=order.url,
                selection=order.selection,
                created_at=room.house.clock.now(),
            ).completed(room.house.clock.now(), len(name))
            await transaction.jobs.add(job)
            await transaction.media_files.attach([JobFile(job_id=job.id, media=stored, name=f"{name}.mp3", path=path)])
    for path in paths[1:]:
        await media.show(location, path)
    return stored


async def test_their_bytes_go_and_shared_ones_stay_in_either_store(room: Room, media: Media) -> None:
    own = await keep(room, media, "own", room.ann)
    shared = await keep(room, media, "shared", room.ann, room.ben)
    await Forgetting(database=room.house.database, downloads=room.house.downloads, media=media).forget(room.ann.account)
    async with room.house.database.read() as transaction:
        (kept,) = await transaction.media_files.under(shared.key)
    assert not await media.exists(own.location)
    assert b"".join([part async for part in media.read(kept.location, 0, kept.size)]) == b"shared"
