"""Pages of long lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
EXACT_UP_TO = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a page ended: the next one begins behind it."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which page: so many after the first `skip`, or after a mark. `count_all`: however many there are."""

    limit: int = 100
    skip: int = 0
    after: Mark | None = None
    count_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """`count` is None when there are more than `EXACT_UP_TO` and nobody asked for the number; `next` when it is the last page."""

    entries: list[T]
    count: int | None
    next: Mark | None
