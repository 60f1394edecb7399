"""Backups: everything that the database holds as one file, and back again."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import UUID

from service.audit import Act, Actor, AuditEntry
from service.downloads import Downloads
from service.errors import (
    Conflict,
    ImportNotFound,
    ImportUncertain,
    ImportUnderWay,
    JobNotFound,
    JobNotLive,
    MagpieError,
    Unavailable,
)
from service.model import Account
from service.ports import Clock, Database, Ids, Media

T = TypeVar("T")
log = logging.getLogger("magpie.backup")
KEPT_FOR = timedelta(days=7)
"""How long what an import replaced is kept."""
LARGEST = 4 * 2**30
"""Bytes that a dump may have."""
NEEDED = 3
"""So many times as large as a dump is the room that it needs while it is looked through."""
ROUNDS = 100


def is_full(wrong: OSError) -> bool:
    """Whether it says that there is no room left on the disk."""
    return wrong.errno in {errno.ENOSPC, errno.EDQUOT}


class ImportState(StrEnum):
    """How far an import is. The last two are final."""

    VALIDATING = "validating"
    STOPPING = "stopping"
    """Nothing new is accepted, and what is under way ends."""
    SWAPPING = "swapping"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """How an import goes, or went."""

    id: UUID
    state: ImportState
    message: str
    started_at: datetime
    ended_at: datetime | None = None
    made_at: datetime | None = None
    """When the dump was made."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows by table."""
    failed_jobs: int = 0
    """Jobs that were under way in the dump."""
    missing_files: int = 0
    lost_secrets: int = 0
    """Secrets that were encrypted with a key which is not here."""
    kept_as: str | None = None
    """The file, below the data directory, with what was replaced."""
    must_log_in: bool = False
    """Whether the log-in of whoever imports has ended too: the dump does not know the account."""

    @property
    def is_over(self) -> bool:
        return self.state in {ImportState.DONE, ImportState.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """Who imports: their log-in, and the API key that they showed, go on where the dump knows the account."""

    account: Account | None = None
    key_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the import changed in the dump on purpose."""

    failed_jobs: int
    lost_secrets: int
    must_log_in: bool


class Scratch(Protocol):
    """A dump that was found sound, brought to the present version, in a database of its own."""

    @property
    def made_at(self) -> datetime: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    def locations(self) -> AsyncIterator[Sequence[tuple[int, str]]]:
        """Where the dump's stored media are, with their ids."""
        ...

    async def mark_missing(self, ids: Sequence[int]) -> None:
        """These are not in the store: they are fetched again when somebody asks for them."""
        ...

    async def adapt(self, import_id: UUID, importer: Importer, now: datetime) -> Changes:
        """End its live jobs, its log-ins and whatever else must not go on from where it was."""
        ...

    async def take_over(self, now: datetime) -> str:
        """In place of what the database holds, in one transaction. Returns the name of the file with what was there.

        Not to be cancelled. Raises `InvalidDump`, `DiskFull`, `Unavailable`; `ImportUncertain` when nobody knows how it ended.
        """
        ...

    async def discard(self) -> None: ...


class Dumps(Protocol):
    """Where dumps come from, and where they become databases."""

    def export(self, now: datetime) -> AsyncIterator[bytes]:
        """As the database was when it began."""
        ...

    def check_beginning(self, beginning: bytes) -> None:
        """Raises `InvalidDump`."""
        ...

    def check_room(self, size: int) -> None:
        """Whether so many bytes fit where dumps arrive. Raises `DiskFull`."""
        ...

    async def prepare(self, file: Path) -> Scratch:
        """Raises `InvalidDump`, `DiskFull`; nothing of the running database is touched."""
        ...

    async def last_import(self) -> Import | None: ...
    async def sweep(self, before: datetime) -> int:
        """What imports replaced before this moment goes, and what they left when they were cut short. Returns how many files."""
        ...


class Standstill(Protocol):
    """Whatever works on the database."""

    async def begin(self) -> None:
        """Nothing new is accepted or started, and whatever knows anything of the database by its number there has ended; what is
        written down later is written down now. Raises `Unavailable` when something does not end.
        """
        ...

    async def empty_queue(self) -> None:
        """Of all that the engine keeps, once no job is live. Raises `Unavailable` when one does not end."""
        ...

    async def end(self) -> None:
        """As before, with whatever the database says now."""
        ...


class Backups:
    """One import at a time. `downloads` is None where no service runs, and so nothing is under way."""

    def __init__(
        self,
        *,
        dumps: Dumps,
        standstill: Standstill,
        database: Database,
        downloads: Downloads | None,
        media: Media,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._dumps, self._standstill, self._database, self._downloads = dumps, standstill, database, downloads
        self._media, self._clock, self._ids = media, clock, ids
        self._last: Import | None = None
        self._work: asyncio.Task[None] | None = None
        self._has_stopped_downloads = False

    # --- out ----------------------------------------------------------------------------------------------------

    async def export(self, actor: Actor) -> AsyncIterator[bytes]:
        """The dump's pieces, as they are made. Written down first: whoever has the file has everything."""
        now = self._clock.now()
        await self._note(actor, Act.DATABASE_EXPORTED, now)
        return self._dumps.export(now)

    async def _note(self, actor: Actor, act: Act, now: datetime, details: str | None = None) -> None:
        async with self._database.write() as transaction:
            await transaction.audit.add(AuditEntry(at=now, account_id=actor.account_id, action=act, details=details))

    # --- in -----------------------------------------------------------------------------------------------------

    @property
    def is_importing(self) -> bool:
        return self._work is not None and not self._work.done()

    async def last(self) -> Import:
        """Raises `ImportNotFound`."""
        found = self._last
        if found is None or found.state is ImportState.FAILED:
            stored = await self._dumps.last_import()  # it may have come to its end though nobody heard of that
            found = stored if found is None or (stored is not None and stored.id == found.id) else found
        if found is None:
            raise ImportNotFound
        return found

    def check_room(self, size: int) -> None:
        """Whether a dump of so many bytes has room here, and what is made of it. Raises `DiskFull`."""
        self._dumps.check_room(NEEDED * size)

    def check_beginning(self, beginning: bytes) -> None:
        """Whether a file that begins so may be a dump at all. Raises `InvalidDump`, `ImportUnderWay`."""
        if self.is_importing:
            raise ImportUnderWay
        self._dumps.check_beginning(beginning)

    def start(self, file: Path, importer: Importer) -> Import:
        """In the background. The file goes afterwards. Raises `ImportUnderWay`."""
        if self.is_importing:
            raise ImportUnderWay
        first = self._begun()
        self._work = asyncio.create_task(self._import(first, file, importer), name="import")
        return first

    async def run(self, file: Path, importer: Importer) -> Import:
        """To its end, for whoever waits. The file stays. Raises what went wrong; cancelled too late, it is done all the same."""
        return await self._go(self._begun(), file, importer)

    def _begun(self) -> Import:
        self._has_stopped_downloads = False
        self._last = Import(
            id=self._ids.new(), state=ImportState.VALIDATING, message="The dump is looked through.", started_at=self._clock.now()
        )
        return self._last

    async def close(self) -> None:
        """At the service's stop: one that only looks is given up, one that swaps comes to its end."""
        if self._work is not None and not self._work.done():
            if self._last is not None and self._last.state is ImportState.VALIDATING:
                self._work.cancel()
            await asyncio.wait({self._work})

    async def sweep(self) -> int:
        return 0 if self.is_importing else await self._dumps.sweep(self._clock.now() - KEPT_FOR)

    async def _import(self, first: Import, file: Path, importer: Importer) -> None:
        who = Actor(account_id=importer.account.id if importer.account is not None else None)
        try:
            await self._note(who, Act.IMPORT_BEGUN, self._clock.now())
            await self._go(first, file, importer)
        except MagpieError as wrong:
            log.warning("the import failed: %s", wrong.message)
            await self._note_failure(who, wrong.code)
        except Exception as wrong:
            # The task's outermost frame; the state says that it failed.
            log.exception("the import failed")
            await self._note_failure(who, type(wrong).__name__)
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)

    async def _note_failure(self, who: Actor, why: str) -> None:
        assert self._last is not None, "an import that has begun"
        if self._last.state is ImportState.DONE:  # what came afterwards is no failure of it
            return
        if not self._last.is_over:  # not even its beginning could be written down
            self._move(ImportState.FAILED, "It failed; the log says why. Nothing was changed.", ended_at=self._clock.now())
        try:
            await self._note(who, Act.IMPORT_FAILED, self._clock.now(), why)
        except Exception:
            # The outermost frame of a failure: it is told of elsewhere too.
            log.exception("that the import failed could not be written down")

    async def _go(self, first: Import, file: Path, importer: Importer) -> Import:
        try:
            scratch = await self._dumps.prepare(file)
            try:
                await self._take(first, scratch, importer)
            finally:
                await scratch.discard()
        except BaseException as wrong:
            assert self._last is not None, "an import that has begun"
            if self._last.state is not ImportState.DONE:
                self._move(ImportState.FAILED, self._why(wrong), ended_at=self._clock.now())
            raise
        assert self._last is not None, "an import that has begun"
        return self._last

    def _why(self, wrong: BaseException) -> str:
        if isinstance(wrong, ImportUncertain):
            return wrong.message
        changed = "The downloads that were under way are cancelled; nothing else" if self._has_stopped_downloads else "Nothing"
        if isinstance(wrong, asyncio.CancelledError):
            return f"It was broken off. {changed} was changed."
        return f"{wrong.message if isinstance(wrong, MagpieError) else 'It failed; the log says why.'} {changed} was changed."

    async def _take(self, first: Import, scratch: Scratch, importer: Importer) -> None:
        missing = await self._mark_missing(scratch)
        self._move(ImportState.STOPPING, "Nothing new is accepted, and downloads are cancelled.", made_at=scratch.made_at,
                   counts=dict(scratch.counts), missing_files=missing)  # fmt: skip
        try:
            await self._standstill.begin()
            if self._downloads is not None:
                self._has_stopped_downloads = True
                await self._cancel_all(self._downloads)
            await self._standstill.empty_queue()
            self._move(ImportState.SWAPPING, "The dump takes the place of what there is.")
            changes = await scratch.adapt(first.id, importer, self._clock.now())
            kept, called_off = await self._swap(first, scratch)
        finally:
            await self._standstill.end()
        rows = sum(scratch.counts.values())
        self._move(
            ImportState.DONE,
            f"{rows} rows were imported. What was there before is kept for {KEPT_FOR.days} days.",
            ended_at=self._clock.now(),
            failed_jobs=changes.failed_jobs,
            lost_secrets=changes.lost_secrets,
            must_log_in=changes.must_log_in,
            kept_as=kept,
        )
        log.info("imported", extra={"rows": rows, "missing_files": missing, "failed_jobs": changes.failed_jobs})
        if called_off is not None:
            raise called_off

    async def _swap(self, first: Import, scratch: Scratch) -> tuple[str, asyncio.CancelledError | None]:
        """The file's name, and what was too late to call it off. How it went is in the database, whatever the answer was."""
        try:
            return await _to_its_end(scratch.take_over(self._clock.now()))
        except ImportUncertain:
            stored = await self._dumps.last_import()
            if stored is None or stored.id != first.id or stored.kept_as is None:
                raise
            return stored.kept_as, None

    def _move(self, state: ImportState, message: str, **known: object) -> None:
        assert self._last is not None, "an import that has begun"
        self._last = replace(self._last, state=state, message=message, **known)  # type: ignore[arg-type] # its own fields

    async def _mark_missing(self, scratch: Scratch) -> int:
        count = 0
        async for some in scratch.locations():
            missing = await self._missing_of(some)
            if missing:
                await scratch.mark_missing(missing)
                count += len(missing)
        return count

    async def _missing_of(self, some: Sequence[tuple[int, str]]) -> list[int]:
        def look() -> list[int] | None:
            found = []
            for number, location in some:
                try:
                    path = self._media.local_path(location)
                except ValueError:  # a dump may say anything
                    found.append(number)
                    continue
                if path is None:
                    return None
                if not os.path.isfile(path):  # noqa: PTH113 - half the time of the path's own
                    found.append(number)
            return found

        on_disk = await asyncio.to_thread(look)
        if on_disk is not None:
            return on_disk
        there = await asyncio.gather(*[self._media.exists(location) for _, location in some])
        return [number for (number, _), is_there in zip(some, there, strict=True) if not is_there]

    async def _cancel_all(self, downloads: Downloads) -> None:
        """One that ends may set another going, which is cancelled in its turn. Raises `Unavailable`."""
        for _ in range(ROUNDS):
            async with self._database.read() as transaction:
                live = await transaction.jobs.live()
            if not live:
                return
            for job in live:
                try:
                    await downloads.cancel(job.id)
                except (JobNotFound, JobNotLive, Conflict):
                    continue
        raise Unavailable("The downloads that are under way do not end. Try again.")


async def _to_its_end(work: Coroutine[Any, Any, T]) -> tuple[T, asyncio.CancelledError | None]:
    """Also when whoever waits is cancelled, which is handed back: it cannot be undone by then, and must not be taken for undone."""
    task, called_off = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as cancelled:
            called_off = cancelled
    return task.result(), called_off
