"""Outgoing webhooks: an account is told at an address of its own when a job ends. At least once, signed, tried for a day.

The signature is that of Standard Webhooks (standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID, uuid5

from service.audit import Act, Actor, AuditEntry
from service.errors import AddressNotAllowed, SecretNeeded, WebhookNotFound
from service.locking import insist, lock_account
from service.media_url import MediaUrl
from service.model import Account, Job
from service.ports import Clock, Database, Transaction

log = logging.getLogger("magpie.webhooks")
PREFIX = "whsec_"
PAUSES = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=15),
)
"""Before each further try: eight tries within a day."""
TRIES = len(PAUSES) + 1
LATE = timedelta(minutes=10)
"""So long after its time a try is taken for lost; tried twice, it counts once."""


class DeliveryState(StrEnum):
    """How it is with one message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An account's: where all its jobs are told of, if anywhere, and the secret with which every message is signed."""

    account_id: int
    url: MediaUrl | None
    secret: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage:
    """One message to one address. `last_status` is the last answer's, None where there was none."""

    id: UUID
    account_id: int
    job_id: UUID
    event: str
    url: MediaUrl
    body: str
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    last_status: int | None = None
    next_at: datetime
    """When it is tried next, while it waits."""
    created_at: datetime
    ended_at: datetime | None = None


class Webhooks(Protocol):
    """In the transaction."""

    async def put(self, webhook: Webhook) -> None: ...
    async def of_account(self, account_id: int) -> Webhook | None: ...
    async def remove(self, account_id: int) -> bool: ...
    async def add_message(self, message: WebhookMessage) -> None: ...
    async def message(self, message_id: UUID) -> WebhookMessage | None: ...
    async def save_message(self, message: WebhookMessage, *, if_tries: int) -> bool:
        """False, and no change, when somebody else has tried meanwhile."""
        ...

    async def give_up(self, account_id: int, now: datetime) -> None:
        """All of its messages that wait."""
        ...

    async def overdue(self, before: datetime) -> list[WebhookMessage]:
        """Those that should have been tried before this moment, and wait still."""
        ...

    async def messages_of(self, account_id: int) -> list[WebhookMessage]:
        """Newest first, at most a hundred."""
        ...


class Posts(Protocol):
    """Sends a message through the egress guard. Follows no redirect."""

    async def check_address(self, url: MediaUrl) -> None:
        """Raises `AddressNotAllowed`."""
        ...

    async def post(self, url: MediaUrl, body: bytes, headers: Mapping[str, str]) -> int | None:
        """The answer's status; None where there is none within the time. Raises `AddressNotAllowed`."""
        ...


class OwnWebhooks:
    """What an account may do with its own."""

    def __init__(self, *, database: Database, posts: Posts, clock: Clock) -> None:
        self._database, self._posts, self._clock = database, posts, clock

    async def put(self, actor: Actor, account: Account, url: MediaUrl | None) -> Webhook:
        """A new secret each time: it is shown this once. Raises `AddressNotAllowed`, `Vanished`."""
        if url is not None:
            await self._posts.check_address(url)
        secret = PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        webhook = Webhook(account_id=account.id, url=url, secret=secret, created_at=self._clock.now())
        async with self._database.write() as transaction:
            await lock_account(transaction, account.id)
            await transaction.webhooks.put(webhook)
            await self._note(transaction, actor, Act.WEBHOOK_SET, account.id)
        return webhook

    async def get(self, account_id: int) -> Webhook:
        """Raises `WebhookNotFound`."""
        async with self._database.read() as transaction:
            webhook = await transaction.webhooks.of_account(account_id)
        if webhook is None:
            raise WebhookNotFound
        return webhook

    async def remove(self, actor: Actor, account_id: int) -> Webhook:
        """Messages that wait are given up. Raises `WebhookNotFound`."""
        webhook = await self.get(account_id)
        async with self._database.write() as transaction:
            if not await transaction.webhooks.remove(account_id):
                raise WebhookNotFound
            await transaction.webhooks.give_up(account_id, self._clock.now())
            await self._note(transaction, actor, Act.WEBHOOK_REMOVED, account_id)
        return webhook

    async def messages(self, account_id: int) -> list[WebhookMessage]:
        async with self._database.read() as transaction:
            return await transaction.webhooks.messages_of(account_id)

    async def check_callback(self, account: Account | None, url: MediaUrl) -> None:
        """Raises `SecretNeeded` for an account that could not tell whether a message is ours, `AddressNotAllowed`."""
        if account is None:
            raise SecretNeeded
        try:
            await self.get(account.id)
        except WebhookNotFound:
            raise SecretNeeded from None
        await self._posts.check_address(url)

    async def _note(self, transaction: Transaction, actor: Actor, act: Act, account_id: int) -> None:
        await transaction.audit.add(AuditEntry(at=self._clock.now(), account_id=actor.account_id, action=act, subject_id=account_id))


async def announce(transaction: Transaction, job: Job) -> None:
    """In the transaction that ends a job (not one of a list's items): a message to each address that wants to know."""
    if job.account_id is None or job.parent_id is not None or job.ended_at is None:
        return
    webhook = await transaction.webhooks.of_account(job.account_id)
    if webhook is None:
        return
    for url in {url for url in (webhook.url, job.callback_url) if url is not None}:
        event = f"job.{job.status}"
        message = WebhookMessage(
            id=uuid5(job.id, f"{job.attempt} {url.text}"),
            account_id=job.account_id,
            job_id=job.id,
            event=event,
            url=url,
            body=_body(event, job, job.ended_at),
            next_at=job.ended_at,
            created_at=job.ended_at,
        )
        await transaction.webhooks.add_message(message)
        await transaction.queue.enqueue_message(message.id, 0, timedelta(0))


def _body(event: str, job: Job, now: datetime) -> str:
    return json.dumps(
        {
            "type": event,
            "timestamp": now.isoformat().replace("+00:00", "Z"),
            "data": {
                "job_uuid": str(job.id),
                "job_url": job.url.shown,
                "status": str(job.status),
                "title": job.title,
                "code": job.error_code,
                "error_message": job.error_message,
                "status_path": f"/api/jobs/{job.id}",
            },
        },
        ensure_ascii=False,
    )


class Messenger:
    """Delivers: each try is an entry in the queue of its own, so that it survives whatever happens in between."""

    def __init__(self, *, database: Database, posts: Posts, clock: Clock) -> None:
        self._database, self._posts, self._clock = database, posts, clock

    async def deliver(self, message_id: UUID, number: int) -> None:
        """One try, the `number`th from 0. Called again for the same try, it may tell a second time, never for a later one."""
        async with self._database.read() as transaction:
            message = await transaction.webhooks.message(message_id)
            webhook = await transaction.webhooks.of_account(message.account_id) if message else None
        if message is None or message.state is not DeliveryState.WAITING or message.tries != number:
            return
        status = await self._post(message, webhook) if webhook is not None else None
        is_over = webhook is None or number + 1 >= TRIES
        await self._write(message, status, is_over=is_over)

    async def _post(self, message: WebhookMessage, webhook: Webhook) -> int | None:
        body, at = message.body.encode(), int(self._clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Magpie",
            "webhook-id": str(message.id),
            "webhook-timestamp": str(at),
            "webhook-signature": signature(webhook.secret, str(message.id), at, body),
        }
        try:
            return await self._posts.post(message.url, body, headers)
        except AddressNotAllowed:
            log.warning("a webhook leads to an address that may not be reached", extra={"webhook": str(message.id)})
            return None

    async def _write(self, message: WebhookMessage, status: int | None, *, is_over: bool) -> None:
        now = self._clock.now()
        tried = replace(message, tries=message.tries + 1, last_status=status)
        if status is not None and 200 <= status < 300:  # noqa: PLR2004 - what HTTP calls success
            tried = replace(tried, state=DeliveryState.DELIVERED, ended_at=now)
        elif not is_over:
            tried = replace(tried, next_at=now + PAUSES[message.tries])
        else:
            tried = replace(tried, state=DeliveryState.GIVEN_UP, ended_at=now)
            log.warning("a webhook is given up", extra={"webhook": str(message.id), "tries": tried.tries, "status": status})

        async def write() -> None:
            async with self._database.write() as transaction:
                if await transaction.webhooks.save_message(tried, if_tries=message.tries) and tried.state is DeliveryState.WAITING:
                    await transaction.queue.enqueue_message(tried.id, tried.tries, PAUSES[message.tries])

        await insist(write)

    async def recover(self) -> int:
        """Enter what waits though its time has come: its try was lost with a process, or with the database. Returns how many."""
        async with self._database.write() as transaction:
            late = await transaction.webhooks.overdue(self._clock.now() - LATE)
            for message in late:
                await transaction.queue.enqueue_message(message.id, message.tries, timedelta(0))
        return len(late)


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """As Standard Webhooks has it: `v1,` and the base64 of the HMAC-SHA-256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
