"""The main use case: an address comes in, a job is made, and it runs until its files are stored."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from service import endings, lists
from service.context import current_job
from service.cookies import cookies_for
from service.descriptions import ListItem
from service.errors import Conflict, IdempotencyConflict, InvalidInput, JobNotFound, JobNotLive, JobNotRetryable
from service.fetching import Fetcher
from service.limits import payer_of
from service.locking import LOCAL_PAYER, lock_for
from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobFile, JobStatus, Origin
from service.ports import Clock, Database, Engine, IdempotencyKey, Ids, JobEvents, Media, Quota, Transaction
from service.run import Run, RunParts, RunPolicy
from service.selection import Selection

log = logging.getLogger("magpie.downloads")
IDEMPOTENCY_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody asks for. Without a download session, one is made that closes with the job."""

    url: MediaUrl
    selection: Selection
    origin: Origin
    account_id: int | None = None
    address: str | None = None
    """Of a caller without an account: whose limits it counts against."""
    payer_id: int | None = None
    """The account that pays, where it is not the one that owns it."""
    is_local: bool = False
    """Asked for by local trust, which has no limits; it owns nothing that is made so."""
    download_session_id: UUID | None = None
    requested_username: str | None = None
    requested_id: int | None = None
    """The account of that name."""
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """An idempotency key: the same caller, key and body within 24 hours get the same job."""

    caller: str
    key: str
    body_hash: str


Also = Callable[[Transaction, Job], Awaitable[None]]
"""What a caller writes in the transaction that accepts a job; what it raises undoes the acceptance."""


class _KeyTaken(Exception):
    """Somebody used the key between our look and our write."""


class Downloads:
    """Submit, run, cancel and retry jobs. `engine` is None in a process that runs its one job itself."""

    def __init__(
        self,
        *,
        database: Database,
        engine: Engine | None,
        fetcher: Fetcher,
        media: Media,
        events: JobEvents,
        quota: Quota,
        clock: Clock,
        ids: Ids,
        policy: RunPolicy,
    ) -> None:
        self._database, self._engine, self._fetcher = database, engine, fetcher
        self._events, self._quota, self._clock, self._ids = events, quota, clock, ids
        self._parts = RunParts(
            database=database,
            fetcher=fetcher,
            media=media,
            events=events,
            quota=quota,
            clock=clock,
            ids=ids,
            policy=policy,
            may_wait=engine is not None,
        )
        self._media = media
        self._running: dict[UUID, asyncio.Task[None]] = {}

    # --- asking -------------------------------------------------------------------------------------------------

    async def submit(self, order: Order, promise: Promise | None = None, also: Also | None = None) -> tuple[Job, bool]:
        """The job, and whether it is new.

        Media that is in the store already comes back as a completed job at once. Raises `AddressNotAllowed`,
        `LimitReached`, `IdempotencyConflict`.
        """
        if promise and (known := await self._promised(promise)):
            return known, False
        job, folder = self._job(order, is_private=await self._has_cookies(order, order.url))
        async with self._database.read() as transaction:
            is_stored = bool(await Run(self._parts, job).stored_without_asking(transaction))
        if not is_stored:
            await self._fetcher.check_address(order.url)
        try:
            async with self._database.write() as transaction:
                await lock_for(transaction, job)
                twin = await self._accept(transaction, order, job, folder, promise)
                if also:
                    await also(transaction, twin or job)
                stored = [] if twin else await Run(self._parts, job).stored_without_asking(transaction)
                if not twin and not stored:
                    await self._quota.admit(transaction, job)
                    await transaction.queue.enqueue(job)
        except _KeyTaken:
            assert promise is not None
            known = await self._promised(promise)
            assert known is not None
            return known, False
        if twin:
            return twin, False
        self._events.publish(job)
        log.info("job accepted", extra={"job_id": str(job.id), "url": job.url.shown, "selection": job.selection.key})
        if stored:
            job = await self._hand_back(job)
        return job, True

    async def submit_list(self, order: Order, title: str, items: Sequence[ListItem], also: Also | None = None) -> Job:
        """A parent job with a child for each item; an address that occurs twice is one item. All are accepted or none.

        Raises `LimitReached`, and `InvalidInput` for a list without items.
        """
        once = list({item.url: item for item in items}.values())
        if not once:
            raise InvalidInput("There is nothing in this list.")
        job, folder = self._job(order, is_private=await self._has_cookies(order, once[0].url))
        parent = lists.parent_of(job, title, once)
        async with self._database.write() as transaction:
            await lock_for(transaction, parent)
            if twin := await self._accept(transaction, order, parent, folder, None):
                if also:
                    await also(transaction, twin)
                return twin
            children = await lists.add_children(transaction, self._quota, self._ids, parent, once)
            if also:
                await also(transaction, parent)
        log.info("list accepted", extra={"job_id": str(parent.id), "url": parent.url.shown, "items": len(children)})
        for changed in (parent, *children):
            self._events.publish(changed)
        return parent

    async def _has_cookies(self, order: Order, url: MediaUrl) -> bool:
        async with self._database.read() as transaction:
            return await cookies_for(transaction, order.account_id, url) is not None

    def _job(self, order: Order, *, is_private: bool) -> tuple[Job, UUID]:
        session_id = order.download_session_id or self._ids.new()
        payer = order.account_id if order.payer_id is None else order.payer_id
        job = Job(
            id=self._ids.new(),
            download_session_id=session_id,
            account_id=order.account_id,
            payer=LOCAL_PAYER if order.is_local else payer_of(payer, order.address),
            origin=order.origin,
            url=order.url,
            selection=order.selection,
            scope=lists.scope_of(order.account_id, session_id, is_secret=order.url.is_secret or is_private),
            refresh=order.refresh,
            created_at=self._clock.now(),
        )
        return job, session_id

    async def _accept(self, transaction: Transaction, order: Order, job: Job, folder: UUID, promise: Promise | None) -> Job | None:
        """Write the rows; returns the live job that asks for the same already, when there is one."""
        if order.download_session_id is None:
            await transaction.download_sessions.add(
                DownloadSession(
                    id=job.download_session_id,
                    folder=folder,
                    owner_id=order.account_id,
                    created_by=order.origin,
                    requested_username=order.requested_username,
                    requested_id=order.requested_id,
                    closes_with_job=True,
                    created_at=job.created_at,
                    last_activity=job.created_at,
                )
            )
        if not await transaction.jobs.add(job):
            return await transaction.jobs.live_twin(job)
        if promise:
            entry = IdempotencyKey(
                caller=promise.caller, key=promise.key, body_hash=promise.body_hash, job_id=job.id, created_at=job.created_at
            )
            if not await transaction.idempotency_keys.put(entry, since=job.created_at - IDEMPOTENCY_LIFE):
                raise _KeyTaken
        return None

    async def _promised(self, promise: Promise) -> Job | None:
        async with self._database.read() as transaction:
            entry = await transaction.idempotency_keys.get(promise.caller, promise.key, self._clock.now() - IDEMPOTENCY_LIFE)
            if entry is None:
                return None
            if entry.body_hash != promise.body_hash:
                raise IdempotencyConflict
            return await transaction.jobs.get(entry.job_id)

    async def _hand_back(self, job: Job) -> Job:
        """Complete the job from the store; should the bytes have vanished meanwhile, it goes through the queue after all."""
        run = Run(self._parts, job)
        if await run.from_store():
            return run.job
        async with self._database.write() as transaction:
            queued = await endings.requeue(transaction, run.job)
        self._events.publish(queued)
        return queued

    # --- looking ------------------------------------------------------------------------------------------------

    async def get(self, job_id: UUID) -> Job:
        """Raises `JobNotFound`."""
        async with self._database.read() as transaction:
            job = await transaction.jobs.get(job_id)
        if job is None:
            raise JobNotFound
        return job

    async def session_of(self, job: Job) -> DownloadSession:
        async with self._database.read() as transaction:
            session = await transaction.download_sessions.get(job.download_session_id)
        assert session is not None, "a job's session goes only together with the job"
        return session

    async def files(self, job: Job) -> list[JobFile]:
        async with self._database.read() as transaction:
            return await transaction.media_files.of_job(job.id)

    async def ahead_of(self, job: Job) -> int:
        """How many jobs wait in the queue before this one."""
        async with self._database.read() as transaction:
            return await transaction.jobs.ahead_of(job)

    async def wait(self, job_id: UUID, timeout: timedelta) -> Job:  # noqa: ASYNC109 - the job as it then is, is an answer too
        """Until the job has ended, or the time is over: the job as it is then."""
        news = asyncio.Event()
        end = self._events.subscribe(lambda job: news.set() if job.id == job_id and not job.status.is_live else None)
        deadline = self._clock.monotonic() + timeout.total_seconds()
        try:
            while True:
                job = await self.get(job_id)
                left = deadline - self._clock.monotonic()
                if not job.status.is_live or left <= 0:
                    return job
                # The news is of this process only: a job may run in another.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, 2.0)):
                        await news.wait()
        finally:
            end()

    # --- changing -----------------------------------------------------------------------------------------------

    async def cancel(self, job_id: UUID) -> Job:
        """A queued job ends at once; of a running one every process is killed; a list ends with all its items.

        Raises `JobNotFound`, `JobNotLive`.
        """
        async with self._database.write() as transaction:
            known = await transaction.jobs.get(job_id)
            job = await endings.locked(transaction, known) if known else None
            if job is None:
                raise JobNotFound
            if not job.status.is_live:
                raise JobNotLive
            cancelled = job.cancelled(self._clock.now())
            await transaction.jobs.save(cancelled, if_seq=job.seq)
            children: list[Job] = []
            started: list[Job] = []
            for child_id in [child.id for child in await transaction.jobs.children_of(job_id) if child.status.is_live]:
                child = await transaction.jobs.locked(child_id)  # its worker reports progress meanwhile: `seq` rises
                if child is None or not child.status.is_live:
                    continue
                ended = child.cancelled(self._clock.now())
                await transaction.jobs.save(ended, if_seq=child.seq)
                children.append(ended)
                started += [ended, *await endings.end(transaction, self._quota, ended, [])]
            for one in (cancelled, *children):
                await self._quota.spent(transaction, one, one.fetched_bytes)
            started += await endings.end(transaction, self._quota, cancelled, [])
        await self._stop_working_on([job, *children])
        for changed in (cancelled, *started):
            self._events.publish(changed)
        return cancelled

    async def _stop_working_on(self, jobs: Sequence[Job]) -> None:
        running = {task for job in jobs if (task := self._running.get(job.id))}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        if self._engine is not None:
            for job in jobs:
                if not job.is_list:
                    await self._engine.cancel(job)

    async def retry(self, job_id: UUID, also: Also | None = None) -> Job:
        """Of a list, what did not come. Raises `JobNotFound`, `JobNotRetryable`, `Conflict`, `LimitReached`: then nothing changed."""
        job = await self.get(job_id)
        async with self._database.write() as transaction:
            await lock_for(transaction, job)
            if job.is_list:
                changed = await self._retry_items(transaction, job)
            else:
                changed = [await self._retry_one(transaction, job)]
            if also:
                await also(transaction, changed[0])
        for one in changed:
            self._events.publish(one)
        return changed[0]

    async def _retry_one(self, transaction: Transaction, job: Job) -> Job:
        if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
            raise JobNotRetryable
        if await transaction.jobs.live_twin(job):
            raise Conflict("The same download is under way already.")
        await self._quota.admit(transaction, job)
        asked = job.asked_again(self._clock.now())
        again = await endings.requeue(transaction, asked)
        if again is asked:  # somebody else was faster
            raise JobNotRetryable
        return again

    async def _retry_items(self, transaction: Transaction, parent: Job) -> list[Job]:
        children = await transaction.jobs.children_of(parent.id)
        missing = [child for child in children if child.status in {JobStatus.FAILED, JobStatus.CANCELLED}]
        if parent.status.is_live or not missing:
            raise JobNotRetryable
        if await transaction.jobs.live_twin(parent):
            raise Conflict("The same download is under way already.")
        again = parent.under_way_again().asked_again(self._clock.now())
        if not await transaction.jobs.save(again, if_seq=parent.seq):
            raise JobNotRetryable
        return [again, *[await self._retry_one(transaction, child) for child in missing]]

    # --- running ------------------------------------------------------------------------------------------------

    async def run(self, job_id: UUID) -> None:
        """Work on the job until it ends, waits for another or is cancelled. May be called again for the same job.

        Cancelling this call lets the job go as it is: it is not marked as cancelled, and runs again later.
        """
        current_job.set(str(job_id))
        if earlier := self._running.get(job_id):
            # A cancelled attempt on its way out: it would take this one's directory with it.
            await asyncio.wait({earlier})
        async with self._database.write() as transaction:
            known = await transaction.jobs.get(job_id)
            job = await endings.locked(transaction, known) if known else None
            started = await self._start(transaction, job) if job else None
        if started is None:
            return
        self._events.publish(started)
        work = asyncio.create_task(Run(self._parts, started).work(), name=f"job {job_id}")
        self._running[job_id] = work
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            if work.cancelled():  # by `cancel`: the row says so already
                return
            work.cancel()
            await asyncio.wait({work})
            raise
        finally:
            if self._running.get(job_id) is work:
                del self._running[job_id]

    async def _start(self, transaction: Transaction, job: Job) -> Job | None:
        if not job.status.is_live:
            return None
        if job.payer is not None and await self._quota.free_places(transaction, job.payer) == 0:
            await transaction.jobs.save(job.waiting(job.payer), if_seq=job.seq)
            return None
        started = job.started(self._clock.now())
        return started if await transaction.jobs.save(started, if_seq=job.seq) else None

    async def recover(self) -> int:
        """At the start: enter live jobs that the engine does not know, and drop what nobody works in. Returns how many."""
        assert self._engine is not None
        async with self._database.read() as transaction:
            live = await transaction.jobs.live()
            fetches = {str(fetch.id) for fetch in await transaction.fetches.all()}
        known = await self._engine.known(live)
        lost = [job for job in live if not job.is_list and (job.id not in known if job.waits_for is None else job.waits_for not in fetches)]
        for job in lost:
            async with self._database.write() as transaction:
                await endings.requeue(transaction, job)
        self._drop_abandoned({job.id for job in live})
        return len(lost)

    async def fill_places(self) -> int:
        """Who waits for a place that is free goes on: it became free by a changed limit, or elsewhere. Returns how many."""
        async with self._database.read() as transaction:
            payers = await transaction.jobs.payers_waited_for()
        started: list[Job] = []
        for payer in payers:
            async with self._database.write() as transaction:
                await transaction.charges.lock(payer)
                started += await endings.fill_places(transaction, self._quota, payer)
        for job in started:
            self._events.publish(job)
        return len(started)

    def _drop_abandoned(self, live: set[UUID]) -> None:
        for job_id in self._media.abandoned_work():
            if job_id not in live:
                self._media.discard_work(job_id)
