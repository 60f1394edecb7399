"""A job whose address turns out to be a list becomes the parent of its items."""

from __future__ import annotations

from dataclasses import replace

from service import endings, lists
from service.descriptions import Description, DescriptionKind
from service.errors import LimitReached, NoRoom, TooManyItems
from service.locking import lock_payers, payers_of
from service.model import STATUS_STEP, Job
from service.ports import Clock, Database, Ids, Quota, Transaction

MOST_JOBS = 10
"""In a download session that nobody owns."""
NO_LIMIT = 2**31


class Expansion:
    """Writes the parent and its children in one transaction: cut short, nothing has happened."""

    def __init__(self, *, database: Database, quota: Quota, clock: Clock, ids: Ids) -> None:
        self._database, self._quota, self._clock, self._ids = database, quota, clock, ids

    async def expand(self, job: Job, told: Description) -> list[Job] | None:
        """The parent and its children; None when somebody ended the job meanwhile.

        Raises `TooManyItems` for what is no list after all, `NoRoom` when a limit leaves no place for the items.
        """
        if told.kind is not DescriptionKind.LIST or not told.items or job.max_items is None:
            raise TooManyItems
        async with self._database.write() as transaction:
            await lock_payers(transaction, payers_of(job))
            await transaction.download_sessions.by_id_or_folder(job.download_session_id)  # nobody adds to it meanwhile
            present = await endings.locked(transaction, job)
            if present is None or not present.status.is_live or present.attempt != job.attempt or present.is_list:
                return None
            once = list({item.url: item for item in told.items}.values())
            items = once[: min(job.max_items, await self._room(transaction, present))]
            if not items:
                raise NoRoom
            parent = lists.parent_of(present, told.title, items)
            parent = replace(parent, started_at=present.started_at, seq=max(present.seq, job.seq) + STATUS_STEP)
            await transaction.jobs.save(parent, if_seq=present.seq)
            await self._quota.refund(transaction, parent)  # its items count instead
            try:
                children = await lists.add_children(transaction, self._quota, self._ids, parent, items)
            except LimitReached as reached:
                raise NoRoom(reached.message) from reached
        return [parent, *children]

    async def _room(self, transaction: Transaction, job: Job) -> int:
        session = await transaction.download_sessions.get(job.download_session_id)
        if session is None or not session.opens_by_id:
            return NO_LIMIT
        return max(0, MOST_JOBS - await transaction.jobs.count_in(session.id))
