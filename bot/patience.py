"""How long to wait before Telegram is tried again."""

from __future__ import annotations

import asyncio

PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds between tries while Telegram cannot be reached; the last one repeats."""
FORGIVEN_AFTER = 30.0
"""Seconds without a pause after which the next one is the first again."""


class Patience:
    """For one thing that is tried again and again: each pause is longer than the one before."""

    def __init__(self) -> None:
        self._tries = 0
        self._paused_at = 0.0

    async def pause(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._paused_at > FORGIVEN_AFTER:
            self._tries = 0
        await asyncio.sleep(PAUSES[min(self._tries, len(PAUSES) - 1)])
        self._tries += 1
        self._paused_at = loop.time()
