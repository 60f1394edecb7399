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
from service.errors import (
    Conflict,
    DownloadSessionNotFound,
    IdempotencyConflict,
    InvalidInput,
    JobNotFound,
    JobNotLive,
    JobNotRetryable,
    SessionJobsReached,
)
from service.expanding import MOST_JOBS, Expansion
from service.fetching import Fetcher
from service.limits import payer_of
from service.link_checks import LinkCheck
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
    session_is_unowned: bool = False
    """Whether nobody owned the session that it names."""
    callback_url: MediaUrl | None = None
    max_items: int | None = None
    """How many items of a list are taken; None where a list is refused."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What is about to be accepted. `stored` are the ids of jobs whose media is in the store."""

    orders: tuple[Order, ...]
    jobs: tuple[Job, ...]
    stored: frozenset[UUID]


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
            expansion=Expansion(database=database, quota=quota, clock=clock, ids=ids),
            may_wait=engine is not None,
        )
        self._media = media
        self._running: dict[UUID, asyncio.Task[None]] = {}

    @property
    def parts(self) -> RunParts:
        """What a run works with: looks at links work with the same."""
        return self._parts

    # --- asking -------------------------------------------------------------------------------------------------

    async def submit(self, order: Order, promise: Promise | None = None, also: Also | None = None) -> tuple[Job, bool]:
        """The job, and whether it is new.

        Media that is in the store already comes back as a completed job at once. Raises `AddressNotAllowed`, `LimitReached`,
        `DownloadSessionNotFound`, `IdempotencyConflict`.
        """
        (accepted,) = await self.submit_all([order], promise, also)
        return accepted

    async def submit_all(self, orders: Sequence[Order], promise: Promise | None = None, also: Also | None = None) -> list[tuple[Job, bool]]:
        """All are accepted, in one transaction, or none. Raises what `submit` raises."""
        if promise and (known := await self._promised(promise)):
            return [(job, False) for job in known]
        prepared = await self._prepared(orders)
        try:
            async with self._database.write() as transaction:
                await lock_for(transaction, prepared.jobs[0])  # the others are the same caller's
                accepted = await self._accept(transaction, prepared)
                if promise:
                    await self._keep(transaction, promise, [job for job, _ in accepted])
                if also:
                    await also(transaction, accepted[0][0])
        except _KeyTaken:
            assert promise is not None
            return [(job, False) for job in await self._promised(promise)]
        told = {job.id: await self._told(job, is_stored=job.id in prepared.stored) for job, new in accepted if new}
        return [(told.get(job.id, job), new) for job, new in accepted]

    async def _prepared(self, orders: Sequence[Order]) -> _Prepared:
        """The jobs as they will be written, which of them are in the store, and a look at where the others lead."""
        jobs: list[Job] = []
        stored: set[UUID] = set()
        async with self._database.read() as transaction:
            for order in orders:
                job = self._job(order, is_private=await cookies_for(transaction, order.account_id, order.url) is not None)
                jobs.append(job)
            fetched_before = await transaction.media_files.fetched_before([job.url for job in jobs])
            for job in jobs:
                if job.url.digest in fetched_before and await Run(self._parts, job).stored_without_asking(transaction):
                    stored.add(job.id)
        hosts = {job.url.origin: job.url for job in jobs if job.id not in stored}
        for url in hosts.values():
            await self._fetcher.check_address(url)
        return _Prepared(orders=tuple(orders), jobs=tuple(jobs), stored=frozenset(stored))

    async def _accept(self, transaction: Transaction, prepared: _Prepared) -> list[tuple[Job, bool]]:
        """Write the rows; in place of a job that is under way already, that one."""
        await self._open_or_check(transaction, prepared.orders, prepared.jobs)
        added = await transaction.jobs.add_all(prepared.jobs)
        new = [job for job in prepared.jobs if job.id in added]
        await self._check_room(transaction, prepared.orders[0], len(new))
        queued = [job for job in new if job.id not in prepared.stored]
        await self._quota.admit(transaction, queued)
        await transaction.queue.enqueue_all(queued)
        return [(job, True) if job.id in added else (await self._twin(transaction, job), False) for job in prepared.jobs]

    async def _twin(self, transaction: Transaction, job: Job) -> Job:
        twin = await transaction.jobs.live_twin(job)
        if twin is None:  # it has ended in this moment
            raise Conflict("The same download has just ended; try again.")
        return twin

    async def _open_or_check(self, transaction: Transaction, orders: Sequence[Order], jobs: Sequence[Job]) -> None:
        """A session of its own for a job that names none; one that is named must be open, and as it was when the order was made."""
        pairs = zip(orders, jobs, strict=True)
        own = [self._session_for(order, job) for order, job in pairs if order.download_session_id is None]
        if own:
            await transaction.download_sessions.add_all(own)
        for named in dict.fromkeys(order.download_session_id for order in orders if order.session_is_unowned):
            assert named is not None, "only a session that is named can be somebody else's or nobody's"
            session = await transaction.download_sessions.by_id_or_folder(named)
            if session is None or session.closed_at is not None or session.owner_id is not None:
                raise DownloadSessionNotFound

    async def _check_room(self, transaction: Transaction, order: Order, new: int) -> None:
        """Only a session that nobody owns has a limit."""
        if not order.session_is_unowned or not new:
            return
        assert order.download_session_id is not None
        if await transaction.jobs.count_in(order.download_session_id) > MOST_JOBS:
            raise SessionJobsReached

    def _session_for(self, order: Order, job: Job) -> DownloadSession:
        return DownloadSession(
            id=job.download_session_id,
            folder=job.download_session_id,
            owner_id=order.account_id,
            created_by=order.origin,
            requested_username=order.requested_username,
            requested_id=order.requested_id,
            closes_with_job=True,
            address=None if order.is_local or order.payer_id is not None or order.account_id is not None else order.address,
            created_at=job.created_at,
            last_activity=job.created_at,
        )

    async def _keep(self, transaction: Transaction, promise: Promise, jobs: Sequence[Job]) -> None:
        entry = IdempotencyKey(
            caller=promise.caller,
            key=promise.key,
            body_hash=promise.body_hash,
            job_id=jobs[0].id,
            more_job_ids=tuple(job.id for job in jobs[1:]),
            created_at=jobs[0].created_at,
        )
        if not await transaction.idempotency_keys.put(entry, since=self._clock.now() - IDEMPOTENCY_LIFE):
            raise _KeyTaken

    async def _promised(self, promise: Promise) -> list[Job]:
        """Nothing for a key that was not used yet. Raises `IdempotencyConflict`."""
        async with self._database.read() as transaction:
            entry = await transaction.idempotency_keys.get(promise.caller, promise.key, self._clock.now() - IDEMPOTENCY_LIFE)
            if entry is None:
                return []
            if entry.body_hash != promise.body_hash:
                raise IdempotencyConflict
            found = [await transaction.jobs.get(job_id) for job_id in (entry.job_id, *entry.more_job_ids)]
        return [job for job in found if job is not None]

    async def _told(self, job: Job, *, is_stored: bool) -> Job:
        self._events.publish(job)
        log.info("job accepted", extra={"job_id": str(job.id), "url": job.url.shown, "selection": job.selection.key})
        return await self._hand_back(job) if is_stored else job

    async def submit_list(self, order: Order, title: str, items: Sequence[ListItem], also: Also | None = None) -> Job:
        """A parent job with a child for each item; an address that occurs twice is one item. All are accepted or none.

        Raises `LimitReached`, and `InvalidInput` for a list without items.
        """
        once = list({item.url: item for item in items}.values())
        if not once:
            raise InvalidInput("There is nothing in this list.")
        async with self._database.read() as transaction:
            job = self._job(order, is_private=await cookies_for(transaction, order.account_id, once[0].url) is not None)
        parent = lists.parent_of(job, title, once)
        async with self._database.write() as transaction:
            await lock_for(transaction, parent)
            await self._open_or_check(transaction, [order], [parent])
            if not await transaction.jobs.add(parent):
                twin = await self._twin(transaction, parent)
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

    def _job(self, order: Order, *, is_private: bool) -> Job:
        session_id = order.download_session_id or self._ids.new()
        payer = order.account_id if order.payer_id is None else order.payer_id
        return Job(
            id=self._ids.new(),
            download_session_id=session_id,
            account_id=order.account_id,
            payer=LOCAL_PAYER if order.is_local else payer_of(payer, order.address),
            origin=order.origin,
            url=order.url,
            selection=order.selection,
            scope=lists.scope_of(order.account_id, session_id, is_secret=order.url.is_secret or is_private),
            refresh=order.refresh,
            callback_url=order.callback_url,
            max_items=order.max_items,
            created_at=self._clock.now(),
        )

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

    async def items_of(self, job: Job) -> list[Job]:
        """A list's, in its order."""
        async with self._database.read() as transaction:
            return await transaction.jobs.children_of(job.id)

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
        if not job.is_look:  # it was not charged the first time either: what it finds is
            await self._quota.admit(transaction, [job])
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
        task = LinkCheck(self._parts, started) if started.is_look else Run(self._parts, started)
        work = asyncio.create_task(task.work(), name=f"job {job_id}")
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
        if not job.status.is_live or job.is_list:  # a list's items do its work
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
