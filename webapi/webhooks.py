"""`/api/v1/users/me/webhook`: where an account is told that a job has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from service.accounts import Accounts
from service.errors import AddressNotAllowed, Forbidden, InvalidUrl, WebhookNotFound
from service.media_url import MediaUrl
from service.model import Account
from service.webhooks import OwnWebhooks, Webhook, WebhookMessage
from webapi.auth import Caller
from webapi.contract import OWNERS, Api
from webapi.problems import invalid

PATH = "/api/v1/users/me/webhook"
HOLDERS = replace(OWNERS, local=403, other="allowed")
"""Whoever has an account. This machine's own user can make one."""


class NewWebhook(BaseModel):
    """Where all jobs are told of; without `url`, only those that name a `callback_url`."""

    url: Annotated[str, Field(min_length=1, max_length=4096, json_schema_extra={"format": "uri"})] | None = None


class WebhookView(BaseModel):
    """A webhook, without its secret."""

    url: str | None
    created_at: datetime


class MadeWebhook(WebhookView):
    """`secret` is shown this once; every message is signed with it, as standardwebhooks.com describes."""

    secret: str


class MessageView(BaseModel):
    """A message, and how it is with it. `last_status` is the last answer's; null where there was none."""

    id: UUID
    job_uuid: UUID
    event: str
    url: str
    state: str
    tries: int
    last_status: int | None
    created_at: datetime
    ended_at: datetime | None


class WebhookEndpoints:
    """For accounts only: a message must be somebody's."""

    def __init__(self, webhooks: OwnWebhooks, accounts: Accounts) -> None:
        self._webhooks, self._accounts = webhooks, accounts

    def register(self, api: Api) -> None:
        tags = ["Webhooks"]
        api.route("PUT", PATH, access=HOLDERS, tags=tags, faults=[AddressNotAllowed])(self.put_webhook)
        api.route("GET", PATH, access=HOLDERS, tags=tags, faults=[WebhookNotFound])(self.get_webhook)
        api.route("DELETE", PATH, access=HOLDERS, tags=tags, faults=[WebhookNotFound])(self.delete_webhook)
        api.route("GET", f"{PATH}/messages", access=HOLDERS, tags=tags, answers={200: list[MessageView]})(self.list_messages)

    async def put_webhook(self, caller: Caller, wanted: NewWebhook) -> MadeWebhook:
        """Say where to be told, and get a new secret; the one before is void."""
        made = await self._webhooks.put(caller.actor, _account(caller), _url(wanted.url))
        return MadeWebhook(**_shown(made).model_dump(), secret=made.secret)

    async def get_webhook(self, caller: Caller) -> WebhookView:
        """Where one is told."""
        return _shown(await self._webhooks.get(_account(caller).id))

    async def delete_webhook(self, caller: Caller) -> WebhookView:
        """Be told no more; messages that wait are given up."""
        return _shown(await self._webhooks.remove(caller.actor, _account(caller).id))

    async def list_messages(self, caller: Caller) -> list[MessageView]:
        """The last hundred messages, newest first."""
        return [_message(one) for one in await self._webhooks.messages(_account(caller).id)]


def _account(caller: Caller) -> Account:
    if caller.account is None:
        raise Forbidden
    return caller.account


def _url(text: str | None) -> MediaUrl | None:
    if text is None:
        return None
    try:
        return MediaUrl.parse(text)
    except InvalidUrl as wrong:
        raise invalid([{"loc": ["body", "url"], "msg": wrong.message, "type": wrong.code}]) from None


def _shown(webhook: Webhook) -> WebhookView:
    return WebhookView(url=webhook.url.text if webhook.url else None, created_at=webhook.created_at)


def _message(one: WebhookMessage) -> MessageView:
    return MessageView(
        id=one.id,
        job_uuid=one.job_id,
        event=one.event,
        url=one.url.shown,
        state=one.state,
        tries=one.tries,
        last_status=one.last_status,
        created_at=one.created_at,
        ended_at=one.ended_at,
    )
