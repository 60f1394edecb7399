"""The local chat as a stream of server-sent events: first everything, then every change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from aiohttp import web
from pydantic import TypeAdapter

from service.health import ServiceState
from webapi.chat_room import BotActs, ButtonAnswered, ChatEvent, ChatRoom, MessageGone, MessageShown, Sample, ShownMessage

BACKLOG: Final = 1000
"""So many events a page may be behind before it is cut off: it comes again, and begins with everything."""
HEARTBEAT: Final = timedelta(seconds=15)
_HEADERS: Final = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomState:
    """All that a page has to know at first."""

    messages: Sequence[ShownMessage]
    samples: Sequence[Sample]


class ChatEvents:
    """Serves the stream, to any number of pages at a time."""

    def __init__(self, room: ChatRoom, state: ServiceState, *, backlog: int = BACKLOG, heartbeat: timedelta = HEARTBEAT) -> None:
        self._room, self._state, self._backlog, self._heartbeat = room, state, backlog, heartbeat.total_seconds()
        self._state_of_room = TypeAdapter(RoomState)
        self._events: dict[type, tuple[str, TypeAdapter[Any]]] = {
            kind: (name, TypeAdapter(kind))
            for kind, name in ((MessageShown, "message"), (MessageGone, "deleted"), (BotActs, "action"), (ButtonAnswered, "answer"))
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Until the page goes, is too slow, or the service stops. Raises `ConnectionError` for a page that is gone."""
        response = web.StreamResponse(headers=_HEADERS)
        response.force_close()
        await response.prepare(request)
        if request.method != "HEAD":
            await self._send(request, response)
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        waiting: asyncio.Queue[ChatEvent] = asyncio.Queue(self._backlog)

        def hear(event: ChatEvent) -> None:
            try:
                waiting.put_nowait(event)
            except asyncio.QueueFull:
                _cut(request)

        # Nothing may happen between these two: what is not in the state comes as an event.
        leave = self._room.subscribe(hear)
        everything = RoomState(messages=self._room.history(), samples=self._room.samples)
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self._state.until_let_go())
        try:
            await response.write(b"retry: 1000\n" + _frame("state", self._state_of_room.dump_json(everything)))
            while (frame := await self._next(waiting, stopping)) is not None:
                await response.write(frame)
        finally:
            leave()
            stopping.cancel()

    async def _next(self, waiting: asyncio.Queue[ChatEvent], stopping: asyncio.Future[Any]) -> bytes | None:
        """The next frame to send; None when the service stops."""
        event: asyncio.Future[Any] = asyncio.ensure_future(waiting.get())
        try:
            await asyncio.wait({event, stopping}, timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return None
            if not event.done():
                return b": still here\n\n"
            name, adapter = self._events[type(event.result())]
            return _frame(name, adapter.dump_json(event.result()))
        finally:
            event.cancel()


def _frame(name: str, data: bytes) -> bytes:
    """JSON has no line breaks of its own, so that one line of data is all of it."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def _cut(request: web.Request) -> None:
    transport = request.transport
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
