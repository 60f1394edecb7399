"""One house for the tests of a module that do not disturb each other: each has people and pages of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from sandbox.bot_api import User
from service.cards import ChatCards
from service.chat import Card, Member
from service.members import Admission
from tests.support.chat_house import ALICE, ChatHouse, chatting

_ids = itertools.count(20_001)
Someone = Callable[..., User]
"""Makes a new person, who may use the shared house's bot."""


@pytest.fixture(scope="session", autouse=True)
def _quick_and_without_warnings() -> Iterator[None]:
    """Progress is shown at once. Without the variable `RetryAfter` warns from its own constructor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PTB_TIMEDELTA", "1")
        patch.setattr("bot.attendant.FIRST_SIGHT", 0.2)
        patch.setattr("bot.attendant.MIN_GAP", 0.1)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ChatHouse]:
    """A module that names a `START_DELAY` wants its cards to wait so long. There is one engine in a process: no second house beside it."""
    settings = {
        "admission": Admission(admins=frozenset({ALICE}), open_to_all=True),
        "max_items": 200,
        "start_delay": getattr(request.module, "START_DELAY", timedelta(seconds=0.4)),
    }
    async with chatting(tmp_path_factory.mktemp("house"), pages=range(1, 30), **settings) as house:
        yield house


@pytest.fixture
def someone(house: ChatHouse) -> Someone:
    def new(first_name: str = "Somebody", **about: Any) -> User:
        return house.api.user(next(_ids), first_name=first_name, **about)

    return new


@dataclass
class HeldStart:
    """A card whose time is over waits at a gate: it was read who asked, and nothing is ordered yet."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def held_start(monkeypatch: pytest.MonkeyPatch) -> HeldStart:
    held, start = HeldStart(), ChatCards.start_default

    async def start_later(cards: ChatCards, card: Card, member: Member) -> Card:
        held.reached.set()
        await held.gate.wait()
        return await start(cards, card, member)

    monkeypatch.setattr(ChatCards, "start_default", start_later)
    return held


@pytest.fixture(autouse=True)
def _open_gate(request: pytest.FixtureRequest) -> Iterator[None]:
    """A shared house's web holds nobody up once the test is over, and nothing goes wrong any more."""
    yield
    shared = request.node.funcargs.get("house")
    if isinstance(shared, ChatHouse):
        if shared.web.gate is not None:
            shared.web.gate.set()
        shared.web.gate = None
        shared.api.clear_faults()
