"""Outgoing webhooks through the real queue, on SQLite and PostgreSQL: told at least once, signed, tried again, given up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from service import webhooks
from service.descriptions import ListItem
from service.downloads import Order
from service.errors import AddressNotAllowed, SecretNeeded, VideoPrivate, WebhookNotFound
from service.media_url import MediaUrl
from service.model import Account, Job, JobStatus, Origin
from service.selection import Selection
from service.webhooks import TRIES, DeliveryState, Messenger, OwnWebhooks, WebhookMessage
from storage import tables
from storage.migrate import upgrade
from storage.vault import MultiFernetVault
from tests.support.house import House, living
from tests.support.people import Town, actor

HOOK, CALLBACK = MediaUrl.parse("https://hooks.example.com/all"), MediaUrl.parse("https://hooks.example.com/one")
FORBIDDEN = MediaUrl.parse("http://10.0.0.1/")


@dataclass
class Listener:
    """Whoever is told. `answers` are given in turn, then 200."""

    answers: list[int | None] = field(default_factory=list)
    told: list[tuple[MediaUrl, bytes, dict[str, str]]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """Nobody answers before it is opened."""

    async def check_address(self, url: MediaUrl) -> None:
        if url == FORBIDDEN:
            raise AddressNotAllowed

    async def post(self, url: MediaUrl, body: bytes, headers: Mapping[str, str]) -> int | None:
        await self.check_address(url)
        self.told.append((url, body, dict(headers)))
        if self.gate:
            await self.gate.wait()
        return self.answers.pop(0) if self.answers else 200


@dataclass
class Office:
    """A house in which Ann is told of her jobs."""

    house: House
    town: Town
    listener: Listener
    own: OwnWebhooks = field(init=False)
    messenger: Messenger = field(init=False)

    async def restart(self) -> None:
        await self.house.stop()
        await self.house.start()
        self.hire()

    def hire(self) -> None:
        """Whoever delivers and is asked, on the house's present database."""
        self.messenger = Messenger(database=self.house.database, posts=self.listener, clock=self.house.clock)
        self.house.messenger = self.messenger.deliver
        self.own = OwnWebhooks(database=self.house.database, posts=self.listener, clock=self.house.clock)

    async def until_told(self, times: int) -> None:
        async with asyncio.timeout(30):
            while len(self.listener.told) < times:
                await asyncio.sleep(0.02)

    async def ann(self) -> Account:
        return await self.town.account("ann")

    async def had(self, account: Account | None, path: str = "a", callback: MediaUrl | None = None) -> Job:
        self.house.web.pages.setdefault(f"https://example.com/{path}", bytes(100))
        order = Order(
            url=MediaUrl.parse(f"https://example.com/{path}"),
            selection=Selection.of("audio"),
            origin=Origin.API,
            account_id=account.id if account else None,
            callback_url=callback,
        )
        return await self.house.ended((await self.house.downloads.submit(order))[0])

    async def messages(self, account: Account, *, ended: bool = True) -> list[WebhookMessage]:
        async with asyncio.timeout(30):
            while True:
                found = await self.own.messages(account.id)
                if found and (not ended or all(one.state is not DeliveryState.WAITING for one in found)):
                    return found
                await asyncio.sleep(0.02)


@pytest.fixture
async def office(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(webhooks, "PAUSES", (timedelta(0),) * len(webhooks.PAUSES))
    await upgrade(database_url)
    vault = MultiFernetVault(["a secret key of the tests"])
    house, listener = House(url=database_url, root=tmp_path, vault=vault), Listener()
    async with living(house):
        office = Office(house=house, town=Town(house.database, house.clock), listener=listener)
        office.hire()
        yield office


async def test_an_account_is_told_of_the_end_of_a_job_with_a_signature_that_fits(office: Office) -> None:
    ann = await office.ann()
    secret = (await office.own.put(actor(ann), ann, HOOK)).secret
    job = await office.had(ann)
    (message,) = await office.messages(ann)
    ((url, body, headers),) = office.listener.told
    told = json.loads(body)
    assert (url, told["type"], told["data"]["job_uuid"], told["data"]["status"]) == (HOOK, "job.completed", str(job.id), "completed")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    assert (message.state, message.tries, message.last_status, headers["webhook-id"]) == ("delivered", 1, 200, str(message.id))


async def test_a_failure_is_told_too(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    office.house.web.failures["https://example.com/a"] = [VideoPrivate()]
    assert (await office.had(ann)).status is JobStatus.FAILED
    await office.messages(ann)
    told = json.loads(office.listener.told[0][1])
    assert (told["type"], told["data"]["code"]) == ("job.failed", "private")


async def test_a_callback_of_a_job_is_told_beside_the_accounts(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    await office.had(ann, callback=CALLBACK)
    await office.messages(ann)
    assert {url for url, _, _ in office.listener.told} == {HOOK, CALLBACK}


async def test_a_list_is_told_of_once_not_an_item_each(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    items = [ListItem(url=MediaUrl.parse(f"https://example.com/{n}")) for n in range(3)]
    office.house.web.pages |= {item.url.text: bytes(10) for item in items}
    order = Order(url=MediaUrl.parse("https://example.com/list"), selection=Selection.of("audio"), origin=Origin.API, account_id=ann.id)
    parent = await office.house.ended(await office.house.downloads.submit_list(order, "A list", items))
    assert [message.job_id for message in await office.messages(ann)] == [parent.id]


async def test_it_is_tried_again_with_the_same_id_until_it_is_taken(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    office.listener.answers = [500, None, 302]
    await office.had(ann)
    (message,) = await office.messages(ann)
    assert (message.state, message.tries) == ("delivered", 4)
    assert len({headers["webhook-id"] for _, _, headers in office.listener.told}) == 1


async def test_after_eight_tries_it_is_given_up(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    office.listener.answers = [503] * 20
    await office.had(ann)
    (message,) = await office.messages(ann)
    assert (message.state, message.tries, message.last_status, len(office.listener.told)) == ("given_up", TRIES, 503, 8)


def test_eight_tries_are_made_within_a_day() -> None:
    assert TRIES == 8
    assert timedelta(hours=20) < sum(webhooks.PAUSES, timedelta(0)) < timedelta(hours=24)


async def test_a_try_that_is_made_twice_does_not_count_twice(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    await office.had(ann)
    (message,) = await office.messages(ann)
    await office.messenger.deliver(message.id, 0)
    await office.messenger.deliver(uuid4(), 0)
    assert (await office.messages(ann))[0] == message
    assert len(office.listener.told) == 1


async def test_what_is_being_told_when_the_service_stops_is_told_after_the_next_start(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    office.listener.gate = asyncio.Event()
    await office.had(ann)
    await office.until_told(1)
    await office.restart()
    office.listener.gate.set()
    (message,) = await office.messages(ann)
    assert (message.state, message.tries) == ("delivered", 1)
    ids = {headers["webhook-id"] for _, _, headers in office.listener.told}
    assert ids == {str(message.id)}


async def test_a_try_that_was_lost_with_the_database_is_made_again_within_the_hour(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    lost = asyncio.Event()

    async def break_down(*_: object, **__: object) -> None:
        lost.set()
        raise OSError("the database is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Messenger, "_write", break_down)
        await office.had(ann)
        await asyncio.wait_for(lost.wait(), 30)
    assert await office.messenger.recover() == 0, "it is not late yet"
    office.house.clock.move(webhooks.LATE + timedelta(minutes=1))
    assert await office.messenger.recover() == 1
    (message,) = await office.messages(ann)
    assert (message.state, message.tries) == ("delivered", 1)
    assert await office.messenger.recover() == 0


async def test_a_removed_webhook_is_not_told_what_still_waits(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    told = asyncio.Event()
    post = office.listener.post

    async def remove_meanwhile(url: MediaUrl, body: bytes, headers: Mapping[str, str]) -> int | None:
        await post(url, body, headers)
        await office.own.remove(actor(ann), ann.id)
        told.set()
        return 500

    office.listener.post = remove_meanwhile  # type: ignore[method-assign]
    await office.had(ann)
    await told.wait()
    assert [message.state for message in await office.messages(ann)] == ["given_up"]
    assert len(office.listener.told) == 1


async def test_what_waits_when_a_webhook_is_removed_is_not_told_by_the_next_one(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "PAUSES", (timedelta(hours=1),) * len(webhooks.PAUSES))
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    office.listener.answers = [500]
    await office.had(ann)
    await office.until_told(1)
    await office.own.remove(actor(ann), ann.id)
    await office.own.put(actor(ann), ann, None)
    (message,) = await office.own.messages(ann.id)
    assert message.state == "given_up"
    await office.messenger.deliver(message.id, message.tries)
    assert len(office.listener.told) == 1


async def test_a_secret_that_cannot_be_read_keeps_no_job_from_ending(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    office.listener.answers = [500]
    await office.had(ann)
    await office.until_told(1)
    office.house.vault = MultiFernetVault(["another secret key of the tests"])
    await office.restart()
    assert (await office.had(ann, "b")).status is JobStatus.COMPLETED
    assert await office.messenger.recover() == 0
    assert await office.own.messages(ann.id) == []


async def test_an_address_that_may_not_be_reached_is_refused(office: Office) -> None:
    ann = await office.ann()
    with pytest.raises(AddressNotAllowed):
        await office.own.put(actor(ann), ann, FORBIDDEN)
    with pytest.raises(WebhookNotFound):
        await office.own.get(ann.id)


async def test_a_callback_needs_an_account_with_a_secret(office: Office) -> None:
    ann = await office.ann()
    for account in (None, ann):
        with pytest.raises(SecretNeeded):
            await office.own.check_callback(account, CALLBACK)
    await office.own.put(actor(ann), ann, None)
    await office.own.check_callback(ann, CALLBACK)
    with pytest.raises(AddressNotAllowed):
        await office.own.check_callback(ann, FORBIDDEN)


async def test_nobody_is_told_of_jobs_that_are_nobodys(office: Office) -> None:
    ann = await office.ann()
    await office.own.put(actor(ann), ann, HOOK)
    await office.had(None)
    await office.had(ann, "b")
    assert len(await office.messages(ann)) == 1


async def test_neither_secret_nor_address_is_readable_in_the_database(office: Office) -> None:
    ann = await office.ann()
    secret = (await office.own.put(actor(ann), ann, HOOK)).secret
    await office.had(ann, callback=CALLBACK)
    await office.messages(ann)
    async with office.house.database.reader.connect() as connection:
        found = [
            str((await connection.execute(sa.select(table))).all()) for table in (tables.webhooks, tables.webhook_messages, tables.jobs)
        ]
    assert not [text for text in found if secret in text or "hooks.example.com" in text]
