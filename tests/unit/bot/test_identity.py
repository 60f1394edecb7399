"""Who sent an update, and where."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from telegram import CallbackQuery, Chat, InaccessibleMessage, Message, Update, User

from bot.identity import PSEUDO_USERS, Gate, TurnedAway, person_of, place_of
from service.chat import Member, Place
from service.errors import Blocked, MagpieError, NotInvited
from service.members import Person

GROUP = Chat(-100_1, "supergroup")
PRIVATE = Chat(7, "private")


def user(number: int = 7, *, is_bot: bool = False) -> User:
    return User(number, "Al", is_bot, username="al", language_code="de")


def message(chat: Chat = PRIVATE, sender: User | None = None, **more: Any) -> Message:
    return Message(message_id=5, date=datetime.now(UTC), chat=chat, from_user=sender or user(), **more)


class Closed:
    """Members who let nobody in."""

    def __init__(self, error: MagpieError) -> None:
        self.error, self.asked = error, 0

    async def welcome(self, person: Person, place: Place) -> Member:
        self.asked += 1
        raise self.error


def gate(error: MagpieError) -> tuple[Gate, Closed]:
    closed = Closed(error)
    return Gate(closed), closed  # type: ignore[arg-type]


def test_a_person_is_named_as_telegram_names_them() -> None:
    assert person_of(Update(1, message=message())) == Person(id=7, first_name="Al", username="al", language_code="de")


@pytest.mark.parametrize("number", sorted(PSEUDO_USERS))
def test_a_shared_identity_is_nobody(number: int) -> None:
    assert person_of(Update(1, message=message(GROUP, user(number)))) is None


def test_a_bot_is_nobody() -> None:
    assert person_of(Update(1, message=message(GROUP, user(8, is_bot=True)))) is None


def test_whoever_writes_as_a_channel_is_nobody() -> None:
    assert person_of(Update(1, message=message(GROUP, user(9), sender_chat=Chat(-100_2, "channel")))) is None


def test_an_update_without_a_sender_is_nobody() -> None:
    assert person_of(Update(1)) is None


def test_a_topic_is_a_place_of_its_own_and_a_mere_thread_is_not() -> None:
    in_topic = message(GROUP, message_thread_id=3, is_topic_message=True)
    in_thread = message(GROUP, message_thread_id=3)
    assert (place_of(in_topic), place_of(in_thread)) == (Place(chat_id=-100_1, thread_id=3), Place(chat_id=-100_1))


async def test_nobody_is_turned_away_in_silence_and_without_a_look_up() -> None:
    at, closed = gate(NotInvited())
    assert await at.visit(Update(1, message=message(GROUP, user(1087968824)))) == TurnedAway(line=None)
    assert closed.asked == 0


async def test_a_stranger_is_told_once_in_their_language() -> None:
    at, _ = gate(NotInvited())
    first, second = [await at.visit(Update(number, message=message())) for number in (1, 2)]
    assert isinstance(first, TurnedAway)
    assert first.line is not None
    assert first.line.startswith("Hallo! Dieser Bot")
    assert "<code>7</code>" in first.line
    assert second == TurnedAway(line=None)


async def test_two_strangers_are_told_each() -> None:
    at, _ = gate(NotInvited())
    lines = [await at.visit(Update(number, message=message(PRIVATE, user(number)))) for number in (11, 12)]
    assert all(isinstance(one, TurnedAway) and one.line for one in lines)


async def test_a_stranger_in_a_group_is_told_nothing() -> None:
    at, _ = gate(NotInvited())
    assert await at.visit(Update(1, message=message(GROUP))) == TurnedAway(line=None)


async def test_a_blocked_one_is_told_so() -> None:
    at, _ = gate(Blocked())
    assert await at.visit(Update(1, message=message())) == TurnedAway(line="Dein Konto ist gesperrt.")


async def test_a_press_under_a_message_that_is_gone_has_a_place_all_the_same() -> None:
    at, closed = gate(NotInvited())
    gone = InaccessibleMessage(GROUP, 5)
    query = CallbackQuery("q", user(), "c", message=gone, data="x")
    assert await at.visit(Update(1, callback_query=query)) == TurnedAway(line=None)
    assert closed.asked == 1
