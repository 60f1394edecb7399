"""Lists: one parent job, a child for each item. The parent does no work of its own and ends with its last child."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from service.descriptions import ListItem
from service.model import PUBLIC, HistoryEntry, Job, JobStatus, Outcome, Phase, Progress
from service.ports import Ids, Quota, Transaction


def parent_of(job: Job, title: str, items: Sequence[ListItem]) -> Job:
    """The job as a list's parent: under way from the beginning."""
    progress = Progress(phase=Phase.ITEMS, downloaded=0, total=len(items))
    key = hashlib.sha256("\n".join(item.url.text for item in items).encode()).hexdigest()
    return replace(job, status=JobStatus.PROCESSING, title=title, progress=progress, started_at=job.created_at, items_key=key)


async def add_children(transaction: Transaction, quota: Quota, ids: Ids, parent: Job, items: Sequence[ListItem]) -> list[Job]:
    """A queued job for each item. Raises `LimitReached`: then nothing is accepted."""
    children = [
        Job(
            id=ids.new(),
            download_session_id=parent.download_session_id,
            account_id=parent.account_id,
            payer=parent.payer,
            parent_id=parent.id,
            origin=parent.origin,
            url=item.url,
            selection=parent.selection,
            scope=scope_of(parent.account_id, parent.download_session_id, is_secret=item.url.is_secret or parent.scope != PUBLIC),
            refresh=parent.refresh,
            position=position,
            link_id=parent.link_id,
            is_scheduled=parent.is_scheduled,
            title=item.title,
            created_at=parent.created_at,
        )
        for position, item in enumerate(items)
    ]
    added = await transaction.jobs.add_all(children)
    new = [child for child in children if child.id in added]
    await quota.admit(transaction, new)
    await transaction.queue.enqueue_all(new)
    return new


async def child_ended(transaction: Transaction, child: Job) -> list[Job]:
    """The parent as it is now: a step further, or ended. Nothing when it had ended before."""
    assert child.parent_id is not None
    assert child.ended_at is not None
    parent = await transaction.jobs.locked(child.parent_id)
    if parent is None or not parent.status.is_live:
        return []
    children = await transaction.jobs.children_of(parent.id)
    over = [one for one in children if not one.status.is_live]
    moved = parent.moved(Progress(phase=Phase.ITEMS, downloaded=len(over), total=len(children)))
    if len(over) == len(children):
        moved = _ended(moved, children, child.ended_at)
    return [moved] if await transaction.jobs.save(moved, if_seq=parent.seq) else []


def _ended(parent: Job, children: Sequence[Job], now: datetime) -> Job:
    """Well, if at least one child did; else as the first failure."""
    if any(child.status is JobStatus.COMPLETED for child in children):
        return parent.completed(now, 0)
    failed = next((child for child in children if child.status is JobStatus.FAILED), None)
    if failed is None:
        return parent.cancelled(now)
    return parent.failed(now, failed.error_code or "error", failed.error_message or "Download failed")


async def entry_of(transaction: Transaction, parent: Job) -> HistoryEntry:
    """One entry for the whole run."""
    assert parent.ended_at is not None
    children = await transaction.jobs.children_of(parent.id)
    well = [child for child in children if child.status is JobStatus.COMPLETED]
    files = [file.name for child in well for file in await transaction.media_files.of_job(child.id)]
    if len(well) == len(children):
        outcome = Outcome.SUCCESS
    elif well:
        outcome = Outcome.PARTIAL
    else:
        outcome = Outcome.CANCELLED if parent.status is JobStatus.CANCELLED else Outcome.FAILURE
    return HistoryEntry(
        job_id=parent.id,
        attempt=parent.attempt,
        account_id=parent.account_id,
        download_session_id=parent.download_session_id,
        origin=parent.origin,
        outcome=outcome,
        title=parent.title,
        url=parent.url.shown,
        message=_message(parent, len(well), len(children)),
        code=parent.error_code,
        files=tuple(files),
        started_at=parent.started_at,
        ended_at=parent.ended_at,
        items=len(children),
        items_done=len(well),
        items_failed=sum(child.status is JobStatus.FAILED for child in children),
    )


def _message(parent: Job, well: int, count: int) -> str:
    if parent.link_id is None:
        return f"Downloaded {well} of {count} items."
    items = f"new item{'' if count == 1 else 's'}"
    return f"Downloaded {count} {items}." if well == count else f"Downloaded {well} of {count} {items}."


def scope_of(account_id: int | None, session_id: UUID, *, is_secret: bool) -> str:
    """Media that an address with a credential leads to is never shared."""
    if not is_secret:
        return PUBLIC
    return f"account:{account_id}" if account_id is not None else f"session:{session_id}"
