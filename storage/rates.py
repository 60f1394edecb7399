"""Tries, counted in this process's memory: what cannot be tried without end, and how often anything may be asked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from limits import RateLimitItem, parse_many

from service.rates import Rate

LIMITS = {
    Rate.LOGIN_NAME: "10/5minutes",
    Rate.LOGIN_ADDRESS: "150/minute;1000/hour",
    Rate.RESET_ADDRESS: "20/hour",
    Rate.RESET_NAME: "3/hour",
    Rate.CODE: "20/10minutes",
    Rate.REQUESTS: "1200/minute",
    Rate.ANONYMOUS_REQUESTS: "300/minute",
}
LONGEST = 320
"""Characters of a name that count."""
SWEEP_EVERY = 60.0
"""Seconds."""

_Key = tuple[Rate, RateLimitItem, str]


class MemoryRates:
    """Moving windows, per process: `limits` has no store on PostgreSQL, and what must hold everywhere is counted in the database.

    Its store in memory looks at every key at every hit, so only its notation is used here. `now` is in seconds.
    """

    def __init__(self, limits: dict[Rate, str] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._limits: dict[Rate, list[RateLimitItem]] = {rate: parse_many(text) for rate, text in {**LIMITS, **(limits or {})}.items()}
        self._hits: dict[_Key, deque[float]] = {}
        self._now, self._swept = now, now()

    @property
    def size(self) -> int:
        """How many counts are kept."""
        return len(self._hits)

    async def hit(self, rate: Rate, who: str) -> timedelta | None:
        now = self._now()
        self._sweep(now)
        for limit in self._limits[rate]:
            hits = self._hits.setdefault((rate, limit, who[:LONGEST]), deque(maxlen=limit.amount))
            if len(hits) == limit.amount and (wait := hits[0] + limit.get_expiry() - now) > 0:
                return timedelta(seconds=max(1.0, wait))
            hits.append(now)
        return None

    async def clear(self, rate: Rate, who: str) -> None:
        for limit in self._limits[rate]:
            self._hits.pop((rate, limit, who[:LONGEST]), None)

    def _sweep(self, now: float) -> None:
        """Once in a while, since it looks at all of them: who has not come for so long that nothing counts any more."""
        if now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        for key in [key for key, hits in self._hits.items() if hits[-1] + key[1].get_expiry() <= now]:
            del self._hits[key]
