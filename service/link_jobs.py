"""The jobs that looks at links are."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from service.cookies import cookies_for
from service.lists import scope_of
from service.model import DownloadSession, Job, Origin
from service.ports import Clock, Ids, Transaction
from service.watched import Link

NOWHERE = UUID(int=0)
"""No download session: a link's account is known."""


class LinkJobs:
    """Makes them, and a place for what they bring."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids

    async def enter(self, transaction: Transaction, link: Link, *, is_scheduled: bool) -> Job:
        """A look to come, or the one that is under way."""
        live = [job for job in await transaction.jobs.of_link(link.id, live=True) if not job.is_list]
        if live:
            return live[0]
        link, job = await self.make(transaction, link, is_scheduled=is_scheduled)
        await transaction.jobs.add(job)
        await transaction.queue.enqueue(job)
        return job

    async def make(self, transaction: Transaction, link: Link, *, is_scheduled: bool) -> tuple[Link, Job]:
        """A look that is not written yet; the link has a place for what it brings afterwards."""
        now = self._clock.now()
        if link.download_session_id is None:
            session_id = self._ids.new()
            session = DownloadSession(
                id=session_id, folder=session_id, owner_id=link.account_id, created_by=Origin.LINK, created_at=now, last_activity=now
            )
            await transaction.download_sessions.add(session)
            link = replace(link, download_session_id=session_id)
            await transaction.links.save(link)
        assert link.download_session_id is not None
        job = Job(
            id=self._ids.new(),
            download_session_id=link.download_session_id,
            account_id=link.account_id,
            payer=f"account:{link.account_id}",
            origin=Origin.LINK,
            url=link.url,
            selection=link.selection,
            scope=await link_scope(transaction, link),
            callback_url=link.callback_url,
            link_id=link.id,
            is_scheduled=is_scheduled,
            title=link.name,
            created_at=now,
        )
        return link, job


async def link_scope(transaction: Transaction, link: Link) -> str:
    """Of what comes from it: its owner's alone where a secret is needed for it."""
    is_private = link.cookies is not None or await cookies_for(transaction, link.account_id, link.url) is not None
    return scope_of(link.account_id, NOWHERE, is_secret=link.url.is_secret or is_private)
