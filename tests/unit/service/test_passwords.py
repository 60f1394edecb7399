"""Which passwords are good enough."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidAccount
from service.passwords import MAX_LENGTH, check, normalised


@pytest.mark.parametrize(
    "password",
    [
        "securepassword123",
        "new_secure_password",
        "new_strong_password",
        "correct horse battery",
        "é" * 7 + "abcdefgü",
        "🐦 magpies are clever",
        "a long enough pass phrase",
        "my dragon eats monkeys",
        "#$%&*(@!)^-+=~?",
        "e\u0301" * 7 + "abcdefgh",
    ],
)
def test_long_ones_of_any_kind_are_taken(password: str) -> None:
    assert check(password, "ann", "ann@example.com") == normalised(password)


TYPED_LONG = "a long phrase " * 40 + "e\u0301" * 300


@pytest.mark.parametrize(
    "password", ["", "short", "fourteen chars", "x" * (MAX_LENGTH + 1), "a\0" * 10, "\ud800" * 20, "ﷺ", "ﬁve ﬁsh a boat", TYPED_LONG]
)
def test_what_cannot_be_a_password_is_refused(password: str) -> None:
    with pytest.raises(InvalidAccount):
        check(password)


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "PasswordPassword",
        "123456789012345",
        "aaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "qwertyuiop123456",
        "abcdefghijklmnopqr",
        "987654321098765",
        "correct horse battery staple",
    ],
)
def test_what_anybody_would_try_first_is_refused(password: str) -> None:
    with pytest.raises(InvalidAccount):
        check(password)


@pytest.mark.parametrize("password", ["annabel annabel annabel", "annabel1234567890", "annabel@example.com"])
def test_what_is_made_of_ones_name_or_address_is_refused(password: str) -> None:
    with pytest.raises(InvalidAccount):
        check(password, "Annabel", "annabel@example.com")


@pytest.mark.parametrize(
    "password",
    [
        "p@ssw0rdp@ssw0rd",
        "p@ssw0rdp@ssw0r",
        "P@ssw0rd-P@ssw0rd!",
        "password1password1",
        "letmein!!!!!!!!!",
        "my password 123456",
        "administrator2026",
        "welcome to magpie",
        "c0rrecth0rseb4tteryst4ple",
        "qwertyuiopasdfgh",
        "asdfghjkl zxcvbnm",
        "lkjhgfdsapoiuytrewq",
        "qweasdzxcqweasdzxc",
        "zaq12wsxcde34rfv",
        "qwertz qwertz qwertz",
        "abc123abc123abc123",
        " " * 20,
    ],
)
def test_what_is_common_and_only_made_longer_is_refused(password: str) -> None:
    with pytest.raises(InvalidAccount):
        check(password)


def test_the_same_is_the_same_however_it_is_typed() -> None:
    assert normalised("e\u0301" * 15) == normalised("\u00e9" * 15)


@given(st.text(max_size=60))
def test_every_text_is_taken_or_refused(password: str) -> None:
    with suppress(InvalidAccount):
        assert check(password, "ann", "ann@example.com") == normalised(password)
