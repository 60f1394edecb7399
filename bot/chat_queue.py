"""The calls of one chat that wait for their turn, and when the next of them may go. Times are monotonic seconds."""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from dataclasses import dataclass, field
from operator import attrgetter

from bot.buckets import Bucket, Window
from bot.lanes import Lane

Key = int | str
"""A chat's id or @name; for calls without a chat, their endpoint."""


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One request to the Bot API."""

    lane: Lane
    number: int
    """Rising: first in, first out within a lane."""
    cost: int
    """So many messages does Telegram count."""
    edit: bool
    messages: frozenset[int | str]
    """Which messages it changes."""
    turn: asyncio.Future[bool] = field(init=False)
    """True: go. False: superseded."""

    @property
    def order(self) -> tuple[Lane, int]:
        return self.lane, self.number

    @property
    def progress(self) -> bool:
        """Whether it may be left out for a newer one."""
        return self.edit and self.lane is Lane.PROGRESS


class ChatQueue:
    """Decides what goes next in one chat, and from when on. The room that all chats share is no concern of it."""

    __slots__ = ("_edited_at", "_gap", "_limits", "_paused_until", "_running", "_waiting", "due", "key")

    def __init__(self, key: Key, *, limits: tuple[Bucket | Window, ...], gap: float) -> None:
        """`gap`: a progress edit comes no earlier than this after any edit in the chat."""
        self.key = key
        self.due: float | None = None
        """When to look at this chat again; its owner keeps this."""
        self._limits, self._gap = limits, gap
        self._waiting: list[Call] = []
        self._running: set[Call] = set()
        self._edited_at = self._paused_until = -math.inf

    @property
    def idle(self) -> bool:
        self._drop_given_up()
        return not self._running and not self._waiting

    @property
    def forget_at(self) -> float:
        """From when on an idle chat is as good as one never seen."""
        return max(self._paused_until, self._edited_at + self._gap, *(limit.full_at for limit in self._limits), -math.inf)

    def add(self, call: Call) -> None:
        """Queue it.

        The newer of two progress edits of a message takes the place of the older. Any other call for that message takes
        progress edits out, and lets none in before it is over.
        """
        self._drop_given_up()
        same = [other for other in (*self._waiting, *self._running) if other.messages & call.messages]
        if call.progress and any(not other.progress for other in same):
            call.turn.set_result(False)
            return
        for other in same:
            if other.progress and other not in self._running:
                other.turn.set_result(False)
                call.number = min(call.number, other.number) if call.progress else call.number
        self._drop_given_up()
        insort(self._waiting, call, key=attrgetter("order"))

    def next(self) -> tuple[float, Call] | None:
        """The call to start next and from when on it may; None when none waits, or each waits for one under way.

        A call that Telegram counts lets none of a worse lane overtake it: a text would use up the room that an album waits for.
        """
        self._drop_given_up()
        best: tuple[float, Call] | None = None
        seen: set[Lane] = set()
        counted = False
        for call in self._waiting:
            if call.lane in seen or (counted and call.cost) or self._waits_for_another(call):
                continue
            seen.add(call.lane)
            counted = counted or call.cost > 0
            when = self._when(call)
            if best is None or when < best[0]:
                best = when, call
        return best

    def start(self, call: Call, now: float) -> None:
        """It goes now."""
        self._waiting.remove(call)
        self._running.add(call)
        for limit in self._limits:
            limit.take(now, call.cost)
        call.turn.set_result(True)

    def end(self, call: Call, now: float) -> None:
        """It is over, or given up before its turn. The gap counts from here: Telegram saw the edit at some time before."""
        if call in self._running:
            self._running.remove(call)
            self._edited_at = now if call.edit else self._edited_at

    def pause(self, until: float) -> None:
        self._paused_until = max(self._paused_until, until)

    def cancel(self) -> None:
        """Cancel all that wait."""
        for call in self._waiting:
            call.turn.cancel()

    def _drop_given_up(self) -> None:
        """Cancelled or superseded: their callers are told, and may not have run since."""
        self._waiting = [call for call in self._waiting if not call.turn.done()]

    def _waits_for_another(self, call: Call) -> bool:
        """Calls on one message are never under way together; nor is a progress edit with another edit of its chat."""
        return any(call.messages & other.messages or (call.progress and other.edit) for other in self._running)

    def _when(self, call: Call) -> float:
        when = self._paused_until
        if call.cost:
            when = max(when, *(limit.room_at(call.cost) for limit in self._limits), -math.inf)
        return max(when, self._edited_at + self._gap) if call.progress else when
