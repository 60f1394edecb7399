"""Requests that are under way. Each knows its caller by a number of the database: none may outlive an import, which gives numbers anew."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

from service.errors import Unavailable

GRACE: Final = timedelta(seconds=5)
"""For what comes to its end by itself."""
PATIENCE: Final = timedelta(seconds=10)


class InFlight:
    """Counts a request until its last byte is sent: by its task, which aiohttp makes for each."""

    def __init__(self, *, grace: timedelta = GRACE, patience: timedelta = PATIENCE) -> None:
        self._grace, self._patience = grace.total_seconds(), patience.total_seconds()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sent_away: set[asyncio.Task[Any]] = set()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def note(self) -> None:
        """The task that calls this."""
        task = asyncio.current_task()
        assert task is not None, "a request has a task"
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._sent_away.discard(task)

    def is_sent_away(self) -> bool:
        """Whether the task that calls this was cancelled by `end`: it has an answer to give still."""
        return asyncio.current_task() in self._sent_away

    async def end(self) -> None:
        """All that there are now; what does not end by itself is cancelled. Raises `Unavailable` when one goes on all the same."""
        late = await _left(self._tasks, self._grace)
        for task in late:
            self._sent_away.add(task)
            task.cancel()
        if await _left(late, self._patience):
            raise Unavailable("Requests that are under way do not end. Try again.")


async def _left(tasks: set[asyncio.Task[Any]], seconds: float) -> set[asyncio.Task[Any]]:
    return (await asyncio.wait(tasks, timeout=seconds))[1] if tasks else set()
