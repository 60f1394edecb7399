"""The order in which the service stands still for an import, and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest

from magpie import standstill
from magpie.standstill import ServiceStandstill
from service.audit import Actor
from service.errors import Unavailable
from service.events import JobEventBus
from service.health import ServiceState, Stage
from service.media_url import MediaUrl
from service.model import Job, Origin
from service.opened_sessions import Viewer
from service.selection import Selection
from service.watching import Watched, Watching
from storage.queue import JobEngine

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Engine:
    """Notes what it was asked for; `running` counts down."""

    asked: list[str]
    running_for: int = 0

    @property
    def running(self) -> int:
        self.running_for -= 1
        return max(0, self.running_for)

    def hold(self) -> None:
        self.asked.append("hold")

    def go_on(self) -> None:
        self.asked.append("go on")

    async def forget(self) -> None:
        self.asked.append("forget")


@dataclass
class Service:
    """Notes what it was asked for, in which stage; what is named in `broken` fails."""

    broken: frozenset[str] = frozenset()
    state: ServiceState = field(default_factory=lambda: ServiceState(Stage.READY))
    asked: list[str] = field(default_factory=list)
    watching: Watching = field(default_factory=lambda: Watching(JobEventBus()))
    running_for: int = 0

    def standstill(self) -> ServiceStandstill:
        engine = Engine(self.asked, self.running_for)
        named = ("stop_chat", "end_requests", "stop_loops", "write_down", "start_loops", "start_chat", "refresh")
        acts: dict[str, Any] = {name: self._noted(name) for name in named}
        return ServiceStandstill(state=self.state, engine=cast("JobEngine", engine), dismiss_readers=self.watching.dismiss_all, **acts)

    def _noted(self, name: str) -> Callable[[], Awaitable[None]]:
        async def note() -> None:
            assert self.state.state is Stage.IMPORTING
            self.asked.append(name)
            if name in self.broken:
                raise Unavailable

        return note


async def test_nothing_is_written_down_before_the_last_of_those_who_may_have_something_to_write_has_ended() -> None:
    service = Service()
    await service.standstill().begin()
    assert service.asked == ["hold", "stop_chat", "end_requests", "stop_loops", "write_down"]


async def test_afterwards_all_of_it_goes_on() -> None:
    service = Service()
    still = service.standstill()
    await still.begin()
    service.asked.clear()
    await still.end()
    assert service.asked == ["refresh", "start_chat", "start_loops", "go on"]
    assert service.state.is_ready


async def test_what_cannot_be_started_again_keeps_nothing_else_from_going_on() -> None:
    service = Service(broken=frozenset({"refresh", "start_chat", "start_loops"}))
    still = service.standstill()
    await still.begin()
    await still.end()
    assert service.asked[-1] == "go on"
    assert service.state.is_ready


async def test_readers_are_sent_away_and_those_who_come_again_hear() -> None:
    service = Service()
    job = Job(
        id=uuid4(), download_session_id=uuid4(), account_id=1, origin=Origin.API, url=MediaUrl.parse("https://example.com/a"),
        selection=Selection.of("audio"), created_at=NOW,
    )  # fmt: skip
    watched = Watched(viewer=Viewer(actor=Actor(account_id=1)))
    before, before_one = service.watching.join(watched), service.watching.join(Watched(job_id=job.id))
    still = service.standstill()
    await still.begin()
    async with asyncio.timeout(20):
        assert (await before.more(), await before_one.more()) == (False, False)
    await still.end()
    after = service.watching.join(watched)
    service.watching.hear(job)
    assert await after.more()


async def test_the_queue_is_emptied_once_no_job_has_anything_to_say_any_more() -> None:
    service = Service(running_for=3)
    await service.standstill().empty_queue()
    assert service.asked == ["forget"]


async def test_a_job_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "LOOK_EVERY", 0)
    service = Service(running_for=10_000)
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable, match="do not end"):
            await service.standstill().empty_queue()
    assert service.asked == []
