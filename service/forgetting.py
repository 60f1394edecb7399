"""All that is held of somebody, deleted: rows, files, and what is under way."""

from __future__ import annotations

import logging

from service.chat import Member, TelegramCopy
from service.downloads import Downloads
from service.errors import Forbidden, JobNotFound, JobNotLive
from service.model import LOCAL_ACCOUNT, JobFile
from service.ports import Database, Media, Transaction

log = logging.getLogger("magpie.forgetting")


class Forgetting:
    """What somebody else also has is kept for them."""

    def __init__(self, *, database: Database, downloads: Downloads, media: Media) -> None:
        self._database, self._downloads, self._media = database, downloads, media

    async def forget(self, member: Member) -> None:
        """End the account's jobs, then delete it with all that belongs to it. Raises `Forbidden` for the built-in account.

        May be called again after it was cut short: what is left goes then.
        """
        account_id = member.account.id
        if account_id == LOCAL_ACCOUNT:
            raise Forbidden("The built-in account cannot be deleted; delete the data directory instead.")
        await self._stop_jobs(account_id)
        files = await self._files(account_id)
        kept = await self._hand_on(files, account_id)
        for path in {file.path for file in files} - kept:  # before the rows that name them: cut short, it can be done again
            await self._media.delete(path)
        async with self._database.write() as transaction:
            media = {file.media.id for file in files if file.media.id is not None}
            await transaction.accounts.remove(account_id)
            await transaction.media_files.forget_addresses(f"account:{account_id}")
            unused = await transaction.media_files.drop_unused(sorted(media))
        for path in set(unused) - kept:
            await self._media.delete(path)
        log.info("account forgotten", extra={"files": len(files)})

    async def in_vaults(self, member: Member) -> list[TelegramCopy]:
        """What lies in a vault chat and would be nobody's afterwards: to be deleted there first."""
        files = await self._files(member.account.id)
        async with self._database.read() as transaction:
            alone = [file.media.id for file in files if await self._heir(transaction, file, member.account.id) is None]
            return await transaction.telegram_copies.in_vaults([one for one in alone if one is not None])

    async def _stop_jobs(self, account_id: int) -> None:
        async with self._database.read() as transaction:
            live = await transaction.jobs.live_of(account_id)
        for job in live:
            try:
                await self._downloads.cancel(job.id)
            except (JobNotLive, JobNotFound):
                continue

    async def _files(self, account_id: int) -> list[JobFile]:
        async with self._database.read() as transaction:
            jobs = await transaction.jobs.of_account(account_id)
            return [file for job in jobs for file in await transaction.media_files.of_job(job.id)]

    async def _hand_on(self, files: list[JobFile], account_id: int) -> set[str]:
        """Bytes that another account's job shows too, but that lie in this account's folder, move there; returns where they lie."""
        kept: set[str] = set()
        mine = {file.path for file in files}
        for file in files:
            async with self._database.read() as transaction:
                heir = await self._heir(transaction, file, account_id)
            if heir is None or file.media.location not in mine:
                continue
            location = await self._media.keep_as(file.media.location, heir.path)
            assert file.media.id is not None
            async with self._database.write() as transaction:
                await transaction.media_files.relocate(file.media.id, location)
            kept.add(location)
        return kept

    async def _heir(self, transaction: Transaction, file: JobFile, account_id: int) -> JobFile | None:
        assert file.media.id is not None
        for shown in await transaction.media_files.shown_by(file.media.id):
            job = await transaction.jobs.get(shown.job_id)
            if job is not None and job.account_id != account_id:
                return shown
        return None
