"""What the owners of links have still to hear: of new items, of questions, of what is wrong. It is told once, over a restart too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from service.ports import Clock, Database, Transaction
from service.watched import ItemState, Link, LinkItem, LinkState, Telling

FRESH = timedelta(days=7)
"""What was found longer ago is no news any more: nobody could be told of it all that time."""
A_DIGEST = timedelta(hours=24)
PASSING = frozenset({"network", "worker_died", "truncated", "interrupted", "error"})
"""Problems that mostly pass by themselves: they are told of when they do not."""
PATIENCE = 3
SOON = timedelta(days=3)
"""So long before cookies expire the owner is told."""
ASKS, COOKIES = "asks", "cookies"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Of one link. `problem` is the code to tell of, if any; `runs` are those whose files are to be sent, with their items."""

    link: Link
    problem: str | None = None
    runs: tuple[UUID, ...] = ()
    items: tuple[LinkItem, ...] = ()
    """To be named, newest first."""
    keys: tuple[tuple[str, str], ...] = ()
    """Of all items that are told of with this."""
    held: int = 0


class LinkNews:
    """`pending`, then `told` once Telegram has taken it: after a crash in between it is told again."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def pending(self) -> list[News]:
        now = self._clock.now()
        async with self._database.read() as transaction:
            links = await transaction.links.with_news(now + SOON, now - A_DIGEST)
            found = [await self._of(transaction, link) for link in links]
        return [news for news in found if news.problem or news.keys]

    async def _of(self, transaction: Transaction, link: Link) -> News:
        now = self._clock.now()
        problem = self._problem_of(link)
        untold = await transaction.links.items(link.id, told=False)
        held = await transaction.links.count_items(link.id, ItemState.HELD)
        if link.telling is Telling.DIGEST and link.told_at is not None and link.told_at > now - A_DIGEST:
            untold = []  # it is a problem that is to be told of
        ordered = [item for item in untold if item.state is ItemState.ORDERED and link.telling is Telling.SEND]
        runs = await self._runs_of(transaction, ordered)
        asks = link.state is LinkState.ASKS  # then the question stands for all that is held
        named = [one for one in untold if one not in ordered and one.seen_at > now - FRESH and not (asks and one.state is ItemState.HELD)]
        keys = [(item.extractor, item.item_id) for item in untold]
        return News(link=link, problem=problem, runs=tuple(runs), items=tuple(named), keys=tuple(keys), held=held)

    def _problem_of(self, link: Link) -> str | None:
        code = ASKS if link.state is LinkState.ASKS else link.problem_code
        if code in PASSING and link.failures < PATIENCE:
            code = None
        if code is None and link.cookies_until is not None and link.cookies_until < self._clock.now() + SOON:
            code = COOKIES
        return code if code != link.told_code else None

    async def _runs_of(self, transaction: Transaction, items: Sequence[LinkItem]) -> list[UUID]:
        """The jobs that download these, oldest first, as far as they are still there."""
        runs: dict[UUID, None] = {}
        for item in reversed(items):
            job = await transaction.jobs.get(item.job_id) if item.job_id else None
            if job is not None and job.parent_id is not None and job.created_at > self._clock.now() - FRESH:
                runs[job.parent_id] = None
        return list(runs)

    async def told(self, news: News) -> None:
        """The owner has heard this, or can never hear it."""
        now = self._clock.now()
        async with self._database.write() as transaction:
            link = await transaction.links.locked(news.link.id)
            if link is None:
                return
            if news.problem is not None:
                link = replace(link, told_code=news.problem)
            if news.items and link.telling is Telling.DIGEST:
                link = replace(link, told_at=now)
            await transaction.links.save(link)
            await transaction.links.tell(link.id, news.keys)
