"""The rate limiter: how fast the bot may be, and what goes first.

python-telegram-bot's own stops the whole bot on one 429, and lets progress edits hold up deliveries.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter
from telegram.ext import BaseRateLimiter

from bot.buckets import Bucket, Window
from bot.chat_queue import Call, ChatQueue, Key
from bot.lanes import Lane, Within, default_lane, is_edit, messages_changed, messages_counted
from service.metrics import TelegramMeter, Unmetered

SUPERSEDED: Literal[True] = True
"""What a progress edit returns that was left out: for a newer one, for a better call, or because Telegram asked to wait.

An edit that was made returns the message, so `is SUPERSEDED` tells them apart (not for inline messages)."""

RETRY_MARGIN = 0.1
"""Seconds more than Telegram asked for."""

NEVER_HELD = "other"
"""The group of calls that wait for nothing. Those of the others are their lanes'."""

Answer = bool | dict[str, Any] | list[dict[str, Any]]
log = logging.getLogger("magpie.pacing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Telegram's limits with a little room, as calls do not arrive as evenly as they leave. Seconds."""

    overall_size: int = 28
    """Of 30 a second."""
    overall_period: float = 1.05
    chat_burst: int = 3
    chat_interval: float = 1.05
    """About one message a second in any chat."""
    group_size: int = 20
    group_period: float = 61.0
    """20 a minute in a group or channel …"""
    group_burst: int = 5
    group_burst_period: float = 5.0
    """… and these not all at once."""
    progress_gap: float = 3.0
    group_progress_gap: float = 6.0
    retries: int = 5


class Pacing(BaseRateLimiter[Lane | Within]):
    """Holds each call until Telegram would take it.

    - A call's lane comes from its endpoint, or is given as `rate_limit_args=Lane.…`; `Within(…)` bounds the wait for its turn.
    - Whoever waits goes by lane, then chats take turns, then first in, first out. A chat that waits holds up no other.
    - A `RetryAfter` pauses its chat (without a chat: its endpoint) and the call is made again in its old place,
      up to `Pace.retries` times. Other errors go to the caller: only that one knows what is safe to repeat.
    - Progress edits: see `SUPERSEDED`. None reaches Telegram while a better call for its message waits or is under way,
      and none that was asked for earlier comes after it.
    """

    __slots__ = (
        "_closed",
        "_due",
        "_meter",
        "_monotonic",
        "_numbers",
        "_overall",
        "_pace",
        "_queues",
        "_ready",
        "_sleep",
        "_wake_at",
        "_waker",
    )

    def __init__(
        self,
        pace: Pace | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        meter: TelegramMeter | None = None,
    ) -> None:
        self._pace, self._meter = pace or Pace(), meter or Unmetered()
        self._monotonic, self._sleep = monotonic, sleep
        self._overall = Window(size=self._pace.overall_size, period=self._pace.overall_period)
        self._numbers = itertools.count()
        self._queues: dict[Key, ChatQueue] = {}
        self._ready: dict[Lane, dict[ChatQueue, None]] = {lane: {} for lane in Lane}
        """Chats whose next call only waits for the room that all share; by that call's lane, in turn."""
        self._due: list[tuple[float, int, ChatQueue]] = []
        """A heap of when to look at a chat again; an entry holds while it agrees with `ChatQueue.due`."""
        self._waker: asyncio.Task[None] | None = None
        self._wake_at = 0.0
        self._closed = False

    async def initialize(self) -> None:
        """Open again after a shutdown."""
        self._closed = False

    async def shutdown(self) -> None:
        """Cancel every call that waits. Those under way end by themselves."""
        self._closed = True
        for queue in self._queues.values():
            queue.cancel()
            queue.due = None
        self._queues.clear()
        self._due.clear()
        for chats in self._ready.values():
            chats.clear()
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.cancel()
            with suppress(asyncio.CancelledError):
                await waker

    async def process_request(  # noqa: PLR0917  (python-telegram-bot's signature)
        self,
        callback: Callable[..., Coroutine[Any, Any, Answer]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: Lane | Within | None,
    ) -> Answer:
        """Make the call when its turn comes. Returns Telegram's answer, or `SUPERSEDED`."""
        lane = default_lane(endpoint)
        if lane is None:
            return await self._made(NEVER_HELD, callback(*args, **kwargs))
        call = self._call(endpoint, data, rate_limit_args if isinstance(rate_limit_args, Lane) else lane)
        patience = rate_limit_args.seconds if isinstance(rate_limit_args, Within) else None
        retries = self._pace.retries
        while True:
            queue = self._queue(data.get("chat_id"), endpoint)
            asked = self._monotonic()
            try:
                async with asyncio.timeout(patience):
                    is_on = await self._turn(queue, call)
                if not is_on:
                    self._meter.called(call.lane.name.lower(), "superseded")
                    return SUPERSEDED
                self._meter.waited(call.lane.name.lower(), self._monotonic() - asked)
                return await self._made(call.lane.name.lower(), callback(*args, **kwargs))
            except RetryAfter as error:
                self._pause(queue, endpoint, error)
                if call.progress:
                    return SUPERSEDED
                if retries == 0 or self._closed:
                    raise
                retries -= 1
            finally:
                self._end(queue, call)

    async def _made(self, group: str, call: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            answer = await call
        except Exception as error:
            self._meter.called(group, _outcome(error))
            raise
        self._meter.called(group, "ok")
        return answer

    def _call(self, endpoint: str, data: dict[str, Any], lane: Lane) -> Call:
        return Call(
            lane=lane,
            number=next(self._numbers),
            cost=messages_counted(endpoint, data),
            edit=is_edit(endpoint),
            messages=messages_changed(endpoint, data),
        )

    def _queue(self, chat_id: object, endpoint: str) -> ChatQueue:
        """The queue of this chat; of this endpoint, where there is no chat."""
        key = endpoint if chat_id is None else _key(chat_id)
        if (queue := self._queues.get(key)) is None:
            queue = self._queues[key] = self._new_queue(key, has_chat=chat_id is not None)
        return queue

    def _new_queue(self, key: Key, *, has_chat: bool) -> ChatQueue:
        pace = self._pace
        if not has_chat:
            return ChatQueue(key, limits=(), gap=pace.progress_gap)
        chat = Bucket(size=pace.chat_burst, interval=pace.chat_interval)
        if isinstance(key, int) and key >= 0:
            return ChatQueue(key, limits=(chat,), gap=pace.progress_gap)
        minute = Window(size=pace.group_size, period=pace.group_period)
        burst = Window(size=pace.group_burst, period=pace.group_burst_period)
        return ChatQueue(key, limits=(chat, minute, burst), gap=pace.group_progress_gap)

    async def _turn(self, queue: ChatQueue, call: Call) -> bool:
        """Wait for this call's turn; False when it is superseded. Raises `CancelledError` at a shutdown."""
        call.turn = asyncio.get_running_loop().create_future()
        if self._closed:
            call.turn.cancel()
        else:
            queue.add(call)
            self._changed(queue)
        return await call.turn

    def _end(self, queue: ChatQueue, call: Call) -> None:
        queue.end(call, self._monotonic())
        self._changed(queue)

    def _pause(self, queue: ChatQueue, endpoint: str, error: RetryAfter) -> None:
        # The public `retry_after` warns unless PTB_TIMEDELTA is set, and is of one type or the other.
        seconds = error._retry_after.total_seconds()  # noqa: SLF001
        queue.pause(self._monotonic() + seconds + RETRY_MARGIN)
        log.info("Telegram asks to wait", extra={"endpoint": endpoint, "seconds": seconds})

    def _changed(self, queue: ChatQueue) -> None:
        """Something came, went or ended in this chat."""
        if self._queues.get(queue.key) is queue:
            now = self._monotonic()
            self._look(queue, now)
            self._serve(now)

    def _look(self, queue: ChatQueue, now: float) -> None:
        """Start what costs nothing, line the chat up if more may go, else note when to look again."""
        while (found := queue.next()) is not None and found[0] <= now and not found[1].cost:
            queue.start(found[1], now)
        lane = found[1].lane if found is not None and found[0] <= now else None
        for other, chats in self._ready.items():
            if other is not lane:
                chats.pop(queue, None)
        if lane is not None:
            self._ready[lane].setdefault(queue)
            queue.due = None
        elif found is not None:
            self._note(queue, found[0])
        elif not queue.idle:
            queue.due = None
        elif queue.forget_at > now:
            self._note(queue, queue.forget_at)
        else:
            queue.due = None
            del self._queues[queue.key]

    def _note(self, queue: ChatQueue, when: float) -> None:
        if queue.due != when:
            queue.due = when
            heapq.heappush(self._due, (when, next(self._numbers), queue))

    def _serve(self, now: float) -> None:
        """Share out the room of all: best lane first, chats in turn. Then set the alarm."""
        blocked_until: float | None = None
        while (waiting := self._first()) is not None:
            lane, queue = waiting
            found = queue.next()
            if found is None or found[0] > now or found[1].lane is not lane:  # the one that stood here was cancelled
                self._look(queue, now)
                continue
            call = found[1]
            room_at = self._overall.room_at(call.cost)
            if room_at > now:
                blocked_until = room_at
                break
            self._overall.take(now, call.cost)
            del self._ready[lane][queue]
            queue.start(call, now)
            self._look(queue, now)
        self._set_alarm(blocked_until)

    def _first(self) -> tuple[Lane, ChatQueue] | None:
        return next(((lane, queue) for lane, chats in self._ready.items() for queue in chats), None)

    def _set_alarm(self, blocked_until: float | None) -> None:
        """One task sleeps for all chats; none where there is nothing to wait for."""
        while self._due and self._due[0][2].due != self._due[0][0]:
            heapq.heappop(self._due)
        times = [self._due[0][0]] if self._due else []
        times += [] if blocked_until is None else [blocked_until]
        if self._waker is not None and (not times or self._wake_at > min(times)):
            self._waker.cancel()
            self._waker = None
        if self._waker is None and times:
            self._wake_at = min(times)
            self._waker = asyncio.create_task(self._wake(self._wake_at), name="pacing")

    async def _wake(self, when: float) -> None:
        await self._sleep(max(0.0, when - self._monotonic()))
        self._waker = None
        now = self._monotonic()
        while self._due and self._due[0][0] <= now:
            due, _, queue = heapq.heappop(self._due)
            if queue.due == due:
                queue.due = None
                self._look(queue, now)
        self._serve(now)


def _outcome(error: Exception) -> str:
    match error:
        case RetryAfter():
            return "flood"
        case InvalidToken():
            return "token_refused"
        case BadRequest() | Forbidden():
            return "refused"
        case NetworkError():
            return "not_reached"
        case _:
            return "failed"


def _key(chat_id: object) -> Key:
    """One key for one chat, however its id is written."""
    text = str(chat_id).strip()
    return int(text) if text.removeprefix("-").isdecimal() else text.lower()
