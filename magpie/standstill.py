"""How the service stands still while an import takes the place of what there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.errors import Unavailable
from service.health import ServiceState, Stage
from storage.queue import JobEngine

log = logging.getLogger("magpie")
LOOK_EVERY, LOOKS = 0.05, 200
"""Seconds between looks whether cancelled jobs are gone, and how many."""


@dataclass(frozen=True, kw_only=True)
class ServiceStandstill:
    """Requests get 503, the chat is silent, and the queue hands out nothing.

    Numbers of accounts, links and media stand for others after an import. So whatever has read one must have ended before: what is
    sent to readers, requests (whose callers are such numbers), the chat, and the loops.
    """

    state: ServiceState
    engine: JobEngine
    dismiss_readers: Callable[[], None]
    stop_chat: Callable[[], Awaitable[None]]
    end_requests: Callable[[], Awaitable[None]]
    stop_loops: Callable[[], Awaitable[None]]
    write_down: Callable[[], Awaitable[None]]
    start_loops: Callable[[], Awaitable[None]]
    start_chat: Callable[[], Awaitable[None]]
    refresh: Callable[[], Awaitable[None]]

    async def begin(self) -> None:
        self.state.move_to(Stage.IMPORTING)
        self.engine.hold()
        self.dismiss_readers()
        await self.stop_chat()
        await self.end_requests()
        await self.stop_loops()  # after the requests, which may have left something to them
        await self.write_down()

    async def empty_queue(self) -> None:
        await self._until_nothing_runs()
        await self.engine.forget()

    async def _until_nothing_runs(self) -> None:
        """A job's row has ended before its last words."""
        for _ in range(LOOKS):
            if not self.engine.running:
                return
            await asyncio.sleep(LOOK_EVERY)
        raise Unavailable("The downloads that are under way do not end. Try again.")

    async def end(self) -> None:
        """Nothing of it may keep the service from going on."""
        for what, go_on in (("settings", self.refresh), ("chat", self.start_chat), ("loops", self.start_loops)):
            try:
                await go_on()
            except Exception:
                # The service is more than this part, and its health shows what is missing.
                log.exception("after an import the %s could not be started again", what)
        self.engine.go_on()
        if self.state.state is Stage.IMPORTING:
            self.state.move_to(Stage.READY)
