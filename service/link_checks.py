"""One look at a link: what is new becomes a job's items. It may happen twice: the service may die at any line.

A look that somebody asks for is a job from its beginning; one that is due becomes a job only when it has something to tell.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from service import endings
from service.cookies import cookies_for
from service.errors import DailyBytesReached, FetchFailed, LimitReached, LinkNotFound, NeedsReentry, NotAList, StorageFull
from service.fetching import Fetcher, Listed, ListingRequest
from service.item_orders import ItemOrders
from service.locking import insist, lock_payers, payers_of
from service.model import PUBLIC, Job
from service.ports import Clock, Database, Ids, JobEvents, Quota, Transaction
from service.watched import FIRST_ITEMS, MOST_ITEMS, Found, ItemState, Link, LinkItem, LinkState, LinkType, Telling

log = logging.getLogger("magpie.links")
GONE = frozenset({"no_such_video", "unsupported", NotAList.code})
"""There is nothing to watch; everything else may pass."""
PASSING = frozenset(
    {
        "network",
        "throttled",
        "truncated",
        "worker_died",
        "time_limit",
        "no_space",
        "interrupted",
        "error",
        "live_stream",
        DailyBytesReached.code,
        StorageFull.code,
    }
)
"""What kept an item from coming and may be over by the next look."""
MOST_TRIES, TRIED_FOR = 3, timedelta(days=60)
FEWER = (100, 50, 20, 10, 5, 2, 1)
"""So many are tried where all together are over a limit."""
WHOLE = 5000
"""So many items of a list are read where the newest do not come first."""


class CheckParts(Protocol):
    """What a look works with: a run's parts."""

    @property
    def database(self) -> Database: ...
    @property
    def fetcher(self) -> Fetcher: ...
    @property
    def events(self) -> JobEvents: ...
    @property
    def quota(self) -> Quota: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def ids(self) -> Ids: ...


class _New:
    """Listens to a listing: what is not known yet, up to the page that holds the first item that is.

    That page is read to its end, for it is here already: a stream that ended meanwhile may stand below newer items.
    """

    def __init__(self, database: Database, link_id: int, most: int, *, whole: bool = False) -> None:
        self._database, self._link_id, self._most, self._whole = database, link_id, most, whole
        self.items: list[Found] = []
        self.was_cut = False
        """Whether there is more that was not looked at."""

    async def found(self, items: Sequence[Found]) -> bool:
        async with self._database.read() as transaction:
            known = await transaction.links.known(self._link_id, [item.key for item in items])
        self.items += [item for item in items if item.key not in known]
        if known and not self._whole:
            return False
        self.was_cut = len(self.items) >= self._most
        return not self.was_cut


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """How many are ordered for the present, and why not more."""

    most: int
    reached: LimitReached


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What becomes of new items. `orders` are to be downloaded now: of those that were held before, too."""

    items: tuple[LinkItem, ...]
    orders: tuple[LinkItem, ...]
    asks: bool


class _Look:
    """What both sorts of looks have in common. `scope` is that of what they download."""

    def __init__(self, parts: CheckParts, scope: str, *, is_scheduled: bool) -> None:
        self._parts, self._scope, self._is_scheduled = parts, scope, is_scheduled

    async def _whole(self, link: Link) -> None:
        try:
            new, listed = await self._look(link)
            await self._accept_what_fits(new, listed)
        except (FetchFailed, LimitReached, LinkNotFound, NeedsReentry) as told:
            await self._fail(told.code, told.message)
        except Exception:
            # The outermost loop of a look: a bug in one must not hold up others.
            log.exception("a link could not be looked at", extra=self._about)
            await self._fail("error", "This could not be looked at.")

    @property
    def _about(self) -> dict[str, object]:
        raise NotImplementedError

    # --- looking ------------------------------------------------------------------------------------------------

    async def _look(self, link: Link) -> tuple[list[Found], Listed]:
        """What is new, newest first, and what the site says of the whole: without a count where not all of it was ever seen.

        Raises `FetchFailed`, `NeedsReentry`.
        """
        if link.unreadable:
            raise NeedsReentry
        new = _New(self._parts.database, link.id, MOST_ITEMS + 1)
        listed = await self._listing(link, new)
        if listed.is_medium and link.type is LinkType.YOUTUBE_CHANNEL:
            raise NotAList
        if link.has_been_looked_at:
            was = link.listed_count
            if was is None or listed.count is None:
                return new.items, replace(listed, count=None)
            if listed.count - was != len(new.items):
                # Something came or went, and not where the newest are: in some lists they are the last.
                new = _New(self._parts.database, link.id, WHOLE, whole=True)
                listed = await self._listing(link, new)
        return new.items, replace(listed, count=None) if new.was_cut else listed

    async def _listing(self, link: Link, watcher: _New) -> Listed:
        request = ListingRequest(
            url=link.url,
            is_gallery=link.type.is_gallery,
            with_dates=link.filters.since is not None,
            trust_class="public" if self._scope == PUBLIC else self._scope,
            cookies=await self._cookies(link),
        )
        return await self._parts.fetcher.listing(request, watcher)

    async def _cookies(self, link: Link) -> str | None:
        """The link's own, else what the account gave for the site."""
        if self._scope == PUBLIC:
            return None
        if link.cookies is not None:
            return link.cookies
        async with self._parts.database.read() as transaction:
            return await cookies_for(transaction, link.account_id, link.url)

    # --- the end ------------------------------------------------------------------------------------------------

    async def _accept_what_fits(self, new: Sequence[Found], listed: Listed) -> None:
        """Write down what was found, and order what is wanted: over a limit as many as fit, the others at a later look.

        Raises `LimitReached` when none does: then nothing was written.
        """
        try:
            return await self._accept(new, listed)
        except LimitReached as reached:
            for most in FEWER:
                with suppress(LimitReached):
                    return await self._accept(new, listed, _Bound(most=most, reached=reached))
            raise

    async def _accept(self, new: Sequence[Found], listed: Listed, bound: _Bound | None = None) -> None:
        changed = await insist(lambda: self._write(new, listed, bound))
        for job in changed:
            self._parts.events.publish(job)

    async def _write(self, new: Sequence[Found], listed: Listed, bound: _Bound | None) -> list[Job]:
        now = self._parts.clock.now()
        async with self._parts.database.write() as transaction:
            link = await self._present(transaction)
            if link is None:
                return []
            known = await transaction.links.known(link.id, [item.key for item in new])  # another look may have been faster
            choice = await self._choose(transaction, link, [item for item in new if item.key not in known], now)
            await transaction.links.add_items(choice.items)
            still_asks = link.state is LinkState.ASKS and await transaction.links.count_items(link.id, ItemState.HELD) > 0
            state = LinkState.ASKS if choice.asks or still_asks else LinkState.OK
            seen = link.well(now, state)
            if bound is not None:
                seen = link.limited(now, bound.reached.code, bound.reached.message)
            seen = seen.titled(listed.title, listed.count)
            await transaction.links.save(seen)
            if not choice.orders:
                return await self._nothing_new(transaction, seen)
            seen, job = await self._job_of(transaction, seen)
            family = await ItemOrders(self._parts.quota, self._parts.ids).place(
                transaction, job, seen, choice.orders[: bound.most if bound else None]
            )
            log.info("new items", extra={**self._about, "items": len(family) - 1, "link": link.id})
            return family

    async def _present(self, transaction: Transaction) -> Link | None:
        """The link as it is now, locked; None when there is nothing to write any more."""
        raise NotImplementedError

    async def _job_of(self, transaction: Transaction, link: Link) -> tuple[Link, Job]:
        """The job that tells of it, in the database and under way."""
        raise NotImplementedError

    async def _nothing_new(self, transaction: Transaction, link: Link) -> list[Job]:
        raise NotImplementedError

    async def _choose(self, transaction: Transaction, link: Link, new: Sequence[Found], now: datetime) -> _Choice:
        wanted = [item for item in new if link.filters.takes(item)]
        if link.filters.newest is not None:
            wanted = wanted[: link.filters.newest]
        limit = MOST_ITEMS if link.has_been_looked_at else FIRST_ITEMS
        asks = len(wanted) > limit
        holds = asks or (self._is_scheduled and not link.download_automatically)
        keys = {item.key for item in wanted}
        items = [
            LinkItem(
                link_id=link.id,
                extractor=item.key[0],
                item_id=item.id,
                state=ItemState.KNOWN if item.key not in keys else ItemState.HELD if holds else ItemState.ORDERED,
                url=item.url,
                title=item.title,
                seen_at=now,
                position=position,
                is_told=item.key not in keys or link.telling is Telling.NOTHING,
                entries=item.entries,
            )
            for position, item in enumerate(new)
        ]
        orders = [item for item in items if item.state is ItemState.ORDERED]
        orders += await transaction.links.waiting(link.id)
        orders += await transaction.links.failed(link.id, PASSING, tries=MOST_TRIES, since=now - TRIED_FOR)
        if not self._is_scheduled and not asks and not link.download_automatically and link.state is not LinkState.ASKS:
            held = await transaction.links.items(link.id, state=ItemState.HELD, limit=MOST_ITEMS - min(len(orders), MOST_ITEMS))
            orders += [replace(item, state=ItemState.ORDERED) for item in held if item.url is not None]
        return _Choice(items=tuple(items), orders=tuple(orders), asks=asks)

    async def _fail(self, code: str, message: str) -> None:
        for job in await insist(lambda: self._write_failure(code, message)):
            self._parts.events.publish(job)

    async def _write_failure(self, code: str, message: str) -> list[Job]:
        raise NotImplementedError

    async def _ill(self, transaction: Transaction, link: Link, code: str, message: str) -> bool:
        """Whether that is news."""
        now = self._parts.clock.now()
        await transaction.links.save(link.ill(now, LinkState.BROKEN if code in GONE else LinkState.PAUSED, code, message))
        log.info("a look at a link failed", extra={**self._about, "code": code, "link": link.id})
        return link.problem_code != code


class LinkCheck(_Look):
    """One that somebody asked for: works on a job that is `processing` already."""

    def __init__(self, parts: CheckParts, job: Job) -> None:
        super().__init__(parts, job.scope, is_scheduled=job.is_scheduled)
        self._job = job

    async def work(self) -> None:
        """Ends the job, or makes it the parent of what is new. Cancelled, it leaves the row as it is."""
        assert self._job.link_id is not None
        async with self._parts.database.read() as transaction:
            link = await transaction.links.get(self._job.link_id)
        if link is None:  # deleted in this moment
            await self._fail(LinkNotFound.code, LinkNotFound().message)
        else:
            await self._whole(link)

    async def _present(self, transaction: Transaction) -> Link | None:
        if await self._mine(transaction) is None:
            return None
        link = None if self._job.link_id is None else await transaction.links.locked(self._job.link_id)
        if link is None or link.url != self._job.url:  # deleted, or another address, meanwhile
            raise LinkNotFound
        return link

    async def _mine(self, transaction: Transaction) -> Job | None:
        """None when there is nothing to end any more."""
        await lock_payers(transaction, payers_of(self._job))
        present = await endings.locked(transaction, self._job)
        if present is None or not present.status.is_live or present.attempt != self._job.attempt or present.is_list:
            return None
        self._job = present
        return present

    async def _job_of(self, transaction: Transaction, link: Link) -> tuple[Link, Job]:
        del transaction
        return link, self._job

    async def _nothing_new(self, transaction: Transaction, link: Link) -> list[Job]:
        return await self._end(transaction, replace(self._job, title=link.name).completed(self._parts.clock.now(), 0))

    async def _write_failure(self, code: str, message: str) -> list[Job]:
        async with self._parts.database.write() as transaction:
            present = await self._mine(transaction)
            if present is None:
                return []
            link = None if present.link_id is None else await transaction.links.locked(present.link_id)
            if link is not None and code != LinkNotFound.code:
                await self._ill(transaction, link, code, message)
            return await self._end(transaction, present.failed(self._parts.clock.now(), code, message))

    async def _end(self, transaction: Transaction, ended: Job) -> list[Job]:
        await transaction.jobs.save(ended, if_seq=self._job.seq)
        return [ended, *await endings.end(transaction, self._parts.quota, ended, [])]

    @property
    def _about(self) -> dict[str, object]:
        return {"job_id": str(self._job.id)}


MakeJob = Callable[[Transaction, Link], Awaitable[tuple[Link, Job]]]
"""A job for a look at this link, which is not written yet, and the link with a place for what it brings."""


class DueCheck(_Look):
    """One that is due. Most find nothing, and leave nothing: a job would cost more than the look. `next_of` tells when the next is due."""

    def __init__(self, parts: CheckParts, link: Link, scope: str, *, make_job: MakeJob, next_of: Callable[[Link], datetime]) -> None:
        super().__init__(parts, scope, is_scheduled=True)
        self._link, self._make_job, self._next_of = link, make_job, next_of

    async def work(self) -> None:
        """Cut short, it is due again when its lease is over."""
        await self._whole(self._link)

    async def _present(self, transaction: Transaction) -> Link | None:
        await lock_payers(transaction, [f"account:{self._link.account_id}"])
        present = await transaction.links.locked(self._link.id)
        if present is None or present.url != self._link.url or not present.is_enabled or present.account_id != self._link.account_id:
            return None  # another owner's places are not locked: the look is repeated when its lease is over
        return replace(present, next_run_at=self._next_of(present))

    async def _job_of(self, transaction: Transaction, link: Link) -> tuple[Link, Job]:
        link, job = await self._make_job(transaction, link)
        job = job.started(self._parts.clock.now())
        await transaction.jobs.add(job)
        return link, job

    async def _nothing_new(self, transaction: Transaction, link: Link) -> list[Job]:
        del transaction, link
        return []

    async def _write_failure(self, code: str, message: str) -> list[Job]:
        async with self._parts.database.write() as transaction:
            link = await self._present(transaction)
            if link is None or not await self._ill(transaction, link, code, message):
                return []
            present = await transaction.links.locked(link.id)
            assert present is not None, "it is locked"
            _, job = await self._make_job(transaction, present)
            failed = job.started(self._parts.clock.now()).failed(self._parts.clock.now(), code, message)
            await transaction.jobs.add(failed)
            return [failed, *await endings.end(transaction, self._parts.quota, failed, [])]

    @property
    def _about(self) -> dict[str, object]:
        return {"link": self._link.id}
