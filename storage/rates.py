"""Tries, counted in this process's memory: what cannot be tried without end, and how often anything may be asked."""

from __future__ import annotations

import time
from datetime import timedelta

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from service.logins import Rate

LIMITS = {
    Rate.LOGIN_NAME: "10/5minutes",
    Rate.LOGIN_ADDRESS: "150/minute;1000/hour",
    Rate.RESET_ADDRESS: "20/hour",
    Rate.RESET_NAME: "3/hour",
    Rate.CODE: "20/10minutes",
    Rate.REQUESTS: "1200/minute",
    Rate.ANONYMOUS_REQUESTS: "300/minute",
}


class MemoryRates:
    """Per process: `limits` has no store on PostgreSQL, and what must hold everywhere is counted in the database."""

    def __init__(self, limits: dict[Rate, str] | None = None) -> None:
        self._windows = MovingWindowRateLimiter(MemoryStorage())
        self._limits: dict[Rate, list[RateLimitItem]] = {rate: parse_many(text) for rate, text in {**LIMITS, **(limits or {})}.items()}

    async def hit(self, rate: Rate, who: str) -> timedelta | None:
        for limit in self._limits[rate]:
            if not await self._windows.hit(limit, rate.value, who[:320]):
                stats = await self._windows.get_window_stats(limit, rate.value, who[:320])
                return timedelta(seconds=max(1.0, stats.reset_time - time.time()))
        return None

    async def clear(self, rate: Rate, who: str) -> None:
        for limit in self._limits[rate]:
            await self._windows.clear(limit, rate.value, who[:320])
