"""Download sessions that nobody owns: who sees them, and who may claim them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from service import endings
from service.audit import Act, Actor, AuditEntry
from service.errors import AccountNotFound, DownloadSessionNotFound
from service.locking import account_there, insist, lock_payers
from service.model import Account, DownloadSession, Job
from service.ports import Clock, Database, JobEvents, Quota, Transaction

log = logging.getLogger("magpie.download_sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unowned:
    """A download session without an owner, and what is in it."""

    session: DownloadSession
    jobs: int
    title: str | None


class DownloadSessions:
    """To claim a session is to give it an owner: its jobs and their history become theirs."""

    def __init__(self, *, database: Database, quota: Quota, events: JobEvents, clock: Clock) -> None:
        self._database, self._quota, self._events, self._clock = database, quota, events, clock

    async def unowned(self, actor: Actor, *, shown: UUID | None = None, skip: int = 0, limit: int = 100) -> tuple[list[Unowned], int]:
        """Newest first, and how many. A superuser sees all; an account those that name it, and the one that it shows."""
        async with self._database.read() as transaction:
            named = await _account_of(transaction, actor)
            return await transaction.download_sessions.unowned(named, shown=shown, everyone=actor.is_superuser, skip=skip, limit=limit)

    async def claim(self, actor: Actor, account: Account, session_id: UUID, *, shown: UUID | None = None) -> DownloadSession:
        """Raises `DownloadSessionNotFound` for one that the actor would not be shown, or that somebody owns."""
        async with self._database.write() as transaction:
            session = await self._locked(transaction, account, session_id)
            if session is None or not await self._may_claim(transaction, actor, session, shown):
                raise DownloadSessionNotFound
            started = await self._give(transaction, actor, account, session)
        for job in started:
            self._events.publish(job)
        return session

    async def _locked(self, transaction: Transaction, account: Account, known: UUID) -> DownloadSession | None:
        """An unowned session, which nobody else gives away or adds to until the transaction ends. Raises `Vanished`."""
        found = await transaction.download_sessions.by_id_or_folder(known, lock=False)
        if found is None:
            return None
        await lock_payers(transaction, {f"account:{account.id}", *await transaction.download_sessions.payers_in(found.id)})
        await account_there(transaction, account.id)
        session = await transaction.download_sessions.by_id_or_folder(known)
        return session if session is not None and session.owner_id is None else None

    async def claim_for(
        self, username: str, *, hours: float | None = None, session_id: UUID | None = None, dry_run: bool = False
    ) -> tuple[Account, list[Unowned]]:
        """Give an account the unowned sessions of the last hours, or this one. For whoever runs the service.

        Raises `AccountNotFound`, `DownloadSessionNotFound`.
        """
        return await insist(lambda: self._claim_for(username, hours=hours, session_id=session_id, dry_run=dry_run))

    async def _claim_for(
        self, username: str, *, hours: float | None, session_id: UUID | None, dry_run: bool
    ) -> tuple[Account, list[Unowned]]:
        operator = Actor(account_id=None, is_superuser=True)
        async with self._database.write() as transaction:
            account = await transaction.accounts.by_username(username)
            if account is None:
                raise AccountNotFound
            found = await transaction.download_sessions.unowned_all(
                since=self._clock.now() - timedelta(hours=hours) if hours is not None else None, session_id=session_id
            )
            if session_id is not None and not found:
                raise DownloadSessionNotFound
            given = [] if dry_run else [await self._locked(transaction, account, one.session.id) for one in found]
            for session in given:
                if session is not None:  # else somebody claimed it in this moment
                    await self._give(transaction, operator, account, session)
        kept = {session.id for session in given if session is not None}
        return account, [one for one in found if dry_run or one.session.id in kept]

    async def _may_claim(self, transaction: Transaction, actor: Actor, session: DownloadSession, shown: UUID | None) -> bool:
        if actor.is_superuser or (shown == session.id != session.folder):  # an id that stands in links is no credential
            return True
        account = await _account_of(transaction, actor)
        if account is None:
            return False
        if session.requested_id is not None:
            return session.requested_id == account.id
        return (session.requested_username or "").casefold() == account.username.casefold()

    async def _give(self, transaction: Transaction, actor: Actor, account: Account, session: DownloadSession) -> list[Job]:
        """Returns the waiting jobs that go on: places of those who paid so far are free, and the claimer's count anew."""
        payers = await transaction.download_sessions.payers_in(session.id) | {f"account:{account.id}"}
        await transaction.download_sessions.give(session.id, account.id)
        started = [job for payer in sorted(payers) for job in await endings.fill_places(transaction, self._quota, payer)]
        now = self._clock.now()
        entry = AuditEntry(
            at=now, account_id=actor.account_id, action=Act.SESSION_CLAIMED, subject_id=account.id, details=str(session.folder)
        )
        await transaction.audit.add(entry)
        log.info("download session claimed", extra={"session": str(session.folder), "account": account.id})
        return started


async def _account_of(transaction: Transaction, actor: Actor) -> Account | None:
    return await transaction.accounts.get(actor.account_id) if actor.account_id is not None else None
