"""All that is held of somebody, deleted: rows, files, and what is under way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from service.accounts import keep_a_superuser
from service.audit import Act, AuditEntry
from service.chat import TelegramCopy
from service.downloads import Downloads
from service.errors import Forbidden, JobNotFound, JobNotLive
from service.locking import lock_payers
from service.model import LOCAL_ACCOUNT, Account, Job, JobFile
from service.ports import Clock, Database, Media, Transaction

log = logging.getLogger("magpie.forgetting")


class Leavings:
    """What some jobs leave that are about to be deleted. What another job also shows is kept for it."""

    def __init__(self, *, database: Database, downloads: Downloads, media: Media) -> None:
        self._database, self._downloads, self._media = database, downloads, media

    async def stop(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            try:
                if job.status.is_live:
                    await self._downloads.cancel(job.id)
            except (JobNotLive, JobNotFound):
                continue

    async def files(self, jobs: Sequence[Job]) -> list[JobFile]:
        async with self._database.read() as transaction:
            return [file for job in jobs for file in await transaction.media_files.of_job(job.id)]

    async def delete(self, files: Sequence[JobFile]) -> set[str]:
        """What these files alone hold; returns where bytes lie that somebody else goes on with.

        Comes before the rows that name them: cut short, it can be done again.
        """
        kept = await self._hand_on(files)
        await self.delete_paths({file.path for file in files} - kept)
        return kept

    async def delete_paths(self, paths: set[str]) -> None:
        for path in sorted(paths):
            await self._media.delete(path)

    async def in_vaults(self, files: Sequence[JobFile]) -> list[TelegramCopy]:
        """What lies in a vault chat and would be nobody's afterwards."""
        doomed = {file.job_id for file in files}
        async with self._database.read() as transaction:
            alone = [file.media.id for file in files if await self._heir(transaction, file, doomed) is None]
            return await transaction.telegram_copies.in_vaults([one for one in alone if one is not None])

    async def _hand_on(self, files: Sequence[JobFile]) -> set[str]:
        """Bytes that another job shows too, but that lie where one of these does, move there; returns where they lie."""
        kept: set[str] = set()
        mine, doomed = {file.path for file in files}, {file.job_id for file in files}
        for file in files:
            async with self._database.read() as transaction:
                heir = await self._heir(transaction, file, doomed)
            if heir is None or file.media.location not in mine:
                continue
            location = await self._media.keep_as(file.media.location, heir.path)
            assert file.media.id is not None
            async with self._database.write() as transaction:
                await transaction.media_files.relocate(file.media.id, location)
            kept.add(location)
        return kept

    async def _heir(self, transaction: Transaction, file: JobFile, doomed: set[UUID]) -> JobFile | None:
        assert file.media.id is not None
        return next((shown for shown in await transaction.media_files.shown_by(file.media.id) if shown.job_id not in doomed), None)


class Forgetting:
    """What somebody else also has is kept for them."""

    def __init__(self, *, database: Database, downloads: Downloads, media: Media, clock: Clock | None = None) -> None:
        """With a clock, the audit trail tells that an account was deleted."""
        self._database, self._clock = database, clock
        self._leavings = Leavings(database=database, downloads=downloads, media=media)

    async def check(self, account: Account) -> None:
        """Raises `Forbidden` for the built-in account, `LastSuperuser` for whoever alone looks after things."""
        if account.id == LOCAL_ACCOUNT:
            raise Forbidden("The built-in account cannot be deleted; delete the data directory instead.")
        async with self._database.read() as transaction:
            await self._keep_a_superuser(transaction, account.id)

    async def forget(self, account: Account) -> None:
        """End the account's jobs, then delete it with all that belongs to it. Raises what `check` raises.

        May be called again after it was cut short: what is left goes then.
        """
        account_id = account.id
        await self.check(account)
        await self._close(account_id)
        await self._leavings.stop(await self._jobs(account_id))
        files = await self._leavings.files(await self._jobs(account_id))
        kept = await self._leavings.delete(files)
        async with self._database.write() as transaction:
            media = {file.media.id for file in files if file.media.id is not None}
            await lock_payers(transaction, [f"account:{account_id}"])
            sessions = await transaction.download_sessions.of_account(account_id)  # before they go with the account
            if await transaction.accounts.locked(account_id) is not None:
                await self._remove(transaction, account_id)
            await transaction.media_files.forget_addresses([f"account:{account_id}", *(f"session:{one.id}" for one in sessions)])
            unused = await transaction.media_files.drop_unused(sorted(media))
        await self._leavings.delete_paths(set(unused) - kept)
        log.info("account forgotten", extra={"files": len(files)})

    async def _close(self, account_id: int) -> None:
        """From now on nothing new is accepted for the account: what there is by now is all that there is to delete."""
        async with self._database.write() as transaction:
            await transaction.accounts.lock_rights()
            await lock_payers(transaction, [f"account:{account_id}"])
            present = await transaction.accounts.locked(account_id)
            if present is not None and not present.is_leaving:
                await self._keep_a_superuser(transaction, account_id)  # another one may have gone since `check`
                await transaction.accounts.leave(account_id)

    async def finish(self) -> int:
        """At the start: delete the accounts whose deletion was cut short. Returns how many."""
        async with self._database.read() as transaction:
            leaving = await transaction.accounts.leaving()
        for account in leaving:
            await self.forget(account)
        return len(leaving)

    async def _remove(self, transaction: Transaction, account_id: int) -> None:
        await transaction.audit.forget(account_id)
        if (account := await transaction.accounts.get(account_id)) is not None:
            await transaction.download_sessions.forget_name(account)
        await transaction.accounts.remove(account_id)
        if self._clock is not None:  # the bare number, which is never given to anybody again
            entry = AuditEntry(at=self._clock.now(), account_id=None, action=Act.ACCOUNT_DELETED, subject_id=account_id)
            await transaction.audit.add(entry)

    async def is_gone(self, account_id: int) -> bool:
        async with self._database.read() as transaction:
            return await transaction.accounts.get(account_id) is None

    async def in_vaults(self, account_id: int) -> list[TelegramCopy]:
        """What lies in a vault chat and would be nobody's afterwards: to be deleted there first."""
        return await self._leavings.in_vaults(await self._leavings.files(await self._jobs(account_id)))

    async def _jobs(self, account_id: int) -> list[Job]:
        async with self._database.read() as transaction:
            return await transaction.jobs.of_account(account_id)

    async def _keep_a_superuser(self, transaction: Transaction, account_id: int) -> None:
        if (account := await transaction.accounts.get(account_id)) is not None:
            await keep_a_superuser(transaction, account)
