"""Watched addresses: made, changed, looked at now, deleted. Each belongs to an account; to others it does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service.archives import Had
from service.audit import Act, Actor, AuditEntry
from service.cookies import checked_site, netscape, sites_of
from service.downloads import Downloads
from service.due_links import DueLinks
from service.errors import (
    InvalidCookies,
    InvalidLink,
    JobNotLive,
    LimitReached,
    LinkNotFound,
    NothingHeld,
    SameLink,
)
from service.fetching import Fetcher
from service.item_orders import ItemOrders
from service.link_jobs import LinkJobs
from service.locking import lock_account, lock_payers
from service.media_url import MediaUrl
from service.model import LOCAL_ACCOUNT, Job
from service.paging import Page, Window
from service.ports import Clock, Database, Ids, JobEvents, Quota, Transaction
from service.schedule import Schedule
from service.selection import MediaType, Selection
from service.watched import MOST_ITEMS, ItemState, Link, LinkItem, LinkState, LinkType, first_name

MOST_LINKS = 1000
"""Of an account with limits."""
AT_A_TIME = 2000
"""Entries of an archive in one transaction: others want to write, too."""
COOKIES_SOON = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A link with what is counted for it."""

    link: Link
    items: int
    held: int


class Links:
    """`settings_interval` is how often links without a schedule of their own are looked at."""

    def __init__(
        self,
        *,
        database: Database,
        downloads: Downloads,
        fetcher: Fetcher,
        events: JobEvents,
        quota: Quota,
        clock: Clock,
        ids: Ids,
        interval: Callable[[], timedelta],
    ) -> None:
        self._database, self._downloads, self._fetcher, self._events = database, downloads, fetcher, events
        self._clock = clock
        self._orders, self._jobs = ItemOrders(quota, ids), LinkJobs(clock, ids)
        self.due = DueLinks(database=database, parts=lambda: downloads.parts, jobs=self._jobs, clock=clock, interval=interval)

    # --- making, changing, deleting -----------------------------------------------------------------------------

    async def add(self, actor: Actor, account_id: int, url: MediaUrl, fields: Mapping[str, Any]) -> LinkView:
        """`fields` are those of a `Link`, checked one by one; `cookies` as they were given.

        It is looked at for the first time at once. Raises `InvalidLink`, `InvalidCookies`, `AddressNotAllowed`, `SameLink`,
        `LimitReached`.
        """
        now = self._clock.now()
        await self._fetcher.check_address(url)
        kind = fields.get("type", LinkType.YOUTUBE_CHANNEL)
        usual = Selection.of(MediaType.PICTURE.value) if kind.is_gallery else Selection.of()
        basis = Link(id=0, account_id=account_id, url=url, name=first_name(url), selection=usual, state_since=now, created_at=now)
        link = self._checked(basis, fields)
        async with self._database.write() as transaction:
            account = await lock_account(transaction, account_id)
            if not account.is_superuser and account_id != LOCAL_ACCOUNT and await transaction.links.count_of(account_id) >= MOST_LINKS:
                raise LimitReached(f"An account has at most {MOST_LINKS} links.")
            added = await transaction.links.add(replace(link, next_run_at=now if link.is_enabled else None))
            if added is None:
                raise SameLink
            await transaction.audit.add(self._note(actor, added, Act.LINK_ADDED))
        return LinkView(link=added, items=0, held=0)

    async def change(self, actor: Actor, link_id: int, fields: Mapping[str, Any]) -> LinkView:
        """Raises what `add` raises, and `LinkNotFound`."""
        if (url := fields.get("url")) is not None:
            await self._fetcher.check_address(url)
        async with self._database.write() as transaction:
            present = _own(actor, await transaction.links.locked(link_id))
            changed = self._checked(present, fields)
            now, next_at = self._clock.now(), changed.next_run_at
            if (present.schedule, present.timezone, present.is_enabled) != (changed.schedule, changed.timezone, changed.is_enabled):
                next_at = self.due.next_of(changed)
            if (changed.url, changed.type) != (present.url, present.type):  # another list, under the same number
                changed, next_at = replace(changed, state=LinkState.NEW, state_since=now, problem=None, problem_code=None, failures=0), now
            changed = replace(changed, next_run_at=next_at if changed.is_enabled else None)
            if changed.url == present.url:
                await transaction.links.save(changed)
            elif not await transaction.links.save_elsewhere(changed):
                raise SameLink
        return await self.get(actor, link_id)

    async def remove(self, actor: Actor, link_id: int) -> LinkView:
        """What was downloaded stays; what is under way ends. Raises `LinkNotFound`."""
        view = await self.get(actor, link_id)
        while live := await self._removed(actor, view.link):
            for job in live:
                with suppress(JobNotLive):  # it has ended in this moment
                    await self._downloads.cancel(job.id)
        return view

    async def _removed(self, actor: Actor, link: Link) -> list[Job]:
        """What is still under way for it: then it is not removed yet, and not looked at any more. Raises `LinkNotFound`."""
        async with self._database.write() as transaction:
            present = _own(actor, await transaction.links.locked(link.id))
            live = await transaction.jobs.of_link(link.id, live=True)
            if live:
                await transaction.links.save(replace(present, is_enabled=False, next_run_at=None))
            else:
                await transaction.links.remove(link.id)
                await transaction.audit.add(self._note(actor, link, Act.LINK_REMOVED))
        return live

    def _checked(self, link: Link, fields: Mapping[str, Any]) -> Link:
        """Raises `InvalidLink`, `InvalidCookies`."""
        given = {**fields, "unreadable": link.unreadable - fields.keys()}
        if "cookies" in given:
            text = given.pop("cookies")
            url = given.get("url", link.url)
            given["cookies"] = netscape(text, _site_of(url, text)) if text else None
            given["told_code"] = None
            given["cookies_until"] = _last_expiry(given["cookies"]) if text else None
        if given.get("url", link.url) != link.url:
            given["told_code"] = None
        changed = replace(link, **given)
        if changed.type.is_gallery != (changed.selection.media_type is MediaType.PICTURE):
            raise InvalidLink("media_type", "Galleries are had as pictures, everything else as video, audio or transcript.")
        schedule = Schedule.parse(changed.schedule or "@daily", changed.timezone)  # the zone is checked in any case
        return replace(changed, schedule=schedule.text) if changed.schedule is not None else changed

    def _note(self, actor: Actor, link: Link, act: Act) -> AuditEntry:
        return AuditEntry(
            at=self._clock.now(), account_id=actor.account_id, action=act, subject_id=link.account_id, details=f"link {link.id}"
        )

    # --- looking ------------------------------------------------------------------------------------------------

    async def get(self, actor: Actor, link_id: int) -> LinkView:
        """Raises `LinkNotFound`."""
        async with self._database.read() as transaction:
            return (await self._views(transaction, [_own(actor, await transaction.links.get(link_id))]))[0]

    async def page(self, account_id: int | None, window: Window) -> Page[LinkView]:
        """Oldest first; None: everybody's."""
        async with self._database.read() as transaction:
            page = await transaction.links.page(account_id, window)
            return Page(entries=await self._views(transaction, page.entries), count=page.count, next=page.next)

    async def _views(self, transaction: Transaction, links: Sequence[Link]) -> list[LinkView]:
        counts = await transaction.links.counts([link.id for link in links])
        return [LinkView(link=link, items=items, held=held) for link in links for items, held in [counts.get(link.id, (0, 0))]]

    # --- looks at the site --------------------------------------------------------------------------------------

    async def trigger(self, actor: Actor, link_id: int) -> Job:
        """A look now, also at a link that is not enabled; the one that is under way, where there is one. Raises `LinkNotFound`."""
        async with self._database.write() as transaction:
            link = _own(actor, await transaction.links.get(link_id))
            await lock_payers(transaction, [f"account:{link.account_id}"])
            job = await self._jobs.enter(transaction, _own(actor, await transaction.links.locked(link_id)), is_scheduled=False)
        self._events.publish(job)
        return job

    async def take(self, actor: Actor, link_id: int, count: int) -> Job | None:
        """The newest so many of what is held are downloaded, the others are not asked for again. None: nothing is.

        Raises `LinkNotFound`, `NothingHeld`, `LimitReached`.
        """
        now = self._clock.now()
        async with self._database.write() as transaction:
            link = _own(actor, await transaction.links.get(link_id))
            await lock_payers(transaction, [f"account:{link.account_id}"])
            link = _own(actor, await transaction.links.locked(link_id))
            held = await transaction.links.items(link_id, state=ItemState.HELD)
            there = [item for item in held if item.url is not None]
            if not held or (count and not there):
                raise NothingHeld
            chosen = [replace(item, state=ItemState.ORDERED) for item in there[: min(count, MOST_ITEMS)]]
            keys = {(item.extractor, item.item_id) for item in chosen}
            for item in [one for one in held if (one.extractor, one.item_id) not in keys]:
                await transaction.links.save_item(replace(item, state=ItemState.KNOWN, is_told=True))
            state = LinkState.OK if link.state is LinkState.ASKS else link.state
            told = None if link.told_code == LinkState.ASKS.value else link.told_code
            link = replace(link, state=state, state_since=now if state is not link.state else link.state_since, told_code=told)
            await transaction.links.save(link)
            family: list[Job] = []
            if chosen:
                link, job = await self._jobs.make(transaction, link, is_scheduled=False)
                job = job.started(now)
                await transaction.jobs.add(job)
                family = await self._orders.place(transaction, job, link, chosen)
        for one in family:
            self._events.publish(one)
        return family[0] if family else None

    # --- the archive --------------------------------------------------------------------------------------------

    async def archive(self, actor: Actor, link_id: int) -> list[LinkItem]:
        """All that was seen, newest first. Raises `LinkNotFound`."""
        async with self._database.read() as transaction:
            link = _own(actor, await transaction.links.get(link_id))
            return await transaction.links.items(link.id)

    async def remember(self, actor: Actor, link_id: int, had: Sequence[Had]) -> int:
        """These were had before: they are not downloaded. Returns how many were not known. Raises `LinkNotFound`."""
        now, added = self._clock.now(), 0
        entries: dict[tuple[str, str], list[str]] = {}
        for one in had:
            entries.setdefault((one.extractor, one.item_id), []).extend([one.entry] if one.entry else [])
        items = [
            LinkItem(
                link_id=link_id,
                extractor=key[0],
                item_id=key[1],
                state=ItemState.KNOWN,
                seen_at=now,
                position=position,
                entries=tuple(named),
            )
            for position, (key, named) in enumerate(entries.items())
        ]
        for some in [items[start : start + AT_A_TIME] for start in range(0, len(items), AT_A_TIME)] or [[]]:
            async with self._database.write() as transaction:
                _own(actor, await transaction.links.locked(link_id))
                added += await transaction.links.add_items(some)
        return added


def _own(actor: Actor, link: Link | None) -> Link:
    if link is None or not (actor.is_superuser or actor.account_id == link.account_id):
        raise LinkNotFound
    return link


def _site_of(url: MediaUrl, cookies: str) -> str:
    """The site whose cookies may be given for this address: the widest, where each cookie says whose it is; else the host alone, since
    many sites may share a name's end. Raises `InvalidCookies`.
    """
    sites = sites_of(url)
    for site in sites[:1] if cookies.lstrip().startswith(("{", "[")) else reversed(sites):
        try:
            return checked_site(site)
        except InvalidCookies:
            continue
    raise InvalidCookies("This address has no site that cookies could be for.")


def _last_expiry(cookies: str) -> datetime | None:
    """When the last of them that has an end comes to it: short-lived ones stand beside those that matter."""
    seconds = [int(line.split("\t")[4]) for line in cookies.splitlines() if line.count("\t") == 6]  # noqa: PLR2004 - a cookies.txt's
    ends = sorted(datetime.fromtimestamp(one, UTC) for one in seconds if one)
    return ends[-1] if ends else None
