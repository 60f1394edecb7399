"""How fast a bot may be."""

from __future__ import annotations

import pytest

from sandbox.bot_api.errors import Refused
from sandbox.bot_api.limits import Limits, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def waits(pace: Pace, chat: int, *, group: bool = False, messages: int = 1) -> int:
    """Seconds to wait; 0 if it may go."""
    try:
        pace.check(chat, group=group, messages=messages)
    except Refused as refusal:
        return refusal.retry_after or -1
    return 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(Limits.telegram(), clock)


def test_one_chat_takes_three_at_once_and_then_one_a_second(pace: Pace, clock: Clock) -> None:
    assert [waits(pace, 1) for _ in range(4)] == [0, 0, 0, 1]
    clock.now = 1.0
    assert [waits(pace, 1) for _ in range(2)] == [0, 1]


def test_thirty_a_second_overall(pace: Pace, clock: Clock) -> None:
    assert [waits(pace, chat) for chat in range(31)] == [0] * 30 + [1]
    clock.now = 0.1
    assert [waits(pace, chat) for chat in range(100, 104)] == [0, 0, 0, 1]


def test_twenty_a_minute_in_a_group(clock: Clock) -> None:
    pace = Pace(Limits(group_per_minute=20), clock)
    assert [waits(pace, -1, group=True) for _ in range(21)] == [0] * 20 + [3]
    clock.now = 3.0
    assert [waits(pace, -1, group=True) for _ in range(2)] == [0, 3]


def test_what_was_refused_does_not_count(pace: Pace, clock: Clock) -> None:
    assert [waits(pace, 1) for _ in range(10)][-1] == 1
    clock.now = 1.0
    assert waits(pace, 1) == 0


def test_other_chats_are_not_slowed(pace: Pace) -> None:
    assert [waits(pace, 1) for _ in range(4)][-1] == 1
    assert waits(pace, 2) == 0


def test_album_larger_than_the_burst_goes_when_the_chat_is_quiet_and_is_paid_for(pace: Pace, clock: Clock) -> None:
    assert waits(pace, 1, messages=10) == 0
    assert waits(pace, 1) == 8


def test_without_limits_all_goes() -> None:
    pace = Pace(Limits.off(), Clock())
    assert [waits(pace, 1) for _ in range(1000)] == [0] * 1000
