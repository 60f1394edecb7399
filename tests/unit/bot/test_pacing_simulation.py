"""Many chats at once before a model of Telegram's limits, which is written in another manner than the limiter."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.lanes import Lane
from bot.pacing import SUPERSEDED, Answer, Pace, Pacing
from tests.unit.bot.paced import flood
from tests.unit.bot.virtual_time import virtually

JITTER = 0.04
"""Seconds by which the way to Telegram may differ from call to call."""
COUNTED = {"sendMessage": 1, "sendVideo": 1, "sendMediaGroup": 4, "editMessageText": 1, "editMessageMedia": 1}
EDITS = {"editMessageText", "editMessageMedia"}


@dataclass
class Telegram:
    """Refuses what comes too fast: 30 a second, one a second in a chat with three at once, 20 a minute in a group."""

    refused: list[str] = field(default_factory=list)
    arrivals: list[tuple[float, Any, str, dict[str, Any]]] = field(default_factory=list)
    _level: dict[int, tuple[float, float]] = field(default_factory=dict)
    _all: list[float] = field(default_factory=list)
    _group: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def receive(self, now: float, endpoint: str, arguments: dict[str, Any]) -> None:
        chat, count = arguments["chat_id"], COUNTED.get(endpoint, 0)
        self.arrivals.append((now, chat, endpoint, arguments))
        if not count:
            return
        level, at = self._level.get(chat, (3.0, now))
        level = min(3.0, level + now - at)
        if level < min(count, 3) - 1e-6:
            self.refused.append(f"{endpoint} in chat {chat} at {now}")
        self._level[chat] = level - count, now
        self._window(self._all, now, count, size=30, period=1, name="all")
        if chat < 0:
            self._window(self._group[chat], now, count, size=20, period=60, name=f"group {chat}")

    def _window(self, times: list[float], now: float, count: int, *, size: int, period: float, name: str) -> None:
        times[:] = [time for time in times if time > now - period] + [now] * count
        if len(times) > size:
            self.refused.append(f"{len(times)} for {name} at {now}")


@dataclass
class Simulation:
    seed: int
    pace: Pace = field(default_factory=Pace)
    chats: int = 200
    calls: int = 1500
    seconds: float = 60
    telegram: Telegram = field(default_factory=Telegram)
    under_way: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    together: int = 0

    async def run(self) -> list[tuple[str, Lane | None, Answer]]:
        loop = asyncio.get_running_loop()
        self.chance = random.Random(self.seed)
        self.pacing = Pacing(self.pace, monotonic=loop.time)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(call)) for call in self._plan()]
        await asyncio.sleep(120)
        assert not self.pacing._queues
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return [task.result() for task in tasks]

    def _plan(self) -> Iterator[tuple[float, str, Lane | None, dict[str, Any]]]:
        endpoints = [*COUNTED, "deleteMessage", "setMessageReaction", "sendChatAction"]
        for _ in range(self.calls):
            endpoint = self.chance.choice(endpoints)
            chat = min(int(self.chance.expovariate(8 / self.chats)), self.chats - 1) + 1
            lane = self.chance.choice([None, Lane.PROGRESS]) if endpoint == "editMessageText" else None
            arguments = {"chat_id": -chat if chat % 4 == 0 else chat, "message_id": self.chance.randint(1, 3), "media": [object()] * 4}
            yield self.chance.uniform(0, self.seconds), endpoint, lane, arguments

    async def _one(self, call: tuple[float, str, Lane | None, dict[str, Any]]) -> tuple[str, Lane | None, Answer]:
        when, endpoint, lane, arguments = call
        await asyncio.sleep(when)
        return endpoint, lane, await self.pacing.process_request(self._send, (endpoint, arguments), {}, endpoint, arguments, lane)

    async def _send(self, endpoint: str, arguments: dict[str, Any]) -> Answer:
        message = arguments["chat_id"], arguments["message_id"]
        changes = endpoint in EDITS or endpoint == "deleteMessage"
        self.together += changes and self.under_way[message] > 0
        self.under_way[message] += changes
        await asyncio.sleep(self.chance.uniform(0, JITTER))
        self.telegram.receive(asyncio.get_running_loop().time(), endpoint, arguments)
        await asyncio.sleep(self.chance.uniform(0, 0.5))
        self.under_way[message] -= changes
        if self.chance.random() < 0.01:
            raise flood(3)
        return {"message_id": 1}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), seconds=st.sampled_from([5, 20, 60]))
def test_telegram_never_has_to_refuse_and_everything_is_answered(seed: int, seconds: float) -> None:
    @virtually
    async def check() -> None:
        simulation = Simulation(seed, seconds=seconds)
        answers = await simulation.run()
        assert simulation.telegram.refused == []
        assert simulation.together == 0
        left_out = {(endpoint, lane) for endpoint, lane, answer in answers if answer is SUPERSEDED}
        assert left_out <= {("editMessageText", Lane.PROGRESS)}

    check()


@pytest.mark.parametrize(
    "careless",
    [
        Pace(overall_size=10_000),
        Pace(chat_burst=4),
        Pace(chat_interval=0.8),
        Pace(group_size=1_000, group_burst=1_000),
    ],
)
def test_the_model_would_notice_a_limiter_that_is_too_fast(careless: Pace) -> None:
    @virtually
    async def check() -> None:
        simulation = Simulation(1, careless, seconds=10)
        await simulation.run()
        assert simulation.telegram.refused

    check()


@virtually
async def test_no_chat_starves_while_one_floods() -> None:
    pacing, loop, waited = Pacing(monotonic=asyncio.get_running_loop().time), asyncio.get_running_loop(), list[float]()

    async def send() -> Answer:
        return {"message_id": 1}

    async def ask(chat: int, endpoint: str) -> None:
        asked = loop.time()
        await pacing.process_request(send, (), {}, endpoint, {"chat_id": chat}, None)
        if chat == 2:
            waited.append(loop.time() - asked)

    flooding = [asyncio.create_task(ask(1, "sendVideo")) for _ in range(500)]
    for _ in range(20):
        await ask(2, "sendMessage")
        await asyncio.sleep(2)
    await asyncio.gather(*flooding)
    assert max(waited) == 0
