"""One job's work, from "it may start" to stored files. Everything here may happen twice: the service may die at any line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from service import endings
from service.cookies import cookies_for, sites_of
from service.errors import (
    DailyBytesReached,
    FetchFailed,
    Interrupted,
    LimitReached,
    NeedsReentry,
    NoSpace,
    StorageFull,
    TooLarge,
    TooLong,
    TooManyItems,
    Unsupported,
    Vanished,
)
from service.expanding import Expansion
from service.fetching import Bounds, Fetched, Fetcher, FetchRequest, Identified
from service.live_rows import LiveRow, Superseded
from service.locking import insist
from service.model import (
    PUBLIC,
    Fetch,
    Job,
    JobFile,
    JobStatus,
    MediaFile,
    MediaKey,
    Phase,
    Progress,
)
from service.naming import safe_name, unique_names
from service.ports import Clock, Database, Ids, JobEvents, Media, Quota, Transaction

log = logging.getLogger("magpie.downloads")
GENERIC = "generic"
NOT_CHARGED = frozenset({"no_space", "worker_died", "interrupted", "error", DailyBytesReached.code, StorageFull.code})
"""Not the caller's doing, or nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """What a run may cost, and how it tries again. Sizes in bytes."""

    max_file_size: int = 20 * 10**9
    max_duration: timedelta = timedelta(hours=12)
    max_time: timedelta = timedelta(hours=6)
    min_free_disk: int = 10**9
    backoff: tuple[timedelta, ...] = (timedelta(seconds=1), timedelta(seconds=5))
    """Pauses before each further try after a transient failure."""
    max_starts: int = 5
    """A job under which the service died this often is given up."""
    progress_interval: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParts:
    """What a run works with."""

    database: Database
    fetcher: Fetcher
    media: Media
    events: JobEvents
    quota: Quota
    clock: Clock
    ids: Ids
    policy: RunPolicy
    expansion: Expansion
    may_wait: bool = True
    """False where nobody would ever set a waiting job going again: then a fetch that a job of another process holds is taken over."""


class Run:
    """Works on one job that is `processing` already."""

    def __init__(self, parts: RunParts, job: Job) -> None:
        self._parts = parts
        interval = parts.policy.progress_interval
        self._row = LiveRow(job, database=parts.database, events=parts.events, clock=parts.clock, interval=interval)
        self._key: MediaKey | None = None
        self._ignores_store = False

    @property
    def job(self) -> Job:
        """As last heard of."""
        return self._row.job

    async def work(self) -> None:
        """Ends the job, or leaves it waiting for another. Cancelled, it leaves the row as it is."""
        try:
            await self._begin_again()
            if not await self.from_store():
                await self._fetch_and_store()
        except FetchFailed as failure:
            await self._end_with(failure)
        except (LimitReached, NeedsReentry) as reached:
            await self._fail(reached.code, reached.message)
        except Superseded:
            log.info("job was ended meanwhile", extra=self._about)
        except asyncio.CancelledError:
            await self._clear_up_if_cancelled()
            raise
        except Exception:
            # The outermost loop of a job: a bug in one must not hold up its waiters.
            log.exception("job failed unexpectedly", extra=self._about)
            await self._fail("error", "Download failed")
        finally:
            self._row.stop_writing()
            self._parts.media.discard_work(self.job.id)

    async def _end_with(self, failure: FetchFailed) -> None:
        """Unless it is a list of which the items are wanted."""
        if failure.code == TooManyItems.code and self.job.max_items is not None:
            try:
                await self._become_list()
            except FetchFailed as other:
                await self._fail(other.code, other.message)
        else:
            await self._fail(failure.code, failure.message)

    async def _become_list(self) -> None:
        told = await self._parts.fetcher.describe(self.job.url, self._trust_class, await self._cookies())
        self._row.stop_writing()
        async with self._row.lock:
            family = await self._parts.expansion.expand(self.job, told)
        if family is not None:
            self._row.job = family[0]
            log.info("list expanded", extra={**self._about, "items": len(family) - 1})
        for changed in family or ():
            self._parts.events.publish(changed)

    # --- from the store -----------------------------------------------------------------------------------------

    async def stored_without_asking(self, transaction: Transaction) -> list[MediaFile]:
        """What is stored for this address and may be served without a look at the site."""
        files = await self._stored(transaction)
        return files if files and self._may_serve(files) else []

    async def _stored(self, transaction: Transaction) -> list[MediaFile]:
        """What is stored for this address, fresh or not."""
        key = await transaction.media_files.key_of(self.job.url, self.job.scope, self.job.selection)
        return await transaction.media_files.under(key) if key else []

    def _may_serve(self, files: Sequence[MediaFile]) -> bool:
        """Fresh ones (fetched since the job was made) always; others unless a refresh or a look at the site is due."""
        if all(file.created_at >= self.job.created_at for file in files):
            return True
        return not self.job.refresh and files[0].key.extractor != GENERIC

    async def from_store(self) -> bool:
        """Complete the job with stored media, if there is some that still holds."""
        async with self._parts.database.read() as transaction:
            files = await self._stored(transaction)
        if not files:
            return False
        return (self._may_serve(files) or await self._still_holds(files)) and await self._show(files)

    async def _still_holds(self, files: Sequence[MediaFile]) -> bool:
        known = files[0].validators
        if known is None or self.job.refresh:
            return False
        try:
            now = await self._parts.fetcher.validators(self.job.url, self._trust_class)
        except FetchFailed:
            return False  # the fetch itself finds out what is wrong
        return known.agrees_with(now)

    async def _show(self, files: Sequence[MediaFile]) -> bool:
        """Show stored files as this job's. False when the bytes, or their rows, are gone."""
        shown = await self._names(files)
        try:
            for file in shown:
                await self._parts.media.show(file.media.location, file.path)
        except FileNotFoundError:
            log.warning("stored media is gone, it is fetched again", extra=self._about)
            return False
        try:
            await self._complete(shown, None)
        except Vanished:  # deleted in this moment by whoever else had it
            for file in shown:
                await self._parts.media.delete(file.path)
            return False
        return True

    # --- from the web -------------------------------------------------------------------------------------------

    async def _fetch_and_store(self) -> None:
        pauses: list[timedelta | None] = [*self._parts.policy.backoff, None]
        for pause in pauses:
            try:
                fetched = await self._fetch()
            except FetchFailed as failure:
                if not failure.transient or pause is None:
                    raise
                log.info("fetch failed, trying again", extra={**self._about, "code": failure.code, "pause": pause.total_seconds()})
                await self._row.move(Progress(phase=Phase.BACKING_OFF), at_once=True)
                await asyncio.sleep(pause.total_seconds())
            else:
                if fetched is not None:
                    await self._store(fetched)
                return

    async def _fetch(self) -> Fetched | None:
        policy, media = self._parts.policy, self._parts.media
        room = media.free_bytes() - policy.min_free_disk
        if room <= 0:
            raise NoSpace
        directory = await asyncio.to_thread(media.work_directory, self.job.id)
        bounds = Bounds(max_bytes=min(policy.max_file_size, room), max_duration=policy.max_duration, max_time=policy.max_time)
        request = FetchRequest(
            job_id=self.job.id,
            url=self.job.url,
            selection=self.job.selection,
            directory=directory,
            bounds=bounds,
            trust_class=self._trust_class,
            cookies=await self._cookies(),
        )
        try:
            return await self._parts.fetcher.fetch(request, self)
        except TooLarge:
            if bounds.max_bytes < policy.max_file_size:
                raise NoSpace from None
            raise

    async def _cookies(self) -> str | None:
        """What the account gave for the site. Public media is had without them."""
        if self.job.scope == PUBLIC:
            return None
        async with self._parts.database.read() as transaction:
            link = None if self.job.link_id is None else await transaction.links.get(self.job.link_id)
            if link is not None and link.cookies is not None and not set(sites_of(link.url)).isdisjoint(sites_of(self.job.url)):
                return link.cookies
            return await cookies_for(transaction, self.job.account_id, self.job.url)

    async def identified(self, found: Identified) -> bool:
        """Go on, unless it is too much, stored already, or under way for another job."""
        self._check(found)
        key = MediaKey(
            scope=self.job.scope,
            extractor=GENERIC if found.is_generic else found.extractor[:100],
            id=found.id[:400],
            selection=self.job.selection.key,
        )
        self._key = key
        self._row.job = self.job.identified(found.title, found.artist)
        stored = await self._claim(key)
        if stored and not await self._show(stored):
            self._ignores_store = True  # its bytes are gone
            stored = await self._claim(key)
        if stored or self.job.status is not JobStatus.PROCESSING:
            return False
        async with self._parts.database.read() as transaction:
            await self._parts.quota.may_fetch(transaction, self.job)
        return True

    def _check(self, found: Identified) -> None:
        policy = self._parts.policy
        if found.duration is not None and found.duration > policy.max_duration:
            raise TooLong
        if found.size is not None:
            if found.size > policy.max_file_size:
                raise TooLarge
            if found.size > self._parts.media.free_bytes() - policy.min_free_disk:
                raise NoSpace

    async def _claim(self, key: MediaKey) -> list[MediaFile]:
        """Become the holder of this key's fetch; when a live job holds it, wait for that one instead.

        Returns what was stored meanwhile: then there is nothing to hold. Looked at after the claim, so that nobody can
        have finished in between.
        """
        async with self._row.lock, self._parts.database.write() as transaction:
            stored, other = await self._hold(transaction, key)
            changed = self.job if other is None else self.job.waiting(str(other))
            if not await transaction.jobs.save(changed, if_seq=self._row.saved_seq):
                raise Superseded
        self._row.saved(changed)
        return stored

    async def _hold(self, transaction: Transaction, key: MediaKey) -> tuple[list[MediaFile], UUID | None]:
        """What is stored meanwhile, and the fetch of another job that this one has to wait for."""
        held = await transaction.fetches.of_holder(self.job.id)
        if held is not None and held.key != key:  # the site now says that it is something else: a job holds one fetch at a time
            await endings.release_fetch(transaction, self.job)
        mine = Fetch(id=self._parts.ids.new(), key=key, holder=self.job.id, created_at=self._parts.clock.now())
        fetch = await transaction.fetches.claim(mine)
        stored = [] if self._ignores_store else await transaction.media_files.under(key)
        if stored and self._may_serve(stored):
            if fetch.holder == self.job.id:
                await endings.release_fetch(transaction, self.job)
            return stored, None
        if fetch.holder == self.job.id:
            return [], None
        holder = await transaction.jobs.get(fetch.holder)
        if holder is None or not holder.status.is_live or not self._parts.may_wait:
            await transaction.fetches.hand_over(fetch.id, self.job.id)
            return [], None
        return [], fetch.id

    async def progressed(self, progress: Progress) -> None:
        await self._row.move(progress, at_once=progress.phase is not self.job.progress.phase)

    # --- into the store -----------------------------------------------------------------------------------------

    async def _store(self, fetched: Fetched) -> None:
        if not fetched.files or self._key is None:
            raise Unsupported
        await self._row.move(replace(self.job.progress, phase=Phase.STORING, speed=None, eta=None), at_once=True)
        now = self._parts.clock.now()
        media = [
            MediaFile(
                key=self._key,
                position=position,
                kind=file.kind,
                extension=file.extension,
                size=file.size,
                sha256=file.sha256,
                location="",
                title=fetched.title,
                artist=fetched.artist,
                duration=file.duration,
                width=file.width,
                height=file.height,
                validators=fetched.validators,
                created_at=now,
            )
            for position, file in enumerate(fetched.files)
        ]
        shown = await self._names(media)
        for number, (file, source) in enumerate(zip(shown, fetched.files, strict=True)):
            location = await self._parts.media.adopt(source.path, file.path)
            shown[number] = replace(file, media=replace(file.media, location=location))
        await self._complete(shown, self._key)

    async def _names(self, files: Sequence[MediaFile]) -> list[JobFile]:
        async with self._parts.database.read() as transaction:
            session = await transaction.download_sessions.get(self.job.download_session_id)
        if session is None:
            raise Superseded
        names = unique_names([safe_name(file.title, file.extension) for file in files])
        folder = f"downloads/{session.folder}/{self.job.id}"
        return [
            JobFile(job_id=self.job.id, media=file, name=name, path=f"{folder}/{file.kind.folder}/{name}")
            for file, name in zip(files, names, strict=True)
        ]

    async def _begin_again(self) -> None:
        """After the service died under this job: remove what it stored but did not get to write down."""
        if self.job.starts <= 1:
            return
        if self.job.starts > self._parts.policy.max_starts:
            raise Interrupted
        async with self._parts.database.read() as transaction:
            session = await transaction.download_sessions.get(self.job.download_session_id)
            known = await transaction.media_files.of_job(self.job.id)
        if session is not None:
            await self._parts.media.keep_only(f"downloads/{session.folder}/{self.job.id}", frozenset(file.path for file in known))

    async def _clear_up_if_cancelled(self) -> None:
        """A cancelled job leaves no file; one that is only let go looks after its own when it begins again."""
        async with self._parts.database.read() as transaction:
            present = await transaction.jobs.get(self.job.id)
            session = await transaction.download_sessions.get(self.job.download_session_id)
        if present is not None and present.status is JobStatus.CANCELLED and session is not None:
            self._parts.media.discard_work(self.job.id)  # first: what is still on its way into the store stays behind
            await self._parts.media.keep_only(f"downloads/{session.folder}/{self.job.id}", frozenset())

    # --- the end ------------------------------------------------------------------------------------------------

    async def _complete(self, shown: list[JobFile], new_key: MediaKey | None) -> None:
        """One transaction: the files, the job, its history entry and those who waited for it."""
        self._row.stop_writing()
        async with self._row.lock:
            present, done, started = await insist(lambda: self._write_end(shown, new_key))
        if done is None:
            # Where another run of this job has completed it, or works on it, the files of these names are that one's.
            for file in shown if present is None or present.status in {JobStatus.FAILED, JobStatus.CANCELLED} else ():
                await self._parts.media.delete(file.path)
            raise Superseded
        self._ended(done, started)

    async def _write_end(self, shown: Sequence[JobFile], new_key: MediaKey | None) -> tuple[Job | None, Job | None, list[Job]]:
        """The job as it was, as it is now (None when it is not ours to end any more), and those that this set going."""
        first = shown[0].media
        async with self._parts.database.write() as transaction:
            present = await endings.locked(transaction, self.job)
            if present is None or not present.status.is_live or present.attempt != self.job.attempt:
                return present, None, []
            size = sum(file.media.size for file in shown)
            done = self._newest(present).identified(first.title, first.artist).completed(self._parts.clock.now(), size)
            await transaction.jobs.save(done, if_seq=present.seq)
            if new_key is not None:
                await self._parts.quota.spent(transaction, done, size)
                key = replace(new_key, scope=done.scope)  # its account may have joined another meanwhile
                stored = await transaction.media_files.replace(key, [replace(file.media, key=key) for file in shown])
                shown = [replace(file, media=media) for file, media in zip(shown, stored, strict=True)]
            else:
                await self._parts.quota.refund(transaction, done)
            await transaction.media_files.remember(self.job.url, shown[0].media.key)
            await transaction.media_files.attach(shown)
            return present, done, await endings.end(transaction, self._parts.quota, done, list(shown))

    async def _fail(self, code: str, message: str) -> None:
        self._row.stop_writing()
        async with self._row.lock:
            ended = await insist(lambda: self._write_failure(code, message))
        if ended is not None:
            self._ended(*ended)

    async def _write_failure(self, code: str, message: str) -> tuple[Job, list[Job]] | None:
        async with self._parts.database.write() as transaction:
            present = await endings.locked(transaction, self.job)
            if present is None or not present.status.is_live or present.attempt != self.job.attempt:
                return None
            failed = self._newest(present).failed(self._parts.clock.now(), code, message)
            await transaction.jobs.save(failed, if_seq=present.seq)
            if code in NOT_CHARGED:
                await self._parts.quota.refund(transaction, failed)
            else:
                await self._parts.quota.spent(transaction, failed, failed.fetched_bytes)
            return failed, await endings.end(transaction, self._parts.quota, failed, [])

    def _newest(self, present: Job) -> Job:
        """The row's state with the progress that did not reach the row; `seq` never falls behind what was published."""
        return replace(present, progress=self.job.progress, seq=max(present.seq, self.job.seq))

    def _ended(self, job: Job, started: Sequence[Job]) -> None:
        self._row.job = job
        level = logging.INFO if job.status is JobStatus.COMPLETED else logging.WARNING
        log.log(level, f"job {job.status}", extra={**self._about, "code": job.error_code, "title": job.title})  # noqa: G004 - one word
        for changed in (job, *started):
            self._parts.events.publish(changed)

    @property
    def _trust_class(self) -> str:
        return "public" if self.job.scope == PUBLIC else self.job.scope

    @property
    def _about(self) -> dict[str, str]:
        return {"job_id": str(self.job.id)}
