"""Tells whoever watches what happens in the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sandbox.bot_api.values import Json

Listener = Callable[[str, Json], None]
"""Called with what happened (`message`, `edit`, `delete`, `reaction`, `answer`, `action`) and its object."""

_Found = TypeVar("_Found")


class Events:
    """Listeners, and those who wait for something to become true. Costs nothing while nothing happens."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._subscribed = 0
        self.changes = 0
        """How often something changed."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call this for every event, until the function that is returned is called."""
        self._subscribed += 1
        number = self._subscribed
        self._listeners[number] = listener
        return lambda: self._listeners.pop(number, None) and None

    def tell(self, kind: str, about: Json) -> None:
        for listener in list(self._listeners.values()):
            listener(kind, about)
        self.changed()

    def changed(self) -> None:
        """Something changed that nobody listens to but somebody may wait for."""
        self.changes += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def until(self, predicate: Callable[[], _Found], seconds: float) -> _Found:
        """Wait until this is true and return what it found; it is looked at after every change. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while not (found := predicate()):
                waiting = asyncio.get_running_loop().create_future()
                self._waiting.add(waiting)
                try:
                    await waiting
                finally:
                    self._waiting.discard(waiting)
        return found
