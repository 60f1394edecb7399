"""From what went wrong to a sentence and one thing to do: never the error's own message."""

from __future__ import annotations

import pytest

from bot.problems import Remedy, notice_of, remedy_for
from bot.texts import ENGLISH
from service.errors import (
    AddressNotAllowed,
    AlreadyChosen,
    CardGone,
    Conflict,
    FetchFailed,
    JobNotFound,
    LimitReached,
    MagpieError,
    NotYours,
    Unavailable,
)

NASTY = "/srv/data token=secret"


def kinds(root: type[MagpieError] = MagpieError) -> list[type[MagpieError]]:
    return [kind for child in root.__subclasses__() for kind in (child, *kinds(child))]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CardGone(NASTY), ENGLISH.gone),
        (NotYours(NASTY), ENGLISH.not_yours),
        (AlreadyChosen(NASTY), ENGLISH.already),
        (Conflict(NASTY), ENGLISH.already),
        (JobNotFound(NASTY), ENGLISH.no_longer_stored),
        (LimitReached(NASTY), ENGLISH.failures["limit_reached"]),
        (AddressNotAllowed(NASTY), ENGLISH.failures["address_not_allowed"]),
        (Unavailable(NASTY), ENGLISH.failures["download_failed"]),
    ],
)
def test_each_family_has_its_notice(error: MagpieError, said: str) -> None:
    assert notice_of(error, ENGLISH) == said


def test_no_notice_repeats_the_errors_own_message() -> None:
    for kind in kinds():
        error = kind.__new__(kind)
        MagpieError.__init__(error, NASTY)
        assert NASTY not in notice_of(error, ENGLISH), kind


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("too_large", Remedy.LOWER),
        ("format_unavailable", Remedy.OTHER),
        ("may_be_there", Remedy.SEND),
        ("not_delivered", Remedy.SEND),
        ("chat_gone", Remedy.SEND),
        ("network", Remedy.AGAIN),
        ("unheard_of", Remedy.AGAIN),
        (None, Remedy.AGAIN),
    ],
)
def test_each_failure_offers_one_thing(code: str | None, remedy: Remedy) -> None:
    assert remedy_for(code) is remedy


def test_every_kind_of_failure_offers_something() -> None:
    assert {remedy_for(kind.code) for kind in FetchFailed.__subclasses__()} <= set(Remedy)
