"""What the limiter tells of calls: how they ended, and how long it held them back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, TelegramError, TimedOut

from bot.lanes import Within
from bot.pacing import Pacing
from tests.unit.bot.paced import EXACT, Paced, flood
from tests.unit.bot.virtual_time import virtually


@dataclass
class Notes:
    waits: list[tuple[str, float]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def waited(self, group: str, seconds: float) -> None:
        self.waits.append((group, round(seconds, 3)))

    def called(self, group: str, outcome: str) -> None:
        self.calls.append((group, outcome))


def metered(**more: object) -> tuple[Paced, Notes]:
    notes = Notes()
    paced = Paced(**more)  # type: ignore[arg-type]
    paced.pacing = Pacing(EXACT, monotonic=asyncio.get_running_loop().time, meter=notes)
    return paced, notes


@virtually
async def test_a_call_that_waits_for_its_turn_is_told_with_its_wait() -> None:
    paced, notes = metered()
    await asyncio.gather(*(paced.say("hello") for _ in range(5)))
    assert notes.waits == [("text", 0), ("text", 0), ("text", 0), ("text", 1), ("text", 2)]
    assert notes.calls == [("text", "ok")] * 5


@virtually
async def test_how_long_telegram_takes_is_no_wait() -> None:
    paced, notes = metered(latency=7.0)
    await paced.say("hello")
    assert notes.waits == [("text", 0)]


@virtually
async def test_calls_are_told_by_the_lane_in_which_they_wait() -> None:
    paced, notes = metered()
    for endpoint in ("answerCallbackQuery", "sendVideo", "sendMessage", "getFile"):
        await paced.request(endpoint, chat_id=1)
    await paced.progress("50 %")
    assert [group for group, _ in notes.calls] == ["answer", "delivery", "text", "other", "progress"]


@virtually
async def test_a_progress_edit_that_was_left_out_is_told_as_superseded_and_never_as_made() -> None:
    paced, notes = metered()
    await paced.fill()
    notes.calls.clear()
    await asyncio.gather(paced.progress("1 %"), paced.progress("2 %"))
    assert sorted(notes.calls) == [("progress", "ok"), ("progress", "superseded")]


@virtually
async def test_a_call_that_telegram_puts_off_is_told_as_often_as_it_is_made() -> None:
    paced, notes = metered(errors=[flood(3)])
    await paced.say("hello")
    assert notes.calls == [("text", "flood"), ("text", "ok")]
    assert sum(seconds for _, seconds in notes.waits) == pytest.approx(3.1)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BadRequest("x"), "refused"),
        (Forbidden("x"), "refused"),
        (InvalidToken(), "token_refused"),
        (NetworkError("x"), "not_reached"),
        (TimedOut(), "not_reached"),
        (TelegramError("x"), "failed"),
    ],
    ids=lambda value: type(value).__name__,
)
@virtually
async def test_a_call_that_failed_is_told_with_what_happened_and_fails_all_the_same(error: TelegramError, outcome: str) -> None:
    paced, notes = metered(errors=[error])
    with pytest.raises(type(error)):
        await paced.say("hello")
    assert notes.calls == [("text", outcome)]


@virtually
async def test_a_call_whose_turn_did_not_come_in_time_was_not_made() -> None:
    paced, notes = metered()
    await paced.fill()
    notes.calls.clear()
    with pytest.raises(TimeoutError):
        await paced.pacing.process_request(paced.receive, ("sendMessage", {}), {}, "sendMessage", {"chat_id": 1}, Within(0.5))
    assert notes.calls == []
