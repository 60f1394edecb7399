"""What links need of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from service.media_url import MediaUrl
from service.paging import Page, Window
from service.watched import ItemState, Link, LinkItem


class Links(Protocol):
    async def add(self, link: Link) -> Link | None:
        """With its id, which the database gives; None when the account has a link to this address already."""
        ...

    async def get(self, link_id: int) -> Link | None: ...
    async def locked(self, link_id: int) -> Link | None:
        """Nobody else changes it until the transaction ends."""
        ...

    async def of_address(self, account_id: int, url: MediaUrl) -> Link | None: ...
    async def save(self, link: Link) -> None:
        """At the address that it has."""
        ...

    async def save_elsewhere(self, link: Link) -> bool:
        """At another address. False, and no change, when another link of the account has it."""
        ...

    async def remove(self, link_id: int) -> None:
        """With its archive."""
        ...

    async def page(self, account_id: int | None, window: Window) -> Page[Link]:
        """Oldest first; None: everybody's."""
        ...

    async def all(self, account_id: int | None = None) -> list[Link]:
        """Oldest first; None: everybody's."""
        ...

    async def count_of(self, account_id: int) -> int: ...
    async def has_due(self, now: datetime) -> bool: ...
    async def with_news(self, cookies_until: datetime, digest_before: datetime) -> list[Link]:
        """Those whose owner may have something to hear: of items (in a digest, if the last one was before that), of a problem or a
        question, of cookies that expire until then.
        """
        ...

    async def trimmed(self) -> list[Link]:
        """Those of which only the last few files are kept."""
        ...

    async def due(self, now: datetime, limit: int) -> list[Link]:
        """Nobody else gets them until the transaction ends."""
        ...

    async def put_off(self, times: Sequence[tuple[int, datetime | None]]) -> None:
        """When each is due next."""
        ...

    async def known(self, link_id: int, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these, extractor and id, that were seen before."""
        ...

    async def add_items(self, items: Sequence[LinkItem]) -> int:
        """How many were new; the others stay as they are."""
        ...

    async def items(
        self, link_id: int, *, state: ItemState | None = None, told: bool | None = None, skip: int = 0, limit: int | None = None
    ) -> list[LinkItem]:
        """Newest first."""
        ...

    async def counts(self, link_ids: Collection[int]) -> dict[int, tuple[int, int]]:
        """Of each link that has any: how many items were seen, and how many of them are held."""
        ...

    async def count_items(self, link_id: int, state: ItemState | None = None) -> int: ...
    async def save_item(self, item: LinkItem) -> None: ...
    async def waiting(self, link_id: int) -> list[LinkItem]:
        """What is wanted and was not ordered yet. Newest first."""
        ...

    async def failed(self, link_id: int, codes: Collection[str], *, tries: int, since: datetime) -> list[LinkItem]:
        """What was ordered fewer times than that, was first seen since, and whose download failed for one of these causes. Newest first."""
        ...

    async def tell(self, link_id: int, keys: Sequence[tuple[str, str]]) -> None:
        """Of these, extractor and id, the owner knows."""
        ...

    async def item_of_job(self, job_id: UUID) -> LinkItem | None: ...
