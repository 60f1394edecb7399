"""Moving windows of tries."""

from __future__ import annotations

from datetime import timedelta

from service.rates import Rate
from storage.rates import MemoryRates


class Watch:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def rates(watch: Watch, text: str = "2/minute") -> MemoryRates:
    return MemoryRates({Rate.CODE: text}, now=watch)


async def test_one_too_many_is_told_how_long_to_wait() -> None:
    counted = rates(watch := Watch())
    assert [await counted.hit(Rate.CODE, "ann") for _ in range(2)] == [None, None]
    watch.seconds += 15
    assert await counted.hit(Rate.CODE, "ann") == timedelta(seconds=45)


async def test_after_the_wait_one_more_is_let_in() -> None:
    counted = rates(watch := Watch())
    await counted.hit(Rate.CODE, "ann")
    watch.seconds += 30
    await counted.hit(Rate.CODE, "ann")
    watch.seconds += 30
    assert [await counted.hit(Rate.CODE, "ann"), await counted.hit(Rate.CODE, "ann")] == [None, timedelta(seconds=30)]


async def test_everybody_is_counted_alone() -> None:
    counted = rates(Watch(), "1/minute")
    assert [await counted.hit(Rate.CODE, who) for who in ("ann", "ben")] == [None, None]


async def test_every_one_of_several_limits_holds() -> None:
    counted = rates(watch := Watch(), "1/second;2/minute")
    ends = []
    for _ in range(3):
        ends.append(await counted.hit(Rate.CODE, "ann"))
        watch.seconds += 1
    assert ends == [None, None, timedelta(seconds=58)]


async def test_a_cleared_count_begins_anew() -> None:
    counted = rates(Watch(), "1/minute")
    await counted.hit(Rate.CODE, "ann")
    await counted.clear(Rate.CODE, "ann")
    assert await counted.hit(Rate.CODE, "ann") is None


async def test_who_does_not_come_back_is_forgotten() -> None:
    counted = rates(watch := Watch())
    for number in range(100):
        await counted.hit(Rate.CODE, f"visitor {number}")
    watch.seconds += 61
    await counted.hit(Rate.CODE, "ann")
    assert counted.size == 1
