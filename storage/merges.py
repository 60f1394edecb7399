"""What one account had becomes another's, and what a Telegram identity leaves behind: over all tables that name an account."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.chat import TelegramUser
from service.pairing import Moves
from storage.charges import SqlCharges
from storage.tables import (
    api_keys,
    audit_entries,
    cards,
    download_sessions,
    fetches,
    history_entries,
    job_files,
    jobs,
    link_items,
    links,
    media_files,
    media_urls,
    one_time_codes,
    preferences,
    site_cookies,
    telegram_users,
    webhook_messages,
    webhooks,
)

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
"""The tables with an account's column that a merge handles. A test compares it with the tables that there are."""


class SqlMerges:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def moves(self, account_id: int) -> Moves:
        """What the account has."""
        files = sa.select(job_files.c.name).join(jobs, jobs.c.id == job_files.c.job_id).where(jobs.c.account_id == account_id)
        return Moves(
            history=await self._count(sa.select(history_entries.c.id).where(history_entries.c.account_id == account_id)),
            files=await self._count(files),
            keys=await self._count(sa.select(api_keys.c.id).where(api_keys.c.account_id == account_id)),
            cookies=await self._count(sa.select(site_cookies.c.site).where(site_cookies.c.account_id == account_id)),
        )

    async def merge(self, source: int, target: int) -> None:
        """Everything of `source` becomes `target`'s; where both have one of a kind, `target`'s stays.

        Its API keys go: whoever has one was given `source`'s rights, not `target`'s.
        """
        await self._owned(source, target)
        await self._scopes(f"account:{source}", f"account:{target}")
        await SqlCharges(self._connection).move(source, target)
        await self._execute(sa.update(webhook_messages).where(webhook_messages.c.account_id == source).values(account_id=target))
        if not await self._count(sa.select(webhooks.c.account_id).where(webhooks.c.account_id == target)):
            await self._execute(sa.update(webhooks).where(webhooks.c.account_id == source).values(account_id=target))
        await self._one_of_a_kind(site_cookies, site_cookies.c.site, source, target)
        await self._links(source, target)
        if not await self._count(sa.select(preferences.c.account_id).where(preferences.c.account_id == target)):
            await self._execute(sa.update(preferences).where(preferences.c.account_id == source).values(account_id=target))
        await self._execute(sa.delete(api_keys).where(api_keys.c.account_id == source))
        await self._execute(sa.delete(one_time_codes).where(one_time_codes.c.account_id == source))

    async def _owned(self, source: int, target: int) -> None:
        await self._execute(sa.update(download_sessions).where(download_sessions.c.owner_id == source).values(owner_id=target))
        for table in (history_entries, cards, telegram_users, audit_entries):
            await self._execute(sa.update(table).where(table.c.account_id == source).values(account_id=target))
        await self._execute(sa.update(download_sessions).where(download_sessions.c.requested_id == source).values(requested_id=target))
        await self._execute(sa.update(audit_entries).where(audit_entries.c.subject_id == source).values(subject_id=target))
        await self._execute(sa.update(jobs).where(jobs.c.account_id == source).values(account_id=target, payer=f"account:{target}"))
        waiting = jobs.c.waits_for == f"account:{source}"
        await self._execute(sa.update(jobs).where(waiting).values(waits_for=f"account:{target}"))

    async def _scopes(self, source: str, target: str) -> None:
        """Media that nobody else may have: from now on the target's. Of what both have, the target's is the current one."""
        theirs = media_files.alias("theirs")
        same = sa.exists().where(
            theirs.c.scope == target,
            theirs.c.is_current,
            theirs.c.extractor == media_files.c.extractor,
            theirs.c.media_id == media_files.c.media_id,
            theirs.c.selection == media_files.c.selection,
        )
        await self._execute(sa.update(media_files).where(media_files.c.scope == source, same).values(is_current=False))
        await self._execute(sa.update(media_files).where(media_files.c.scope == source).values(scope=target))
        known = sa.select(media_urls.c.url_digest).where(media_urls.c.scope == target)
        await self._execute(sa.delete(media_urls).where(media_urls.c.scope == source, media_urls.c.url_digest.in_(known)))
        await self._execute(sa.update(media_urls).where(media_urls.c.scope == source).values(scope=target))
        await self._execute(sa.update(jobs).where(jobs.c.scope == source).values(scope=target))
        held = fetches.alias("held")
        twin = sa.exists().where(
            held.c.scope == target,
            held.c.extractor == fetches.c.extractor,
            held.c.media_id == fetches.c.media_id,
            held.c.selection == fetches.c.selection,
        )
        await self._execute(sa.update(fetches).where(fetches.c.scope == source, ~twin).values(scope=target))

    async def _links(self, source: int, target: int) -> None:
        """Of an address that both watch, the target's link stays; it knows all that either has seen, so that nothing comes twice."""
        theirs, mine = links.alias("theirs"), links.alias("mine")
        both = (
            await self._connection.execute(
                sa.select(mine.c.id.label("mine"), theirs.c.id.label("theirs"))
                .join(theirs, sa.and_(theirs.c.url_digest == mine.c.url_digest, theirs.c.account_id == target))
                .where(mine.c.account_id == source)
            )
        ).all()
        for pair in both:
            known = link_items.alias("known")
            seen = sa.exists().where(
                known.c.link_id == pair.theirs, known.c.extractor == link_items.c.extractor, known.c.item_id == link_items.c.item_id
            )
            await self._execute(sa.update(link_items).where(link_items.c.link_id == pair.mine, ~seen).values(link_id=pair.theirs))
            await self._execute(sa.update(jobs).where(jobs.c.link_id == pair.mine).values(link_id=pair.theirs))
            await self._execute(sa.delete(links).where(links.c.id == pair.mine))
        await self._execute(sa.update(links).where(links.c.account_id == source).values(account_id=target))

    async def _one_of_a_kind(self, table: sa.Table, kind: sa.Column[str], source: int, target: int) -> None:
        theirs = sa.select(kind).where(table.c.account_id == target)
        await self._execute(sa.delete(table).where(table.c.account_id == source, kind.in_(theirs)))
        await self._execute(sa.update(table).where(table.c.account_id == source).values(account_id=target))

    async def leave(self, user: TelegramUser) -> None:
        """The identity goes; its cards too, since they are in its chat. What was downloaded stays the account's."""
        theirs = sa.or_(cards.c.chat_id == user.id, cards.c.asker_id == user.id)
        await self._execute(sa.delete(cards).where(cards.c.account_id == user.account_id, theirs))
        await self._execute(sa.delete(one_time_codes).where(one_time_codes.c.telegram_id == user.id))
        about = audit_entries.c.details == f"tg-{user.id}"
        await self._execute(sa.update(audit_entries).where(about).values(details=None))
        await self._execute(sa.delete(telegram_users).where(telegram_users.c.id == user.id))

    async def _count(self, query: sa.Select[tuple[object]]) -> int:
        return int((await self._connection.execute(sa.select(sa.func.count()).select_from(query.subquery()))).scalar_one())

    async def _execute(self, statement: sa.Update | sa.Delete) -> None:
        await self._connection.execute(statement)
