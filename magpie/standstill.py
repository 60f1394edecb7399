"""How the service stands still while an import takes the place of what there is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.health import ServiceState, Stage
from storage.queue import JobEngine

log = logging.getLogger("magpie")


@dataclass(frozen=True, kw_only=True)
class ServiceStandstill:
    """Requests get 503, the chat is silent, and the queue hands out nothing."""

    state: ServiceState
    engine: JobEngine
    write_down: Callable[[], Awaitable[None]]
    stop_chat: Callable[[], Awaitable[None]]
    start_chat: Callable[[], Awaitable[None]]
    refresh: Callable[[], Awaitable[None]]

    async def begin(self) -> None:
        self.state.move_to(Stage.IMPORTING)
        self.engine.hold()
        await self.stop_chat()
        await self.write_down()

    async def empty_queue(self) -> None:
        await self.engine.forget()

    async def end(self) -> None:
        """Nothing of it may keep the service from going on."""
        for what, go_on in (("settings", self.refresh), ("chat", self.start_chat)):
            try:
                await go_on()
            except Exception:
                # The service is more than this part, and its health shows what is missing.
                log.exception("after an import the %s could not be started again", what)
        self.engine.go_on()
        if self.state.state is Stage.IMPORTING:
            self.state.move_to(Stage.READY)
