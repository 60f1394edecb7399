"""What follows, in the same transaction, when a job ends or lets go of its place."""

from __future__ import annotations

from dataclasses import replace

from service import lists
from service.locking import lock_payers, payers_of
from service.model import HistoryEntry, Job, JobFile, JobStatus, Outcome
from service.ports import Quota, Transaction
from service.webhooks import announce

_OUTCOMES = {
    JobStatus.COMPLETED: Outcome.SUCCESS,
    JobStatus.FAILED: Outcome.FAILURE,
    JobStatus.CANCELLED: Outcome.CANCELLED,
}


async def end(transaction: Transaction, quota: Quota, job: Job, files: list[JobFile]) -> list[Job]:
    """`job` is the ended job, saved already. Returns the other jobs that this set going, for the news."""
    assert job.ended_at is not None
    started = await release_fetch(transaction, job)
    if job.payer is not None:
        started += await fill_places(transaction, quota, job.payer)
    if job.parent_id is None:
        await _leave(transaction, job, files)
        return started
    parents = await lists.child_ended(transaction, job)
    for parent in parents:
        if not parent.status.is_live:
            await _leave(transaction, parent, [])
    return started + parents


async def locked(transaction: Transaction, job: Job) -> Job | None:
    """The job as it is now; nobody else ends it until the transaction does. Its payer is locked first, then its list, by
    everybody: else one who ends the list and one who ends its item would wait for each other.
    """
    held: set[str] = set()
    while (present := await transaction.jobs.get(job.id)) is not None and (names := payers_of(present) - held):
        await lock_payers(transaction, names)  # others than before when it was claimed, or its account joined another, meanwhile
        held |= names
    if job.parent_id is not None:
        await transaction.jobs.locked(job.parent_id)
    return await transaction.jobs.locked(job.id)


async def _leave(transaction: Transaction, job: Job, files: list[JobFile]) -> None:
    """What a run leaves: an entry in history, and maybe a closed download session."""
    assert job.ended_at is not None
    entry = await lists.entry_of(transaction, job) if job.is_list else _entry(job, files)
    link = None if job.link_id is None else await transaction.links.get(job.link_id)
    await transaction.history.add(entry if link is None else replace(entry, link_id=link.id, link_name=link.name))
    await announce(transaction, job)
    session = await transaction.download_sessions.get(job.download_session_id)
    if session is not None and session.closes_with_job:
        await transaction.download_sessions.close(session.id, job.ended_at)


async def release_fetch(transaction: Transaction, job: Job) -> list[Job]:
    """If others wait for the fetch that this job holds: on success they all go on, else the oldest takes over."""
    fetch = await transaction.fetches.of_holder(job.id)
    if fetch is None:
        return []
    waiting = await transaction.jobs.waiting_for(str(fetch.id))
    if job.status is JobStatus.COMPLETED or not waiting:
        await transaction.fetches.end(fetch.id)
        return [await requeue(transaction, other) for other in waiting]
    heir = waiting[0]
    await transaction.fetches.hand_over(fetch.id, heir.id)
    return [await requeue(transaction, heir)]


async def requeue(transaction: Transaction, job: Job) -> Job:
    """Enter the job again, as a new attempt; returns it as it is now."""
    again = job.queued_again()
    if not await transaction.jobs.save(again, if_seq=job.seq):
        return job
    await transaction.queue.enqueue(again)
    return again


async def fill_places(transaction: Transaction, quota: Quota, payer: str) -> list[Job]:
    """The oldest jobs of the payer that wait for a place go on, as many as there are places."""
    waiting = await transaction.jobs.waiting_for(payer)
    if not waiting:
        return []
    free = await quota.free_places(transaction, payer)
    return [await requeue(transaction, other) for other in (waiting if free is None else waiting[:free])]


def _entry(job: Job, files: list[JobFile]) -> HistoryEntry:
    assert job.ended_at is not None
    outcome = _OUTCOMES[job.status]
    is_look = job.is_look
    message = {
        Outcome.SUCCESS: "Nothing new." if is_look else f"Downloaded {len(files)} file{'' if len(files) == 1 else 's'}.",
        Outcome.CANCELLED: "Cancelled.",
    }.get(outcome, job.error_message or "Download failed")
    return HistoryEntry(
        job_id=job.id,
        attempt=job.attempt,
        account_id=job.account_id,
        download_session_id=job.download_session_id,
        origin=job.origin,
        outcome=outcome,
        title=job.title,
        url=job.url.shown,
        message=message,
        code=job.error_code,
        files=tuple(file.name for file in files),
        started_at=job.started_at,
        ended_at=job.ended_at,
        items=0 if is_look else 1,
        items_done=int(outcome is Outcome.SUCCESS and not is_look),
        items_failed=int(outcome is Outcome.FAILURE and not is_look),
    )
