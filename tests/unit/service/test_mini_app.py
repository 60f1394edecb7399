"""Telegram's word for who opened a Mini App, against data signed here as the Bot API says."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from service.mini_app import MiniApp
from tests.support.fakes import FakeClock

TOKEN = "1000000001:sandbox-token"


@pytest.fixture
def app(clock: FakeClock) -> MiniApp:
    return MiniApp(database=None, clock=clock, token=TOKEN)  # type: ignore[arg-type]


def signed(clock: FakeClock, *, token: str = TOKEN, age: timedelta = timedelta(0), **more: Any) -> str:
    fields = {
        "query_id": "AAE",
        "user": json.dumps({"id": 4711, "first_name": "Elena & \u00fc"}),
        "auth_date": str(int((clock.now() - age).timestamp())),
        **more,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    text = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return urlencode({**fields, "hash": hmac.new(key, text.encode(), hashlib.sha256).hexdigest()})


def test_telegrams_word_is_taken(app: MiniApp, clock: FakeClock) -> None:
    assert app.user_in(signed(clock)) == 4711
    assert app.user_in(signed(clock, age=timedelta(hours=23), start_param="x", signature="third-party")) == 4711


def test_anothers_word_is_not(app: MiniApp, clock: FakeClock) -> None:
    assert app.user_in(signed(clock, token="2:another")) is None


@pytest.mark.parametrize("age", [timedelta(hours=25), timedelta(hours=-1)])
def test_it_counts_for_a_day(app: MiniApp, clock: FakeClock, age: timedelta) -> None:
    assert app.user_in(signed(clock, age=age)) is None


@pytest.mark.parametrize("field", ["user", "auth_date", "query_id"])
def test_whatever_is_changed_voids_it(app: MiniApp, clock: FakeClock, field: str) -> None:
    assert app.user_in(signed(clock).replace(f"{field}=", f"{field}=1", 1)) is None


@pytest.mark.parametrize("user", [None, "", "4711", "[]", '{"id": "4711"}', '{"id": true}', "{}"])
def test_without_a_user_it_is_nobodys(app: MiniApp, clock: FakeClock, user: str | None) -> None:
    assert app.user_in(signed(clock, user=user)) is None


@pytest.mark.parametrize("date", [None, "", "x", "9" * 40])
def test_without_a_time_it_is_nobodys(app: MiniApp, clock: FakeClock, date: str | None) -> None:
    assert app.user_in(signed(clock, auth_date=date)) is None


@pytest.mark.parametrize("data", ["", "hash=", "a", "%ff=%ff&hash=x", "hash=a&hash=b", "user=" + "x" * 10_000])
def test_what_is_not_even_data_is_nobodys(app: MiniApp, data: str) -> None:
    assert app.user_in(data) is None


def test_a_field_that_stands_there_twice_voids_it(app: MiniApp, clock: FakeClock) -> None:
    assert app.user_in(signed(clock) + "&user=" + urlencode({"": json.dumps({"id": 1})})[1:]) is None
