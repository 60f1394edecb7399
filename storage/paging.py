"""Pages by key: the rows behind a mark, however far that is, cost the same."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.paging import EXACT_UP_TO, Mark, Window

LAST_ID = 2**63 - 1
"""Of a table that numbers its rows."""


def window_of(query: sa.Select[Any], at: sa.ColumnElement[Any], id_: sa.ColumnElement[Any], window: Window) -> sa.Select[Any]:
    """Newest first, one row more than was asked for: it tells whether there is a next page."""
    if window.after is not None:
        query = query.where(sa.tuple_(at, id_) < sa.tuple_(sa.literal(window.after.at, at.type), sa.literal(window.after.id, id_.type)))
    return query.order_by(at.desc(), id_.desc()).offset(window.skip).limit(window.limit + 1)


def mark_of(rows: list[Any], window: Window) -> Mark | None:
    """Where the next page begins; None after the last one. The columns are named `created_at` and `id`."""
    if len(rows) <= window.limit or not window.limit:
        return None
    last = rows[window.limit - 1]
    return Mark(at=last.created_at, id=last.id)


async def count_of(connection: AsyncConnection, query: sa.Select[Any], window: Window) -> int | None:
    """How many rows there are; None when there are so many that counting them takes long."""
    bounded = query if window.count_all else query.limit(EXACT_UP_TO + 1)
    counted = int((await connection.execute(sa.select(sa.func.count()).select_from(bounded.subquery()))).scalar_one())
    return counted if window.count_all or counted <= EXACT_UP_TO else None
