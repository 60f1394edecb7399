"""Links and their archives in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.media_url import MediaUrl
from service.model import JobStatus
from service.paging import Mark, Page, Window
from service.ports import Vault
from service.selection import Selection
from service.watched import ItemState, Link, LinkFilters, LinkItem, LinkState, LinkType, Telling
from storage.fetches import insert
from storage.paging import LAST_ID, count_of
from storage.sealed import Sealing
from storage.tables import jobs, link_items, links
from storage.vault import UnreadableSecret

AT_ONCE = 500
"""Values in one statement."""
SAME = (
    "download_session_id",
    "name",
    "is_enabled",
    "download_automatically",
    "cookies_until",
    "schedule",
    "timezone",
    "keep_last",
    "chat_id",
    "thread_id",
    "title",
    "problem_code",
    "problem",
    "state_since",
    "failures",
    "listed_count",
    "next_run_at",
    "last_checked_at",
    "told_code",
    "told_at",
    "feed_epoch",
)
"""Columns that hold what the field of this name does."""
SEALED = ("url", "cookies", "callback_url")
UNREADABLE = MediaUrl.parse("https://needs-reentry.invalid/")
"""What stands where an address cannot be read."""


class SqlLinks:
    def __init__(self, connection: AsyncConnection, vault: Vault | None) -> None:
        self._connection, self._sealing = connection, Sealing(vault)

    # --- links --------------------------------------------------------------------------------------------------

    async def add(self, link: Link) -> Link | None:
        """With its id; None when the account has a link to this address already. `id` is given by the database."""
        values = {**self._columns(link), "account_id": link.account_id, "created_at": link.created_at}
        adding = insert(self._connection, links).values(values).on_conflict_do_nothing().returning(links.c.id)
        added = (await self._connection.execute(adding)).scalar_one_or_none()
        return None if added is None else await self.get(added)

    async def get(self, link_id: int) -> Link | None:
        return await self._one(sa.select(links).where(links.c.id == link_id))

    async def locked(self, link_id: int) -> Link | None:
        return await self._one(sa.select(links).where(links.c.id == link_id).with_for_update())

    async def of_address(self, account_id: int, url: MediaUrl) -> Link | None:
        return await self._one(sa.select(links).where(links.c.account_id == account_id, links.c.url_digest == url.digest))

    async def save(self, link: Link) -> None:
        await self._connection.execute(sa.update(links).where(links.c.id == link.id).values(self._columns(link)))

    async def save_elsewhere(self, link: Link) -> bool:
        try:
            async with self._connection.begin_nested():
                await self.save(link)
        except sa.exc.IntegrityError:
            return False
        return True

    async def remove(self, link_id: int) -> None:
        await self._connection.execute(sa.delete(links).where(links.c.id == link_id))

    async def page(self, account_id: int | None, window: Window) -> Page[Link]:
        """The order is that of the ids: a cursor's moment is not looked at."""
        mine = [] if account_id is None else [links.c.account_id == account_id]
        behind = [links.c.id > min(window.after.id.int, LAST_ID)] if window.after else []
        query = sa.select(links).where(*mine, *behind).order_by(links.c.id).offset(window.skip).limit(window.limit + 1)
        found = await self._many(query)
        entries = found[: window.limit]
        following = Mark(at=entries[-1].created_at, id=UUID(int=entries[-1].id)) if entries and len(found) > window.limit else None
        return Page(entries=entries, count=await count_of(self._connection, sa.select(links.c.id).where(*mine), window), next=following)

    async def all(self, account_id: int | None = None) -> list[Link]:
        mine = [] if account_id is None else [links.c.account_id == account_id]
        return await self._many(sa.select(links).where(*mine).order_by(links.c.id))

    async def count_of(self, account_id: int) -> int:
        counted = await self._connection.execute(sa.select(sa.func.count()).select_from(links).where(links.c.account_id == account_id))
        return int(counted.scalar_one())

    async def has_due(self, now: datetime) -> bool:
        return (await self._connection.execute(sa.select(links.c.id).where(links.c.next_run_at <= now).limit(1))).first() is not None

    async def with_news(self, cookies_until: datetime, digest_before: datetime) -> list[Link]:
        untold = sa.select(link_items.c.link_id).where(link_items.c.is_told.is_(False))
        may_be_told = sa.or_(links.c.telling != Telling.DIGEST.value, links.c.told_at.is_(None), links.c.told_at <= digest_before)
        problem = sa.case((links.c.state == LinkState.ASKS.value, LinkState.ASKS.value), else_=links.c.problem_code)
        news = sa.or_(
            sa.and_(links.c.id.in_(untold), may_be_told),
            sa.and_(problem.is_not(None), problem.is_distinct_from(links.c.told_code)),
            sa.and_(links.c.cookies_until < cookies_until, links.c.told_code.is_(None)),
        )
        return await self._many(sa.select(links).where(news).order_by(links.c.id))

    async def trimmed(self) -> list[Link]:
        return await self._many(sa.select(links).where(links.c.keep_last.is_not(None)))

    async def due(self, now: datetime, limit: int) -> list[Link]:
        """Nobody else gets them until the transaction ends."""
        query = sa.select(links).where(links.c.next_run_at <= now).order_by(links.c.next_run_at).limit(limit)
        return await self._many(query.with_for_update(skip_locked=True))

    async def put_off(self, times: Sequence[tuple[int, datetime | None]]) -> None:
        """When each is due next."""
        if times:
            wanted = sa.update(links).where(links.c.id == sa.bindparam("link")).values(next_run_at=sa.bindparam("at"))
            await self._connection.execute(wanted, [{"link": link_id, "at": at} for link_id, at in times])

    # --- the archive --------------------------------------------------------------------------------------------

    async def known(self, link_id: int, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these that were seen before."""
        wanted, found = list(keys), set[tuple[str, str]]()
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            query = sa.select(link_items.c.extractor, link_items.c.item_id).where(
                link_items.c.link_id == link_id, link_items.c.item_id.in_({item_id for _, item_id in some})
            )
            found |= {(row.extractor, row.item_id) for row in await self._connection.execute(query)}
        return found & set(wanted)

    async def add_items(self, items: Sequence[LinkItem]) -> int:
        """How many were new."""
        added = 0
        for start in range(0, len(items), AT_ONCE):
            rows = [self._item_columns(item) for item in items[start : start + AT_ONCE]]
            adding = insert(self._connection, link_items).on_conflict_do_nothing().returning(link_items.c.item_id)
            added += len((await self._connection.execute(adding, rows)).all())
        return added

    async def items(
        self, link_id: int, *, state: ItemState | None = None, told: bool | None = None, skip: int = 0, limit: int | None = None
    ) -> list[LinkItem]:
        """Newest first."""
        query = sa.select(link_items).where(link_items.c.link_id == link_id)
        if state is not None:
            query = query.where(link_items.c.state == state.value)
        if told is not None:
            query = query.where(link_items.c.is_told == told)
        query = query.order_by(link_items.c.seen_at.desc(), link_items.c.position, link_items.c.extractor, link_items.c.item_id)
        return [self._item(row) for row in await self._connection.execute(query.offset(skip).limit(limit))]

    async def counts(self, link_ids: Collection[int]) -> dict[int, tuple[int, int]]:
        is_held = sa.case((link_items.c.state == ItemState.HELD.value, 1))
        query = sa.select(link_items.c.link_id, sa.func.count().label("items"), sa.func.count(is_held).label("held"))
        found = await self._connection.execute(query.where(link_items.c.link_id.in_(link_ids)).group_by(link_items.c.link_id))
        return {row.link_id: (row.items, row.held) for row in found}

    async def count_items(self, link_id: int, state: ItemState | None = None) -> int:
        query = sa.select(sa.func.count()).select_from(link_items).where(link_items.c.link_id == link_id)
        counted = await self._connection.execute(query if state is None else query.where(link_items.c.state == state.value))
        return int(counted.scalar_one())

    async def save_item(self, item: LinkItem) -> None:
        values = self._item_columns(item)
        keys = {name: values.pop(name) for name in ("link_id", "extractor", "item_id")}
        await self._connection.execute(sa.update(link_items).where(*(link_items.c[name] == keys[name] for name in keys)).values(values))

    async def waiting(self, link_id: int) -> list[LinkItem]:
        query = sa.select(link_items).where(
            link_items.c.link_id == link_id,
            link_items.c.state == ItemState.ORDERED.value,
            link_items.c.job_id.is_(None),
            link_items.c.url.is_not(None),
        )
        found = await self._connection.execute(query.order_by(link_items.c.seen_at.desc(), link_items.c.position))
        return [self._item(row) for row in found]

    async def failed(self, link_id: int, codes: Collection[str], *, tries: int, since: datetime) -> list[LinkItem]:
        query = (
            sa.select(link_items)
            .join(jobs, jobs.c.id == link_items.c.job_id)
            .where(
                link_items.c.link_id == link_id,
                link_items.c.state == ItemState.ORDERED.value,
                link_items.c.tries < tries,
                link_items.c.seen_at > since,
                jobs.c.status == JobStatus.FAILED.value,
                jobs.c.error_code.in_(sorted(codes)),
            )
            .order_by(link_items.c.seen_at.desc(), link_items.c.position)
        )
        return [self._item(row) for row in await self._connection.execute(query)]

    async def tell(self, link_id: int, keys: Sequence[tuple[str, str]]) -> None:
        if keys:
            one = [
                link_items.c.link_id == link_id,
                link_items.c.extractor == sa.bindparam("extractor_"),
                link_items.c.item_id == sa.bindparam("id_"),
            ]
            told = sa.update(link_items).where(*one).values(is_told=True)
            await self._connection.execute(told, [{"extractor_": extractor, "id_": item_id} for extractor, item_id in keys])

    async def item_of_job(self, job_id: UUID) -> LinkItem | None:
        row = (await self._connection.execute(sa.select(link_items).where(link_items.c.job_id == job_id))).first()
        return self._item(row) if row else None

    # --- rows ---------------------------------------------------------------------------------------------------

    async def _one(self, query: sa.Select[Any]) -> Link | None:
        found = await self._many(query)
        return found[0] if found else None

    async def _many(self, query: sa.Select[Any]) -> list[Link]:
        return [self.link_of(row) for row in await self._connection.execute(query)]

    def _columns(self, link: Link) -> dict[str, Any]:
        """What cannot be read stays as it is."""
        kept = link.unreadable | ({"url_digest"} if "url" in link.unreadable else set())
        return {name: value for name, value in self._all_columns(link).items() if name not in kept}

    def _all_columns(self, link: Link) -> dict[str, Any]:
        return {
            **{name: getattr(link, name) for name in SAME},
            "url": self._sealing.seal_url(link.url),
            "url_digest": link.url.digest,
            "type": link.type.value,
            "tags": list(link.tags),
            "cookies": None if link.cookies is None else self._sealing.seal(link.cookies),
            "filters": link.filters.as_json(),
            "selection": link.selection.key,
            "telling": link.telling.value,
            "callback_url": None if link.callback_url is None else self._sealing.seal(link.callback_url.text),
            "state": link.state.value,
        }

    def link_of(self, row: sa.Row[Any]) -> Link:
        """One whose secrets cannot be opened must not hold up others, or its own deletion."""
        opened, unreadable = dict[str, str | None](), set[str]()
        for name in SEALED:
            try:
                opened[name] = None if getattr(row, name) is None else self._sealing.open(getattr(row, name))
            except UnreadableSecret:
                opened[name] = None
                unreadable.add(name)
        callback_url = opened["callback_url"]
        return Link(
            **{name: getattr(row, name) for name in (*SAME, "id", "account_id", "created_at")},
            url=UNREADABLE if "url" in unreadable else self._sealing.open_url(row.url),
            type=LinkType(row.type),
            tags=tuple(row.tags),
            cookies=opened["cookies"],
            filters=LinkFilters.from_json(row.filters),
            selection=Selection.from_key(row.selection),
            telling=Telling(row.telling),
            callback_url=None if callback_url is None else MediaUrl.parse(callback_url),
            state=LinkState(row.state),
            unreadable=frozenset(unreadable),
        )

    def _item_columns(self, item: LinkItem) -> dict[str, Any]:
        return {
            "link_id": item.link_id,
            "extractor": item.extractor,
            "item_id": item.item_id,
            "state": item.state.value,
            "url": None if item.url is None else self._sealing.seal_url(item.url),
            "title": item.title,
            "job_id": item.job_id,
            "tries": item.tries,
            "seen_at": item.seen_at,
            "position": item.position,
            "is_told": item.is_told,
            "entries": list(item.entries) or None,
        }

    def _item(self, row: sa.Row[Any]) -> LinkItem:
        return LinkItem(
            link_id=row.link_id,
            extractor=row.extractor,
            item_id=row.item_id,
            state=ItemState(row.state),
            url=None if row.url is None else self._sealing.open_url(row.url),
            title=row.title,
            job_id=row.job_id,
            tries=row.tries,
            seen_at=row.seen_at,
            position=row.position,
            is_told=row.is_told,
            entries=tuple(row.entries or ()),
        )
