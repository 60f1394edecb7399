"""What goes wrong on script: errors, slowness, cut connections, answers held back."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from sandbox.bot_api.errors import Refused
from sandbox.bot_api.values import Json

EVERY_METHOD = "*"


Hook = Callable[[str, Json], Awaitable[None]]
"""Called with the method and its arguments."""


class Cut(Enum):
    """When the connection is closed without an answer."""

    BEFORE = "before the request is accepted"
    AFTER = "after the request is accepted"


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next requests of a method, perhaps only in one chat."""

    method: str
    chat_id: int | str | None = None
    times: int = 1
    refusal: Refused | None = None
    seconds: float = 0.0
    cut: Cut | None = None


class Faults:
    """The script. Faults of one method happen in the order in which they were asked for."""

    def __init__(self) -> None:
        self._planned: deque[Fault] = deque()
        self._holds: dict[str, asyncio.Event] = {}
        self.held: Counter[str] = Counter()
        """How many requests of each method are held back now."""
        self.before_answer: Hook | None = None
        """Awaited after a request is accepted and before it is answered."""

    def plan(self, fault: Fault) -> None:
        self._planned.append(fault)

    def take(self, method: str, chat_id: int | str | None) -> Fault | None:
        """The fault for this request, counted off."""
        for fault in self._planned:
            if fault.method.lower() in {method.lower(), EVERY_METHOD} and fault.chat_id in {None, chat_id}:
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
                return fault
        return None

    def hold(self, method: str) -> None:
        """From now on requests of this method are accepted, and answered only when they are released."""
        self._holds.setdefault(method.lower(), asyncio.Event())

    def release(self, method: str | None = None) -> None:
        """Answer those that are held, and hold no more; None means all methods."""
        for name in [method.lower()] if method is not None else list(self._holds):
            if (hold := self._holds.pop(name, None)) is not None:
                hold.set()

    def holds(self, method: str) -> bool:
        return method.lower() in self._holds

    async def until_released(self, method: str) -> None:
        self.held[method] += 1
        try:
            await self._holds[method.lower()].wait()
        finally:
            self.held[method] -= 1

    def clear(self) -> None:
        self._planned.clear()
        self.release()
