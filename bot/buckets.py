"""How much fits in how much time. Times are monotonic seconds."""

from __future__ import annotations

import math
from collections import deque


class Bucket:
    """`size` at once, then one every `interval` seconds.

    Who wants more than the whole bucket gets it when the bucket is full, and leaves a debt. Kept as one time (GCRA)
    and not as a level, so that waiting until `room_at` is exactly enough.
    """

    __slots__ = ("_interval", "_size", "full_at")

    def __init__(self, *, size: int, interval: float) -> None:
        self._size, self._interval = size, interval
        self.full_at = -math.inf

    def room_at(self, wanted: int) -> float:
        """From when on so many may be taken."""
        return self.full_at - (self._size - min(wanted, self._size)) * self._interval

    def take(self, now: float, wanted: int) -> None:
        self.full_at = max(now, self.full_at) + wanted * self._interval


class Window:
    """At most `size` in any `period` seconds. Who wants more than that gets it when the window is empty."""

    __slots__ = ("_period", "_size", "_taken")

    def __init__(self, *, size: int, period: float) -> None:
        self._size, self._period = size, period
        self._taken: deque[float] = deque(maxlen=size)

    @property
    def full_at(self) -> float:
        """From when on all of it may be taken."""
        return self.room_at(self._size)

    def room_at(self, wanted: int) -> float:
        """From when on so many may be taken."""
        over = len(self._taken) + min(wanted, self._size) - self._size
        return self._taken[over - 1] + self._period if over > 0 else -math.inf

    def take(self, now: float, wanted: int) -> None:
        self._taken.extend([now] * min(wanted, self._size))
