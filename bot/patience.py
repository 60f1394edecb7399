"""How long to wait before Telegram is tried again."""

from __future__ import annotations

import asyncio

PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds between tries while Telegram cannot be reached; the last one repeats."""


class Patience:
    """For one thing that is tried again and again: each pause is longer than the one before."""

    def __init__(self) -> None:
        self._tries = 0

    async def pause(self) -> None:
        await asyncio.sleep(PAUSES[min(self._tries, len(PAUSES) - 1)])
        self._tries += 1
