"""How many wait for their password to be hashed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from service.errors import Unavailable
from storage import password_hashes
from storage.password_hashes import AT_ONCE, MOST_WAITING, Argon2Hashes

HANG = 20.0
"""Seconds after which a test gives up."""
ROOM = AT_ONCE + MOST_WAITING


class SlowHasher:
    """Takes as long as the test wants."""

    may_go_on = threading.Event()

    def __init__(self, **parameters: int) -> None:
        del parameters

    def hash(self, password: str) -> str:
        assert self.may_go_on.wait(HANG)
        return f"the hash of {password}"

    def verify(self, password_hash: str, password: bytes) -> bool:
        assert self.may_go_on.wait(HANG)
        return password_hash == f"the hash of {password.decode()}"


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Argon2Hashes]:
    monkeypatch.setattr(password_hashes, "PasswordHasher", SlowHasher)
    SlowHasher.may_go_on.clear()
    hashes = Argon2Hashes()
    yield hashes
    SlowHasher.may_go_on.set()
    hashes.close()


async def started(hashes: Argon2Hashes, count: int) -> list[asyncio.Task[bool]]:
    """So many who log in, and wait."""
    tasks = [asyncio.create_task(hashes.verify("the hash of x", "x")) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def all_of(tasks: list[asyncio.Task[bool]]) -> list[bool]:
    async with asyncio.timeout(HANG):
        return await asyncio.gather(*tasks)


async def test_a_hundred_log_in_at_once(slow: Argon2Hashes) -> None:
    tasks = await started(slow, 100)
    slow_hasher_goes_on()
    assert await all_of(tasks) == [True] * 100


async def test_one_too_many_is_told_to_come_back_and_does_not_wait(slow: Argon2Hashes) -> None:
    tasks = await started(slow, ROOM)
    with pytest.raises(Unavailable) as refused:
        async with asyncio.timeout(HANG):
            await slow.verify(None, "x")
    assert refused.value.retry_after is not None
    slow_hasher_goes_on()
    assert await all_of(tasks) == [True] * ROOM, "whoever was there before has their turn"


async def test_new_passwords_wait_in_the_same_row(slow: Argon2Hashes) -> None:
    await started(slow, ROOM)
    with pytest.raises(Unavailable):
        async with asyncio.timeout(HANG):
            await slow.hash("x")


async def test_there_is_room_again_when_those_before_had_their_turn(slow: Argon2Hashes) -> None:
    tasks = await started(slow, ROOM)
    slow_hasher_goes_on()
    await all_of(tasks)
    assert await all_of(await started(slow, ROOM)) == [True] * ROOM


async def test_whoever_goes_away_leaves_their_place(slow: Argon2Hashes) -> None:
    tasks = await started(slow, ROOM)
    tasks.pop().cancel()
    await asyncio.sleep(0)
    tasks += await started(slow, 1)
    slow_hasher_goes_on()
    assert await all_of(tasks) == [True] * ROOM


def slow_hasher_goes_on() -> None:
    SlowHasher.may_go_on.set()
