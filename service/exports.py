"""Everything that is held of an account, to take away: what it says as JSON, and its files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from service.media_url import MediaUrl
from service.model import Account, JobFile
from service.ports import Database, Transaction

HANDLED = frozenset(
    {
        "api_keys",
        "audit_entries",
        "cards",
        "charges",
        "download_sessions",
        "history_entries",
        "jobs",
        "links",
        "one_time_codes",
        "preferences",
        "site_cookies",
        "telegram_users",
        "webhook_messages",
        "webhooks",
    }
)
"""The tables with an account's column that are told of; of codes and cookies only that there are some, since they are secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One document of the archive."""

    name: str
    content: bytes


class Exports:
    """Reads only; may take as long as the files are large."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pages(self, account: Account) -> AsyncIterator[Page]:
        """What is known, a document a kind."""
        async with self._database.read() as transaction:
            told = await self._told(transaction, account)
        for name, what in told.items():
            yield Page(name=f"{name}.json", content=json.dumps(what, indent=2, default=_plain, ensure_ascii=False).encode())

    async def files(self, account: Account) -> list[JobFile]:
        """As its jobs show them; each of its bytes once."""
        async with self._database.read() as transaction:
            jobs = await transaction.jobs.of_account(account.id)
            found = [file for job in jobs for file in await transaction.media_files.of_job(job.id)]
        return list({file.media.id: file for file in found}.values())

    async def _told(self, transaction: Transaction, account: Account) -> dict[str, Any]:
        webhook = await transaction.webhooks.of_account(account.id)
        keys = await transaction.api_keys.of_account(account.id)
        entries, _ = await transaction.history.page(account.id, limit=2**31 - 1)
        return {
            "account": account,
            "telegram": await transaction.telegram_users.of_account(account.id),
            "preferences": await transaction.preferences.get(account.id),
            "api_keys": [
                {"name": key.name, "start": key.start, "scope": key.scope, "created_at": key.created_at, "last_used_at": key.last_used_at}
                for key in keys
            ],
            "cookies": await transaction.site_cookies.of_account(account.id),
            "download_sessions": await transaction.download_sessions.of_account(account.id),
            "jobs": await transaction.jobs.of_account(account.id),
            "history": entries,
            "cards": await transaction.cards.of_account(account.id),
            "links": await _links(transaction, account),
            "charges": await transaction.charges.of_account(account.id),
            "webhook": webhook and {"url": webhook.url, "created_at": webhook.created_at},
            "webhook_messages": await transaction.webhooks.messages_of(account.id),
            "audit": await transaction.audit.of_account(account.id),
        }


async def _links(transaction: Transaction, account: Account) -> list[dict[str, Any]]:
    """Without their cookies: what they are never comes back."""
    links = await transaction.links.all(account.id)
    return [{"link": replace(link, cookies=None), "items": await transaction.links.items(link.id)} for link in links]


_PLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (MediaUrl, lambda url: url.text),
    (datetime, datetime.isoformat),
    (timedelta, timedelta.total_seconds),
    (frozenset, sorted),
    (bytes, lambda _picture: None),
)


def _plain(value: Any) -> Any:
    """For JSON. Pictures of cards are left out."""
    if is_dataclass(value) and not isinstance(value, type | MediaUrl):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    for kind, plainly in _PLAIN:
        if isinstance(value, kind):
            return plainly(value)
    return str(value)
