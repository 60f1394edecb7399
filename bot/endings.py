"""How a card ended: what it became, what went wrong, and whether that is told aloud."""

from __future__ import annotations

from bot.delivery import took_long
from service.chat import Card, CardState, DeliveryState
from service.deliveries import Deliveries
from service.descriptions import DescriptionKind
from service.downloads import Downloads
from service.errors import Blocked, JobNotFound
from service.model import Job, JobStatus
from service.ports import Database


class Endings:
    """Looks only; what follows from it is the attendant's."""

    def __init__(self, *, deliveries: Deliveries, downloads: Downloads, database: Database) -> None:
        self._deliveries, self._downloads, self._database = deliveries, downloads, database

    async def is_file(self, card: Card) -> bool:
        """A card that became its file keeps its looks. One from the history has no description, and needs no message."""
        if card.state is not CardState.DELIVERED:
            return False
        if card.description is not None:
            return card.description.kind is DescriptionKind.MEDIUM
        return card.message_id is None or not await self._is_album(card)

    async def _is_album(self, card: Card) -> bool:
        if card.job_id is None:
            return False
        async with self._database.read() as transaction:
            return len(await transaction.media_files.of_job(card.job_id)) > 1

    async def is_loud(self, card: Card) -> bool:
        """After a long time, but not with a file, which notifies itself, nor by the asker's own wish."""
        if card.job_id is None or card.state not in {CardState.FAILED, CardState.DELIVERED}:
            return False
        try:
            job = await self._downloads.get(card.job_id)
        except JobNotFound:
            return False
        return took_long(job) and (job.is_list or card.state is CardState.FAILED)

    async def what_went_wrong(self, card: Card, job: Job) -> str | None:
        """The code of what keeps a file from the chat."""
        if job.status is JobStatus.FAILED:
            return job.error_code or "error"
        deliveries = [one for one in await self._deliveries.of_card(card.id) if job.is_list or one.job_id == job.id]
        if any(one.state is DeliveryState.UNSURE for one in deliveries):
            return "may_be_there"
        failed = [one.error_code for one in deliveries if one.state is DeliveryState.FAILED]
        if not failed:
            return None
        if Blocked.code in failed:
            return Blocked.code
        return "not_delivered" if job.is_list else failed[0] or "not_delivered"
