"""How fast a bot may be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from sandbox.bot_api.errors import too_many

_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Telegram's pace, as observed: messages and edits together."""

    overall_per_second: float = math.inf
    chat_per_second: float = math.inf
    chat_burst: int = 1
    group_per_minute: float = math.inf
    query_seconds: float = math.inf
    """How long a pressed button waits for its answer."""

    @classmethod
    def telegram(cls) -> Self:
        return cls(overall_per_second=30, chat_per_second=1, chat_burst=3, group_per_minute=20, query_seconds=15)

    @classmethod
    def off(cls) -> Self:
        return cls()


class _Bucket:
    """So many at once, then so many a second."""

    def __init__(self, *, size: float, rate: float, now: float) -> None:
        self._size, self._rate = size, rate
        self._level, self._at = size, now

    def wait(self, now: float, wanted: int) -> float:
        """Seconds until so many are there; more than the bucket holds are let through when it is full."""
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(wanted, self._size) - self._level) / self._rate)

    def take(self, wanted: int) -> None:
        self._level -= wanted


class Pace:
    """Refuses what comes too fast, and says when to come back. What was refused does not count."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._buckets: dict[object, _Bucket] = {}

    def check(self, chat_id: int, *, group: bool, messages: int = 1) -> None:
        """Count so many messages or edits for this chat. Raises `Refused` with 429."""
        now = self._clock()
        buckets = [bucket for bucket in self._of(chat_id, now, group=group) if bucket is not None]
        seconds = max((bucket.wait(now, messages) for bucket in buckets), default=0.0)
        if seconds > 0:
            raise too_many(max(1, math.ceil(seconds)))
        for bucket in buckets:
            bucket.take(messages)

    def _of(self, chat_id: int, now: float, *, group: bool) -> list[_Bucket | None]:
        limits = self.limits
        return [
            self._bucket("all", limits.overall_per_second, limits.overall_per_second, now),
            self._bucket(("chat", chat_id), limits.chat_burst, limits.chat_per_second, now),
            self._bucket(("group", chat_id), limits.group_per_minute, limits.group_per_minute / _MINUTE, now) if group else None,
        ]

    def _bucket(self, key: object, size: float, rate: float, now: float) -> _Bucket | None:
        if math.isinf(rate):
            return None
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = _Bucket(size=size, rate=rate, now=now)
        return found
