"""When something that repeats is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidSchedule
from service.schedule import ALIASES, Schedule

BERLIN = "Europe/Berlin"


def dues(schedule: Schedule, start: datetime, count: int) -> list[str]:
    found = []
    for _ in range(count):
        start = schedule.next_after(start)
        found.append(f"{start:%d. %H:%M}")
    return found


def test_a_daily_time_is_due_once_on_the_day_when_clocks_are_put_forward() -> None:
    schedule = Schedule.parse("30 2 * * *", BERLIN)
    assert dues(schedule, datetime(2026, 3, 28, 12, tzinfo=UTC), 3) == ["29. 01:00", "30. 00:30", "31. 00:30"]


def test_a_daily_time_is_due_once_on_the_day_when_clocks_are_put_back() -> None:
    schedule = Schedule.parse("30 2 * * *", BERLIN)
    assert dues(schedule, datetime(2026, 10, 24, 12, tzinfo=UTC), 3) == ["25. 00:30", "26. 01:30", "27. 01:30"]


@pytest.mark.parametrize("minutes", range(0, 150, 7))
def test_asked_in_the_hour_that_comes_twice_it_is_due_the_next_day(minutes: int) -> None:
    schedule = Schedule.parse("30 2 * * *", BERLIN)
    asked = datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + timedelta(minutes=minutes)
    assert schedule.next_after(asked) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_every_half_hour_goes_on_through_the_hour_that_comes_twice() -> None:
    schedule = Schedule.parse("*/30 * * * *", BERLIN)
    assert dues(schedule, datetime(2026, 10, 25, 0, 0, tzinfo=UTC), 4) == ["25. 00:30", "25. 01:00", "25. 01:30", "25. 02:00"]


@given(st.integers(0, 2 * 365 * 86400), st.integers(0, 59), st.integers(0, 23))
def test_it_is_always_due_later_and_at_most_two_days_later(seconds: int, minute: int, hour: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    schedule = Schedule.parse(f"{minute} {hour} * * *", BERLIN)
    assert timedelta(0) < schedule.next_after(moment) - moment < timedelta(hours=49)


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_a_schedule(alias: str) -> None:
    start = datetime(2026, 5, 5, 5, 5, tzinfo=UTC)
    assert Schedule.parse(alias).next_after(start) == Schedule.parse(ALIASES[alias]).next_after(start)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("61 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 31 2 *", "day-of-month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 9", "day-of-week"),
        ("often very often indeed now", "minute"),
        ("@reboot", "@reboot is not known"),
        ("@every 5m", "is not known"),
        ("0 0 * * *" + " " * 5 + "x" * 200, "at most"),
    ],
)
def test_what_is_no_schedule_is_refused_and_says_why(text: str, said: str) -> None:
    with pytest.raises(InvalidSchedule, match=said):
        Schedule.parse(text)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "UTC\0", "x" * 300])
def test_a_zone_that_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(InvalidSchedule, match="time zone"):
        Schedule.parse("@daily", zone)
