from __future__ import annotations

import math

from bot.buckets import Bucket, Window


def test_a_bucket_gives_its_size_at_once_and_then_one_an_interval() -> None:
    bucket, times, now = Bucket(size=3, interval=2.0), [], 10.0
    for _ in range(5):
        now = max(now, bucket.room_at(1))
        bucket.take(now, 1)
        times.append(now)
    assert times == [10.0, 10.0, 10.0, 12.0, 14.0]


def test_a_bucket_never_saves_more_than_its_size() -> None:
    bucket = Bucket(size=2, interval=1.0)
    bucket.take(0.0, 1)
    bucket.take(1000.0, 2)
    assert bucket.room_at(1) == 1001.0


def test_more_than_a_bucket_holds_is_given_when_it_is_full_and_leaves_a_debt() -> None:
    bucket = Bucket(size=3, interval=1.0)
    bucket.take(0.0, 1)
    assert bucket.room_at(10) == 1.0
    bucket.take(1.0, 10)
    assert bucket.room_at(1) == 9.0


def test_a_window_never_holds_more_than_its_size() -> None:
    window = Window(size=2, period=10.0)
    window.take(0.0, 1)
    window.take(6.0, 1)
    assert window.room_at(1) == 10.0
    window.take(10.0, 1)
    assert window.room_at(1) == 16.0


def test_more_than_a_window_holds_is_given_when_it_is_empty() -> None:
    window = Window(size=5, period=10.0)
    window.take(3.0, 1)
    assert window.room_at(8) == 13.0
    window.take(13.0, 8)
    assert window.room_at(1) == 23.0


def test_an_unused_window_has_always_been_full() -> None:
    assert Window(size=5, period=10.0).full_at == -math.inf
