"""Pages of long lists, as clients ask for them: `skip` and `limit`, or `after` with the cursor of the page before."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import Field

from service.paging import Mark, Page, Window

Skip = Annotated[int, Field(ge=0, lt=2**31, description="How many to leave out from the beginning")]
Limit = Annotated[int, Field(ge=1, le=500, description="How many at most")]
After = Annotated[
    str, Field(pattern="^[A-Za-z0-9_-]{32}$", description="Where the page before ended: the cursor in its header Link, rel=next")
]
Count = Annotated[Literal["exact"], Field(description="exact: X-Total-Count also where there are more than 10,000")]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def window_of(skip: int, limit: int, after: str | None, count: str | None) -> Window:
    """`after` has a cursor's form."""
    return Window(limit=limit, skip=skip, after=_mark(after) if after else None, count_all=count == "exact")


def headers_of(request: web.Request, page: Page[Any], limit: int) -> Mapping[str, str]:
    """How many there are, where that is known, and where the next page is."""
    headers: dict[str, str] = {}
    if page.count is not None:
        headers["X-Total-Count"] = str(page.count)
    if page.next is not None:
        query = {name: value for name, value in request.query.items() if name not in {"skip", "after", "limit"}}
        there = request.rel_url.with_query({**query, "limit": str(limit), "after": _cursor(page.next)})
        headers["Link"] = f'<{there}>; rel="next"'
    return headers


def _cursor(mark: Mark) -> str:
    packed = ((mark.at - _EPOCH) // _MICROSECOND).to_bytes(8, "big") + mark.id.bytes
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _mark(cursor: str) -> Mark:
    """One that was not made here stands for some time, too: for the end of all times at most."""
    packed = base64.urlsafe_b64decode(cursor)
    return Mark(at=_EPOCH + min(int.from_bytes(packed[:8], "big"), _LAST) * _MICROSECOND, id=UUID(bytes=packed[8:]))
