"""Download sessions that nobody owns: who sees them, and who may claim them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from service.audit import Act, Actor, AuditEntry
from service.errors import AccountNotFound, DownloadSessionNotFound
from service.model import Account, DownloadSession
from service.ports import Clock, Database, Transaction

log = logging.getLogger("magpie.download_sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unowned:
    """A download session without an owner, and what is in it."""

    session: DownloadSession
    jobs: int
    title: str | None


class DownloadSessions:
    """To claim a session is to give it an owner: its jobs and their history become theirs."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def unowned(self, actor: Actor, *, shown: UUID | None = None, skip: int = 0, limit: int = 100) -> tuple[list[Unowned], int]:
        """Newest first, and how many. A superuser sees all; an account those that name it, and the one that it shows."""
        async with self._database.read() as transaction:
            name = await _name_of(transaction, actor)
            return await transaction.download_sessions.unowned(name, shown=shown, everyone=actor.is_superuser, skip=skip, limit=limit)

    async def claim(self, actor: Actor, account: Account, session_id: UUID, *, shown: UUID | None = None) -> DownloadSession:
        """Raises `DownloadSessionNotFound` for one that the actor would not be shown, or that somebody owns."""
        async with self._database.write() as transaction:
            session = await transaction.download_sessions.by_id_or_folder(session_id)
            if session is None or session.owner_id is not None or not await self._may_claim(transaction, actor, session, shown):
                raise DownloadSessionNotFound
            await self._give(transaction, actor, account, session)
        return session

    async def claim_for(
        self, username: str, *, hours: float | None = None, session_id: UUID | None = None, dry_run: bool = False
    ) -> tuple[Account, list[Unowned]]:
        """Give an account the unowned sessions of the last hours, or this one. For whoever runs the service.

        Raises `AccountNotFound`, `DownloadSessionNotFound`.
        """
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
            if not dry_run:
                for one in found:
                    await self._give(transaction, operator, account, one.session)
        return account, found

    async def _may_claim(self, transaction: Transaction, actor: Actor, session: DownloadSession, shown: UUID | None) -> bool:
        if actor.is_superuser or (shown == session.id != session.folder):  # an id that stands in links is no credential
            return True
        name = await _name_of(transaction, actor)
        return name is not None and (session.requested_username or "").casefold() == name.casefold()

    async def _give(self, transaction: Transaction, actor: Actor, account: Account, session: DownloadSession) -> None:
        await transaction.download_sessions.give(session.id, account.id)
        now = self._clock.now()
        entry = AuditEntry(
            at=now, account_id=actor.account_id, action=Act.SESSION_CLAIMED, subject_id=account.id, details=str(session.folder)
        )
        await transaction.audit.add(entry)
        log.info("download session claimed", extra={"session": str(session.folder), "account": account.id})


async def _name_of(transaction: Transaction, actor: Actor) -> str | None:
    account = await transaction.accounts.get(actor.account_id) if actor.account_id is not None else None
    return account.username if account else None
