"""What a look at a link orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from service import lists
from service.descriptions import ListItem
from service.errors import NothingHeld
from service.model import STATUS_STEP, Job
from service.ports import Ids, Quota, Transaction
from service.watched import Link, LinkItem, Telling


class ItemOrders:
    """Makes a job the parent of a link's items."""

    def __init__(self, quota: Quota, ids: Ids) -> None:
        self._quota, self._ids = quota, ids

    async def place(self, transaction: Transaction, job: Job, link: Link, orders: Sequence[LinkItem]) -> list[Job]:
        """The job, which is in the database already, as it is now, and its children.

        Raises `LimitReached`: then nothing may be kept of it.
        """
        items = [ListItem(url=item.url, title=item.title) for item in orders if item.url is not None]
        if not items:
            raise NothingHeld
        once = list({item.url: item for item in items}.values())
        parent = lists.parent_of(job, link.name, once)
        parent = replace(parent, started_at=job.started_at or job.created_at, seq=job.seq + STATUS_STEP)
        await transaction.jobs.save(parent, if_seq=job.seq)
        children = await lists.add_children(transaction, self._quota, self._ids, parent, once)
        is_told = link.telling is Telling.NOTHING  # also what was announced before is now to be sent
        by_url: dict[str, UUID] = {child.url.text: child.id for child in children}
        for item in orders:
            if item.url is not None:
                await transaction.links.save_item(replace(item, job_id=by_url.get(item.url.text), tries=item.tries + 1, is_told=is_told))
        return [parent, *children]
